"""The real streamer, as a process, with real sockets; killed without asking where that matters."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import zmq

from streamer.figures import RunFigures
from streamer.node import FEED_PIPE
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer, compress, crc32c
from streamer.wire.header import decode, encode
from streamer.wire.messages import (
    FETCHED,
    Ack,
    Ask,
    AskFigures,
    AskStatus,
    Command,
    Commit,
    Credit,
    Drain,
    Entry,
    Fetch,
    Figures,
    Hello,
    Known,
    Lease,
    PartInfo,
    Pulse,
    Refuse,
    Status,
    Welcome,
)
from streamer.wire.status import RunStatus
from streamer.wire.volume import RunSpec
from tests import nursery
from tests.assembly.pieces import Piece
from tests.ending import end, ending, line_within
from tests.streamer.runs import PLENTY, made, spec_of, subscriber_hello, under, worker_hello

SPEC = spec_of((12, 9, 9), (4, 3, 3))
MADE = made(SPEC)
DEADLINE_S = 20.0
Process = nursery.Part | subprocess.Popen[str]


class Streamer:
    """The process; ``start`` and ``kill`` as often as wanted, always on the same log and sockets."""

    def __init__(self, folder: Path, spec: RunSpec = SPEC) -> None:
        self.folder = folder
        self.ingest, self.feed = (f"ipc://{folder}/{door}" for door in ("i", "f"))
        (folder / "RUN.json").write_bytes(msgspec.json.encode(spec))
        self.process: Process | None = None

    def arguments(self, *options: str) -> list[str]:
        return ["streamer", "--run", str(self.folder / "RUN.json"), "--log", str(self.folder / "log"), *options]

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-c", "from streamer.cli import main; main()", *self.arguments(*options)]

    def start(self, *options: str) -> None:
        self.process = process = nursery.Part(self.arguments("--ingest", self.ingest, "--feed", self.feed, *options))
        ready = line_within(process.stdout)
        assert ready, process.stderr.read()
        assert json.loads(ready) == {"ready": "streamer", "ingest": self.ingest, "feed": self.feed}

    def stop(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        return end(process, number)


@pytest.fixture
def streamer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    one = Streamer(tmp_path_factory.mktemp("s"))
    yield one
    if one.process is not None:
        one.stop()


class Lines:
    """The sockets of a test, which are closed at its end."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.sockets: list[zmq.Socket[bytes]] = []

    def dealer(self, address: str, most: int = 1000) -> zmq.Socket[bytes]:
        socket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.RCVHWM, most)
        self.sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.connect(address)
        return socket

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()
        self.context.term()


@pytest.fixture
def lines() -> Iterator[Lines]:
    all_of_them = Lines()
    yield all_of_them
    all_of_them.close()


class Peer:
    """One side of a conversation, which waits for what comes and never sleeps; ``most`` messages wait for it."""

    def __init__(self, lines: Lines, address: str, most: int = 1000) -> None:
        self.socket = lines.dealer(address, most)

    def say(self, message: Known, payloads: Sequence[Buffer] = ()) -> None:
        self.socket.send_multipart([encode(message), *payloads])

    def hear(self, timeout_s: float = DEADLINE_S) -> tuple[Known | None, list[bytes]]:
        if not self.socket.poll(int(timeout_s * 1000)):
            raise TimeoutError(f"nothing came within {timeout_s} s")
        message, payloads = decode(self.socket.recv_multipart())
        return message, [bytes(raw) for raw in payloads]

    def wait_for(self, *kinds: type, limit_s: float = DEADLINE_S) -> tuple[Known, list[bytes]]:
        """The next message of one of these kinds; others are passed over.  Raises TimeoutError."""
        end = time.monotonic() + limit_s
        while True:
            message, payloads = self.hear(max(0.0, end - time.monotonic()))
            if message is not None and isinstance(message, kinds):
                return message, payloads


