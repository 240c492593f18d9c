"""A disk that refuses to make the log durable, or lean: what is said, what is kept, and how it goes on by itself."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.hub import Hub, Send
from streamer.keeper import RETRY_S, Keeper
from streamer.log import Log
from streamer.record import LogBroken
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
        self._ends = ExitStack()
        self._ends.callback(self.log.close)
        self._ends.callback(self.keeper.close)

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
    def hold(self) -> bytes:
        """What the log's lock says."""
        return (self.log.folder / "lock").read_bytes()

    @property
    def lean(self) -> int:
        return sum(piece.lean for piece in self.log.pieces)

    def close(self) -> None:
        """As the process does it; the second time nothing happens."""
        self._ends.close()


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    one = Disk(tmp_path / "log", getattr(request, "param", None))
    yield one
    one.close()


def acknowledged(sends: list[Send]) -> list[int]:
    return sorted(send.message.chunk for send in of(Ack, sends) if isinstance(send.message, Ack))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_finds_no_room_is_not_acknowledged_until_it_has_been_written_and_synced_again(
    disk: Disk, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in range(3):
        assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[chunk], 0), 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuses(number))
        for now in (2.0, 3.0):
            assert not acknowledged(disk.until(lambda: bool(disk.note), now))
            assert os.strerror(number) in disk.note
            assert "nothing is acknowledged until it can" in disk.note
        before = disk.log.head
        assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[3], 0), 3.0))
        assert disk.log.head == before, "nothing new is taken"
    files = {path: path.stat().st_ino for path in disk.log.folder.glob("*.log")}
    sends = disk.until(lambda: not disk.note, 9.0)
    assert acknowledged(sends) == [0, 1, 2]
    now_there = {path: path.stat().st_ino for path in files}
    assert now_there.items().isdisjoint(files.items()), "the old places cannot be believed any more"
    assert disk.hold == start_of_the_machine()
    assert not acknowledged(disk.hub.ingest(b"w", *under(MADE[3], 0), 9.1))
    head = disk.log.head
    sends = disk.until(lambda: disk.hub._durable._safe == head, 10.0)
    assert acknowledged(sends) == [3]


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ESTALE])
@pytest.mark.parametrize("late", [False, True], ids=["it is heard", "it ends before it has heard"])
def test_after_a_sync_that_failed_the_log_is_not_believed_though_the_next_sync_succeeds(
    disk: Disk, number: int, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.hub.ingest(b"w", *under(MADE[0], 0), 1.0)
    head = disk.log.head
    assert acknowledged(disk.until(lambda: disk.hub._durable._safe == head, 2.0)) == [0]
    disk.hub.ingest(b"w", *under(MADE[1], 0), 3.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuses(number))
        if late:
            assert disk.keeper.turn(4.0) == []
            disk.keeper._threads.shutdown()
        else:
            with pytest.raises(LogBroken, match=f"{os.strerror(number)}.*see to the disk, then start this again"):
                disk.until(lambda: False, 4.0)
    entries = [disk.log.read(entry) for entry in range(disk.log.head)]
    disk.close()  # the log's sync would succeed
    assert disk.hold == start_of_the_machine() + b" unsure %d" % head
    before = {path: path.stat().st_ino for path in disk.log.folder.glob("*.log")}
    log = Log.open(disk.log.folder, 2000)
    assert [log.read(entry) for entry in range(log.head)] == entries
    assert {path: path.stat().st_ino for path in before}.items().isdisjoint(before.items()), "copied into new files"
    log.close()
    assert disk.hold == b"closed"


def refuses(number: int) -> Callable[[int], None]:
    """What the system's call does on a disk that fails."""

    def call(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return call


def start_of_the_machine() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


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

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("streamer.segment.pwrite", full)
        disk.until(lambda: "larger than it should" in disk.note, 4.0)
    assert os.strerror(number) in disk.note
    assert disk.lean == 0
    assert not list(disk.log.folder.glob("*.new"))
    assert [disk.log.read(entry) for entry in range(disk.log.head)] == before
    disk.until(lambda: disk.lean == len(disk.log.pieces) - 1, 4.0 + RETRY_S, 1.0)
    assert disk.note == ""
    assert disk.lean > 3
