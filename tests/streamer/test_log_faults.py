"""What happens to the log of a real streamer: killed under each policy, damaged, on a full disk, made lean."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from streamer.hub import Hub
from streamer.wire.block import PARTS
from streamer.wire.header import VERSION
from streamer.wire.messages import Ack, Again, Archived, AskTable, Drain, Hello, Lease, Snapshot, Table, Welcome
from streamer.wire.status import ObjectPage
from tests.streamer.runs import PLENTY, SETTINGS, MemoryLog, subscriber_hello, under, worker_hello
from tests.streamer.test_process import (
    DEADLINE_S,
    MADE,
    SPEC,
    Lines,
    Peer,
    Streamer,
    Subscriber,
    Worker,
    lines,
    status_of,
    streamer,
)

__all__ = ["lines", "streamer"]

SMALL = ("--segment-mb", "0.002")
"""A few chunks to a segment."""


def table_of(peer: Peer) -> ObjectPage:
    peer.say(AskTable(1))
    _, payloads = peer.wait_for(Table)
    return msgspec.msgpack.decode(payloads[0], type=ObjectPage)


def undisturbed() -> ObjectPage:
    """The objects of a run to which nothing happened."""
    hub = Hub(SPEC, MemoryLog(), SETTINGS, 0.0)
    hub.ingest(b"w", worker_hello(), [], 0.0)
    for piece in MADE:
        hub.ingest(b"w", *under(piece, 0), 0.0)
    assert hub.state == "complete"
    (answer,) = hub.feed(b"c", AskTable(1), [], 0.0)
    return msgspec.msgpack.decode(answer.payloads[0], type=ObjectPage)


def alike(these: ObjectPage, those: ObjectPage) -> bool:
    """Whether two tables are the same but for the rounding of sums."""
    assert these.total == those.total
    for a, b in zip(sorted(these.objects, key=lambda o: o.id), sorted(those.objects, key=lambda o: o.id), strict=True):
        for name, value in msgspec.structs.asdict(a).items():
            other = getattr(b, name)
            assert value == (pytest.approx(other, rel=1e-9) if isinstance(other, float) else other), name
    return True


def whole(*subscribers: Subscriber) -> None:
    """Each has every chunk exactly once, in the order of the log, up to its end."""
    for one in subscribers:
        one.follow("end")
        assert one.entries[-1] == ("end", [b"complete"])
        assert one.chunks == {chunk: MADE[chunk][1] for chunk in range(SPEC.grid.size)}
        assert one.entries == subscribers[0].entries


@pytest.mark.parametrize("policy", ["written", "group", "each"])
def test_killed_twice_under_each_policy_nothing_acknowledged_is_lost(
    streamer: Streamer, lines: Lines, policy: str
) -> None:
    options = ("--durability", policy, "--pace", "2", *SMALL)
    streamer.start(*options)
    worker, early = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
    early.begin()
    worker.begin()
    for chunks in (7, 8):
        assert worker.work(chunks)
        early.follow(max(worker.acknowledged.values()))
        streamer.stop(signal.SIGKILL)
        streamer.start(*options)
        early.begin()
        worker.begin()
    assert len(list((streamer.folder / "log").glob("*.log"))) > 2
    late = Subscriber(lines, streamer.feed)
    late.begin()
    assert not worker.work(1000)
    whole(early, late)
    for chunk, number in worker.acknowledged.items():
        header = msgspec.msgpack.decode(late.entries[number][1][0])
        assert header[1] == chunk
    assert alike(table_of(late), undisturbed())


def test_killed_without_an_acknowledgement_a_worker_sends_again_and_all_comes_once(
    streamer: Streamer, lines: Lines
) -> None:
    streamer.start("--durability", "group")
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    message, _ = worker.wait_for(Lease)
    assert isinstance(message, Lease)
    worker.say(*under(MADE[message.chunk], message.lease))
    streamer.stop(signal.SIGKILL)
    streamer.start("--durability", "group")
    worker.begin()
    worker.say(*under(MADE[message.chunk], 0))
    assert not worker.work(1000)
    reader = Subscriber(lines, streamer.feed)
    reader.begin()
    whole(reader)


@pytest.mark.parametrize("which", [0, 2, -1])
def test_a_corrupted_byte_in_a_segment_costs_what_follows_and_no_more(
    streamer: Streamer, lines: Lines, which: int
) -> None:
    streamer.start(*SMALL)
    worker, early = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
    early.begin()
    worker.begin()
    assert worker.work(20)
    early.follow(max(worker.acknowledged.values()))
    streamer.stop(signal.SIGKILL)
    path = sorted((streamer.folder / "log").glob("*.log"))[which]
    raw = bytearray(path.read_bytes())
    raw[64 + (len(raw) - 64) // 2] ^= 0x10
    path.write_bytes(raw)

    streamer.start(*SMALL)
    # What was acknowledged and is damaged cannot be had again from the log; it is computed again.
    before = status_of(Peer(lines, streamer.feed)).committed
    assert before < 20 or which == -1, "the last segment may have ended with merges alone"
    assert before >= sum(number < int(path.stem) for number in worker.acknowledged.values())
    early.say(subscriber_hello(early.epoch, len(early.entries)))
    welcome, _ = early.wait_for(Welcome)
    assert isinstance(welcome, Welcome)
    assert welcome.epoch != early.epoch
    early.epoch = welcome.epoch
    early.entries.clear()
    early.say(PLENTY)
    again, late = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
    again.begin()
    late.begin()
    assert not again.work(1000)
    whole(early, late)
    assert alike(table_of(late), undisturbed())


@contextmanager
def small_disk(streamer: Streamer) -> Iterator[Callable[[bool], None]]:
    """A disk of 20 KB for the log; what is yielded makes it full (True: it is one by itself) or large again."""
    folder = streamer.folder / "log"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False, timeout=60).returncode == 0:

        def real(full: bool) -> None:
            if not full:
                subprocess.run(["mount", "-o", "remount,size=16m", str(folder)], check=True, timeout=60)

        try:
            yield real
        finally:
            if streamer.process is not None:
                streamer.stop()
            subprocess.run(["umount", str(folder)], check=True, timeout=60)
        return
    print("not root, or without mounts: a limit on the size of files stands in for the full disk")

    def limited(full: bool) -> None:
        assert streamer.process is not None
        most = resource.prlimit(streamer.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(streamer.process.pid, resource.RLIMIT_FSIZE, (5000 if full else most, most))

    yield limited


@pytest.mark.parametrize("options", [(), ("--durability", "group"), ("--durability", "each", "--segment-mb", "0.005")])
def test_a_full_disk_pauses_the_run_with_a_sentence_and_it_goes_on_by_itself(
    streamer: Streamer, lines: Lines, options: tuple[str, ...]
) -> None:
    with small_disk(streamer) as disk:
        streamer.start(*options)
        disk(True)
        worker, control, reader = Worker(lines, streamer.ingest), Peer(lines, streamer.feed), None
        worker.begin()
        sent = acknowledged = 0
        limit = time.monotonic() + DEADLINE_S
        while not (note := status_of(control).note):
            assert time.monotonic() < limit
            if worker.socket.poll(100):
                message, _ = worker.hear()
                if isinstance(message, Lease):
                    worker.say(*under(MADE[message.chunk], message.lease))
                    sent += 1
                elif isinstance(message, Ack):
                    acknowledged += 1
        assert "goes on when there is room" in note or "nothing is acknowledged until" in note
        assert acknowledged < sent <= SPEC.grid.size
        reader = Subscriber(lines, streamer.feed)
        reader.begin()  # viewers keep what is there
        reader.follow(0)
        disk(False)
        while status_of(control).state != "complete":
            message, _ = worker.wait_for(Lease, Ack, Again, Drain)
            if isinstance(message, Lease | Again):
                worker.say(*under(MADE[message.chunk], 0))
        assert status_of(control).note == ""
        whole(reader)
        assert alike(table_of(control), undisturbed())


def test_labels_that_the_archive_serves_leave_the_log_and_those_left_behind_are_told_where_they_are(
    streamer: Streamer, lines: Lines
) -> None:
    options = ("--retain-gb", "0", *SMALL)
    streamer.start(*options)
    worker, early = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
    early.begin()
    worker.begin()
    assert not worker.work(1000)
    whole(early)
    archive = Peer(lines, streamer.feed)
    archive.say(Hello(VERSION, "archive", "a", early.epoch, len(early.entries), PARTS))
    archive.wait_for(Welcome)
    folder = streamer.folder / "log"
    segments = len(list(folder.glob("*.log")))
    assert segments > 3
    archive.say(Archived(len(early.entries), "/the/store"))
    limit = time.monotonic() + DEADLINE_S
    while len(list(folder.glob("*.log"))) > 1:
        assert time.monotonic() < limit
        status_of(archive)
    for number in (signal.SIGKILL, signal.SIGTERM):
        streamer.stop(number)
        streamer.start(*options)
        assert len(list(folder.glob("*.lean"))) >= segments - 1
        late = Subscriber(lines, streamer.feed)
        late.begin()
        snapshot, _ = late.wait_for(Snapshot)
        assert isinstance(snapshot, Snapshot)
        assert snapshot.store == "/the/store"
        late.follow("end")
        for place, ((kind, now), (was, then)) in enumerate(zip(late.entries, early.entries, strict=True)):
            if was == "chunk" and place < snapshot.number:
                assert (kind, now[0], now[1], now[2:]) == ("evicted", then[0], b"", then[2:])
            else:
                assert (kind, now) == (was, then)
        assert alike(table_of(late), undisturbed())
        assert status_of(late).state == "complete"
