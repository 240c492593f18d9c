"""A control plane that runs already, perhaps on another machine: ``--server URL`` in place of one's own."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import TracebackType

from streamer.client import Lost


class Elsewhere(AbstractContextManager["Elsewhere"]):
    """Stands where a control plane of one's own would (``streamer.run.server``); nothing ends with it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.at_work = ""
        """The run that was started there and has not ended; empty if there is none."""

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever happens here, the run goes on there; who interrupts the command is told so."""
        if self.at_work and kind is not None and issubclass(kind, KeyboardInterrupt):
            sys.stderr.write(f"The run goes on: cavecast runs show {self.at_work} --server {self.url}\n")
            sys.stderr.flush()

    def wait(self) -> None:
        """Its viewer stays open without us."""

    def gone(self, why: str) -> Lost:
        """That it is lost."""
        return Lost(why)
