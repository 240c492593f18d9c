"""A session of the trackers on disk: every record with its time, to be played again as if it came now.

The file begins with 8 bytes that name format and version.  Then come frames: CRC-32 of the payload and its
length (little endian, 4 and 2 bytes), payload in msgpack.  The first payload is the sources (so that a replay
has their calibration), each further one ``[seconds since the start, record]``.  A file that was cut off
anywhere is good up to there; what is damaged ends it.  Whoever wrote the file, what it says has to keep to the
bounds that hold for live devices: other records are passed over and counted.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from renderers.wall.records import TrackerSource
from renderers.wall.track.calibrate import Calibration
from renderers.wall.track.sensed import Record, flaw

MAGIC = b"CVTRACK\x01"
FRAME = struct.Struct("<IH")
LARGEST = (1 << 16) - 1
"""Bytes of a payload."""
MOST_SOURCES = 64
MOST_BAD = 1000
"""A file with more records that cannot be used is given up."""
LONGEST_S = 1e7
"""No session is longer."""


class NotASession(ValueError):
    """The file is no recorded session, or one of another version."""


class _Head(msgspec.Struct, frozen=True):
    sources: tuple[TrackerSource, ...]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    at: float
    record: Record


_ENCODER = msgspec.msgpack.Encoder()
_HEAD = msgspec.msgpack.Decoder(_Head)
_ENTRY = msgspec.msgpack.Decoder(_Entry)


def _framed(payload: bytes) -> bytes:
    if len(payload) > LARGEST:
        raise ValueError(f"a session cannot hold {len(payload)} bytes in one piece; {LARGEST} is the most")
    return FRAME.pack(zlib.crc32(payload), len(payload)) + payload


class Recorder:
    """Writes a session to a file that was opened for writing bytes, unbuffered.  Raises ValueError, OSError."""

    def __init__(self, out: BinaryIO, sources: Sequence[TrackerSource], now: float) -> None:
        self._out = out
        self._start = now
        self._write(MAGIC + _framed(_ENCODER.encode(_Head(tuple(sources)))))

    def write(self, record: Record, now: float) -> None:
        """Write a record that came at ``now``, so that a crash cuts at most this one."""
        self._write(_framed(_ENCODER.encode(_Entry(now - self._start, record))))

    def _write(self, raw: bytes) -> None:
        rest = memoryview(raw)
        while rest:
            # What a disk that is nearly full, or a pipe, did not take at once.
            rest = rest[self._out.write(rest) or 0 :]


class Recording:
    """A session that is read from a file as it is needed.  Raises NotASession."""

    def __init__(self, file: BinaryIO, name: str = "the file") -> None:
        self._file, self._name = file, name
        self.torn = ""
        """Why the file cannot be read to its end, once that place was reached: a sentence."""
        self.bad: Counter[str] = Counter()
        """Records that were passed over, by reason."""
        self.first_bad = ""
        """Which was the first of them, and why: a sentence."""
        self._number, self._at, self._reached = 0, 0, 0.0
        magic = self._file.read(len(MAGIC))
        if magic[:-1] != MAGIC[:-1]:
            raise NotASession(f"{name} is no recorded tracker session: it begins with {magic!r}")
        if magic != MAGIC:
            raise NotASession(f"{name} is a session of version {magic[-1]}; only version {MAGIC[-1]} can be read")
        self._at = len(MAGIC)
        try:
            self.sources = _HEAD.decode(self._payload() or b"").sources
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise NotASession(f"{name} says nothing of its sources: {error}") from error
        if len(self.sources) > MOST_SOURCES:
            raise NotASession(f"{name} has {len(self.sources)} sources; at most {MOST_SOURCES} are possible")
        for number, source in enumerate(self.sources):
            if why := _source_flaw(source):
                raise NotASession(f"{name}: source {number} cannot be calibrated: {why}")

    def entries(self) -> Iterator[tuple[float, Record]]:
        """Seconds since the start, and record, in the order in which they came.

        Records that no live device could have said are passed over; after too many of them nothing more comes.
        """
        while True:
            self._number += 1
            begins = self._at
            payload = self._payload()
            if payload is None:
                return
            entry, why = self._entry(payload)
            if entry is not None:
                self._reached = entry.at
                yield entry.at, entry.record
                continue
            self.bad[why] += 1
            self.first_bad = self.first_bad or (
                f"record {self._number} of {self._name} (at byte {begins}) is passed over: {_WHY[why]}"
            )
            if self.bad.total() >= MOST_BAD:
                self.torn = f"{self._name} is given up at record {self._number}: {MOST_BAD} of them cannot be used"
                return

    def _entry(self, payload: bytes) -> tuple[_Entry | None, str]:
        try:
            entry = _ENTRY.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None, "record"
        if not self._reached <= entry.at <= LONGEST_S:  # nor if it is no number
            return None, "time"
        if not 0 <= entry.record.source < len(self.sources):
            return None, "source"
        why = flaw(entry.record)
        return (None, why) if why else (entry, "")

    def _payload(self) -> bytes | None:
        try:
            head = self._file.read(FRAME.size)
            crc, length = FRAME.unpack(head) if len(head) == FRAME.size else (0, 0)
            payload = self._file.read(length)
        except OSError as why:
            self.torn = f"{self._name} cannot be read beyond record {self._number - 1}: {why.strerror}"
            return None
        where = f"record {self._number} (at byte {self._at})"
        self._at += len(head) + len(payload)
        if not head:
            return None
        if len(head) < FRAME.size or len(payload) < length:
            self.torn = f"{self._name} is cut off in {where}"
            return None
        if zlib.crc32(payload) != crc:
            self.torn = f"{self._name} is damaged in {where}: what follows cannot be trusted"
            return None
        return payload


_WHY = {
    "record": "it is none of the records that there are",
    "time": "its time is no number, or lies before the record ahead of it",
    "source": "it names a source that the session does not have",
    "body": "it is of a body beyond the most that are listened to",
    "not finite": "it has a number that is not finite",
    "far": "its place is farther away than any tracker sees",
    "turn": "its quaternion is no turn",
    "button": "it is of a button beyond the most that are listened to",
    "axis": "it is of an axis beyond the most that are listened to",
    "key": "its key has no name that a keyboard has",
    "pointer": "its pointer is not on a screen",
}


def _source_flaw(source: TrackerSource) -> str:
    """Why a source of a session is none that a wall file could have."""
    lengths = (source.offset, source.head_offset, source.wand_offset, source.head_shift, source.wand_shift)
    turns = (source.turn, source.head_turn, source.wand_turn)
    if not all(math.isfinite(n) for three in (*lengths, *turns) for n in three):
        return "an offset or a turn is not finite"
    if not 0 <= source.latency_ms < math.inf:
        return f"a latency of {source.latency_ms:g} ms"
    try:
        Calibration(source)
    except ValueError as why:
        return str(why)
    return ""


class Player:
    """Plays a session: each record comes due at its own time after ``start``."""

    def __init__(self, recording: Recording, start: float) -> None:
        self.sources = recording.sources
        self._entries = recording.entries()
        self._start = start
        self._next = next(self._entries, None)

    def due(self, now: float, most: int = 4096) -> list[tuple[float, Record]]:
        """What has come due, each with the time when it did; at most so many at once."""
        out: list[tuple[float, Record]] = []
        while self._next is not None and self._start + self._next[0] <= now and len(out) < most:
            out.append((self._start + self._next[0], self._next[1]))
            self._next = next(self._entries, None)
        return out

    def deadline(self) -> float | None:
        """When the next record comes due; None: the session is over."""
        return None if self._next is None else self._start + self._next[0]
