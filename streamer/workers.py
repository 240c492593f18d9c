"""The workers of a run: who wants leases, who holds which, and what becomes of what they send.

A worker says once how many leases it wants to hold and gets them as they become free; it never polls.
Work is work: a commit is taken from whoever brings it first, whether or not the lease still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from streamer.durable import Durable, Waiting
from streamer.feed import Send
from streamer.leases import Leases
from streamer.pace import Pace
from streamer.record import WAITS, Logged, Record
from streamer.status import Progress, Rate
from streamer.wire.codec import Buffer
from streamer.wire.header import MAX_NAME, VERSION, Refused, brief
from streamer.wire.messages import Ack, Again, Commit, Drain, Fail, Hello, Lease, Refuse, Welcome
from streamer.wire.status import COMMITTED, FAILED, Part

MOST_UNKEPT = 256
"""Of one worker's chunks may so many wait for a flush before it gets more work."""


@dataclass(slots=True)
class _Worker:
    name: str
    heard: float
    rate: Rate
    done: int = 0
    unkept: int = 0
    """Its chunks that are in the log but not durable yet."""


class Workers:
    """Decides for the ingest door; ``held_back`` keeps leases back until the run is started, ``paused`` for a while."""

    def __init__(
        self, record: Record, leases: Leases, progress: Progress, durable: Durable, *,
        spec: bytes, pace_s: float, held_back: bool,
        most: int, idle_s: float, now: float,
    ) -> None:  # fmt: skip
        self._record, self._leases, self._progress, self._durable = record, leases, progress, durable
        self._spec, self._pace_s, self._most, self._idle_s = spec, pace_s, most, idle_s
        self._workers: dict[bytes, _Worker] = {}
        self._hungry: dict[bytes, None] = {}
        """Workers that may want a lease, in the order in which they are served."""
        self._owed: dict[int, bytes] = {}
        """Who is to be told once a chunk is in the log."""
        self._put_off: dict[int, bytes] = {}
        """Who brought a chunk that was not taken because the disk is full."""
        self.held_back, self.paused = held_back, False
        self._pace = Pace.resumed(record.grid.size, pace_s, now, leases.started)
        self.next_grant = inf
        """When the pace allows the next lease."""
        self.conflicts = 0
        """Second commits of a chunk that differed from the first."""

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._workers

    def start(self, now: float) -> list[Send]:
        """A run that was held back begins."""
        self.held_back = False
        self._pace = Pace.resumed(self._record.grid.size, self._pace_s, now, self._leases.started)
        return self.grant(now)

    def resume(self, now: float) -> list[Send]:
        """A run that was paused goes on."""
        self.paused = False
        self._pace = Pace.resumed(self._record.grid.size, self._pace_s, now, self._leases.started)
        return self.grant(now)

    def join(self, peer: bytes, now: float) -> str:
        """A peer that is not known speaks; returns why it may not, or nothing.

        It need not be new: after a restart of the streamer a worker goes on where it was.
        """
        if len(self._workers) >= self._most and not self._make_room(now):
            return f"{self._most} workers are at work already: stop one"
        self._workers[peer] = _Worker("", now, Rate(now))
        self._leases.join(peer)
        return ""

    def _make_room(self, now: float) -> bool:
        """Lets go of the worker that has been silent for longest, if it has been for long."""
        peer = min(self._workers, key=lambda p: self._workers[p].heard, default=b"")
        if not peer or now - self._workers[peer].heard < self._idle_s:
            return False
        self.leave(peer)
        return True

    def leave(self, peer: bytes) -> None:
        """A worker has gone."""
        if self._workers.pop(peer, None) is not None:
            self._hungry.pop(peer, None)
            self._leases.leave(peer)

    def heard(self, peer: bytes, now: float) -> None:
        """A worker gave a sign of life; not yet one that it works."""
        self._workers[peer].heard = now

    def silent(self, since: float) -> list[bytes]:
        """The workers that have given no sign of life since a time."""
        return [peer for peer, worker in self._workers.items() if worker.heard < since]

    # ------------------------------------------------------------ what workers say

    def hello(self, peer: bytes, message: Hello) -> list[Send]:
        """A worker says who it is."""
        self._workers[peer].name = message.name[:MAX_NAME]
        log = self._record.log
        welcome = Welcome(VERSION, log.epoch, log.head, log.largest())
        return [Send("ingest", peer, welcome, [self._spec]), *self.drain(peer)]

    def ask(self, peer: bytes, leases: int, now: float) -> list[Send]:
        """A worker wants to hold so many leases altogether."""
        self._leases.ask(peer, leases)
        return self._at_work(peer) + self.grant(now)

    def beat(self, peer: bytes, leases: Sequence[int], now: float) -> list[Send]:
        """A worker works on these leases."""
        self._leases.beat(peer, leases, now)
        return self._at_work(peer) + self.grant(now)

    def _at_work(self, peer: bytes) -> list[Send]:
        self._leases.wake(peer)
        self._hungry[peer] = None
        return self.drain(peer)

    def commit(self, peer: bytes, commit: Commit, payloads: Sequence[Buffer], now: float) -> list[Send]:
        """A finished chunk.  Raises Refused, and nothing has changed, if it is damaged."""
        chunk, record, worker = commit.chunk, self._record, self._workers[peer]
        if not 0 <= chunk < record.grid.size:
            raise Refused(f"chunk {chunk} is not one of the grid's {record.grid.size}")
        sends = self._at_work(peer)
        state = self._leases.state(chunk)
        if state == COMMITTED:
            if record.number(chunk) == WAITS:
                self._owed[chunk] = peer
                return sends
            self.conflicts += not record.same(commit)
            return [*self._acknowledge(peer, chunk, record.number(chunk)), *sends, *self.grant(now)]
        if state == FAILED:
            why = f"chunk {chunk} was given up after {self._leases.retries + 1} tries"
            return [Send("ingest", peer, Refuse(why, chunk)), *sends]
        if record.end:
            return sends
        if record.full or self._durable.trouble:
            # It stays with the worker, whose lease goes on, and is asked for again when there is room.
            self._put_off[chunk] = peer
            self._leases.beat(peer, (commit.lease,), now)
            return sends
        logged = record.commit(commit, payloads)
        holder = self._leases.commit(chunk)
        if holder is not None:
            self._hungry[holder] = None
        self._owed[chunk] = peer
        worker.done += 1
        worker.rate.add(1, now)
        z, y, x = record.grid.core(chunk).shape
        self._progress.done(z * y * x, now)
        return sends + self.settled(logged, now)

    def fail(self, peer: bytes, message: Fail, now: float) -> list[Send]:
        """A worker could not do a chunk."""
        sends = self._at_work(peer)
        logged: list[Logged] = []
        if self._leases.fail(peer, message.chunk, message.lease) == "failed":
            why = brief(message.reason)
            self._progress.gave_up(message.chunk, why)
            logged = self._record.fail(message.chunk, why)
        return sends + self.settled(logged, now)

    # ------------------------------------------------------------ what workers are told

    def settled(self, logged: Sequence[Logged], now: float) -> list[Send]:
        """Acknowledges what is in the log, ends the run if nothing is left, and gives out what is free."""
        sends = []
        self._durable.wrote(self._record.log.head, now)
        for chunk, number in logged:
            peer = self._owed.pop(chunk, None)
            if peer in self._workers:
                sends += self._acknowledge(peer, chunk, number)
        if not self._record.full and not self._durable.trouble:
            for chunk, peer in self._put_off.items():
                if peer in self._workers:
                    sends.append(Send("ingest", peer, Again(chunk)))
            self._put_off.clear()
            if self._leases.done and not self._record.end:
                return sends + self.finish("complete", now)
        return sends + self.grant(now)

    def _acknowledge(self, peer: bytes, chunk: int, number: int) -> list[Send]:
        """Tells a worker that its chunk is kept, now or once it is."""
        if self._durable.kept(number):
            return [Send("ingest", peer, Ack(chunk, number))]
        self._durable.hold(number, chunk, peer)
        self._workers[peer].unkept += 1
        return []

    def kept(self, waiting: Sequence[Waiting], now: float) -> list[Send]:
        """These entries have become durable."""
        sends = []
        for number, chunk, peer in waiting:
            if peer in self._workers:
                sends.append(Send("ingest", peer, Ack(chunk, number)))
                self._workers[peer].unkept = max(0, self._workers[peer].unkept - 1)
                self._hungry[peer] = None
        sends += self.settled([], now)
        if self._record.end and self._durable.all_kept:
            sends += [send for peer in self._workers for send in self.drain(peer)]
        return sends

    def finish(self, end: str, now: float) -> list[Send]:
        """The run has ended; all workers may go."""
        self._progress.end(now)
        for peer in self._workers:
            self._leases.free(peer)
        sends = self.settled(self._record.finish(end), now)
        return sends + [send for peer in self._workers for send in self.drain(peer)]

    def drain(self, peer: bytes) -> list[Send]:
        """Tells a worker that there is nothing left to do, if so."""
        if not self._record.end or not self._durable.all_kept:
            return []
        return [Send("ingest", peer, Drain(f"the run is {self._record.end}"))]

    def expire(self, now: float) -> None:
        """Takes back the leases that ran out."""
        for lapsed in self._leases.expire(now):
            self._hungry.pop(lapsed.worker, None)

    def grant(self, now: float) -> list[Send]:
        """Leases for the workers that want some, one each in turn, as far as the run allows."""
        sends: list[Send] = []
        self.next_grant = inf
        if self.held_back or self.paused or self._record.end or self._record.full or self._durable.pressed:
            return sends
        fruitless = 0
        while fruitless < len(self._hungry) and self._leases.pending:
            if self._pace.pace_s > 0 and now < (opens := self._pace.opens(self._leases.started)):
                self.next_grant = opens
                break
            peer = next(iter(self._hungry))
            del self._hungry[peer]
            if not self._leases.has_room(peer) or self._workers[peer].unkept >= MOST_UNKEPT:
                continue
            self._hungry[peer] = None
            grant = self._leases.grant(peer, now)
            if grant is None:
                fruitless += 1
                continue
            fruitless = 0
            sends.append(Send("ingest", peer, Lease(grant.chunk, grant.lease, self._leases.lease_s)))
        return sends

    def parts(self, now: float) -> list[Part]:
        """The workers as a status shows them."""
        return [
            Part(worker.name, "worker", worker.done, self._leases.holds(peer), worker.rate.per_s(now))
            for peer, worker in self._workers.items()
        ]
