"""The fault table of a run, row by row, against real processes; after each fault the same check.

``whole`` (``tests.faults.site``): a subscriber that has followed from the beginning, one that reads slowly and one
that came late have every committed chunk exactly once, in the order of the log; volume, objects and statistics are
those of a run to which nothing happened.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import xarray

from streamer.keys import make
from streamer.layout import record_head
from streamer.segment import Segment
from streamer.wire.codec import crc32c
from streamer.wire.header import VERSION, decode
from streamer.wire.messages import Ack, Ask, Beat, Commit, Hello, Lease, Refuse, Welcome
from streamer.wire.status import COMMITTED, FAILED
from tests.faults.disk import Room, limited, tmpfs
from tests.faults.followers import commit_of
from tests.faults.kernel import THERE, refusing
from tests.faults.postman import Later, Lost, Passes, Postman, Twice
from tests.faults.site import Outcome, Site, archived, whole
from tests.security.parties import Part, Wire
from tests.security.test_wire import Turner

HOLDS, LAST = 7, 35
"""Chunks: one in the middle of the run, and one that is leased last."""
TCP = ("--ingest", "tcp://127.0.0.1:0", "--feed", "tcp://127.0.0.1:0")


def begun(site: Site, *workers: str, options: tuple[str, ...] = ()) -> None:
    """The streamer, a steady and a slow subscriber, and workers."""
    site.begin(*options)
    site.follower("steady")
    site.follower("slow", 1)
    for name in workers:
        site.worker(name)


def over(site: Site, part: Part) -> None:
    """A worker is sent home when the run is over."""
    site.until(lambda: part.process.poll() is not None)
    assert part.wait() == 0, part.said


# ---------------------------------------------------------------- workers


def test_a_worker_dies_in_the_middle_of_a_chunk(site: Site, right: Outcome) -> None:
    site.token("holds", HOLDS)
    begun(site, "one", "two")
    chunk, pid = site.held()
    assert chunk == HOLDS
    os.kill(pid, signal.SIGKILL)
    site.follower("late", late=True)
    whole(site, right)
    assert site.figures().retries >= 1, "another one got it"


@pytest.mark.parametrize("stopped", [False, True], ids=["its work hangs", "it is stopped"])
def test_a_worker_is_wedged_but_connected(site: Site, right: Outcome, stopped: bool) -> None:
    site.token("holds", HOLDS)
    begun(site)
    parts = [site.worker(name) for name in ("one", "two")]
    _, pid = site.held()
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    site.until(lambda: HOLDS in site.followers[0].chunks)
    site.follower("late", late=True)
    whole(site, right)
    assert all(part.process.poll() is None for part in parts if part.process.pid == pid), "it is still there"
    site.release()
    os.kill(pid, signal.SIGCONT)
    for part in parts:
        over(site, part)  # what it brings now is acknowledged
    whole(site, right)
    assert site.figures().conflicts == 0


def test_a_worker_sent_away_and_one_that_comes_late_share_the_run(site: Site, right: Outcome) -> None:
    begun(site, options=("--pace", "1.5"))
    leaves = site.worker("leaves")
    site.reach(HOLDS)
    leaves.end(signal.SIGTERM)
    site.worker("comes")
    site.follower("late", late=True)
    whole(site, right)
    assert {part.name for part in site.status().parts if part.role == "worker"} == set(), "both have said goodbye"


def test_a_segmenter_raises_twice_and_a_third_worker_can_do_the_chunk(site: Site, right: Outcome) -> None:
    site.token("raises", HOLDS, 2)
    begun(site, "one", "two", "three")
    site.reach(HOLDS)
    site.follower("late", late=True)
    whole(site, right)
    assert site.figures().fails == 2


def test_a_segmenter_raises_on_a_chunk_each_time(site: Site, right: Outcome) -> None:
    site.token("raises", HOLDS, 9)
    begun(site, "one", "two")
    archive = site.archive()
    site.reach(HOLDS)
    site.follower("late", late=True)
    whole(site, right, failed=[HOLDS])
    assert site.status().failures == {HOLDS: f"RuntimeError: no memory for chunk {HOLDS}"}
    site.until(lambda: archive.process.poll() is not None)
    with xarray.open_zarr(site.store) as store:
        core = site.spec.grid.core(HOLDS)
        states = store.chunk_state.values.ravel()
        assert states[HOLDS] == FAILED
        assert (np.delete(states, HOLDS) == COMMITTED).all()
        outside = np.ones(site.spec.grid.shape, bool)
        outside[core.slices] = False
        assert (store.labels.values[core.slices] == -1).all(), "not segmented, and no background"
        assert ((store.labels.values > 0) == (right.labels > 0))[outside].all()


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize("passes", [
    Twice(Commit), Twice(Ack, Lease, Welcome), Later(Commit), Later(Lease), Later(Ack), Lost(Commit), Lost(Ack),
    Lost(Lease), Lost(Ask, Beat),
], ids=["commits twice", "answers twice", "commits out of order", "leases out of order", "answers out of order",
        "commits lost", "acknowledgements lost", "leases lost", "questions and beats lost"])  # fmt: skip
def test_messages_come_twice_or_late_or_not_at_all(site: Site, right: Outcome, passes: Passes) -> None:
    begun(site, options=("--lease-s", "1"))
    between = f"ipc://{site.folder}/between"
    postman = Postman(site.sockets.context, between, site.ingest, passes)
    site.others.append(postman.turn)
    for name in ("one", "two"):
        site.worker(name, "--patience", "6", at=between)
    site.reach(HOLDS)
    site.follower("late", late=True)
    whole(site, right)
    site.others.clear()
    postman.close()
    assert passes.times >= 2  # type: ignore[attr-defined]
    assert site.figures().conflicts == 0


def test_a_chunk_comes_again_with_other_labels(site: Site, right: Outcome) -> None:
    site.token("holds", LAST)
    begun(site, "one")
    site.held()
    peer = site.peer(site.ingest)
    peer.say(Hello(VERSION, "worker", "other"))
    peer.wait_for(Welcome)
    number, (_, payloads) = next((n, entry) for n, entry in site.followers[0].log.items() if entry[0] == "chunk")
    commit = commit_of(payloads)
    labels = payloads[1] + b"?"
    info = msgspec.structs.replace(commit.parts[0], size=len(labels), crc=crc32c(labels))
    peer.say(msgspec.structs.replace(commit, parts=(info, *commit.parts[1:]), constant=-1), [labels, *payloads[2:]])
    ack, _ = peer.wait_for(Ack)
    assert ack == Ack(commit.chunk, number), "the first wins"
    assert site.figures().conflicts == 1
    site.release()
    site.follower("late", late=True)
    whole(site, right)


@pytest.mark.parametrize("passes", [1, 5])
def test_a_byte_is_damaged_on_its_way_to_a_subscriber(site: Site, right: Outcome, passes: int) -> None:
    site.options = (*site.options, *TCP)
    site.token("holds", LAST)
    begun(site)
    turner = Turner(passes)
    wire = Wire(int(site.feed.rpartition(":")[2]), back=turner)
    behind = site.follower("behind a wire", at=f"tcp://127.0.0.1:{wire.port}")
    site.worker("one")
    site.held()
    site.until(lambda: behind.damaged == 1)
    site.release()
    site.follower("late", late=True)
    whole(site, right)
    wire.close()
    assert turner.turned == 1
    assert behind.greetings >= 2


@pytest.mark.parametrize("passes", [0, 4])
def test_a_byte_is_damaged_on_its_way_from_a_worker(site: Site, right: Outcome, passes: int) -> None:
    site.options = (*site.options, *TCP)
    begun(site)
    turner = Turner(passes)
    wire = Wire(int(site.ingest.rpartition(":")[2]), turner)
    worker = site.worker("one", at=f"tcp://127.0.0.1:{wire.port}")
    site.reach(HOLDS)
    site.follower("late", late=True)
    whole(site, right)
    over(site, worker)
    wire.close()
    assert turner.turned == 1
    assert "refused" in worker.said


def test_a_peer_with_three_damaged_chunks_in_a_row_is_put_aside(site: Site, right: Outcome) -> None:
    begun(site)
    peer = site.peer(site.ingest)
    peer.say(Hello(VERSION, "worker", "damages"))
    peer.say(Ask(3))
    leases = [peer.wait_for(Lease)[0] for _ in range(3)]
    reasons = []
    for lease in leases:
        assert isinstance(lease, Lease)
        payloads = list(right.chunks[lease.chunk])
        commit = msgspec.structs.replace(commit_of(payloads), lease=lease.lease)
        payloads[3] = payloads[3][:-1] + bytes([payloads[3][-1] ^ 1]) if payloads[3] else b"!"
        peer.say(commit, payloads[1:])
        refusal, _ = peer.wait_for(Refuse)
        assert isinstance(refusal, Refuse)
        assert refusal.chunk == lease.chunk
        reasons.append(refusal.reason)
    assert "ids" in reasons[0]
    assert "the third bad message in a row" in reasons[2]
    site.worker("one")
    site.reach(HOLDS)
    site.follower("late", late=True)
    whole(site, right)
    doors = site.figures().doors
    assert (doors["refused"], doors["put_aside"]) == (3, 1)


def test_hostile_bytes_are_dropped_and_counted_and_take_no_memory(site: Site, right: Outcome) -> None:
    site.token("holds", HOLDS)
    begun(site, "one", "two")
    site.held()
    before = psutil.Process(site.pid).memory_info().rss
    for address in (site.ingest, site.feed):
        for hostile in (
            b"GET / HTTP/1.1\r\n\r\n",
            ZMTP + READY + b"\x02" + struct.pack(">Q", 1 << 62),
            os.urandom(999),
        ):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(30)
                raw.connect(address.removeprefix("ipc://"))
                raw.sendall(hostile)
                while hostile.startswith(ZMTP) and chunk_of(raw):
                    pass  # until the streamer hangs up
        peer = site.peer(address)
        for frames in ([b"\xff" * 40], [b"x"] * 500, [b"\x95\xa6Commit" + b"\xdd\xff\xff\xff\xff", *[b""] * 5]):
            peer.socket.send_multipart(frames)
        refusals = [peer.wait_for(Refuse)[0] for _ in range(3)]
        assert "not heard for" in refusals[-1].reason  # type: ignore[union-attr]
    assert psutil.Process(site.pid).memory_info().rss - before < 16 << 20
    assert site.figures().doors["put_aside"] >= 2
    assert site.figures().doors["undecodable"] >= 6
    site.release()
    site.follower("late", late=True)
    whole(site, right)


ZMTP = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity" + bytes(4)
"""The greeting and the handshake of ZMTP 3.0 (RFC 23)."""


def chunk_of(raw: socket.socket) -> bytes:
    """What has come, or nothing once the other side has hung up."""
    try:
        return raw.recv(4096)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("role", ["worker", "renderer"])
def test_a_wrong_key_is_said_in_words_on_both_sides(site: Site, right: Outcome, role: str) -> None:
    for name in ("keys", "others"):
        make(site.folder / name)
    site.keys, site.options = site.folder / "keys", (*site.options, *TCP)
    site.token("holds", HOLDS)
    begun(site, "one", "two")
    site.held()
    wrong = ("--keys", str(site.folder / "others" / f"{role}.toml"))
    if role == "worker":
        stranger = Part("worker", "--ingest", site.ingest, "--patience", "3", *wrong)
    else:
        stranger = Part("renderer", "--feed", site.feed, *wrong)
    site.parts.append(stranger)
    site.until(lambda: "hung up on this" in stranger.said or stranger.process.poll() is not None)
    assert f"hung up on this {role}: its key is another" in stranger.said, stranger.said
    assert site.streamer is not None
    site.streamer.says("not let in")
    site.release()
    site.follower("late", late=True)
    whole(site, right)
    assert site.figures().doors["not_let_in"] >= 1


# ---------------------------------------------------------------- the streamer


@pytest.mark.parametrize("durability", ["written", "group", "each"])
def test_the_streamer_is_killed_twice_with_a_torn_tail(site: Site, right: Outcome, durability: str) -> None:
    site.options = (*site.options, "--durability", durability)
    for chunk in (HOLDS, LAST):
        site.token("holds", chunk)
    begun(site)
    archive = site.archive()
    workers = [site.worker(name) for name in ("one", "two")]
    steady, epoch = site.followers[0], ""
    for _ in range(2):
        site.held()
        assert site.streamer is not None
        site.streamer.end(signal.SIGKILL)
        tear(site)
        site.begin()
        site.until(lambda: steady.greetings > 1)
        assert epoch in ("", steady.epoch), "it goes on at its number, in the same log"
        epoch = steady.epoch
        site.release()
    site.follower("late", late=True)
    whole(site, right)
    archived(site, archive, right)
    for worker in workers:
        over(site, worker)


def tear(site: Site) -> None:
    """The log ends with half a record, as if the streamer had died while it was written."""
    newest = max((site.folder / "log").glob("*.log"))
    segment = Segment.load(newest, newest=True)
    segment.close()
    with newest.open("ab") as file:
        file.write(record_head(segment.stop, "chunk", [300, 400], [1, 2]) + bytes(99))


@pytest.mark.parametrize("where", [0.1, 0.6, 0.99])
def test_a_byte_of_the_log_is_damaged(site: Site, right: Outcome, where: float) -> None:
    site.options = (*site.options, "--segment-mb", "0.01")
    site.token("holds", LAST)
    begun(site, "one", "two")
    site.held()
    site.reach(LAST - 1)
    assert site.streamer is not None
    site.streamer.end(signal.SIGKILL)
    damage(site.folder / "log", where)
    before = site.followers[0].epoch
    site.begin()
    site.release()
    site.follower("late", late=True)
    whole(site, right)
    assert {one.epoch for one in site.followers} != {before}, "what they had is of a log that is no more"
    site.streamer.says("log cut")


def damage(folder: Path, where: float) -> None:
    """Turns a bit at a place between the log's beginning (0) and its end (1), not in the header of a file."""
    files = sorted(folder.glob("*.log"))
    assert len(files) > 1
    file = files[int(where * len(files))]
    raw = bytearray(file.read_bytes())
    raw[64 + round((len(raw) - 65) * where)] ^= 0x10
    file.write_bytes(raw)


