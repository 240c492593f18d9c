"""Making the segments of a log durable, also after that has failed once.

A sync that fails says so once: the kernel takes the pages for written, and the next sync may report success for
what never came to the disk.  So after a failure everything that was not safe before is read, compared with its
checksums, and written once more; only the sync after that counts.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streamer.layout import sync_folder, write_again
from streamer.segment import Segment


class Again(NamedTuple):
    """Entries of an open file that are to be written once more: where they begin and end, and the first's number."""

    file: int
    start: int
    end: int
    number: int


class Flush:
    """Makes all entries before ``upto`` durable.  To be called once, from any thread; raises OSError."""

    def __init__(self, upto: int, files: list[int], again: Sequence[Again], folder: Path | None) -> None:
        self.upto = upto
        self._files, self._again, self._folder = files, again, folder

    def __call__(self) -> None:
        try:
            if self._folder is not None:
                sync_folder(self._folder)
            for entries in self._again:
                write_again(*entries)
            for file in self._files:
                os.fdatasync(file)
        finally:
            for file in self._files:
                os.close(file)


def flush_of(segments: Sequence[Segment], safe: int, upto: int, folder: Path, *, unsure: bool) -> Flush:
    """What makes the entries from ``safe`` to ``upto`` durable; ``unsure``: after it has failed.  Raises OSError."""
    files, parts, named = [], [], None
    first = bisect_right(segments, safe, key=lambda segment: segment.first) - 1
    try:
        for segment in segments[max(first, 0) :]:
            if segment.stop <= safe or segment.lean:
                continue
            file = os.dup(segment.reopen())
            files.append(file)
            start = max(safe, segment.first)
            if start == segment.first:
                named = folder  # nothing of it has been flushed before, its name neither
            if unsure and start < segment.stop:
                parts.append(Again(file, segment.place(start)[0], segment.end, start))
    except OSError:
        for file in files:
            os.close(file)
        raise
    return Flush(upto, files, parts, named)


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


def write_anew(segments: Sequence[Segment], since: int) -> None:
    """Writes the entries from ``since`` on once more, to be synced then.  Raises OSError."""
    for segment in segments:
        if segment.lean or segment.stop < since:
            continue
        segment.reopen()
        segment.write_header(segment.epoch)
        start = max(since, segment.first)
        if start < segment.stop:
            write_again(segment.file, segment.place(start)[0], segment.end, start)
        if segment is not segments[-1]:
            segment.close()
