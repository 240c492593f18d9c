"""What containers have said, as lines that the API shows.  Pure."""

from __future__ import annotations

import json

from streamer.control.said import Line, writable


def lines(part: str, log: str) -> list[Line]:
    """The lines of a container's log; those of ours are JSON with a time and a level."""
    return [_line(part, raw) for raw in log.splitlines() if raw.strip()]


def _line(part: str, raw: str) -> Line:
    record = None
    if raw.startswith("{"):
        try:
            record = json.loads(raw)
        except (ValueError, RecursionError):
            record = None
    if not isinstance(record, dict):
        return Line("", part, "info", writable(raw))
    time, level, event = (
        writable(str(record.pop(key, other))) for key, other in (("timestamp", ""), ("level", "info"), ("event", ""))
    )
    text = " ".join([event, *(f"{key}={value}" for key, value in record.items())]).strip()
    return Line(time, part, level, writable(text))
