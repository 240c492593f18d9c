"""A session of the trackers on disk: every record with its time, to be played again as if it came now.

The file begins with 8 bytes that name format and version.  Then come frames: CRC-32 of the payload and its
length (little endian, 4 and 2 bytes), payload in msgpack.  The first payload is the sources (so that a replay
has their calibration), each further one ``[seconds since the start, record]``.  A file that was cut off
anywhere is good up to there; what is damaged ends it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from renderers.wall.records import TrackerSource
from renderers.wall.track.sensed import Record

MAGIC = b"CVTRACK\x01"
FRAME = struct.Struct("<IH")
MOST_SOURCES = 64


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
    return FRAME.pack(zlib.crc32(payload), len(payload)) + payload


class Recorder:
    """Writes a session to a file that was opened for writing bytes, unbuffered."""

    def __init__(self, out: BinaryIO, sources: Sequence[TrackerSource], now: float) -> None:
        self._out = out
        self._start = now
        out.write(MAGIC + _framed(_ENCODER.encode(_Head(tuple(sources)))))

    def write(self, record: Record, now: float) -> None:
        """Write a record that came at ``now``.  One write call, so that a crash cuts at most this one."""
        self._out.write(_framed(_ENCODER.encode(_Entry(now - self._start, record))))


class Recording:
    """A session that is read from a file as it is needed.  Raises NotASession."""

    def __init__(self, file: BinaryIO, name: str = "the file") -> None:
        self._file = file
        self.torn = False
        """Whether the file ended within a frame, or was damaged there; True only after that place was reached."""
        magic = file.read(len(MAGIC))
        if magic[:-1] != MAGIC[:-1]:
            raise NotASession(f"{name} is no recorded tracker session: it begins with {magic!r}")
        if magic != MAGIC:
            raise NotASession(f"{name} is a session of version {magic[-1]}; only version {MAGIC[-1]} can be read")
        payload = self._payload()
        try:
            self.sources = _HEAD.decode(payload or b"").sources
        except msgspec.DecodeError as error:
            raise NotASession(f"{name} says nothing of its sources: {error}") from error
        if len(self.sources) > MOST_SOURCES:
            raise NotASession(f"{name} has {len(self.sources)} sources; at most {MOST_SOURCES} are possible")

    def entries(self) -> Iterator[tuple[float, Record]]:
        """Seconds since the start, and record, in the order in which they came."""
        while (payload := self._payload()) is not None:
            try:
                entry = _ENTRY.decode(payload)
            except msgspec.DecodeError:
                self.torn = True
                return
            yield entry.at, entry.record

    def _payload(self) -> bytes | None:
        head = self._file.read(FRAME.size)
        if len(head) == FRAME.size:
            crc, length = FRAME.unpack(head)
            payload = self._file.read(length)
            if len(payload) == length and zlib.crc32(payload) == crc:
                return payload
        self.torn = bool(head)
        return None


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
