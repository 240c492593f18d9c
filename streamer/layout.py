"""How a file of the log is laid out: a header, then records, one after the other; how they are found and checked.

A record is ``[head][table: size and CRC-32C of each payload][payloads]``; head and table have a CRC-32C
each.  So a record that was being written when the process died (sound head, file too short) is told apart
from one that was damaged later.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from streamer.record import BadLog
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.header import MAX_PAYLOADS

MAGIC = b"CaveLog\n"
VERSION = 2
KINDS = ("", "chunk", "merges", "verdicts", "failed", "end", "evicted")
"""A kind's number is its place here."""
_BELIEVED = tuple(KINDS.index(kind) for kind in ("merges", "verdicts", "failed", "end"))
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
MAX_ENTRY_BYTES = (1 << 32) - 1

FILE = struct.Struct("<8sHHI16sQ20s")  # magic, version, header's size, 0, epoch, first number, 0; then CRC-32C
FILE_SIZE = FILE.size + 4
HEAD = struct.Struct("<IIQIBBH")  # CRC of the rest, CRC of the table, number, bytes of payloads, kind, payloads, 0
PART = struct.Struct("<II")  # a payload's size and CRC-32C
HEAD_SIZES = [HEAD.size + n * PART.size for n in range(MAX_PAYLOADS + 1)]
TABLES = [struct.Struct(f"<{2 * n}I") for n in range(MAX_PAYLOADS + 1)]
_STRIDE = 1 << 20
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LogDamaged(BadLog):
    """The file is no log, not one that this version can read, or not as it was written."""

    exit_code = 1


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
        return self.offset + HEAD_SIZES[len(self.sizes)]


def header(epoch: str, first: int) -> bytes:
    """A file's header."""
    raw = FILE.pack(MAGIC, VERSION, FILE_SIZE, 0, bytes.fromhex(epoch), first, bytes(20))
    return raw + crc32c(raw).to_bytes(4, "little")


def record_head(number: int, kind: str, sizes: Sequence[int], crcs: Sequence[int]) -> bytes:
    """The head and table of a record.  Raises ValueError if it would be too large."""
    total = sum(sizes)
    if len(sizes) > MAX_PAYLOADS or total > MAX_ENTRY_BYTES:
        raise ValueError(
            f"an entry of payloads {tuple(sizes)}: {MAX_PAYLOADS} of {MAX_ENTRY_BYTES:,} bytes are allowed"
        )
    table = [value for pair in zip(sizes, crcs, strict=True) for value in pair]
    raw = TABLES[len(sizes)].pack(*table)
    rest = HEAD.pack(0, crc32c(raw), number, total, _NUMBERS[kind], len(sizes), 0)[4:]
    return crc32c(rest).to_bytes(4, "little") + rest + raw


def unpack(whole: memoryview) -> tuple[str, list[memoryview]]:
    """The kind and the payloads of a record.

    Raises LogDamaged if its bytes are not those that were written, except for the parts of a chunk: the chunk's header,
    their first, carries their checksums to whoever reads them.
    """
    crc, table_crc, number, _, place, parts, _ = HEAD.unpack_from(whole)
    if crc32c(whole[4 : HEAD.size]) != crc or crc32c(whole[HEAD.size : HEAD_SIZES[parts]]) != table_crc:
        raise LogDamaged("the head of an entry has been damaged on the disk: start again, which cuts the log there")
    at, payloads, kind = HEAD_SIZES[parts], [], KINDS[place]
    table = TABLES[parts].unpack_from(whole, HEAD.size)
    for size in table[::2]:
        payloads.append(whole[at : at + size])
        at += size
    believed = len(payloads) if place in _BELIEVED else 1
    if any(crc32c(raw) != crc for raw, crc in zip(payloads[:believed], table[1::2], strict=False)):
        raise LogDamaged(f"entry {number} ({kind}) has been damaged on the disk: start again, which cuts the log there")
    return kind, payloads


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


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable.  Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def note(path: Path, raw: bytes) -> None:
    """Replaces a small file in one step, also for a power cut.  Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def pwrite(file: int, buffers: list[Buffer], at: int) -> None:
    while buffers:
        done = os.pwritev(file, buffers, at)
        at += done
        while buffers and done >= len(buffers[0]):
            done -= len(buffers.pop(0))
        if buffers and done:
            buffers[0] = memoryview(buffers[0])[done:]


def pread(file: int, size: int, offset: int) -> bytes:
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
    raw = pread(file, min(HEAD_SIZES[-1], end - offset), offset)
    if len(raw) < HEAD.size:
        return None
    crc, table_crc, its_number, total, kind, parts, _ = HEAD.unpack_from(raw)
    if crc32c(raw[4 : HEAD.size]) != crc or parts > MAX_PAYLOADS:
        return f"the head of entry {number} is damaged"
    whole = HEAD_SIZES[parts]
    if len(raw) < whole:
        return None
    if crc32c(raw[HEAD.size : whole]) != table_crc:
        return f"the table of entry {number} is damaged"
    table = TABLES[parts].unpack_from(raw, HEAD.size)
    sizes, crcs = table[::2], table[1::2]
    if its_number != number or sum(sizes) != total or not 0 < kind < len(KINDS):
        return f"the head of entry {number} is of entry {its_number}, kind {kind}"
    return Found(offset, whole + total, KINDS[kind], sizes, crcs)


def _crc_of(file: int, offset: int, size: int) -> int:
    crc = 0
    for start, length in strides(offset, size):
        crc = google_crc32c.extend(crc, pread(file, length, start))
    return crc


def strides(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """Places and lengths that cover so many bytes, one MiB at a time."""
    for start in range(offset, offset + size, _STRIDE):
        yield start, min(_STRIDE, offset + size - start)


def read_header(path: Path, file: int, size: int) -> tuple[str, int]:
    """The epoch and the first number of a segment.  Raises LogDamaged."""
    raw = pread(file, min(size, FILE_SIZE), 0)
    if raw[: len(MAGIC)] != MAGIC:
        raise LogDamaged(f"the file {path.name} in {path.parent} is not a log of CaveCast: take another folder")
    if len(raw) < FILE_SIZE:
        raise LogDamaged(f"the header of the log {path} is damaged: move the folder away and start the run again")
    _, version, _, _, raw_epoch, first, _ = FILE.unpack_from(raw)
    if version > VERSION:
        raise LogDamaged(f"the log in {path.parent} has version {version}, this side reads {VERSION}: update CaveCast")
    if version < VERSION and crc32c(raw[:-4]) == int.from_bytes(raw[-4:], "little"):
        raise LogDamaged(f"the log in {path.parent} has version {version}, which is not read any more: start anew")
    if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little") or first != int(path.stem):
        raise LogDamaged(f"the header of the log {path} is damaged: move the folder away and start the run again")
    return bytes(raw_epoch).hex(), first
