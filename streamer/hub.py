"""The run's decisions: facts in (a peer's message, or the time), messages out.  No sockets, no clock.

Workers speak at one door (``streamer.workers``), subscribers at the other (``streamer.feed``); between
them stands the record (``streamer.record``): the log and what follows from it.  Here is what concerns
both doors: who may speak, commands, the passing of time, and how the run stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from streamer.cursor import Cursor
from streamer.durable import Durable, Policy
from streamer.feed import Door, Feed, Send
from streamer.focus import Foci, Order
from streamer.leases import Leases
from streamer.manners import Manners
from streamer.record import LogLike, Record
from streamer.retention import Retention
from streamer.status import Progress
from streamer.wire.codec import Buffer
from streamer.wire.header import Refused, brief
from streamer.wire.messages import (
    Archived,
    Ask,
    AskIndex,
    AskStatus,
    AskTable,
    Beat,
    Command,
    Commit,
    Credit,
    Fail,
    Fetch,
    Focus,
    Goodbye,
    Hello,
    Message,
    Pulse,
    Refuse,
    Status,
    Table,
    Trouble,
)
from streamer.wire.status import MOST_COURSES, RunStatus
from streamer.wire.volume import RunSpec, encode_spec
from streamer.workers import Workers

__all__ = ["Door", "Hub", "HubSettings", "Send"]

ARCHIVES = ("archive", "relay")
"""Who may speak of the store: the archive, and a relay that it is behind."""
MOST_OBJECTS = 10_000
"""Objects in one table."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """What can be set.  Times in seconds."""

    lease_s: float = 30.0
    leases_per_worker: int = 16
    """At most; a worker asks for as many as it needs to be never idle."""
    retries: int = 2
    pace_s: float = 0.0
    before_s: float = 0.0
    """So long the run went before the streamer was started again."""
    hold: bool = False
    """Grant nothing before the command ``start``."""
    most_workers: int = 1024
    most_subscribers: int = 256
    durability: Policy = "written"
    """What must have happened to an entry before its worker is told."""
    pulse_s: float = 2.0
    """A peer that has been silent for so long is asked whether it is there."""
    idle_s: float = 30.0
    """A peer that has been silent for so long gives way to a new one when there are too many."""
    aside_s: float = 60.0
    """A peer that sent three bad messages in a row is not heard for so long."""
    pipe_retry_s: float = 0.02
    """When a full pipe is tried again."""
    disk_retry_s: float = 0.5
    """When a full disk is tried again."""


class Hub:
    """One run, its workers and its subscribers.  Raises BadLog if the log is of another run."""

    def __init__(self, spec: RunSpec, log: LogLike, settings: HubSettings, now: float) -> None:
        raw = encode_spec(spec)
        self._settings, self._run_id = settings, spec.run_id
        self._record = Record(log, spec)
        self.retention = Retention(log.store)
        self._durable = Durable(settings.durability, log.head, retry_s=settings.disk_retry_s)
        self._foci = Foci()
        self._leases = Leases(
            spec.grid.size, lease_s=settings.lease_s, per_worker=settings.leases_per_worker, retries=settings.retries,
            order=Order(spec.grid, self._foci),
        )  # fmt: skip
        self._leases.resume(self._record.committed, self._record.failed)
        self._progress = Progress(now, settings.before_s)
        for chunk, why in self._record.failed.items():
            self._progress.gave_up(chunk, why)
        self._workers = Workers(
            self._record, self._leases, self._progress, self._durable,
            spec=raw, pace_s=settings.pace_s, held_back=settings.hold and not log.head,
            most=settings.most_workers, idle_s=settings.idle_s, now=now,
        )  # fmt: skip
        self._feed = Feed(
            log, self._record.index, raw,
            most=settings.most_subscribers, retry_s=settings.pipe_retry_s, idle_s=settings.idle_s,
        )  # fmt: skip
        self._manners = Manners(settings.aside_s, settings.pulse_s)
        self._next_probe = now + settings.pulse_s
        self._next_settle = now + settings.disk_retry_s
        if self._record.end:
            self._progress.end(now)
        else:
            self._workers.settled([], now)  # it may have died between the last chunk and the end

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``paused``, ``complete`` or ``cancelled``."""
        if self._record.end or self._workers.paused:
            return self._record.end or "paused"
        return "waiting" if self._workers.held_back else "running"

    def worked_s(self, now: float) -> float:
        """For how long the run has been at work; stands still once it has ended."""
        return 0.0 if self._workers.held_back else self._progress.worked_s(now)

    @property
    def refused(self) -> int:
        """Messages that were refused."""
        return self._manners.refused

    @property
    def put_aside(self) -> int:
        """Times that a peer was put aside."""
        return self._manners.put_aside

    @property
    def conflicts(self) -> int:
        """Second commits of a chunk that differed from the first."""
        return self._workers.conflicts

    @property
    def log_length(self) -> tuple[int, int]:
        """Entries and bytes of the log."""
        return self._record.log.head, self._record.log.nbytes

    @property
    def chunk_states(self) -> bytes:
        """One byte of state per chunk, in C order."""
        return self._leases.states

    @property
    def cursors(self) -> list[tuple[str, str, Cursor]]:
        """The subscribers' names, roles and cursors; not to be changed."""
        return self._feed.cursors()

    def counts(self, now: float) -> dict[str, int]:
        """Figures for a line of the process's own log."""
        status = self.status(now)
        return {
            "committed": status.committed,
            "failed": status.failed,
            "objects": status.objects,
            "entries": status.log_position,
            "refused": self.refused,
            "conflicts": self.conflicts,
        }

    # ------------------------------------------------------------ the doors

    def ingest(self, peer: bytes, message: Message, payloads: Sequence[Buffer], now: float) -> list[Send]:
        """A worker's message; what is to be sent because of it."""
        if self._manners.aside("ingest", peer, now):
            return []
        workers = self._workers
        if isinstance(message, Goodbye):
            self.forget("ingest", peer)
            return workers.grant(now)
        if peer not in workers:
            why = workers.join(peer, now)
            if why:
                return [Send("ingest", peer, Refuse(why))]
        workers.heard(peer, now)
        match message:
            case Hello() if message.role == "worker":
                return workers.hello(peer, message)
            case Hello():
                return self._strike("ingest", peer, "this door is for workers: take the address of --feed", -1, now)
            case Ask():
                return workers.ask(peer, message.leases, now)
            case Beat():
                return workers.beat(peer, message.leases, now) + self._pulse("ingest", peer, now)
            case Commit():
                try:
                    sends = workers.commit(peer, message, payloads, now)
                except Refused as why_not:
                    return self._strike("ingest", peer, str(why_not), message.chunk, now)
                self._manners.forgive("ingest", peer)
                return sends
            case Fail():
                if self._leases.holder(message.lease) == peer:
                    self._manners.forgive("ingest", peer)  # it says itself what it cannot do
                return workers.fail(peer, message, now)
            case Pulse():
                return self._pulse("ingest", peer, now)
        return self._strike("ingest", peer, f"a {type(message).__name__} has no meaning at this door", -1, now)

    def feed(self, peer: bytes, message: Message, payloads: Sequence[Buffer], now: float) -> list[Send]:
        """A subscriber's message, or one of the control plane; what is to be sent because of it."""
        if self._manners.aside("feed", peer, now):
            return []
        sends = self._heard_at_feed(peer, message, payloads, now)
        if not any(send.peer == peer and isinstance(send.message, Refuse) for send in sends):
            self._manners.forgive("feed", peer)
        return sends

    def _heard_at_feed(self, peer: bytes, message: Message, payloads: Sequence[Buffer], now: float) -> list[Send]:
        known = self._feed.heard(peer, now)
        match message:
            case Hello():
                return self._feed.hello(peer, message, now)
            case Credit():
                return self._feed.credit(peer, message, now)
            case Fetch():
                return self._feed.fetch(peer, message, payloads, now)
            case Focus():
                if known:
                    self._foci.say(peer, message, now)
                return []
            case Archived():
                if self._feed.role(peer) not in ARCHIVES:
                    return []
                why = self.retention.told(message.number, message.store, self._record.log.head)
                return [Send("feed", peer, Refuse(brief(why)))] if why else []
            case Trouble():
                if self._feed.role(peer) in ARCHIVES:
                    self.retention.stands_still(message.why, now)
                return []
            case AskIndex():
                return self._feed.present(peer, message)
            case Pulse():
                # A peer that is not known is not answered: silence makes it say Hello again.
                return self._pulse("feed", peer, now) if known else []
            case Goodbye():
                self.forget("feed", peer)
                return []
            case AskStatus():
                payload = [msgspec.msgpack.encode(self.status(now))]
                if message.with_chunks:
                    payload.append(self._leases.states)
                return [Send("feed", peer, Status(message.request), payload)]
            case AskTable(courses_of=ids) if ids:
                wanted = [one for one in ids[:MOST_COURSES] if 0 < one < 1 << 63]
                told = self._record.assembly.courses(wanted)
                return [Send("feed", peer, Table(message.request), [msgspec.msgpack.encode(told)])]
            case AskTable():
                page = self._record.assembly.page(max(1, min(message.limit, MOST_OBJECTS)), max(0, message.object_id))
                return [Send("feed", peer, Table(message.request), [msgspec.msgpack.encode(page)])]
            case Command(what="start"):
                return self._start(now)
            case Command(what="pause"):
                return self._pause(now)
            case Command(what="resume"):
                return self._resume(now)
            case Command(what="cancel"):
                return [] if self._record.end else self._workers.finish("cancelled", now)
            case Command():
                why = f"the command {message.what[:64]!r} is unknown; there are start, pause, resume and cancel"
                return [Send("feed", peer, Refuse(brief(why)))]
        return self._strike("feed", peer, f"a {type(message).__name__} has no meaning at this door", -1, now)

    def _start(self, now: float) -> list[Send]:
        if self.state != "waiting":
            return []
        self._progress.begin(now)
        return self._workers.start(now)

    def _pause(self, now: float) -> list[Send]:
        if not self._record.end and not self._workers.paused:
            self._workers.paused = True
            if not self._workers.held_back:
                self._progress.pause(now)
        return []

    def _resume(self, now: float) -> list[Send]:
        if self._record.end or not self._workers.paused:
            return []
        self._progress.resume(now)
        return self._workers.resume(now)

    def drain_feed(self, now: float) -> Iterator[Send]:
        """Entries that credit allows, one to each subscriber in turn.  What is given counts as sent (see ``stuck``)."""
        return self._feed.drain(now)

    def stuck(self, send: Send, now: float) -> None:
        """The entry that ``drain_feed`` gave last could not be sent: the peer does not read.  It is tried again."""
        self._feed.stuck(send, now)

    def forget(self, door: Door, peer: bytes) -> None:
        """A peer has gone; its leases are free at the next ``tick``."""
        self._manners.leave(door, peer)
        if door == "feed":
            self._foci.forget(peer)
            self._feed.forget(peer)
        else:
            self._workers.leave(peer)

    # ------------------------------------------------------------ bad peers, silent peers

    def garbled(self, door: Door, peer: bytes, why: str, now: float) -> list[Send]:
        """A peer sent what is no message."""
        return [] if self._manners.aside(door, peer, now) else self._strike(door, peer, why, -1, now)

    def _strike(self, door: Door, peer: bytes, why: str, chunk: int, now: float) -> list[Send]:
        """Refuses a message; after three in a row the peer is put aside for a while."""
        answer = Send(door, peer, Refuse(self._manners.strike(door, peer, why, now), chunk))
        if not self._manners.aside(door, peer, now):
            return [answer]
        self.forget(door, peer)
        return [answer, *self._workers.grant(now)]

    def aside(self, door: Door, peer: bytes, now: float) -> bool:
        """Whether a peer is not heard now: what it sends need not be looked at."""
        return self._manners.aside(door, peer, now)

    def _pulse(self, door: Door, peer: bytes, now: float) -> list[Send]:
        """A sign of life, seldom: two that answer each other's would never stop."""
        if not self._manners.may_pulse(door, peer, now):
            return []
        head = self._record.log.head
        return [Send(door, peer, Pulse(head, self._feed.last_sent(peer)) if door == "feed" else Pulse(head))]

    # ------------------------------------------------------------ the disk

    def flush(self, now: float) -> int | None:
        """Up to which entry the log is to be made durable now, or None; ``flushed`` or ``unflushed`` must follow."""
        return self._durable.begin(now)

    def flushed(self, upto: int, now: float) -> list[Send]:
        """All entries before ``upto`` are durable."""
        return self._workers.kept(self._durable.done(upto, now), now)

    def unflushed(self, why: str, now: float) -> None:
        """They could not be made durable.  Nothing is acknowledged, and nothing new is taken, until they can."""
        self._durable.failed(why, now)

    # ------------------------------------------------------------ time

    def tick(self, now: float) -> list[Send]:
        """What the time brings: lapsed leases, the pace's next lease, room on the disk, silent peers."""
        self._workers.expire(now)
        self._foci.lapse(now)
        sends: list[Send] = []
        if self._record.waiting and now >= self._next_settle:
            self._next_settle = now + self._settings.disk_retry_s
            sends = self._workers.settled(self._record.settle(), now)
        if now >= self._next_probe:
            self._next_probe = now + self._settings.pulse_s
            self._manners.tidy(now)
            since = now - self._settings.pulse_s
            for peer in self._workers.silent(since):
                sends += self._pulse("ingest", peer, now)
            for peer in self._feed.silent(since):
                sends += self._pulse("feed", peer, now)
        return sends + self._workers.grant(now)

    def deadline(self) -> float:
        """When ``tick`` wants to be called next."""
        times = [self._next_probe, self._leases.next_expiry(), self._feed.deadline(), self._workers.next_grant]
        times.append(self._durable.deadline())
        if self._record.waiting:
            times.append(self._next_settle)
        return min(times)

    def status(self, now: float) -> RunStatus:
        """How the run stands."""
        parts = self._workers.parts(now) + self._feed.parts(now)
        return self._progress.status(
            self._run_id,
            self.state,
            self._record,
            self._leases,
            parts,
            self._record.full or self._durable.trouble or self.retention.stuck(now) or self.retention.trouble,
            now,
        )