class Worker(Peer):
    """Leases, commits, and keeps count of what was acknowledged."""

    def __init__(self, lines: Lines, address: str) -> None:
        super().__init__(lines, address)
        self.acknowledged: dict[int, int] = {}

    def begin(self) -> None:
        self.say(worker_hello())
        self.wait_for(Welcome)
        self.say(Ask(2))

    def work(self, chunks: int) -> bool:
        """Works until so many more chunks are acknowledged; returns False when the run drains before."""
        until = len(self.acknowledged) + chunks
        while len(self.acknowledged) < until:
            message, _ = self.wait_for(Lease, Ack, Drain)
            if isinstance(message, Lease):
                self.say(*under(MADE[message.chunk], message.lease))
            elif isinstance(message, Ack):
                assert self.acknowledged.setdefault(message.chunk, message.number) == message.number
            else:
                return False
        return True


class Subscriber(Peer):
    """Follows the log from where it stopped."""

    def __init__(self, lines: Lines, address: str, most: int = 1000) -> None:
        super().__init__(lines, address, most)
        self.epoch, self.entries = "", list[tuple[str, list[bytes]]]()

    def begin(self) -> None:
        self.say(subscriber_hello(self.epoch, len(self.entries)))
        message, _ = self.wait_for(Welcome)
        assert isinstance(message, Welcome)
        assert self.epoch in ("", message.epoch)
        self.epoch = message.epoch
        self.say(PLENTY)

    def follow(self, until: int | str) -> None:
        """Reads to an entry's number, or to the first entry of a kind."""
        while not (
            len(self.entries) > until if isinstance(until, int) else self.entries and self.entries[-1][0] == until
        ):
            entry, payloads = self.wait_for(Entry)
            assert isinstance(entry, Entry)
            assert (entry.number, entry.prev) == (len(self.entries), len(self.entries) - 1)
            self.entries.append((entry.kind, payloads))

    @property
    def chunks(self) -> dict[int, list[bytes]]:
        found = {}
        for kind, payloads in self.entries:
            if kind == "chunk":
                commit, _ = decode(payloads[:1])
                assert isinstance(commit, Commit)
                assert commit.chunk not in found
                found[commit.chunk] = payloads[1:]
        return found


def status_of(peer: Peer) -> RunStatus:
    """How the run stands.  Asks again after a while: an answer may be dropped, and it is the peer's to ask again."""
    until = time.monotonic() + DEADLINE_S
    while True:
        peer.say(AskStatus(1))
        try:
            _, payloads = peer.wait_for(Status, limit_s=2.0)
        except TimeoutError:
            assert time.monotonic() < until, "no answer to AskStatus"
        else:
            return msgspec.msgpack.decode(payloads[0], type=RunStatus)


def test_a_streamer_that_is_killed_goes_on_and_nothing_acknowledged_is_lost(streamer: Streamer, lines: Lines) -> None:
    streamer.start()
    worker, early = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
    early.begin()
    worker.begin()
    assert worker.work(9)
    early.follow(max(worker.acknowledged.values()))
    streamer.stop(signal.SIGKILL)

    streamer.start()
    early.begin()  # its number is one that the streamer sent before it was killed
    worker.begin()
    late = Subscriber(lines, streamer.feed)
    late.begin()
    assert not worker.work(1000), "it is told when there is nothing left to do"
    for subscriber in (early, late):
        subscriber.follow("end")
        assert subscriber.entries[-1] == ("end", [b"complete"])
        assert subscriber.chunks == {chunk: MADE[chunk][1] for chunk in range(SPEC.grid.size)}
        for chunk, number in worker.acknowledged.items():
            commit, _ = decode(subscriber.entries[number][1][:1])
            assert isinstance(commit, Commit)
            assert commit.chunk == chunk
    assert early.entries == late.entries
    status = status_of(late)
    assert (status.state, status.committed) == ("complete", SPEC.grid.size)
    assert streamer.stop(signal.SIGTERM) == 0

    streamer.start()  # a finished run stays finished, and is still served
    again = Subscriber(lines, streamer.feed)
    again.begin()
    again.follow("end")
    assert again.entries == early.entries
    assert streamer.stop(signal.SIGINT) == 130


