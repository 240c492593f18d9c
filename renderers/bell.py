"""Bells between threads: one end rings, the other becomes readable to whoever polls.  Once is enough.

A bell is a pipe: it costs two short calls of the kernel a ring, and those who wait for several poll all of them in one.
"""

from __future__ import annotations

import os
import select
import threading


class Bell:
    """Any thread may ring; one waits, and is to look at what it was rung for after each ``hush``."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._ends = [self._read, self._write]
        self._lock, self._rung = threading.Lock(), False

    def fileno(self) -> int:
        """What becomes readable."""
        return self._read

    def ring(self) -> None:
        """Makes the other end readable."""
        with self._lock:
            if not self._rung:
                self._rung = True
                os.write(self._write, b"\0")

    def hush(self) -> None:
        """It has been heard, and can be rung again."""
        with self._lock:
            if self._rung:
                os.read(self._read, 1)
            self._rung = False

    def wait(self, seconds: float) -> bool:
        """Whether it rings within this time."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def close(self) -> None:
        """Gives the pipe back.  Who rings later is not heard."""
        with self._lock:
            self._rung = True
            # Once: the numbers of what is closed are soon those of something else.
            while self._ends:
                os.close(self._ends.pop())
