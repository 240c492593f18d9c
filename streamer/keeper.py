"""What waits for the disk, beside the loop: flushes, and making the oldest segments lean.

The hub decides what is to be flushed and what may go; here it is carried out in threads, and what came of
it is handed back.  ``wake`` becomes readable when there is something to hand back.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import structlog

from streamer.hub import Hub, Send
from streamer.log import Flush, Log, LogDamaged
from streamer.segment import Segment

LOOK_S = 1.0
"""How often it is looked whether the log has become too large."""
RETRY_S = 10.0
"""When a segment that could not be made lean is tried again."""


class Keeper:
    """The disk's work for one log; ``retain_bytes`` is how large it may be (None: it keeps all)."""

    def __init__(self, hub: Hub, log: Log, retain_bytes: int | None) -> None:
        self._hub, self._log, self._retain = hub, log, retain_bytes
        self._say = structlog.get_logger("streamer")
        self._threads = ThreadPoolExecutor(2, "disk")
        self.wake, self._wake = os.pipe()
        for end in (self.wake, self._wake):
            os.set_blocking(end, False)
        self._flush: Flush | None = None
        self._flushing: Future[None] | None = None
        self._failed = False
        self._thinning: Future[Segment] | None = None
        self._look_at = 0.0

    def close(self) -> None:
        """Waits for what has been begun."""
        self._threads.shutdown()
        for end in (self.wake, self._wake):
            os.close(end)

    def turn(self, now: float) -> list[Send]:
        """Hands back what is done, and begins what is due.  Returns what is to be sent because of it."""
        sends: list[Send] = []
        if self._flushing is not None and self._flushing.done():
            sends = self._flushed(now)
        if self._flushing is None and (upto := self._hub.flush(now)) is not None:
            self._flush = self._log.flush(upto, again=self._failed)
            self._flushing = self._threads.submit(self._flush)
            self._flushing.add_done_callback(self._ring)
        if self._retain is not None:
            if self._thinning is not None and self._thinning.done():
                self._thinned(now)
            elif self._thinning is None and now >= self._look_at:
                self._thin(self._retain, now)
        return sends

    def rang(self) -> None:
        """``wake`` was readable."""
        with suppress(BlockingIOError):
            while os.read(self.wake, 1024):
                pass

    def _ring(self, _: object) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def _flushed(self, now: float) -> list[Send]:
        flush, future = self._flush, self._flushing
        self._flush = self._flushing = None
        assert flush is not None
        assert future is not None
        why = future.exception()
        self._failed = why is not None
        if why is None:
            self._log.flushed(flush.upto)
            return self._hub.flushed(flush.upto, now)
        if not isinstance(why, OSError):
            raise why
        sentence = (
            f"the log in {self._log.folder} cannot be made durable: {why.strerror}; "
            "nothing is acknowledged until it can"
        )
        self._say.warning("not durable", why=sentence)
        self._hub.unflushed(sentence, now)
        return []

    def _thin(self, retain: int, now: float) -> None:
        self._look_at = now + LOOK_S
        first = self._hub.retention.next(self._log.pieces, retain)
        if first is None:
            return
        try:
            self._log.remember(self._hub.retention.store)
        except OSError as why:
            self._not_thinner(why, now)
            return
        self._thinning = self._threads.submit(self._log.leaner(first))
        self._thinning.add_done_callback(self._ring)

    def _thinned(self, now: float) -> None:
        future, self._thinning = self._thinning, None
        assert future is not None
        try:
            lean = future.result()
            self._log.replace(lean)
        except (OSError, LogDamaged) as why:
            self._not_thinner(why, now)
            return
        self._hub.retention.trouble = ""
        self._look_at = now
        self._say.info("segment is lean", first=lean.first, stop=lean.stop, log_bytes=self._log.nbytes)

    def _not_thinner(self, why: OSError | LogDamaged, now: float) -> None:
        what = why.strerror if isinstance(why, OSError) else str(why)
        self._hub.retention.trouble = f"the log in {self._log.folder} stays larger than it should: {what}"
        self._look_at = now + RETRY_S
        self._say.warning("not thinner", why=self._hub.retention.trouble)