@pytest.fixture(params=["a limit", "a disk"])
def room(request: pytest.FixtureRequest, site: Site) -> Iterator[Room]:
    """A log's disk, and how large it is."""
    made = limited(lambda: site.pid) if request.param == "a limit" else tmpfs(site.folder / "log")
    with made as found:
        yield found
        if site.streamer is not None:
            site.streamer.end()


@pytest.mark.parametrize("durability", ["written", "group", "each"])
def test_the_disk_is_full_for_a_while(site: Site, right: Outcome, room: Room, durability: str) -> None:
    site.options = (*site.options, "--durability", durability, "--segment-mb", "0.02")
    begun(site)
    archive = site.archive()
    room(8 << 10)
    for name in ("one", "two"):
        site.worker(name)
    note = ""

    def paused() -> bool:
        nonlocal note
        note = site.status().note
        return bool(note)

    site.until(paused)
    assert "goes on when there is room" in note
    site.until(lambda: site.followers[0].next == site.status().log_position, 20)
    had = dict(site.followers[0].log)
    site.follower("late", late=True)
    site.until(lambda: len(site.followers[-1].chunks) == len(site.followers[0].chunks))
    assert site.followers[0].log == had, "viewers keep what is there, and nothing comes"
    assert 0 < len(site.followers[0].chunks) < site.spec.grid.size
    room(0)
    whole(site, right)
    archived(site, archive, right)


