"""The run's record on disk: an append-only segment file, and the place of each entry in memory.

A record is ``[head][sizes][payloads]``; head and sizes have a CRC-32C of their own, the payloads another.
So a record that was being written when the process died (whole head, file too short) is told apart from
one that was damaged later.  Both are cut off with all that follows; damage also changes the log's epoch,
because readers may have seen what is gone.  An entry is ``written`` once the kernel has it: ``kill -9`` of
the streamer loses nothing, a power cut may.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np

from streamer.record import LogFull
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.messages import MAX_PAYLOADS

MAGIC = b"CaveLog\n"
VERSION = 1
KINDS = ("", "chunk", "merges", "verdicts", "failed", "end")
"""A kind's number is its place here."""
MAX_ENTRY_BYTES = (1 << 32) - 1

_FILE = struct.Struct("<8sHHI16sQ20s")  # magic, version, header's size, 0, epoch, first number, 0; then CRC-32C
_FILE_SIZE = _FILE.size + 4
_HEAD = struct.Struct(
    "<IIQIBBH"
)  # CRC of the rest and of the sizes, CRC of payloads, number, their size, kind, parts, 0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STRIDE = 1 << 20


class LogInUse(RuntimeError):
    """Another process writes this log."""


class LogDamaged(RuntimeError):
    """The file is no log, or not one that this version can read."""


class _Head(NamedTuple):
    payload_crc: int
    number: int
    kind: int
    sizes: tuple[int, ...]


class Log:
    """One run's entries, numbered from 0.  One process at a time; not to be shared between threads."""

    def __init__(self, folder: Path, lock: int, file: int, epoch: str) -> None:
        self.folder, self.epoch, self.cut = folder, epoch, ""
        """``cut`` says, in a sentence, what was cut off when the log was opened; empty if nothing was."""
        self._lock, self._file = lock, file
        self._offsets = array("Q")
        self._end = _FILE_SIZE
        self._largest = 0
        self._last: tuple[int, tuple[str, list[memoryview]]] | None = None

    @classmethod
    def open(cls, folder: Path) -> Log:
        """Creates a log, or scans the one that is there and cuts off its tail if that is torn or damaged.

        Raises LogInUse, LogDamaged, LogFull or OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        file = -1
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LogInUse(
                    f"the log in {folder} is being written by another streamer: stop that one, or take another folder"
                ) from None
            file = os.open(folder / f"{0:020}.log", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            log = cls(folder, lock, file, _open_header(folder, file))
            log._scan()
        except BaseException:
            for fd in (file, lock):
                if fd >= 0:
                    os.close(fd)
            raise
        return log

    def close(self) -> None:
        """Lets go of the log.  Entries read before stay valid."""
        for fd in (self._file, self._lock):
            if fd >= 0:
                os.close(fd)
        self._file = self._lock = -1

    @property
    def head(self) -> int:
        """The number of the next entry."""
        return len(self._offsets)

    @property
    def nbytes(self) -> int:
        """The size of the log in bytes."""
        return self._end

    def largest(self) -> int:
        """Payload bytes of the largest entry."""
        return self._largest

    def append(self, kind: str, payloads: Sequence[Buffer]) -> int:
        """Writes an entry and returns its number.  Raises LogFull, and the log is as before, if the disk is full."""
        sizes = tuple(len(raw) for raw in payloads)
        if len(sizes) > MAX_PAYLOADS or sum(sizes) > MAX_ENTRY_BYTES:
            raise ValueError(f"an entry of payloads {sizes}: {MAX_PAYLOADS} of {MAX_ENTRY_BYTES:,} bytes are allowed")
        number = self.head
        payload_crc = 0
        for raw in payloads:
            payload_crc = google_crc32c.extend(payload_crc, raw if isinstance(raw, bytes) else np.frombuffer(raw, "u1"))
        tail = struct.pack(f"<{len(sizes)}I", *sizes)
        fields = (payload_crc, number, sum(sizes), KINDS.index(kind), len(sizes), 0)
        head = _HEAD.pack(crc32c(_HEAD.pack(0, *fields)[4:] + tail), *fields) + tail
        try:
            self._write([head, *(raw for raw in payloads if len(raw))])
        except OSError as why:
            # Whatever part was written is not an entry.
            os.ftruncate(self._file, self._end)
            if why.errno in _FULL:
                raise LogFull(
                    f"no room for entry {number} ({sum(sizes):,} bytes) of the log in {self.folder}: "
                    f"{os.strerror(why.errno)}; the run goes on when there is room"
                ) from None
            raise
        self._offsets.append(self._end)
        self._end += len(head) + sum(sizes)
        self._largest = max(self._largest, sum(sizes))
        # The subscribers that follow the head all want this entry next: it need not be read back.
        self._last = number, (kind, [memoryview(raw) for raw in payloads])
        return number

    def _write(self, buffers: list[Buffer]) -> None:
        at = self._end
        while buffers:
            done = os.pwritev(self._file, buffers, at)
            at += done
            while buffers and done >= len(buffers[0]):
                done -= len(buffers.pop(0))
            if buffers and done:
                buffers[0] = memoryview(buffers[0])[done:]

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        """An entry's kind and payloads.  Raises IndexError if there is no such entry."""
        if not 0 <= number < self.head:
            raise IndexError(f"the log in {self.folder} has entries 0 to {self.head - 1}, not {number}")
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        start = self._offsets[number]
        stop = self._offsets[number + 1] if number + 1 < self.head else self._end
        whole = memoryview(_pread(self._file, stop - start, start))
        _, _, _, _, kind, parts, _ = _HEAD.unpack_from(whole)
        at = _HEAD.size + 4 * parts
        payloads = []
        for size in struct.unpack_from(f"<{parts}I", whole, _HEAD.size):
            payloads.append(whole[at : at + size])
            at += size
        # The subscribers that follow the head all want the same entry, one after the other.
        self._last = number, (KINDS[kind], payloads)
        return self._last[1]

    def _scan(self) -> None:
        """Finds the entries, and cuts off what follows the last good one."""
        size = os.fstat(self._file).st_size
        damage = ""
        while self._end < size:
            found = self._head_at(self._end, size)
            if isinstance(found, str):
                damage = found
                break
            length = _HEAD.size + 4 * len(found.sizes) + sum(found.sizes)
            if self._end + length > size:
                break
            if self._payload_crc(self._end + length - sum(found.sizes), sum(found.sizes)) != found.payload_crc:
                damage = "its payload is damaged"
                break
            self._offsets.append(self._end)
            self._end += length
            self._largest = max(self._largest, sum(found.sizes))
        if self._end == size:
            return
        os.ftruncate(self._file, self._end)
        if damage:
            self.epoch = secrets.token_hex(16)
            _write_header(self._file, self.epoch)
        self.cut = f"the log in {self.folder} was cut after entry {self.head - 1}, {size - self._end:,} bytes: " + (
            f"{damage}; the chunks that it held are computed again" if damage else "an unfinished record"
        )

    def _head_at(self, offset: int, size: int) -> _Head | str:
        """The head of a record, or what is wrong with it; a torn one is a head whose payloads lie beyond the end."""
        raw = _pread(self._file, min(_HEAD.size + 4 * MAX_PAYLOADS, size - offset), offset)
        if len(raw) < _HEAD.size:
            return _Head(0, self.head, 0, (size,))
        crc, payload_crc, number, length, kind, parts, _ = _HEAD.unpack_from(raw)
        whole = _HEAD.size + 4 * parts
        if parts > MAX_PAYLOADS:
            return "its head is damaged"
        if len(raw) < whole:
            return _Head(0, self.head, 0, (size,))
        if crc32c(raw[4:whole]) != crc:
            return "its head is damaged"
        sizes = struct.unpack_from(f"<{parts}I", raw, _HEAD.size)
        if number != self.head or sum(sizes) != length or not 0 < kind < len(KINDS):
            return f"its head is of entry {number}, kind {kind}"
        return _Head(payload_crc, number, kind, sizes)

    def _payload_crc(self, offset: int, size: int) -> int:
        crc = 0
        for start, length in _strides(offset, size):
            crc = google_crc32c.extend(crc, _pread(self._file, length, start))
        return crc


