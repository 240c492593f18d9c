"""One file of the log: a header, then records, one after the other; nothing here knows of other files.

A record is ``[head][table: size and CRC-32C of each payload][payloads]``; head and table have a CRC-32C
each.  So a record that was being written when the process died (sound head, file too short) is told apart
from one that was damaged later.  A *lean* segment has the same records under the same numbers, but its
chunks have become ``evicted``: what draws them (labels and layers) is empty, what counts is all there.
"""

from __future__ import annotations

import errno
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from streamer.ahead import Ahead
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.header import MAX_PAYLOADS, Refused, decode
from streamer.wire.messages import Commit

MAGIC = b"CaveLog\n"
VERSION = 2
KINDS = ("", "chunk", "merges", "verdicts", "failed", "end", "evicted")
"""A kind's number is its place here."""
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
LASTING = ("seam", "ids", "stats", "footprint")
"""The parts of a chunk that a lean segment keeps: whatever seams, merges and objects follow from."""
MAX_ENTRY_BYTES = (1 << 32) - 1
FULL, LEAN = ".log", ".lean"

_FILE = struct.Struct("<8sHHI16sQ20s")  # magic, version, header's size, 0, epoch, first number, 0; then CRC-32C
_FILE_SIZE = _FILE.size + 4
_HEAD = struct.Struct("<IIQIBBH")  # CRC of the rest, CRC of the table, number, bytes of payloads, kind, payloads, 0
_PART = struct.Struct("<II")  # a payload's size and CRC-32C
_HEAD_SIZES = [_HEAD.size + n * _PART.size for n in range(MAX_PAYLOADS + 1)]
_TABLES = [struct.Struct(f"<{2 * n}I") for n in range(MAX_PAYLOADS + 1)]
_STRIDE = 1 << 20
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LogDamaged(RuntimeError):
    """The file is no log, or not one that this version can read."""


class Found(NamedTuple):
    """A record in a file."""

    offset: int
    length: int
    kind: str
    sizes: tuple[int, ...]
    crcs: tuple[int, ...]

    @property
    def payloads_at(self) -> int:
        """Where in the file its payloads begin."""
        return self.offset + _HEAD_SIZES[len(self.sizes)]


class Segment:
    """The entries ``first`` … ``first + len(offsets) − 1`` in one file; ``end`` is where the next one goes."""

    def __init__(self, path: Path, file: int, epoch: str, first: int) -> None:
        self.path, self.epoch, self.first = path, epoch, first
        self.file = file
        self.offsets = array("Q")
        self.end = _FILE_SIZE
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
            if newest and size < _FILE_SIZE:
                return cls(path, file, "", int(path.stem))
            segment = cls(path, file, *_read_header(path, file, size))
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

    def finish(self) -> None:
        """Gives back the room that was taken for entries that have not come."""
        if self._ahead.taken:
            with suppress(OSError):  # it is given back when the log is opened the next time
                self._ahead.give_back(self.file, self.end)

    def write_header(self, epoch: str) -> None:
        """Writes the file's header with an epoch.  Raises OSError."""
        raw = _FILE.pack(MAGIC, VERSION, _FILE_SIZE, 0, bytes.fromhex(epoch), self.first, bytes(20))
        file = self.file if not self.lean else os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _pwrite(file, [raw + crc32c(raw).to_bytes(4, "little")], 0)
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
            _pwrite(file, [head, *(raw for raw in payloads if len(raw))], self.end)
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
        """An entry's kind and payloads.  Raises OSError."""
        start, stop = self.place(number)
        whole = memoryview(_pread(self.reopen(), stop - start, start))
        _, _, _, _, kind, parts, _ = _HEAD.unpack_from(whole)
        at, payloads = _HEAD_SIZES[parts], []
        for size in _TABLES[parts].unpack_from(whole, _HEAD.size)[::2]:
            payloads.append(whole[at : at + size])
            at += size
        return KINDS[kind], payloads

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


def record_head(number: int, kind: str, sizes: Sequence[int], crcs: Sequence[int]) -> bytes:
    """The head and table of a record.  Raises ValueError if it would be too large."""
    total = sum(sizes)
    if len(sizes) > MAX_PAYLOADS or total > MAX_ENTRY_BYTES:
        raise ValueError(
            f"an entry of payloads {tuple(sizes)}: {MAX_PAYLOADS} of {MAX_ENTRY_BYTES:,} bytes are allowed"
        )
    table = [value for pair in zip(sizes, crcs, strict=True) for value in pair]
    raw = _TABLES[len(sizes)].pack(*table)
    rest = _HEAD.pack(0, crc32c(raw), number, total, _NUMBERS[kind], len(sizes), 0)[4:]
    return crc32c(rest).to_bytes(4, "little") + rest + raw


def records(file: int, at: int, end: int, number: int) -> Iterator[Found | str]:
    """The whole records from ``at`` on, of which the first has that number; last what is damaged, if anything is."""
    while at < end:
        found = _head_at(file, at, end, number)
        if found is None:
            return
        if isinstance(found, str):
            yield found
            return
        if at + found.length > end:
            return
        place = found.payloads_at
        for size, crc in zip(found.sizes, found.crcs, strict=True):
            if _crc_of(file, place, size) != crc:
                yield f"a payload of entry {number} is damaged"
                return
            place += size
        yield found
        at, number = at + found.length, number + 1


