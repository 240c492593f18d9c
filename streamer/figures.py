"""A run in figures, for whoever watches over it: counted from what is said at the doors, and looked up in the hub.

Counters begin at 0 with each start of the streamer, as Prometheus expects.  Nothing here grows with the
length of a run: the places in the log that lag is measured by are thinned out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from streamer.cursor import Cursor
from streamer.hub import Hub
from streamer.wire.codec import Buffer
from streamer.wire.messages import Ack, Again, Commit, Fail, Lease, Message
from streamer.wire.status import LEASED

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
MOST_MARKS = 4096
MOST_OPEN = 65536
"""Chunks whose times are remembered."""


class Latency(msgspec.Struct, frozen=True):
    """How long something took: how often each of BOUNDS_S was the first to suffice (last: none), and the sum."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0

    def and_(self, seconds: float) -> Latency:
        """With one more."""
        counts = list(self.counts)
        counts[bisect_left(BOUNDS_S, seconds)] += 1
        return Latency(tuple(counts), self.sum_s + seconds)


class SubscriberFigures(msgspec.Struct, frozen=True):
    """One subscriber."""

    name: str
    role: str
    lag_entries: int
    lag_bytes: int
    lag_s: float
    credit_bytes: int
    credit_messages: int
    sent_bytes: int


class RunFigures(msgspec.Struct, frozen=True):
    """All of it, at one moment."""

    run_id: str
    committed_chunks: int
    failed_chunks: int
    committed_bytes: int
    """Payloads of commits that were acknowledged."""
    commit_seconds: Latency
    """From a lease to its commit's arrival."""
    ack_seconds: Latency
    """From a commit's arrival to its acknowledgement."""
    leases: int
    oldest_lease_s: float
    retries: int
    """Leases of chunks that had been leased before."""
    fails: int
    """Chunks that a worker could not do, each time."""
    put_off: int
    """Commits that had to be asked for again, because the disk was full."""
    conflicts: int
    workers: int
    log_position: int
    log_bytes: int
    archive_position: int
    """Entries that the archive has read; −1 if there is none."""
    archived_entries: int
    """Entries that are in its store, durable and to be read there."""
    archive_lag_s: float
    """For how long the first entry that is not there has been in the log."""
    archive_stands_still: bool
    """Whether its store cannot be written now."""
    doors: Mapping[str, int]
    """What went wrong at the doors, by reason."""
    subscribers: tuple[SubscriberFigures, ...]


class Marks:
    """When the log had which length: numbers, bytes and times, ascending."""

    def __init__(self, head: int, nbytes: int, now: float) -> None:
        self._heads, self._bytes, self._times = [0, head], [0, nbytes], [now, now]

    def mark(self, head: int, nbytes: int, now: float) -> None:
        """The log has this length now."""
        if head == self._heads[-1]:
            return
        for column, one in ((self._heads, head), (self._bytes, nbytes), (self._times, now)):
            column.append(one)  # type: ignore[arg-type]
            if len(column) > MOST_MARKS:
                del column[1:-1:2]

    def behind(self, position: int, now: float) -> tuple[int, float]:
        """Bytes that lie beyond a position, and for how many seconds the first of them has been there."""
        if position >= self._heads[-1]:
            return 0, 0.0
        after = bisect_right(self._heads, position)
        low, high = self._heads[after - 1], self._heads[after]
        start, stop = self._bytes[after - 1], self._bytes[after]
        at = start + (stop - start) * (position - low) / max(high - low, 1)
        return max(0, round(self._bytes[-1] - at)), max(0.0, now - self._times[after])


class Tally:
    """Counts what passes the doors of one hub."""

    def __init__(self, run_id: str, hub: Hub, now: float) -> None:
        self._run_id, self._hub = run_id, hub
        status = hub.status(now)
        self._marks = Marks(status.log_position, status.log_bytes, now)
        self._leased: dict[int, float] = {}
        self._came: dict[int, tuple[float, int]] = {}
        self._seen = bytearray(status.chunks)
        """Chunks that were leased before."""
        self._commit, self._ack = Latency(), Latency()
        self._bytes = self._retries = self._fails = self._put_off = 0

    def heard(self, message: Message, payloads: Sequence[Buffer], now: float) -> None:
        """A message has come in at a door."""
        if isinstance(message, Commit):
            if 0 <= message.chunk < len(self._seen):
                leased = self._leased.pop(message.chunk, None)
                if leased is not None:
                    self._commit = self._commit.and_(now - leased)
                if message.chunk not in self._came and len(self._came) < MOST_OPEN:
                    self._came[message.chunk] = now, sum(len(raw) for raw in payloads)
        elif isinstance(message, Fail):
            self._fails += 1

    def said(self, message: Message, now: float) -> None:
        """A message goes out at a door."""
        if isinstance(message, Lease):
            self._retries += self._seen[message.chunk]
            self._seen[message.chunk] = 1
            if len(self._leased) < MOST_OPEN:
                self._leased[message.chunk] = now
        elif isinstance(message, Ack):
            came = self._came.pop(message.chunk, None)
            if came is not None:
                self._ack = self._ack.and_(now - came[0])
                self._bytes += came[1]
        elif isinstance(message, Again):
            self._came.pop(message.chunk, None)
            self._put_off += 1

    def turn(self, head: int, nbytes: int, now: float) -> None:
        """Takes note of the log's length."""
        self._marks.mark(head, nbytes, now)

    def figures(self, doors: Mapping[str, int], now: float) -> RunFigures:
        """How all of it stands."""
        hub, status = self._hub, self._hub.status(now)
        states = hub.chunk_states
        ages = [now - at for chunk, at in self._leased.items() if states[chunk] == LEASED]
        self._marks.mark(status.log_position, status.log_bytes, now)
        archived = [-1, *(cursor.reached for _, role, cursor in hub.cursors if role == "archive")]
        return RunFigures(
            run_id=self._run_id,
            committed_chunks=status.committed,
            failed_chunks=status.failed,
            committed_bytes=self._bytes,
            commit_seconds=self._commit,
            ack_seconds=self._ack,
            leases=status.leased,
            oldest_lease_s=max(ages, default=0.0),
            retries=self._retries,
            fails=self._fails,
            put_off=self._put_off,
            conflicts=hub.conflicts,
            workers=sum(part.role == "worker" for part in status.parts),
            log_position=status.log_position,
            log_bytes=status.log_bytes,
            archive_position=max(archived),
            archived_entries=hub.retention.archived,
            archive_lag_s=self._marks.behind(hub.retention.archived, now)[1] if max(archived) >= 0 else 0.0,
            archive_stands_still=bool(hub.retention.stuck(now)),
            doors={**doors, "refused": hub.refused, "put_aside": hub.put_aside},
            subscribers=readers(hub.cursors, self._marks, status.log_position, now),
        )


def readers(
    cursors: Iterable[tuple[str, str, Cursor]], marks: Marks, head: int, now: float
) -> tuple[SubscriberFigures, ...]:
    """Those who read a log, which ends before entry ``head``, by their names, roles and cursors."""
    found = []
    for name, role, cursor in cursors:
        if role != "control":
            behind, seconds = marks.behind(cursor.reached, now)
            found.append(
                SubscriberFigures(
                    name, role, max(0, head - cursor.reached), behind, seconds,
                    max(0, cursor.credit_bytes - cursor.sent_bytes),
                    max(0, cursor.credit_messages - cursor.sent_messages), cursor.sent_bytes,
                )
            )  # fmt: skip
    return tuple(found)
