"""The run's record on disk: a folder of segments, of which the newest is appended to.

An entry is ``written`` once the kernel has it: ``kill -9`` of the streamer loses nothing, a power cut may.
Whoever wants more takes a ``flush`` and carries it out where it may wait.  What is torn or damaged is cut
off on opening with all that follows.  The log gets a new epoch, so that readers start anew, whenever they
may have seen what is gone: after damage, and if the machine has been started again while the log was open.
When the log is larger than it may be, its oldest segments become lean (``streamer.lean``).
"""

from __future__ import annotations

import errno
import os
import secrets
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamer.flush import Flush, copy_anew, flush_of, sync
from streamer.hold import Hold, LogInUse
from streamer.layout import NO_ROOM, LogDamaged, note, sync_folder
from streamer.lean import strip
from streamer.opening import cut, find
from streamer.recent import Recent
from streamer.record import LogBroken, LogFull
from streamer.retention import Piece
from streamer.segment import FULL, Segment
from streamer.wire.codec import Buffer, crc32c

SEGMENT_BYTES = 256 << 20
OPEN_FILES = 32
"""Segments whose files are open at a time."""
_STORE = "store"

__all__ = ["SEGMENT_BYTES", "Flush", "Log", "LogDamaged", "LogInUse"]


class Log:
    """One run's entries, numbered from 0.  One process at a time; not to be shared between threads."""

    def __init__(self, folder: Path, hold: Hold, segment_bytes: int) -> None:
        self.folder = folder
        self.cut = ""
        """What was cut off when the log was opened, in a sentence; empty if nothing was."""
        self.store = ""
        """Where the labels of lean segments are to be found."""
        self._hold, self._segment_bytes = hold, segment_bytes
        self._copy = False
        self.head = 0
        """The number of the next entry."""
        self._segments: list[Segment] = []
        """Oldest first; the newest is never lean."""
        self._firsts: list[int] = []
        self._open: list[Segment] = []
        self._safe = 0
        """All entries before it have been flushed."""
        self._unsure = False
        """Whether a flush has failed since: what is not flushed has to be written once more."""
        self._recent = Recent()
        self._finished_bytes = 0
        """Of all segments but the newest."""

    @classmethod
    def open(cls, folder: Path, segment_bytes: int = SEGMENT_BYTES, *, copy: bool = False) -> Log:
        """Creates a log, or scans the one that is there and cuts off its tail if that is torn or damaged.

        A ``copy`` keeps its epoch whatever was cut off: its source has the same entries under the same numbers.
        What was not flushed is flushed.  Raises LogInUse, LogDamaged, LogFull or OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = cls(folder, Hold(folder), segment_bytes)
        log._copy = copy
        try:
            try:
                log._begin()
            except OSError as why:
                if why.errno in NO_ROOM:
                    raise LogFull(f"no room to begin a log in {folder}: {os.strerror(why.errno or 0)}") from None
                raise
        except BaseException:
            log._let_go()
            raise
        return log

    def close(self) -> None:
        """Flushes the log and lets go of it.  Entries read before stay valid."""
        if not self._hold.held:
            return
        try:
            if not self._unsure:  # else a sync that succeeds now would prove nothing
                sync(self._segments, self._safe, self.folder)
                self._hold.close()
        except OSError:
            self._hold.doubt(self._safe)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        for segment in self._segments:
            segment.close()
        self._hold.release()

    @property
    def epoch(self) -> str:
        """The epoch; the newest segment bears it."""
        return self._segments[-1].epoch

    @property
    def nbytes(self) -> int:
        """The size of the log in bytes."""
        return self._finished_bytes + self._segments[-1].end

    @property
    def evicted(self) -> int:
        """Chunks before this entry have no labels in the log any more."""
        return max((segment.stop for segment in self._segments if segment.lean), default=0)

    @property
    def pieces(self) -> list[Piece]:
        """The segments, oldest first."""
        return [Piece(one.first, one.stop, one.end, one.lean) for one in self._segments]

    def largest(self) -> int:
        """Payload bytes of the largest entry."""
        return max(segment.largest for segment in self._segments)

    # ------------------------------------------------------------ entries

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int:
        """Writes an entry and returns its number.  Raises LogFull, and the log is as before, if the disk is full.

        Raises LogBroken if the disk does not take it for another reason; then the log is to be closed.
        ``crcs`` are the payloads' CRC-32C where they are known already.
        """
        number = self.head
        try:
            segment = self._segments[-1]
            if segment.end >= self._segment_bytes and len(segment.offsets):
                segment = self._roll(self.epoch)
            segment.append(kind, payloads, crcs or [crc32c(raw) for raw in payloads])
        except OSError as why:
            if why.errno not in NO_ROOM:
                raise self._broken(f"entry {number} cannot be written", why) from None
            raise LogFull(
                f"no room for entry {number} ({sum(len(raw) for raw in payloads):,} bytes) of the log in "
                f"{self.folder}: {os.strerror(why.errno or 0)}; the run goes on when there is room"
            ) from None
        self.head = number + 1
        self._recent.keep(number, (kind, [memoryview(raw) for raw in payloads]))
        return number

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        """An entry's kind and payloads.

        Raises IndexError if there is no such entry, LogDamaged if it is spoilt, LogBroken if the disk does not give it.
        """
        if (entry := self._recent.get(number)) is not None:
            return entry
        if not 0 <= number < self.head:
            raise IndexError(f"the log in {self.folder} has entries 0 to {self.head - 1}, not {number}")
        segment = self._segments[bisect_right(self._firsts, number) - 1]
        if segment.file < 0:
            self._make_way(segment)
        try:
            entry = segment.read(number)
        except OSError as why:
            raise self._broken(f"entry {number} cannot be read", why) from None
        self._recent.keep(number, entry)
        return entry

    def _make_way(self, segment: Segment) -> None:
        """Closes the file of another segment if too many are open."""
        self._open = [one for one in self._open if one.file >= 0]
        if len(self._open) >= OPEN_FILES:
            self._open.pop(0).close()
        self._open.append(segment)

    def _roll(self, epoch: str) -> Segment:
        """A new segment, whose name the next flush makes durable.  Raises OSError, and nothing has changed."""
        segment = Segment.create(self._path(self.head), epoch, self.head)
        if self._segments:
            self._segments[-1].finish()
            self._make_way(self._segments[-1])
        self._add(segment)
        return segment

    def _add(self, segment: Segment) -> None:
        if self._segments:
            self._finished_bytes += self._segments[-1].end
        self._segments.append(segment)
        self._firsts.append(segment.first)
        self.head = segment.stop

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:020}{FULL}"

    def copy_of(self, epoch: str) -> None:
        """Empties the log, to be filled with the entries of another one, whose epoch it takes.  Raises OSError."""
        for segment in reversed(self._segments):  # whoever is killed in between leaves a beginning, which can be opened
            segment.close()
            segment.path.unlink()
        (self.folder / _STORE).unlink(missing_ok=True)
        self._segments, self._firsts, self._open = [], [], []
        self.store, self.head, self._safe, self._finished_bytes = "", 0, 0, 0
        self._recent.clear()
        if self._unsure:
            self._hold.doubt(0)
        self._roll(epoch)

    def labels_in(self, store: str) -> None:
        """Notes, for a copy, where labels are that its source does not hold any more."""
        if store != self.store:
            self.store = store
            with suppress(OSError):  # a disk that is full has other worries; the source says it again
                note(self.folder / _STORE, store.encode())

    # ------------------------------------------------------------ durable

    def flush(self, upto: int | None = None) -> Flush:
        """What makes the entries before ``upto`` durable (all that are there if it is None).

        After a flush that failed it copies them into new files.  ``flushed`` follows.  Raises LogBroken.
        """
        upto = self.head if upto is None else upto
        try:
            return flush_of(self._segments, self._safe, upto, self.folder, unsure=self._unsure)
        except OSError as why:
            raise self._broken("what was written cannot be made durable", why) from None

    def flushed(self, flush: Flush, why: BaseException | None) -> str:
        """A flush has been carried out, or has failed for this reason.

        If it has, nothing that it was for may be believed before the next one has succeeded.  Returns why, if that may
        be tried when there is room; raises LogBroken else: then the log is to be closed, and whoever opens it next
        copies what is not known to be on the disk.
        """
        if why is None:
            try:
                flush.settle(self._segments, self.folder)
                self._safe = max(self._safe, flush.upto)
                if self._unsure:
                    self._hold.opened()
                    self._unsure = False
                return ""
            except OSError as in_vain:
                why = in_vain
        if not isinstance(why, OSError):
            raise why
        self._unsure = True
        self._hold.doubt(self._safe)
        if why.errno not in NO_ROOM:
            raise self._broken("what was written cannot be made durable", why)
        return os.strerror(why.errno)

    def _broken(self, what: str, why: OSError) -> LogBroken:
        return LogBroken(
            f"the disk fails the log in {self.folder}: {what} "
            f"({why.filename or self._segments[-1].path.name}: {os.strerror(why.errno or errno.EIO)}); nothing is "
            "acknowledged any more: see to the disk, then start this again on the same log, which goes on where it was"
        )

    # ------------------------------------------------------------ lean

    def leaner(self, first: int, store: str) -> Callable[[], Segment]:
        """What makes the segment that begins there lean; to be called from any thread, its result for ``replace``.

        First it notes, durably, where the labels are from now on.  Raises OSError or LogDamaged.
        """
        path, known = self._path(first), self.store

        def work() -> Segment:
            if store != known:
                note(self.folder / _STORE, store.encode())
            return strip(path)

        return work

    def replace(self, lean: Segment, store: str) -> Callable[[], None]:
        """Takes a lean segment, whose labels are in ``store``, in the place of the full one.

        Returns what removes the full one's file, which may take a while: to be called from any thread; raises OSError.
        """
        self.store = store
        at = self._firsts.index(lean.first)
        full, self._segments[at] = self._segments[at], lean
        self._finished_bytes += lean.end - full.end
        self._recent.clear()
        full.close()
        return full.path.unlink

    # ------------------------------------------------------------ opening

    def _begin(self) -> None:
        hold = self._hold
        for name in self.folder.glob("*.new"):
            name.unlink()
        if (self.folder / _STORE).exists():
            self.store = (self.folder / _STORE).read_text()
        found = find(self.folder)
        self.cut = cut(self.folder, found, copy=self._copy)
        for segment in found.segments:
            self._add(segment)
        if not self._segments:
            self._roll(secrets.token_hex(16))
            sync_folder(self.folder)
        elif not (hold.closed or hold.same_start or self._copy):
            # The kernel has gone that held what was written; readers may have seen entries that are no more.
            self._segments[-1].write_header(secrets.token_hex(16))
        if self._segments[-1].lean:
            self._roll(self.epoch)
            sync_folder(self.folder)
        since = 0 if hold.unsure is None else hold.unsure
        try:
            if hold.unsure is not None:
                copy_anew(self._segments, since)
            sync(self._segments, self.head if hold.closed else since, self.folder)
        except OSError:
            hold.doubt(0)
            raise
        for segment in self._segments[:-1]:
            segment.close()
        self._safe = self.head
        hold.opened()