LATE = 14
"""Descriptors from here on are none of the files that the streamer opens before it is ready."""


@pytest.mark.skipif(not THERE, reason="no such filters in this kernel; tests/faults/test_keeper.py stands")
@pytest.mark.parametrize(("durability", "refused", "said"), [
    ("written", ("pwritev", 3, 6 << 10), "cannot be written"),
    ("group", ("pwritev", 3, 6 << 10), "cannot be written"),
    ("group", ("fdatasync", 0, LATE), "cannot be made durable"),
    ("each", ("fdatasync", 0, LATE), "cannot be made durable"),
])  # fmt: skip
def test_a_disk_that_fails_ends_the_streamer_in_words_and_started_again_it_goes_on(
    site: Site, right: Outcome, durability: str, refused: tuple[str, int, int], said: str
) -> None:
    site.options = (*site.options, "--durability", durability)
    broken = site.begin(prefix=refusing(*refused))
    site.follower("steady")
    site.follower("slow", 1)
    archive = site.archive()
    peer = site.peer(site.ingest)  # a worker that remembers what it was told is kept
    peer.say(Hello(VERSION, "worker", "remembers"))
    peer.say(Ask(1))
    kept: dict[int, int] = {}

    def works() -> bool:
        while peer.hears(0):
            message, _ = decode(peer.socket.recv_multipart())
            if isinstance(message, Ack):
                kept[message.number] = message.chunk
            elif isinstance(message, Lease):
                payloads = list(right.chunks[message.chunk])
                peer.say(msgspec.structs.replace(commit_of(payloads), lease=message.lease), payloads[1:])
        return broken.process.poll() is not None

    site.until(works, 20)
    assert broken.wait() == 1
    assert said in broken.said
    assert os.strerror(errno.EIO) in broken.said
    assert "see to the disk, then start this again" in broken.said
    assert "Traceback" not in broken.said
    assert not kept or refused[0] == "pwritev", "before its sync nothing is acknowledged"
    unsure = b" unsure " in (site.folder / "log" / "lock").read_bytes()
    assert unsure is (refused[0] == "fdatasync"), "although the last sync, at its end, succeeded"
    site.begin()
    for name in ("one", "two"):
        site.worker(name)
    site.follower("late", late=True)
    whole(site, right)
    archived(site, archive, right)
    for number, chunk in kept.items():
        kind, payloads = site.followers[0].log[number]
        assert (kind, commit_of(payloads).chunk) == ("chunk", chunk)