def test_a_run_that_is_held_back_starts_on_command_and_can_be_cancelled(streamer: Streamer, lines: Lines) -> None:
    streamer.start("--hold")
    worker, control = Worker(lines, streamer.ingest), Peer(lines, streamer.feed)
    worker.begin()
    control.say(Hello(1, "control", "c"))
    control.wait_for(Welcome)
    assert status_of(control).state == "waiting"
    control.say(Command("start"))
    worker.wait_for(Lease)
    control.say(Command("cancel"))
    worker.wait_for(Drain)
    assert status_of(control).state == "cancelled"


def test_a_worker_that_vanishes_frees_its_chunks_long_before_their_leases_lapse(
    streamer: Streamer, lines: Lines
) -> None:
    streamer.start("--lease-s", "1000")
    gone = Worker(lines, streamer.ingest)
    gone.begin()
    first = {gone.wait_for(Lease)[0] for _ in range(2)}
    gone.socket.close(linger=0)
    other = Worker(lines, streamer.ingest)
    other.begin()
    seen: set[int] = set()
    end = time.monotonic() + DEADLINE_S
    while not {lease.chunk for lease in first if isinstance(lease, Lease)} <= seen:
        assert time.monotonic() < end
        message, _ = other.wait_for(Lease, Ack, Pulse)
        if isinstance(message, Lease):
            seen.add(message.chunk)
            other.say(*under(MADE[message.chunk], message.lease))


def test_hostile_bytes_cost_only_who_sends_them(streamer: Streamer, lines: Lines) -> None:
    streamer.start()
    for address in (streamer.ingest, streamer.feed):
        hostile = Peer(lines, address)
        for raw in (b"\xff" * 40, b"x" * 5000, b""):
            hostile.socket.send(raw)
        reasons = [message.reason for message, _ in (hostile.wait_for(Refuse) for _ in range(3))]  # type: ignore[union-attr]
        assert "not heard" in reasons[-1]
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert worker.work(3)


def heavy(piece: Piece, labels: bytes) -> tuple[Commit, list[bytes]]:
    """A chunk whose labels are followed by these bytes, in a frame that zstd passes over."""
    labels = compress(bytes(4 * 16)) + (0x184D2A50).to_bytes(4, "little") + len(labels).to_bytes(4, "little") + labels
    info = PartInfo("labels", len(labels), crc32c(labels))
    commit = msgspec.structs.replace(piece[0], parts=(info, *piece[0].parts[1:]), constant=-1)
    return commit, [labels, *piece[1][1:]]


def start_heavy(streamer: Streamer, lines: Lines) -> None:
    """A run of 64 chunks of a megabyte each, all committed."""
    spec, megabyte = spec_of((64, 4, 4), (1, 4, 4)), 1_000_000
    big = [heavy(chunk, np.random.default_rng(chunk[0].chunk).bytes(megabyte)) for chunk in made(spec, density=0.0)]
    (streamer.folder / "RUN.json").write_bytes(msgspec.json.encode(spec))
    streamer.start()
    worker = Peer(lines, streamer.ingest)
    worker.say(worker_hello())
    for chunk in big:
        worker.say(*chunk)
        worker.wait_for(Ack)


def memory_of(process: Process) -> int:
    """Bytes of memory that are the process's own."""
    return psutil.Process(process.pid).memory_info().rss


def test_a_subscriber_that_does_not_read_costs_the_streamer_little_and_the_others_nothing(
    streamer: Streamer, lines: Lines
) -> None:
    megabyte = 1_000_000
    start_heavy(streamer, lines)
    reading = Subscriber(lines, streamer.feed)
    reading.begin()
    reading.follow("end")
    assert streamer.process is not None
    before = memory_of(streamer.process)
    greedy = [Subscriber(lines, streamer.feed, most=1) for _ in range(2)]
    for one in greedy:
        one.begin()  # asks for all of it, and does not read
    again = Subscriber(lines, streamer.feed)
    again.begin()
    again.follow("end")
    assert again.entries == reading.entries
    assert memory_of(streamer.process) - before < (2 * FEED_PIPE + 16) * megabyte, "of 128 that were asked for"
    for one in greedy:
        one.follow("end")
        assert one.entries == reading.entries


def times_full(peer: Peer) -> int:
    """How often the streamer has met a full pipe."""
    peer.say(AskFigures(1))
    _, payloads = peer.wait_for(Figures)
    return msgspec.msgpack.decode(payloads[0], type=RunFigures).doors["full"]


