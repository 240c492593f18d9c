"""When what a relay has copied is kept: its log is flushed beside the loop, as its policy says.

A relay that promises more than ``written`` gives room back to its source only for what is flushed, so what
the source hears to have arrived is safe at the site.  Its subscribers get entries at once.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from streamer.durable import Durable, Policy
from streamer.flush import Flush
from streamer.log import Log
from streamer.record import LogBroken


class Flusher:
    """Flushes one log.  ``wake`` becomes readable when a flush is done."""

    def __init__(self, log: Log, policy: Policy) -> None:
        self._log, self._policy = log, policy
        self._durable = Durable(policy, log.head)
        self._thread = ThreadPoolExecutor(1, "disk")
        self.wake, self._wake = os.pipe()
        for end in (self.wake, self._wake):
            os.set_blocking(end, False)
        self._flush: Flush | None = None
        self._flushing: Future[None] | None = None
        self._held: deque[tuple[int, int]] = deque()
        """Entries that wait for a flush: their numbers, and the room that they took."""

    @property
    def trouble(self) -> str:
        """Why nothing can be flushed, in a sentence; empty while it can."""
        return self._durable.trouble

    @property
    def kept(self) -> int:
        """All entries before it are kept, as far as the policy asks for that."""
        return self._held[0][0] if self._held else self._log.head

    def wrote(self, number: int, nbytes: int, now: float) -> bool:
        """An entry is in the log; returns whether its room may be given back at once."""
        if self._policy == "written":
            return True
        self._held.append((number, nbytes))
        self._durable.wrote(number + 1, now)
        return False

    def turn(self, now: float) -> list[int]:
        """Takes note of a flush that is done, and begins one that is due; returns the room that is free by it.

        Raises LogBroken.
        """
        with suppress(BlockingIOError):
            while os.read(self.wake, 1024):
                pass
        freed: list[int] = []
        flush, flushing = self._flush, self._flushing
        if flush is not None and flushing is not None and flushing.done():
            self._flush = self._flushing = None
            why = self._log.flushed(flush, flushing.exception())
            if why:
                self._durable.failed(
                    f"the copy in {self._log.folder} cannot be made durable: {why}; "
                    "nothing more is taken from the source until it can",
                    now,
                )
            else:
                self._durable.done(flush.upto, now)
                while self._held and self._held[0][0] < flush.upto:
                    freed.append(self._held.popleft()[1])
        if self._flushing is None and (upto := self._durable.begin(now)) is not None:
            self._flush = self._log.flush(upto)
            self._flushing = self._thread.submit(self._flush)
            self._flushing.add_done_callback(self._ring)
        return freed

    def anew(self) -> list[int]:
        """To be called before the log is emptied: waits for the flush that runs.  Returns the room that is free."""
        if self._flush is not None and self._flushing is not None:
            self._flushing.exception()
            self._flush.drop()
        self._flush = self._flushing = None
        freed = [nbytes for _, nbytes in self._held]
        self._held.clear()
        self._durable = Durable(self._policy, 0)
        return freed

    def deadline(self) -> float:
        """When ``turn`` should be called next, or infinity."""
        return self._durable.deadline()

    def close(self) -> None:
        """Waits for what has been begun."""
        self._thread.shutdown()
        if self._flush is not None and self._flushing is not None:
            with suppress(LogBroken):  # it ends anyway; the log is not closed as one that is sound
                self._log.flushed(self._flush, self._flushing.exception())
        for end in (self.wake, self._wake):
            os.close(end)

    def _ring(self, _: object) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._wake, b"\0")
