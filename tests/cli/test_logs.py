"""What a process says: JSON away from a terminal, with everything that is bound, from libraries too."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streamer import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def said(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_carries_what_is_bound() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.bind(run="rivers-1", chunk=7)
    structlog.get_logger().info("committed", bytes=12)
    logs.unbind("chunk")
    logging.getLogger("library").warning("old %s", "style")
    first, second = said(stream)
    assert first.items() >= {"event": "committed", "run": "rivers-1", "chunk": 7, "bytes": 12, "level": "info"}.items()
    assert second.items() >= {"event": "old style", "run": "rivers-1", "level": "warning"}.items()
    assert "chunk" not in second


def test_an_exception_is_one_line_of_json() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    try:
        raise ValueError("no such chunk")
    except ValueError as why:
        structlog.get_logger().error("failed", exc_info=why)
    (line,) = said(stream)
    assert "no such chunk" in str(line["exception"])


def test_levels_below_the_one_that_is_set_are_silent() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in said(stream)] == ["loud"]


def test_people_get_text() -> None:
    stream = io.StringIO()
    logs.configure(format="human", stream=stream)
    structlog.get_logger().info("committed", chunk=3)
    assert "committed" in stream.getvalue()
    assert "chunk=3" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        said(stream)