def strip(full: Path) -> Segment:
    """Writes the lean segment beside a full one, synced, and returns it.  Raises OSError or LogDamaged.

    May be called from another thread: it shares nothing with who appends, since the segment is finished.
    """
    beside, lean = full.with_suffix(".new"), full.with_suffix(LEAN)
    file = os.open(full, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        epoch, first = _read_header(full, file, size)
        made = Segment.create(beside, epoch, first)
        try:
            for found in records(file, _FILE_SIZE, size, first):
                if isinstance(found, str):
                    raise LogDamaged(f"{full}: {found}; it is kept as it is")
                made.append(*_stripped(file, found))
            os.fsync(made.file)
        finally:
            made.close()
        beside.replace(lean)
        sync_folder(full.parent)
        made.path = lean
        return made
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _stripped(file: int, found: Found) -> tuple[str, list[Buffer], list[int]]:
    """A record as a lean segment has it: kind, payloads and their CRCs.  Raises LogDamaged."""
    kept = [True] * len(found.sizes)
    if found.kind == "chunk":
        try:
            commit, _ = decode([_pread(file, found.sizes[0], found.payloads_at)])
        except Refused as why:
            raise LogDamaged(f"a chunk's entry without a commit: {why}") from None
        assert isinstance(commit, Commit), "what the streamer has logged as a chunk begins with a commit"
        kept[1:] = [part.name in LASTING for part in commit.parts]
    at, payloads = found.payloads_at, list[Buffer]()
    for size, keep in zip(found.sizes, kept, strict=True):
        payloads.append(_pread(file, size, at) if keep else b"")
        at += size
    crcs = [crc if keep else 0 for crc, keep in zip(found.crcs, kept, strict=True)]  # 0 is the CRC-32C of nothing
    return ("evicted" if found.kind == "chunk" else found.kind), payloads, crcs


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable.  Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_again(file: int, start: int, end: int, number: int) -> None:
    """Writes entries once more that a failed sync may have dropped: the kernel takes them for written.

    Raises OSError, also if what it reads back is not what was written.
    """
    for found in records(file, start, end, number):
        if isinstance(found, str):
            raise OSError(errno.EIO, f"the disk has lost what was written: {found}")
        for at, length in _strides(found.offset, found.length):
            _pwrite(file, [_pread(file, length, at)], at)


def _pwrite(file: int, buffers: list[Buffer], at: int) -> None:
    while buffers:
        done = os.pwritev(file, buffers, at)
        at += done
        while buffers and done >= len(buffers[0]):
            done -= len(buffers.pop(0))
        if buffers and done:
            buffers[0] = memoryview(buffers[0])[done:]


def _pread(file: int, size: int, offset: int) -> bytes:
    """Exactly ``size`` bytes.  Raises OSError if the file has been cut meanwhile."""
    raw = os.pread(file, size, offset)
    while len(raw) < size:
        more = os.pread(file, size - len(raw), offset + len(raw))
        if not more:
            raise OSError(errno.EIO, "the log ends where an entry should be; another program has cut it")
        raw += more
    return raw


def _head_at(file: int, offset: int, end: int, number: int) -> Found | str | None:
    """The head of a record, what is wrong with it, or None if it is torn."""
    raw = _pread(file, min(_HEAD_SIZES[-1], end - offset), offset)
    if len(raw) < _HEAD.size:
        return None
    crc, table_crc, its_number, total, kind, parts, _ = _HEAD.unpack_from(raw)
    if crc32c(raw[4 : _HEAD.size]) != crc or parts > MAX_PAYLOADS:
        return f"the head of entry {number} is damaged"
    whole = _HEAD_SIZES[parts]
    if len(raw) < whole:
        return None
    if crc32c(raw[_HEAD.size : whole]) != table_crc:
        return f"the table of entry {number} is damaged"
    table = _TABLES[parts].unpack_from(raw, _HEAD.size)
    sizes, crcs = table[::2], table[1::2]
    if its_number != number or sum(sizes) != total or not 0 < kind < len(KINDS):
        return f"the head of entry {number} is of entry {its_number}, kind {kind}"
    return Found(offset, whole + total, KINDS[kind], sizes, crcs)


def _crc_of(file: int, offset: int, size: int) -> int:
    crc = 0
    for start, length in _strides(offset, size):
        crc = google_crc32c.extend(crc, _pread(file, length, start))
    return crc


def _strides(offset: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(offset, offset + size, _STRIDE):
        yield start, min(_STRIDE, offset + size - start)


def _read_header(path: Path, file: int, size: int) -> tuple[str, int]:
    """The epoch and the first number of a segment.  Raises LogDamaged."""
    raw = _pread(file, min(size, _FILE_SIZE), 0)
    if raw[: len(MAGIC)] != MAGIC:
        raise LogDamaged(f"the file {path.name} in {path.parent} is not a log of CaveCast: take another folder")
    if len(raw) < _FILE_SIZE:
        raise LogDamaged(f"the header of the log {path} is damaged: move the folder away and start the run again")
    _, version, _, _, raw_epoch, first, _ = _FILE.unpack_from(raw)
    if version > VERSION:
        raise LogDamaged(f"the log in {path.parent} has version {version}, this side reads {VERSION}: update CaveCast")
    if version < VERSION and crc32c(raw[:-4]) == int.from_bytes(raw[-4:], "little"):
        raise LogDamaged(f"the log in {path.parent} has version {version}, which is not read any more: start anew")
    if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little") or first != int(path.stem):
        raise LogDamaged(f"the header of the log {path} is damaged: move the folder away and start the run again")
    return bytes(raw_epoch).hex(), first