def test_what_a_subscriber_fetched_and_did_not_read_for_a_while_comes_all_the_same(
    streamer: Streamer, lines: Lines
) -> None:
    start_heavy(streamer, lines)
    control, slow = Peer(lines, streamer.feed), Subscriber(lines, streamer.feed, most=1)
    slow.say(subscriber_hello())
    slow.wait_for(Welcome)
    wanted = [*range(63, -1, -1), *range(63, -1, -1)]
    slow.say(Fetch(len(wanted)), [np.array(wanted, "<u8").tobytes()])
    slow.say(PLENTY)
    until = time.monotonic() + DEADLINE_S
    while times_full(control) < 3:
        assert time.monotonic() < until, "its pipe becomes full"
    fetched, followed = list[int](), list[int]()
    while len(fetched) < len(wanted) or len(followed) < 64:
        entry, payloads = slow.wait_for(Entry)
        assert isinstance(entry, Entry)
        if entry.kind == "chunk":
            assert len(payloads[1]) > 1_000_000
        (fetched if entry.prev == FETCHED else followed).append(entry.number)
    assert fetched == wanted
    assert followed == list(range(len(followed)))


@pytest.mark.parametrize(("options", "said"), [
    (("--ingest", "tcp://0.0.0.0:0"), "can be reached from other machines"),
    (("--feed", "ipc:///tmp/" + "x" * 100), "100 at most"),
    (("--feed", "ipc:///no/such/folder/f"), "no folder /no/such/folder"),
    (("--feed", "carrier pigeon"), "begins with tcp:// or ipc://"),
    (("--run", "nowhere.json"), "nowhere.json cannot be read"),
])  # fmt: skip
def test_a_wrong_option_is_one_sentence_and_exit_code_2(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = subprocess.run(Streamer(tmp_path).command(*options), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_log_in_use_or_of_another_run_is_refused_in_one_sentence(streamer: Streamer) -> None:
    streamer.start()
    done = subprocess.run(streamer.command(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "being written by another streamer" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_free_port_is_taken_and_said(tmp_path: Path, lines: Lines) -> None:
    process = subprocess.Popen(Streamer(tmp_path).command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with ending(process):
        ready = json.loads(line_within(process.stdout))
        worker = Worker(lines, ready["ingest"])
        worker.begin()
        assert worker.work(1)
        assert status_of(Peer(lines, ready["feed"])).committed >= 1
        assert end(process) == 0


def test_credit_is_the_limit_over_real_sockets(streamer: Streamer, lines: Lines) -> None:
    streamer.start()
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert not worker.work(1000)
    reader = Subscriber(lines, streamer.feed)
    reader.say(subscriber_hello(parts=PARTS[1:2]))
    reader.wait_for(Welcome)
    for asked in (3, 5):
        reader.say(Credit(1 << 20, asked))
        reader.follow(asked - 1)
        status_of(reader)  # answered after all that was allowed: nothing else is on its way
        assert not reader.socket.poll(0)


def test_the_seconds_of_a_run_go_on_after_a_kill_and_stand_still_after_its_end(
    streamer: Streamer, lines: Lines
) -> None:
    streamer.start()
    noted = streamer.folder / "log" / "seconds"
    limit = time.monotonic() + DEADLINE_S
    while not noted.exists():
        assert time.monotonic() < limit
    before = float(noted.read_text())
    assert before >= 1
    streamer.stop(signal.SIGKILL)
    streamer.start()
    control = Peer(lines, streamer.feed)
    first = status_of(control)
    assert first.seconds >= before
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert not worker.work(1000)
    ended = status_of(control)
    assert ended.state == "complete"
    assert ended.voxels_per_second == pytest.approx(ended.voxels / ended.seconds)
    while float(noted.read_text()) < ended.seconds - 0.001:
        assert time.monotonic() < limit
    streamer.stop(signal.SIGKILL)
    streamer.start()
    again = status_of(Peer(lines, streamer.feed))
    assert again.seconds == pytest.approx(ended.seconds, abs=0.002)
    assert again.voxels_per_second == pytest.approx(ended.voxels_per_second, rel=0.01)
