"""What waits for the disk, beside the loop: flushes, and making the oldest segments lean.

The hub decides what is to be flushed and what may go; here it is carried out in threads, and what came of
it is handed back.  ``wake`` becomes readable when there is something to hand back.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from math import inf
from pathlib import Path

import structlog

from streamer.flush import Flush
from streamer.hub import Hub, Send
from streamer.log import Log, LogDamaged
from streamer.record import LogBroken
from streamer.segment import Segment

LOOK_S = 1.0
"""How often it is looked whether the log has become too large."""
NOTE_S = 1.0
"""For how long the run has been at work is noted so often."""
WORKED = "seconds"
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
        self._thinning: Future[Segment] | None = None
        self._thinning_for = ""
        """The store in which its labels are."""
        self._removing: Future[None] | None = None
        self._look_at = 0.0
        self._noted_s = worked_before(log.folder)

    def close(self) -> None:
        """Waits for what has been begun."""
        self._threads.shutdown()
        if self._flush is not None and self._flushing is not None:
            with suppress(LogBroken):  # it ends anyway; the log is not closed as one that is sound
                self._log.flushed(self._flush, self._flushing.exception())
        for end in (self.wake, self._wake):
            os.close(end)

    def turn(self, now: float) -> list[Send]:
        """Hands back what is done, and begins what is due.  Returns what is to be sent because of it.

        Raises LogBroken.
        """
        sends: list[Send] = []
        self._note(self._hub.worked_s(now))
        if self._flushing is not None and self._flushing.done():
            sends = self._flushed(now)
        if self._flushing is None and (upto := self._hub.flush(now)) is not None:
            self._flush = self._log.flush(upto)
            self._flushing = self._threads.submit(self._flush)
            self._flushing.add_done_callback(self._ring)
        if self._retain is not None:
            if self._removing is not None and self._removing.done():
                self._removed(now)
            elif self._thinning is not None and self._thinning.done():
                self._thinned(now)
            elif self._thinning is None and self._removing is None and now >= self._look_at:
                self._thin(self._retain, now)
        return sends

    def _note(self, worked_s: float) -> None:
        """Notes for how long the run has been at work: also a streamer that is killed goes on counting there."""
        ended = self._hub.state in ("complete", "cancelled")
        if worked_s - self._noted_s < (0.001 if ended else NOTE_S):
            return
        self._noted_s = worked_s
        beside = self._log.folder / f"{WORKED}.new"
        with suppress(OSError):  # a full disk has other worries
            beside.write_text(f"{worked_s:.3f}")
            beside.replace(self._log.folder / WORKED)

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
        why = self._log.flushed(flush, future.exception())
        if not why:
            return self._hub.flushed(flush.upto, now)
        sentence = (
            f"the log in {self._log.folder} cannot be made durable: {why}; "
            "nothing is acknowledged until it can; the run goes on when there is room"
        )
        self._say.warning("not durable", why=sentence)
        self._hub.unflushed(sentence, now)
        return []

    def _thin(self, retain: int, now: float) -> None:
        self._look_at = now + LOOK_S
        first = self._hub.retention.next(self._log.pieces, retain)
        if first is None:
            return
        self._thinning_for = self._hub.retention.store
        self._thinning = self._threads.submit(self._log.leaner(first, self._thinning_for))
        self._thinning.add_done_callback(self._ring)

    def _thinned(self, now: float) -> None:
        future, self._thinning = self._thinning, None
        assert future is not None
        try:
            lean = future.result()
        except (OSError, LogDamaged) as why:
            self._not_thinner(why, now)
            return
        self._removing = self._threads.submit(self._log.replace(lean, self._thinning_for))
        self._removing.add_done_callback(self._ring)
        self._say.info("segment is lean", first=lean.first, stop=lean.stop, log_bytes=self._log.nbytes)

    def _removed(self, now: float) -> None:
        future, self._removing = self._removing, None
        assert future is not None
        try:
            future.result()
        except OSError as why:
            self._not_thinner(why, now)
            return
        self._hub.retention.trouble = ""
        self._look_at = now

    def _not_thinner(self, why: OSError | LogDamaged, now: float) -> None:
        what = why.strerror if isinstance(why, OSError) else str(why)
        self._hub.retention.trouble = f"the log in {self._log.folder} stays larger than it should: {what}"
        self._look_at = now + RETRY_S
        self._say.warning("not thinner", why=self._hub.retention.trouble)


def worked_before(folder: Path) -> float:
    """For how many seconds the run of a log was at work when that was noted last; 0 if it never was."""
    try:
        seconds = float((folder / WORKED).read_text())
    except (OSError, ValueError):
        return 0.0
    return seconds if 0 <= seconds < inf else 0.0
