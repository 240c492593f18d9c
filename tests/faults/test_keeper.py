"""A disk that refuses to make the log durable, or lean: what is said, what is kept, and how it goes on by itself."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.hub import Hub, Send
from streamer.keeper import RETRY_S, Keeper
from streamer.log import Log
from streamer.wire.block import PARTS
from streamer.wire.header import VERSION
from streamer.wire.messages import Ack, Archived, Hello
from tests.streamer.runs import SETTINGS, made, of, spec_of, under, worker_hello

SPEC = spec_of((12, 9, 9), (4, 3, 3))
MADE = made(SPEC)
NO_ROOM = pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])


class Disk:
    """A real log on a real disk, with its keeper; time is an argument."""

    def __init__(self, folder: Path, retain_bytes: int | None) -> None:
        self.log = Log.open(folder, 2000)
        self.hub = Hub(SPEC, self.log, replace(SETTINGS, durability="group"), 0.0)
        self.keeper = Keeper(self.hub, self.log, retain_bytes)
        self.hub.ingest(b"w", worker_hello(), [], 0.0)

    def until(self, done: Callable[[], bool], now: float, step_s: float = 0.0) -> list[Send]:
        """Turns of the keeper until it is so, each ``step_s`` later than the one before."""
        sends, limit = list[Send](), time.monotonic() + 30
        while not done():
            assert time.monotonic() < limit, "the disk says nothing"
            sends += self.keeper.turn(now)
            now += step_s
            if select.select([self.keeper.wake], [], [], 0.02)[0]:
                self.keeper.rang()
        return sends

    @property
    def note(self) -> str:
        return self.hub.status(0.0).note

    @property
    def lean(self) -> int:
        return sum(piece.lean for piece in self.log.pieces)

    def close(self) -> None:
        self.keeper.close()
        self.log.close()


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    one = Disk(tmp_path / "log", getattr(request, "param", None))
    yield one
    one.close()


def acknowledged(sends: list[Send]) -> list[int]:
    return sorted(send.message.chunk for send in of(Ack, sends) if isinstance(send.message, Ack))


@NO_ROOM
def test_what_cannot_be_synced_is_not_acknowledged_until_it_has_been_written_and_synced_again(
    disk: Disk, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = os.pwritev

    def refuses(_: int) -> None:
        raise OSError(number, os.strerror(number))

    def counts(file: int, buffers: list[bytes], at: int) -> int:
        written.append(at)
        return real(file, buffers, at)

    for chunk in range(3):
        assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[chunk], 0), 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuses)
        for now in (2.0, 3.0):
            assert not acknowledged(disk.until(lambda: bool(disk.note), now))
            assert os.strerror(number) in disk.note
            assert "nothing is acknowledged until it can" in disk.note
        before = disk.log.head
        assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[3], 0), 3.0))
        assert disk.log.head == before, "nothing new is taken"
    monkeypatch.setattr(os, "pwritev", counts)
    sends = disk.until(lambda: not disk.note, 9.0)
    assert acknowledged(sends) == [0, 1, 2]
    assert written, "the kernel may have dropped what it could not write: it was written once more"
    assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[3], 0), 9.1))
    head = disk.log.head
    sends = disk.until(lambda: disk.hub._durable._safe == head, 10.0)
    assert acknowledged(sends) == [3]


@NO_ROOM
@pytest.mark.parametrize("disk", [0], indirect=True)
def test_a_segment_that_cannot_be_made_lean_stays_as_it_is_and_is_tried_again(
    disk: Disk, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for piece in MADE:
        disk.hub.ingest(b"w", *under(piece, 0), 1.0)
    disk.until(lambda: disk.hub.state == "complete", 2.0)
    disk.hub.feed(b"a", Hello(VERSION, "archive", "a", disk.log.epoch, disk.log.head, PARTS), [], 2.0)
    disk.hub.feed(b"a", Archived(disk.log.head, "/the/store"), [], 2.0)
    before = [disk.log.read(entry) for entry in range(disk.log.head)]

    def refuses(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("streamer.segment.pwrite", refuses)
        disk.until(lambda: "larger than it should" in disk.note, 4.0)
    assert os.strerror(number) in disk.note
    assert disk.lean == 0
    assert not list(disk.log.folder.glob("*.new"))
    assert [disk.log.read(entry) for entry in range(disk.log.head)] == before
    disk.until(lambda: disk.lean == len(disk.log.pieces) - 1, 4.0 + RETRY_S, 1.0)
    assert disk.note == ""
    assert disk.lean > 3
