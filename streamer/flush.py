"""Making the segments of a log durable, also after that has failed once.

A sync that fails says so once: the kernel takes the pages for written, and the next sync may report success for
what never came to the disk.  To write to the same places again may not help either: a file system may have kept a
note that they were never written.  So after a failure every segment that was not safe is read, compared with its
checksums, and copied into a new file, which takes its name once it is synced.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streamer.layout import FILE_SIZE, pread, pwrite, records, strides, sync_folder
from streamer.segment import Segment


class _Copy(NamedTuple):
    """A segment's new file, open, with its bytes up to ``end``."""

    segment: Segment
    file: int
    end: int


class Flush:
    """Makes all entries before ``upto`` durable.  To be called once, from any thread; raises OSError.

    What it has copied takes its place with ``settle``.
    """

    def __init__(
        self, upto: int, files: Sequence[int], again: Sequence[tuple[Segment, int]], folder: Path | None
    ) -> None:
        self.upto = upto
        self._files, self._again, self._folder = files, again, folder
        self._copies: list[_Copy] = []

    def __call__(self) -> None:
        try:
            if self._folder is not None:
                sync_folder(self._folder)
            if self._again:
                for file, (segment, end) in zip(self._files, self._again, strict=True):
                    self._copies.append(_Copy(segment, _copied(segment, file, end), end))
                return
            for file in self._files:
                os.fdatasync(file)
        except BaseException:
            self.drop()
            raise
        finally:
            for file in self._files:
                os.close(file)

    def settle(self, segments: Sequence[Segment], folder: Path) -> None:
        """From the log's own thread, after the call: the copies take their places.  Raises OSError."""
        if not self._copies:
            return
        try:
            while self._copies:
                segment, file, end = self._copies[-1]
                if not any(segment is one for one in segments):
                    self._drop_last()  # it has become lean meanwhile, which is durable
                    continue
                if segment.end > end:
                    pwrite(file, [pread(segment.reopen(), segment.end - end, end)], end)
                _beside(segment).replace(segment.path)
                self._copies.pop()
                segment.take(file)
            sync_folder(folder)
        finally:
            self.drop()

    def drop(self) -> None:
        """Lets go of the copies that have not taken their places."""
        while self._copies:
            self._drop_last()

    def _drop_last(self) -> None:
        segment, file, _ = self._copies.pop()
        os.close(file)
        _beside(segment).unlink(missing_ok=True)


def flush_of(segments: Sequence[Segment], safe: int, upto: int, folder: Path, *, unsure: bool) -> Flush:
    """What makes the entries from ``safe`` to ``upto`` durable; ``unsure``: after it has failed.  Raises OSError."""
    files, again, named = list[int](), list[tuple[Segment, int]](), None
    first = bisect_right(segments, safe, key=lambda segment: segment.first) - 1
    try:
        for segment in segments[max(first, 0) :]:
            if segment.stop <= safe or segment.lean:
                continue
            files.append(os.dup(segment.reopen()))
            if max(safe, segment.first) == segment.first:
                named = folder  # nothing of it has been flushed before, its name neither
            if unsure:
                again.append((segment, segment.end))
    except OSError:
        for file in files:
            os.close(file)
        raise
    return Flush(upto, files, again, named)


def sync(segments: Sequence[Segment], safe: int, folder: Path) -> None:
    """Flushes the segments with entries from ``safe`` on, one by one: there may be more than files may be open.

    The newest one, which stays open, in any case.  Raises OSError.
    """
    for segment in segments:
        newest = segment is segments[-1]
        if newest or (segment.stop > safe and not segment.lean):
            os.fdatasync(segment.reopen())
            if not newest:
                segment.close()
    sync_folder(folder)


def copy_anew(segments: Sequence[Segment], since: int) -> None:
    """Copies the segments with entries from ``since`` on into new files, which take their places.  Raises OSError."""
    for segment in segments:
        if segment.lean or segment.stop < since:
            continue
        file = _copied(segment, segment.reopen(), segment.end)
        _beside(segment).replace(segment.path)
        segment.take(file)
        if segment is not segments[-1]:
            segment.close()


def _copied(segment: Segment, file: int, end: int) -> int:
    """A segment's bytes up to ``end`` in a new file beside it, synced.  Raises OSError, and leaves none behind."""
    beside = _beside(segment)
    new = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        pwrite(new, [pread(file, FILE_SIZE, 0)], 0)
        for found in records(file, FILE_SIZE, end, segment.first):
            if isinstance(found, str):
                raise OSError(errno.EIO, f"the disk has lost what was written: {found}")
            for at, length in strides(found.offset, found.length):
                pwrite(new, [pread(file, length, at)], at)
        os.fsync(new)
    except BaseException:
        os.close(new)
        beside.unlink(missing_ok=True)
        raise
    return new


def _beside(segment: Segment) -> Path:
    return segment.path.with_name(f"{segment.path.stem}.again.new")
