"""A day in less than a minute: seventy subscribers, some at a relay, workers that come and go, three restarts, labels
that leave the log for the archive, and the time passed in.

Every few seconds of the simulated day the hub hears what is due, ticks and gives out entries; so what would only
show after hours (leases that pile up, books that grow, a subscriber that is forgotten) shows here.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from streamer.hub import Hub, HubSettings, Send
from streamer.index import Region
from streamer.lean import LASTING
from streamer.relay import Relay
from streamer.retention import Piece
from streamer.wire.batch import BATCH_BYTES, Sent, entries_of
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.header import decode
from streamer.wire.messages import (
    FETCHED,
    Ack,
    Archived,
    Ask,
    Beat,
    Commit,
    Credit,
    Drain,
    Entry,
    Fail,
    Fetch,
    Focus,
    Goodbye,
    Hello,
    Lease,
    Message,
    Pulse,
    Snapshot,
    Welcome,
)
from tests.streamer.runs import MemoryLog, made, spec_of, under, worker_hello

DAY_S = 86_400
STEP_S = 10
SPEC = spec_of((32, 24, 24), (2, 2, 2))
MADE = made(SPEC, density=0.1)
CHUNKS = SPEC.grid.size
SUBSCRIBERS, WORKERS = 70, 24
STORE = "/the/store"
RETAIN_BYTES = 100_000
WORK_S = 4 * 0.7 * DAY_S * WORKERS / CHUNKS
"""A chunk takes so long that all workers together need most of the day."""


class LeanLog(MemoryLog):
    """A log that loses labels in pieces of so many entries."""

    PIECE = 256

    @property
    def pieces(self) -> list[Piece]:
        starts = range(0, self.head + 1, self.PIECE)
        sizes = [sum(map(len, payloads)) for _, payloads in self.entries]
        return [
            Piece(first, stop, sum(sizes[first:stop]), stop <= self.evicted)
            for first in starts
            for stop in (min(first + self.PIECE, self.head),)
        ]

    def thin(self, first: int) -> None:
        for number in range(first, first + self.PIECE):
            kind, payloads = self.entries[number]
            if kind == "chunk":
                lasting = [raw if name in LASTING else b"" for name, raw in zip(PARTS, payloads[1:], strict=True)]
                self.entries[number] = "evicted", [payloads[0], *lasting]
        self.evicted, self.store = first + self.PIECE, STORE


class Reader:
    """Follows as a renderer does: credit as it reads, Hello after a silence or a restart."""

    def __init__(self, number: int) -> None:
        self.peer = b"r%d" % number
        self.at_relay = number >= SUBSCRIBERS - 3
        self.role = "renderer"
        self.asked: list[int] = []
        self.fetched = 0
        self.batch = BATCH_BYTES if number % 2 else 0
        self.region = (0, 0, 0, 32, 8, 8) if number % 5 == 0 else ()
        self.slow = number % 7 == 0
        self.epoch, self.next = "", 0
        self.bytes = self.messages = 0
        self.chunks: list[int] = []
        self.heard = 0.0
        self.end = ""

    parts: tuple[str, ...] = ("ids",)

    def got(self, entry: Entry, payloads: Sequence[Buffer], nbytes: int) -> None:
        """An entry in the order of the log."""

    def hello(self) -> Hello:
        self.bytes = self.messages = 0
        self.asked.clear()
        return Hello(1, self.role, "r", self.epoch, self.next, self.parts, self.region, 0, self.batch)

    def fetch(self, numbers: list[int]) -> tuple[Fetch, list[bytes]]:
        self.asked = numbers
        return Fetch(len(numbers)), [np.array(numbers, "<u8").tobytes()]

    def credit(self) -> Credit:
        return Credit(self.bytes + (1 << 14 if self.slow else 1 << 20), self.messages + 64, self.next)

    def take(self, send: Send) -> None:
        for entry, payloads, nbytes in entries_of(send.message, send.payloads):
            self.bytes += nbytes
            self.messages += 1
            if entry.prev == FETCHED:
                assert entry.number == self.asked.pop(0), "in the order asked for, and nothing else"
                self.fetched += 1
                continue
            assert entry.prev < self.next <= entry.number
            self.next = entry.number + 1
            self.got(entry, payloads, nbytes)
            if entry.kind in ("chunk", "evicted"):
                commit, _ = decode([bytes(payloads[0])])
                assert isinstance(commit, Commit)
                self.chunks.append(commit.chunk)
            if entry.kind == "end":
                self.end = bytes(payloads[0]).decode()


class Whole(Reader):
    """Somebody who reads all of it: an archive, or (``copy``) what a relay copies from."""

    parts = PARTS

    def __init__(self, name: bytes, role: str, copy: Callable[[Sent], bool] | None = None) -> None:
        super().__init__(1)
        self.peer, self.role, self.at_relay, self.copy = name, role, False, copy

    def got(self, entry: Entry, payloads: Sequence[Buffer], nbytes: int) -> None:
        if self.copy is not None:
            assert self.copy(Sent(entry, payloads, nbytes))


class Day:
    """The hub, everybody around it, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1959)
        self.log, self.copied = LeanLog(), MemoryLog()
        self.now = 0.0
        self.relay = Relay(SPEC, self.copied, self.now)
        self.archive = Whole(b"archive", "archive")
        everybody = [*map(Reader, range(SUBSCRIBERS)), self.archive, Whole(b"relay", "relay", self.relay.copy)]
        self.readers = {reader.peer: reader for reader in everybody}
        self.away: dict[bytes, float] = {}
        self.doing: list[tuple[float, int, bytes, int, int]] = []
        self.workers: dict[bytes, dict[int, int]] = {}
        self.wedged: set[bytes] = set()
        self.born = self.sequence = 0
        self.acknowledged: set[int] = set()
        self.restart()
        for _ in range(WORKERS):
            self.hire()

    def restart(self) -> None:
        self.hub = Hub(SPEC, self.log, HubSettings(leases_per_worker=4), self.now)
        for chunk in self.acknowledged:
            assert self.hub._leases.state(chunk) == 2, "nothing acknowledged is lost"
        for reader in self.readers.values():
            self.say(reader.peer, reader.hello())
        for held in self.workers.values():
            held.clear()
        for worker in self.workers:
            if worker not in self.wedged:
                self.send(self.hub.ingest(worker, worker_hello(), [], self.now))
                self.send(self.hub.ingest(worker, Ask(4), [], self.now))

    def say(self, peer: bytes, message: Message, payloads: Sequence[Buffer] = ()) -> None:
        """A subscriber's message, and what comes of it."""
        if self.readers[peer].at_relay:
            self.send([one for one in self.relay.feed(peer, message, payloads, self.now) if isinstance(one, Send)])
        else:
            self.send(self.hub.feed(peer, message, payloads, self.now))

    def hire(self) -> None:
        worker = b"w%d" % self.born
        self.born += 1
        self.workers[worker] = {}
        self.send(self.hub.ingest(worker, worker_hello(), [], self.now))
        self.send(self.hub.ingest(worker, Ask(4), [], self.now))

    def send(self, sends: list[Send]) -> None:
        todo = deque(sends)
        while todo:
            send = todo.popleft()
            match send.message:
                case Lease(chunk, lease, _):
                    assert all(chunk not in held for who, held in self.workers.items() if who not in self.wedged)
                    self.workers[send.peer][chunk] = lease
                    self.sequence += 1
                    done = self.now + WORK_S * self.rng.uniform(0.5, 1.5)
                    heapq.heappush(self.doing, (done, self.sequence, send.peer, chunk, lease))
                case Ack(chunk, _):
                    self.acknowledged.add(chunk)
                case Welcome() if send.door == "feed":
                    reader = self.readers[send.peer]
                    reader.epoch = send.message.epoch
                    self.say(send.peer, reader.credit())
                case _:
                    assert isinstance(send.message, Welcome | Pulse | Entry | Drain | Snapshot), send.message

    def step(self) -> None:
        """The next ten seconds of the day."""
        self.now += STEP_S
        while self.doing and self.doing[0][0] <= self.now:
            _, _, worker, chunk, lease = heapq.heappop(self.doing)
            if worker in self.wedged or self.workers.get(worker, {}).get(chunk) != lease:
                continue
            del self.workers[worker][chunk]
            if self.rng.random() < 0.01:
                self.send(self.hub.ingest(worker, Fail(chunk, lease, "out of memory"), [], self.now))
            else:
                self.send(self.hub.ingest(worker, *under(MADE[chunk], lease), self.now))
        if self.now % 10 == 0:
            for worker, held in self.workers.items():
                if worker not in self.wedged:
                    self.send(self.hub.ingest(worker, Beat(tuple(held.values())), [], self.now))
        self.send(self.hub.tick(self.now))
        self.send(self.relay.tick(self.now))
        self.drain()

    def drain(self) -> None:
        """What is given out, first by the streamer."""
        for source in (self.hub, self.relay):
            for send in source.drain_feed(self.now):
                if send.peer in self.away:
                    source.stuck(send, self.now)
                else:
                    self.readers[send.peer].take(send)

    def hour(self) -> None:
        """The archive says how far it is, and labels leave the log."""
        if self.archive.peer in self.away:
            return
        self.say(self.archive.peer, Archived(self.archive.next, STORE))
        while (first := self.hub.retention.next(self.log.pieces, RETAIN_BYTES)) is not None:
            assert first + LeanLog.PIECE <= self.archive.next, "only what the archive has"
            self.log.thin(first)

    def minute(self) -> None:
        """What happens to people and machines."""
        for peer, back in list(self.away.items()):
            if back <= self.now:
                del self.away[peer]
                self.say(peer, self.readers[peer].hello())
        for reader in self.readers.values():
            if reader.peer not in self.away:
                self.say(reader.peer, reader.credit())
        peer = list(self.readers)[self.rng.integers(SUBSCRIBERS)]
        most = (self.copied if self.readers[peer].at_relay else self.log).head
        if peer not in self.away and most and not self.readers[peer].asked:
            self.say(peer, *self.readers[peer].fetch(self.rng.integers(0, most, 3).tolist()))
        if self.rng.random() < 0.2:
            peer = list(self.readers)[self.rng.integers(len(self.readers))]
            self.away[peer] = self.now + self.rng.uniform(10, 7200)
            if self.rng.random() < 0.5 and self.readers[peer].at_relay:
                self.relay.forget(peer)
            elif self.rng.random() < 0.5:
                self.hub.forget("feed", peer)
        if self.rng.random() < 0.2:
            z, y, x = (self.rng.random(3) * SPEC.grid.shape).tolist()
            self.send(self.hub.feed(b"r%d" % self.rng.integers(SUBSCRIBERS), Focus(z, y, x), [], self.now))
        if self.rng.random() < 0.05:
            well = [worker for worker in self.workers if worker not in self.wedged]
            worker = well[self.rng.integers(len(well))]
            if self.rng.random() < 0.5:
                del self.workers[worker]
                self.send(self.hub.ingest(worker, Goodbye(), [], self.now))
            else:
                self.wedged.add(worker)
            self.hire()
        if len(self.wedged) > 5:
            worker = self.wedged.pop()
            del self.workers[worker]
            self.hub.forget("ingest", worker)