def _strides(offset: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(offset, offset + size, _STRIDE):
        yield start, min(_STRIDE, offset + size - start)


def _pread(file: int, size: int, offset: int) -> bytes:
    """Exactly ``size`` bytes.  Raises OSError if the file has been cut meanwhile."""
    raw = os.pread(file, size, offset)
    while len(raw) < size:
        more = os.pread(file, size - len(raw), offset + len(raw))
        if not more:
            raise OSError(errno.EIO, "the log ends where an entry should be; another program has cut it")
        raw += more
    return raw


def _open_header(folder: Path, file: int) -> str:
    """The epoch of a segment; writes its header if that is missing or was torn."""
    size = os.fstat(file).st_size
    if size < _FILE_SIZE:
        epoch = secrets.token_hex(16)
        _write_header(file, epoch)
        return epoch
    raw = _pread(file, _FILE_SIZE, 0)
    magic, version, _, _, raw_epoch, _, _ = _FILE.unpack_from(raw)
    if magic != MAGIC:
        raise LogDamaged(f"the file in {folder} is not a log of CaveCast: take another folder")
    if version > VERSION:
        raise LogDamaged(f"the log in {folder} has version {version}, this side reads {VERSION}: update CaveCast")
    if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        raise LogDamaged(f"the header of the log in {folder} is damaged: move the folder away and start the run again")
    return bytes(raw_epoch).hex()


def _write_header(file: int, epoch: str) -> None:
    raw = _FILE.pack(MAGIC, VERSION, _FILE_SIZE, 0, bytes.fromhex(epoch), 0, bytes(20))
    try:
        os.pwrite(file, raw + crc32c(raw).to_bytes(4, "little"), 0)
    except OSError as why:
        if why.errno in _FULL:
            raise LogFull(f"no room to begin a log: {os.strerror(why.errno)}") from None
        raise
