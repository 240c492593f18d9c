"""Who works on what: each chunk is pending, leased to one worker, committed or failed.

Leases go out nearest to where people look (``streamer.focus``), and along axis 0 first (C order) while
nobody looks; one in eight goes that way all the same, so that nothing starves.  A lease lapses unless its
worker beats; a chunk whose worker failed on it goes to another one, twice, and is then given up.  All work per
call is independent of the number of chunks: what comes back waits in heaps, and lapsed times are looked at when
they come up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from typing import Literal, NamedTuple

from streamer.focus import Order
from streamer.wire.status import COMMITTED, FAILED, LEASED, PENDING

Worker = bytes
BLIND = 8
"""One lease in so many goes out in C order, wherever people look."""
Verdict = Literal["again", "failed", "not held"]


class Grant(NamedTuple):
    """A lease that has been given."""

    chunk: int
    lease: int


class Lapsed(NamedTuple):
    """A lease that ran out."""

    chunk: int
    worker: Worker


@dataclass(slots=True)
class _Held:
    chunk: int
    worker: Worker
    expires: float


class Leases:
    """The leases of a run of ``chunks`` chunks; ``per_worker`` at most to each worker, for ``lease_s`` seconds."""

    def __init__(
        self, chunks: int, *, lease_s: float, per_worker: int, retries: int = 2, order: Order | None = None
    ) -> None:
        self.lease_s, self.per_worker, self.retries = lease_s, per_worker, retries
        self._order = order
        self._states = bytearray(chunks)
        self._fresh = 0
        """The first chunk in C order that has never been looked at."""
        self._back: dict[frozenset[Worker], list[int]] = {}
        """Chunks that came back, by the workers that failed on them."""
        self._tried: dict[int, tuple[Worker, ...]] = {}
        self._held: dict[int, _Held] = {}
        self._lease_of: dict[int, int] = {}
        self._workers: dict[Worker, set[int]] = {}
        self._wants: dict[Worker, int] = {}
        """How many leases each worker wants to hold altogether."""
        self._asleep: set[Worker] = set()
        """Workers that let a lease lapse: they get none, and nobody waits for them, until they are heard again."""
        self._times: list[tuple[float, int]] = []
        self._last = 0
        self._returns = 0
        self.committed = self.failed = 0

    # ------------------------------------------------------------ what is known

    @property
    def states(self) -> bytes:
        """One byte of state per chunk, in C order."""
        return bytes(self._states)

    def state(self, chunk: int) -> int:
        """PENDING, LEASED, COMMITTED or FAILED."""
        return self._states[chunk]

    @property
    def leased(self) -> int:
        """Chunks that are being worked on."""
        return len(self._held)

    @property
    def started(self) -> int:
        """Chunks that are out or done."""
        return self.leased + self.committed + self.failed

    @property
    def pending(self) -> int:
        """Chunks that nobody works on yet."""
        # Written out, as it is asked for at each commit.
        return len(self._states) - len(self._held) - self.committed - self.failed

    @property
    def done(self) -> bool:
        """Whether each chunk is committed or failed."""
        return self.committed + self.failed == len(self._states)

    def holds(self, worker: Worker) -> int:
        """The leases of a worker."""
        return len(self._workers.get(worker, ()))

    def holder(self, lease: int) -> Worker | None:
        """Who holds a lease."""
        held = self._held.get(lease)
        return None if held is None else held.worker

    def has_room(self, worker: Worker) -> bool:
        """Whether a worker wants, and may have, one lease more."""
        wants = min(self._wants.get(worker, 0), self.per_worker)
        return worker not in self._asleep and self.holds(worker) < wants

    def next_expiry(self) -> float:
        """When ``expire`` should be called next, or infinity."""
        return self._times[0][0] if self._times else inf

    # ------------------------------------------------------------ workers

    def join(self, worker: Worker) -> None:
        """A worker has come."""
        self._workers.setdefault(worker, set())

    def leave(self, worker: Worker) -> list[int]:
        """A worker has gone: its chunks are free at once, and are returned."""
        freed = self.free(worker)
        self._workers.pop(worker, None)
        self._wants.pop(worker, None)
        self._asleep.discard(worker)
        return freed

    def free(self, worker: Worker) -> list[int]:
        """Takes all leases of a worker back; returns its chunks."""
        return [self._release(lease) for lease in sorted(self._workers.get(worker, ()))]

    def ask(self, worker: Worker, leases: int) -> None:
        """A worker wants to hold so many leases altogether."""
        self._wants[worker] = leases

    def wake(self, worker: Worker) -> None:
        """A worker was heard."""
        self._asleep.discard(worker)

    @property
    def _willing(self) -> set[Worker]:
        return {worker for worker, wants in self._wants.items() if wants > 0 and worker not in self._asleep}

    # ------------------------------------------------------------ leases

    def grant(self, worker: Worker, now: float) -> Grant | None:
        """The next lease for a worker that has joined, or None if there is none for it."""
        mine = self._workers[worker]
        if not self.has_room(worker):
            return None
        chunk = self._take(worker, now)
        if chunk is None:
            return None
        self._last += 1
        lease = self._last
        self._states[chunk] = LEASED
        self._held[lease] = _Held(chunk, worker, now + self.lease_s)
        self._lease_of[chunk] = lease
        mine.add(lease)
        heappush(self._times, (now + self.lease_s, lease))
        return Grant(chunk, lease)

    def _take(self, worker: Worker, now: float) -> int | None:
        """The pending chunk that comes first among those that this worker may have."""
        if self._order is not None and (self._last + 1) % BLIND:
            chunk = self._order.take(
                self._states, self._tried, lambda tried: worker not in tried or tried >= self._willing, now
            )
            if chunk is not None:
                return chunk
        best: list[int] | None = None
        for tried, heap in list(self._back.items()):
            while heap and (self._states[heap[0]] != PENDING or frozenset(self._tried.get(heap[0], ())) != tried):
                heappop(heap)
            if not heap:
                del self._back[tried]
            elif (worker not in tried or tried >= self._willing) and (best is None or heap[0] < best[0]):
                best = heap
        if best is not None:
            return heappop(best)
        while self._fresh < len(self._states):
            self._fresh += 1
            chunk = self._fresh - 1
            # One that was tried and came back waits among those, for a worker that has not failed on it.
            if self._states[chunk] == PENDING and chunk not in self._tried:
                return chunk
        return None

    def beat(self, worker: Worker, leases: Iterable[int], now: float) -> None:
        """These leases are still being worked on; those of others are passed over."""
        for lease in leases:
            held = self._held.get(lease)
            if held is not None and held.worker == worker:
                held.expires = now + self.lease_s

    def expire(self, now: float) -> list[Lapsed]:
        """Takes back the leases that ran out."""
        lapsed = []
        while self._times and self._times[0][0] <= now:
            _, lease = heappop(self._times)
            held = self._held.get(lease)
            if held is None:
                continue
            if held.expires > now:
                heappush(self._times, (held.expires, lease))
            else:
                lapsed.append(Lapsed(self._release(lease), held.worker))
                self._asleep.add(held.worker)
        return lapsed

    def commit(self, chunk: int) -> Worker | None:
        """The chunk is done, whoever did it; returns who held it.  Not for a chunk that is committed or failed."""
        self.committed += 1
        return self._close(chunk, COMMITTED)

    def give_up(self, chunk: int) -> None:
        """The chunk will not be done.  Not to be called for a chunk that is committed or failed."""
        self._close(chunk, FAILED)
        self.failed += 1

    def fail(self, worker: Worker, chunk: int, lease: int) -> Verdict:
        """The worker could not do a chunk: it goes to another worker, or is given up."""
        held = self._held.get(lease)
        if held is None or held.worker != worker or held.chunk != chunk:
            return "not held"
        tried = (*self._tried.get(chunk, ()), worker)
        if len(tried) > self.retries:
            self.give_up(chunk)
            return "failed"
        self._tried[chunk] = tried
        self._release(lease)
        return "again"

    def _close(self, chunk: int, state: int) -> Worker | None:
        assert self._states[chunk] in (PENDING, LEASED), f"chunk {chunk} is closed already"
        self._tried.pop(chunk, None)
        self._states[chunk] = state
        lease = self._lease_of.pop(chunk, None)
        return None if lease is None else self._drop(lease).worker

    def _release(self, lease: int) -> int:
        """Ends a lease; its chunk is pending again."""
        held = self._drop(lease)
        del self._lease_of[held.chunk]
        self._states[held.chunk] = PENDING
        tried = frozenset(self._tried.get(held.chunk, ()))
        heappush(self._back.setdefault(tried, []), held.chunk)
        self._returns += 1
        if self._returns > 64 + 2 * len(self._states):
            self._tidy()
        if self._order is not None:
            self._order.back(held.chunk, tried)
        return held.chunk

    def _tidy(self) -> None:
        """What went out by another order is still among those that came back; it may not gather for ever."""
        self._returns = 0
        for tried, heap in list(self._back.items()):
            left = [c for c in set(heap) if self._states[c] == PENDING and frozenset(self._tried.get(c, ())) == tried]
            self._back[tried] = sorted(left)

    def _drop(self, lease: int) -> _Held:
        held = self._held.pop(lease)
        self._workers[held.worker].discard(lease)
        if len(self._times) > 64 + 4 * len(self._held):
            # Leases that ended early stay in the heap until their time; they may not outgrow the living.
            self._times = [(time, number) for time, number in self._times if number in self._held]
            heapify(self._times)
        return held

    def resume(self, committed: Collection[int], failed: Collection[int]) -> None:
        """What the log says, before any lease is given."""
        for chunk in committed:
            self.commit(chunk)
        for chunk in failed:
            self.give_up(chunk)