def test_a_day_with_seventy_subscribers_workers_that_come_and_go_and_three_restarts() -> None:
    day = Day()
    restarts = [DAY_S // 5, DAY_S // 2, 4 * DAY_S // 5]
    books = []
    for second in range(0, DAY_S, STEP_S):
        day.step()
        if second % 60 == 0:
            day.minute()
        if second in restarts:
            day.restart()
        if second % 3600 == 0:
            day.hour()
            hub = day.hub
            status = hub.status(day.now)
            assert sum(part.role == "worker" for part in status.parts) <= WORKERS + 6
            books.append(
                len(hub._leases._times) + len(hub._leases._tried) + 2 * len(hub._manners)
                + len(hub._foci._foci) + sum(map(len, hub._leases._back.values()))
            )  # fmt: skip
    assert day.hub.state == "complete"
    assert max(books) < 4 * CHUNKS // 4, "no book grows with the day"
    day.now += 7200
    day.minute()
    for _ in range(3):
        day.step()
        day.minute()
    failed = {c for kind, p in day.log.entries if kind == "failed" for c in np.frombuffer(p[0], "<u4").tolist()}
    logged = [kind for kind, _ in day.log.entries]
    assert logged.count("chunk") + logged.count("evicted") + len(failed) == CHUNKS
    assert logged.count("evicted") > CHUNKS / 2, "most labels have left the log"
    assert day.log.store == STORE
    assert logged.count("end") == 1
    for peer, reader in day.readers.items():
        day.say(peer, reader.hello())
    for _ in range(50):
        day.drain()
        for reader in day.readers.values():
            day.say(reader.peer, reader.credit())
    assert [kind for kind, _ in day.copied.entries].count("chunk") > CHUNKS / 2, "copied before its labels had left"
    assert day.copied.head == day.log.head
    assert sum(reader.fetched for reader in day.readers.values()) > 1000
    for reader in day.readers.values():
        wanted = set(range(CHUNKS)) - failed
        if reader.region:
            wanted &= set(np.flatnonzero(Region(SPEC.grid, reader.region).holds(np.arange(CHUNKS))).tolist())
        assert sorted(reader.chunks) == sorted(wanted), "each chunk of its region, exactly once"
        assert reader.end == "complete"
    assert len(day.acknowledged) == CHUNKS - len(failed)
