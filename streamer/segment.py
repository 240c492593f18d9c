"""One file of the log, which is appended to and read; nothing here knows of other files.

What its bytes are is said in ``streamer.layout``.  A *lean* segment has the same records under the same
numbers, but its chunks have become ``evicted`` (``streamer.lean``).
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from streamer.ahead import Ahead
from streamer.layout import FILE_SIZE, header, pread, pwrite, read_header, record_head, records, unpack
from streamer.wire.codec import Buffer

FULL, LEAN = ".log", ".lean"


class Segment:
    """The entries ``first`` … ``first + len(offsets) − 1`` in one file; ``end`` is where the next one goes."""

    def __init__(self, path: Path, file: int, epoch: str, first: int) -> None:
        self.path, self.epoch, self.first = path, epoch, first
        self.file = file
        self.offsets = array("Q")
        self.end = FILE_SIZE
        self.largest = 0
        self._ahead = Ahead()
        self.damage = ""
        """What is wrong with what follows the last good record; empty if that is only unfinished."""

    @classmethod
    def create(cls, path: Path, epoch: str, first: int) -> Segment:
        """A new file with its header.  Raises OSError, and leaves no file behind."""
        segment = cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), epoch, first)
        try:
            segment.write_header(epoch)
        except OSError:
            segment.close()
            path.unlink()
            raise
        return segment

    @classmethod
    def load(cls, path: Path, newest: bool) -> Segment:
        """The entries of a file that is there, up to the first one that is not whole.

        The newest file may have been begun without getting its header; it is then empty, of no epoch.
        Raises LogDamaged if the file is none of a log, or OSError.
        """
        file = os.open(path, (os.O_RDWR if path.suffix == FULL else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            size = os.fstat(file).st_size
            if newest and size < FILE_SIZE:
                return cls(path, file, "", int(path.stem))
            segment = cls(path, file, *read_header(path, file, size))
            segment._scan(size)
        except BaseException:
            os.close(file)
            raise
        return segment

    @property
    def stop(self) -> int:
        """The number after that of its last entry."""
        return self.first + len(self.offsets)

    @property
    def lean(self) -> bool:
        """Whether its chunks have no labels any more."""
        return self.path.suffix == LEAN

    def reopen(self) -> int:
        """The file, which is opened if it was closed."""
        if self.file < 0:
            self.file = os.open(self.path, (os.O_RDONLY if self.lean else os.O_RDWR) | os.O_CLOEXEC)
        return self.file

    def close(self) -> None:
        """Closes the file; ``reopen`` opens it again."""
        if self.file >= 0:
            self.finish()
            os.close(self.file)
        self.file = -1

    def take(self, file: int) -> None:
        """From now on its file, under the same name, is this one, which has the same bytes."""
        if self.file >= 0:
            os.close(self.file)
        self.file, self._ahead = file, Ahead()

    def finish(self) -> None:
        """Gives back the room that was taken for entries that have not come."""
        if self._ahead.taken:
            with suppress(OSError):  # it is given back when the log is opened the next time
                self._ahead.give_back(self.file, self.end)

    def write_header(self, epoch: str) -> None:
        """Writes the file's header with an epoch.  Raises OSError."""
        file = self.file if not self.lean else os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            pwrite(file, [header(epoch, self.first)], 0)
        finally:
            if self.lean:
                os.close(file)
        self.epoch = epoch

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int]) -> None:
        """Writes an entry; all is as before if that fails.  Raises OSError."""
        sizes = [len(raw) for raw in payloads]
        head, total = record_head(self.stop, kind, sizes, crcs), sum(sizes)
        file, end = self.reopen(), self.end + len(head) + total
        self._ahead.reach(file, self.end, end)
        try:
            pwrite(file, [head, *(raw for raw in payloads if len(raw))], self.end)
        except OSError:
            self._ahead.give_back(file, self.end)  # whatever part was written is not an entry
            raise
        self.offsets.append(self.end)
        self.end = end
        self.largest = max(self.largest, total)

    def place(self, number: int) -> tuple[int, int]:
        """Where an entry begins and ends."""
        at = number - self.first
        return self.offsets[at], self.offsets[at + 1] if at + 1 < len(self.offsets) else self.end

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        """An entry's kind and payloads.  Raises OSError or LogDamaged."""
        start, stop = self.place(number)
        return unpack(memoryview(pread(self.reopen(), stop - start, start)))

    def cut(self) -> None:
        """Cuts off what follows the last good entry.  Raises OSError."""
        os.truncate(self.path, self.end)

    def _scan(self, size: int) -> None:
        for found in records(self.file, self.end, size, self.stop):
            if isinstance(found, str):
                self.damage = found
                return
            self.offsets.append(found.offset)
            self.end = found.offset + found.length
            self.largest = max(self.largest, sum(found.sizes))
