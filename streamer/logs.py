"""What a process says about itself: for a person on a terminal, as JSON lines otherwise; always on stderr.

Every line carries what is bound (the run, the part, the chunk), so that the lines of many processes
can be told apart after the control plane has put them into one stream.  Libraries that use the
standard library's logging come out the same way.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

Format = Literal["auto", "human", "json"]
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

TALKATIVE = ("httpcore", "httpx", "uvicorn", "websockets")
"""Libraries that would write down headers and whole addresses, which tokens and cookies are in."""


def configure(level: str = "info", format: Format = "auto", stream: TextIO | None = None) -> None:
    """Sets up logging for this process: ``level`` is one of LEVELS; ``auto`` is human on a terminal, else JSON."""
    out = stream or sys.stderr
    human = format == "human" or (format == "auto" and out.isatty())
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
    ]
    last: list[Processor]
    if human:
        last = [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Libraries speak up at warnings only, unless everything is wanted.
    root.setLevel(LEVELS[level] if level == "debug" else max(LEVELS[level], logging.WARNING))


def bind(**facts: str | int) -> None:
    """Adds facts (``run=…``, ``part=…``, ``chunk=…``) to every later line of this thread or task."""
    structlog.contextvars.bind_contextvars(**facts)


def unbind(*names: str) -> None:
    """Takes facts away again."""
    structlog.contextvars.unbind_contextvars(*names)
