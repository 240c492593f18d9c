"""The subscribers: each one a cursor into the log, served in turn as far as its credit goes.

Nothing is queued for anybody.  An entry is read from the log at the moment at which somebody who asked
for it may have it; a subscriber that does not read only stays where it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

from streamer.cursor import Cursor
from streamer.record import LogLike
from streamer.status import Rate
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.messages import MAX_NAME, VERSION, Credit, Entry, Hello, Message, Part, Refuse, Welcome, brief

Door = Literal["ingest", "feed"]


class Send(NamedTuple):
    """A message for a peer at one of the two doors."""

    door: Door
    peer: bytes
    message: Message
    payloads: Sequence[Buffer] = ()


@dataclass(slots=True)
class _Subscriber:
    name: str
    role: str
    cursor: Cursor
    places: tuple[int, ...]
    """Which payloads of a chunk's entry it wants: places in it, the commit's header (0) among them."""
    heard: float
    rate: Rate
    retry: float = 0.0
    """Its pipe was full: not to be tried before."""
    told: bool = False
    """It has been told that its window is too small."""


class Feed:
    """The subscribers of a log."""

    def __init__(self, log: LogLike, spec: bytes, *, most: int, retry_s: float, idle_s: float) -> None:
        self._log, self._spec = log, spec
        self._most, self._retry_s, self._idle_s = most, retry_s, idle_s
        self._subscribers: dict[bytes, _Subscriber] = {}
        self._turn: deque[bytes] = deque()

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._subscribers

    def hello(self, peer: bytes, message: Hello, now: float) -> list[Send]:
        """A subscriber comes, or starts anew after a silence: where it stopped if that is a place in this log."""
        if peer not in self._subscribers and len(self._subscribers) >= self._most and not self._make_room(now):
            return [
                Send("feed", peer, Refuse(f"{self._most} subscribers are served already: stop one, or use a relay"))
            ]
        if message.role == "worker":
            return [Send("feed", peer, Refuse("workers are served at the other door: take the address of --ingest"))]
        unknown = set(message.parts) - set(PARTS)
        if unknown:
            why = f"a chunk has no part {sorted(unknown)[0][:MAX_NAME]!r}; there are {', '.join(PARTS)}"
            return [Send("feed", peer, Refuse(brief(why)))]
        goes_on = message.epoch == self._log.epoch and 0 <= message.next <= self._log.head
        self.forget(peer)
        self._subscribers[peer] = _Subscriber(
            name=message.name[:MAX_NAME],
            role=message.role[:MAX_NAME],
            cursor=Cursor.at(message.next if goes_on else 0),
            places=(0, *(1 + PARTS.index(part) for part in PARTS if part in message.parts)),
            heard=now,
            rate=Rate(now),
        )
        self._turn.append(peer)
        welcome = Welcome(VERSION, self._log.epoch, self._log.head, self._log.largest())
        return [Send("feed", peer, welcome, [self._spec])]

    def _make_room(self, now: float) -> bool:
        """Lets go of the subscriber that has been silent for longest, if it has been for long."""
        peer = min(self._subscribers, key=lambda p: self._subscribers[p].heard, default=b"")
        if not peer or now - self._subscribers[peer].heard < self._idle_s:
            return False
        self.forget(peer)
        return True

    def heard(self, peer: bytes, now: float) -> bool:
        """A peer gave a sign of life; returns whether it is a subscriber."""
        subscriber = self._subscribers.get(peer)
        if subscriber is None:
            return False
        subscriber.heard = now
        return True

    def credit(self, peer: bytes, message: Credit, now: float) -> list[Send]:
        """A subscriber asks for more.  A window that cannot hold the next entry is refused in words, once."""
        subscriber = self._subscribers.get(peer)
        if subscriber is None:
            # After a restart of the streamer.  Silence makes it say Hello again, with its number.
            return []
        subscriber.heard, subscriber.retry = now, 0.0
        cursor = subscriber.cursor
        cursor.credit(message.bytes, message.messages, message.next)
        if cursor.next < self._log.head and not cursor.needs:
            cursor.needs = self._entry(subscriber)[1]
        if not cursor.starved:
            subscriber.told = False
            return []
        if subscriber.told:
            return []
        subscriber.told = True
        why = (
            f"entry {cursor.next} takes {cursor.needs:,} bytes and the window of {subscriber.name or 'the peer'} "
            f"has {max(cursor.room, 0):,}: give more credit"
        )
        return [Send("feed", peer, Refuse(brief(why)))]

    def forget(self, peer: bytes) -> None:
        """The peer is gone."""
        if self._subscribers.pop(peer, None) is not None:
            self._turn.remove(peer)

    def stuck(self, send: Send, now: float) -> None:
        """The message that ``drain`` gave last could not be sent: its peer's pipe is full.  Its cursor goes back."""
        subscriber = self._subscribers.get(send.peer)
        if subscriber is None or not isinstance(send.message, Entry):
            return
        subscriber.cursor.unsent(send.message.prev, sum(len(raw) for raw in send.payloads))
        subscriber.retry = now + self._retry_s

    def drain(self, now: float) -> Iterator[Send]:
        """What may be sent, one entry to each subscriber in turn.  What is given counts as sent (see ``stuck``)."""
        idle = 0
        while idle < len(self._turn):
            peer = self._turn[0]
            self._turn.rotate(-1)
            send = self._next(peer, now)
            if send is None:
                idle += 1
            else:
                idle = 0
                yield send

    def _next(self, peer: bytes, now: float) -> Send | None:
        subscriber = self._subscribers[peer]
        cursor = subscriber.cursor
        if subscriber.retry > now:
            return None
        subscriber.retry = 0.0
        if not cursor.may_send(self._log.head):
            return None
        entry, size, payloads = self._entry(subscriber)
        if size > cursor.room:
            cursor.needs = size
            return None
        cursor.sent(size)
        subscriber.rate.add(1, now)
        return Send("feed", peer, entry, payloads)

    def _entry(self, subscriber: _Subscriber) -> tuple[Entry, int, list[memoryview]]:
        """The next entry as this subscriber wants it, and its size in bytes."""
        cursor = subscriber.cursor
        kind, payloads = self._log.read(cursor.next)
        if kind == "chunk":
            payloads = [payloads[place] for place in subscriber.places]
        return Entry(cursor.next, cursor.prev, kind), sum(len(raw) for raw in payloads), payloads

    def silent(self, since: float) -> list[bytes]:
        """The subscribers that have given no sign of life since a time."""
        return [peer for peer, subscriber in self._subscribers.items() if subscriber.heard < since]

    def deadline(self) -> float:
        """When a subscriber whose pipe was full is to be tried again, or infinity."""
        return min((s.retry for s in self._subscribers.values() if s.retry), default=inf)

    def parts(self, now: float) -> list[Part]:
        """The subscribers as a status shows them."""
        head = self._log.head
        return [
            Part(
                subscriber.name,
                subscriber.role,
                subscriber.cursor.read,
                head,
                rate := subscriber.rate.per_s(now),
                (head - subscriber.cursor.read) / rate if rate > 0 else None,
            )
            for subscriber in self._subscribers.values()
            if subscriber.role != "control"
        ]