# ---------------------------------------------------------------- subscribers


@pytest.mark.parametrize("killed_at", [0, HOLDS, LAST - 1])
def test_a_subscriber_is_killed_and_one_comes_late(site: Site, right: Outcome, killed_at: int) -> None:
    site.token("holds", LAST)
    begun(site)
    archive = site.archive()
    archive.ready()
    site.worker("one")
    site.worker("two")
    site.reach(killed_at)
    archive.end(signal.SIGKILL)
    archive = site.archive()
    site.held()
    site.release()
    site.follower("late", late=True)
    whole(site, right)
    archived(site, archive, right)


def test_a_slow_and_a_stopped_subscriber_lag_alone(site: Site, right: Outcome) -> None:
    begun(site)
    stopped = site.follower("stopped")
    site.until(lambda: bool(stopped.epoch))
    archive = site.archive()
    archive.ready()
    os.kill(archive.process.pid, signal.SIGSTOP)
    stopped.reads = False
    site.worker("one")
    site.until(lambda: site.followers[0].complete and site.followers[1].complete)
    lags = {one.name: one for one in site.figures().subscribers}
    assert [name for name, one in lags.items() if one.role == "renderer" and one.lag_entries] == ["stopped"]
    assert lags["stopped"].lag_bytes > 0
    assert [one.lag_entries > 0 for one in lags.values() if one.role == "archive"] == [True]
    stopped.reads = True
    os.kill(archive.process.pid, signal.SIGCONT)
    site.follower("late", late=True)
    whole(site, right)
    archived(site, archive, right)
