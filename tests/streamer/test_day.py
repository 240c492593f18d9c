"""A day in less than a minute: seventy subscribers, workers that come and go, three restarts, and the time passed in.

Every few seconds of the simulated day the hub hears what is due, ticks and gives out entries; so what would only
show after hours (leases that pile up, books that grow, a subscriber that is forgotten) shows here.
"""

from __future__ import annotations

import heapq
from collections import deque

import numpy as np

from streamer.hub import Hub, HubSettings, Send
from streamer.index import Region
from streamer.wire.batch import BATCH_BYTES, entries_of
from streamer.wire.header import decode
from streamer.wire.messages import (
    Ack,
    Ask,
    Beat,
    Commit,
    Credit,
    Drain,
    Entry,
    Fail,
    Focus,
    Goodbye,
    Hello,
    Lease,
    Pulse,
    Welcome,
)
from tests.streamer.runs import MemoryLog, made, spec_of, under, worker_hello

DAY_S = 86_400
STEP_S = 10
SPEC = spec_of((32, 24, 24), (2, 2, 2))
MADE = made(SPEC, density=0.1)
CHUNKS = SPEC.grid.size
SUBSCRIBERS, WORKERS = 70, 24
WORK_S = 4 * 0.7 * DAY_S * WORKERS / CHUNKS
"""A chunk takes so long that all workers together need most of the day."""


class Reader:
    """Follows as a renderer does: credit as it reads, Hello after a silence or a restart."""

    def __init__(self, number: int) -> None:
        self.peer = b"r%d" % number
        self.batch = BATCH_BYTES if number % 2 else 0
        self.region = (0, 0, 0, 32, 8, 8) if number % 5 == 0 else ()
        self.slow = number % 7 == 0
        self.epoch, self.next = "", 0
        self.bytes = self.messages = 0
        self.chunks: list[int] = []
        self.heard = 0.0
        self.end = ""

    def hello(self) -> Hello:
        self.bytes = self.messages = 0
        return Hello(1, "renderer", "r", self.epoch, self.next, ("ids",), self.region, 0, self.batch)

    def credit(self) -> Credit:
        return Credit(self.bytes + (1 << 14 if self.slow else 1 << 20), self.messages + 64, self.next)

    def take(self, send: Send) -> None:
        for entry, payloads, nbytes in entries_of(send.message, send.payloads):
            assert entry.prev < self.next <= entry.number
            self.next = entry.number + 1
            self.bytes += nbytes
            self.messages += 1
            if entry.kind == "chunk":
                commit, _ = decode([bytes(payloads[0])])
                assert isinstance(commit, Commit)
                self.chunks.append(commit.chunk)
            if entry.kind == "end":
                self.end = bytes(payloads[0]).decode()


class Day:
    """The hub, everybody around it, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1959)
        self.log = MemoryLog()
        self.now = 0.0
        self.readers = {reader.peer: reader for reader in map(Reader, range(SUBSCRIBERS))}
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
            self.send(self.hub.feed(reader.peer, reader.hello(), [], self.now))
        for held in self.workers.values():
            held.clear()
        for worker in self.workers:
            if worker not in self.wedged:
                self.send(self.hub.ingest(worker, worker_hello(), [], self.now))
                self.send(self.hub.ingest(worker, Ask(4), [], self.now))

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
                    todo.extend(self.hub.feed(send.peer, reader.credit(), [], self.now))
                case _:
                    assert isinstance(send.message, Welcome | Pulse | Entry | Drain), send.message

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
        for send in self.hub.drain_feed(self.now):
            if send.peer in self.away:
                self.hub.stuck(send, self.now)
            else:
                self.readers[send.peer].take(send)

    def minute(self) -> None:
        """What happens to people and machines."""
        for peer, back in list(self.away.items()):
            if back <= self.now:
                del self.away[peer]
                self.send(self.hub.feed(peer, self.readers[peer].hello(), [], self.now))
        for reader in self.readers.values():
            if reader.peer not in self.away:
                self.send(self.hub.feed(reader.peer, reader.credit(), [], self.now))
        if self.rng.random() < 0.2:
            peer = list(self.readers)[self.rng.integers(SUBSCRIBERS)]
            self.away[peer] = self.now + self.rng.uniform(10, 7200)
            if self.rng.random() < 0.5:
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
    assert logged.count("chunk") + len(failed) == CHUNKS
    assert logged.count("end") == 1
    for peer, reader in day.readers.items():
        day.send(day.hub.feed(peer, reader.hello(), [], day.now))
    for _ in range(50):
        for send in day.hub.drain_feed(day.now):
            day.readers[send.peer].take(send)
        for reader in day.readers.values():
            day.send(day.hub.feed(reader.peer, reader.credit(), [], day.now))
    for reader in day.readers.values():
        wanted = set(range(CHUNKS)) - failed
        if reader.region:
            wanted &= set(np.flatnonzero(Region(SPEC.grid, reader.region).holds(np.arange(CHUNKS))).tolist())
        assert sorted(reader.chunks) == sorted(wanted), "each chunk of its region, exactly once"
        assert reader.end == "complete"
    assert len(day.acknowledged) == CHUNKS - len(failed)
