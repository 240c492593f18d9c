"""A real X server with two screens, whose pixels lie in files: what somebody would see is read from there."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.ending import ending, line_within, tied

Pixels = NDArray[np.uint8]
PATIENCE_S = 60.0
SIZES = ((800, 600), (640, 480))


class Screens:
    """An X display; screen n of it is ``name(n)``."""

    def __init__(self, number: str, folder: Path) -> None:
        self._number, self._folder = number, folder

    def name(self, screen: int) -> str:
        """As the environment would have it."""
        return f":{self._number}.{screen}"

    def seen(self, screen: int) -> Pixels:
        """What is on a screen now, (height, width, 3): the file is an X window dump, of 25 numbers and more first."""
        raw = (self._folder / f"Xvfb_screen{screen}").read_bytes()
        head = struct.unpack(">25I", raw[:100])
        start, width, height, line, colours = head[0], head[4], head[5], head[12], head[19]
        rows = np.frombuffer(raw, np.uint8, height * line, start + 12 * colours).reshape(height, line // 4, 4)
        return np.ascontiguousarray(rows[:, :width, 2::-1])  # little-endian 0x00RRGGBB

    def until(self, screen: int, right: Callable[[Pixels], bool], words: str) -> Pixels:
        """Waits until a screen is as it should be: the server says nothing when it is."""
        deadline = time.monotonic() + PATIENCE_S
        while not right(found := self.seen(screen)):
            assert time.monotonic() < deadline, f"in vain: {words}"
            time.sleep(0.02)
        return found


@contextmanager
def x_server() -> Iterator[Screens]:
    """Starts Xvfb under a number that is free, and ends it."""
    with tempfile.TemporaryDirectory() as folder:
        read, write = os.pipe()
        sizes = [part for n, (w, h) in enumerate(SIZES) for part in ("-screen", str(n), f"{w}x{h}x24")]
        server = subprocess.Popen(
            tied("Xvfb", "-displayfd", write, *sizes, "-nolisten", "tcp", "-fbdir", folder),
            pass_fds=[write], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(write)
        with ending(server):
            with os.fdopen(read) as said:
                number = line_within(said).strip()
            assert number, "Xvfb did not start"
            yield Screens(number, Path(folder))
