"""SIGTERM and SIGINT as something that a poller can wait for, beside sockets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def signals() -> Iterator[tuple[int, list[int]]]:
    """A descriptor that becomes readable at SIGTERM or SIGINT, and the signals that came."""
    caught: list[int] = []
    read, write = os.pipe()
    os.set_blocking(write, False)

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        with suppress(BlockingIOError):
            os.write(write, b"\0")

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield read, caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)
