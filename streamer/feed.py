"""The subscribers: each one a cursor into the log, served in turn as far as its credit goes.

Nothing is queued for anybody.  An entry is read from the log at the moment at which somebody who asked
for it may have it; a subscriber that does not read only stays where it is.  What is not for it (another
region) its cursor passes over; what it fetches by number comes between what it follows; small entries
travel together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from math import inf
from typing import Literal, NamedTuple

import numpy as np

from streamer.cursor import Cursor
from streamer.index import CHUNKS, Index, Region
from streamer.record import LogLike
from streamer.subscriber import Subscriber
from streamer.wire.batch import BATCH_ENTRIES, Sent, pack_entries, pack_present
from streamer.wire.codec import Buffer
from streamer.wire.header import VERSION, Refused, brief
from streamer.wire.messages import (
    FETCHED,
    MOST_FETCHED,
    AskIndex,
    Credit,
    Entries,
    Entry,
    Fetch,
    Hello,
    Message,
    Refuse,
    Snapshot,
    Welcome,
)
from streamer.wire.status import Part

Door = Literal["ingest", "feed"]
STRIDES = 8
"""How often a cursor is taken past what is not for it before others have their turn."""


class Send(NamedTuple):
    """A message for a peer at one of the two doors."""

    door: Door
    peer: bytes
    message: Message
    payloads: Sequence[Buffer] = ()


class Feed:
    """The subscribers of a log, whose entries ``index`` knows."""

    def __init__(
        self, log: LogLike, index: Index, spec: bytes, *, most: int, retry_s: float, idle_s: float, ahead: bool = False
    ) -> None:
        """``ahead``: this log is a copy, and a subscriber that has read on elsewhere waits until the copy follows."""
        self._ahead = ahead
        self._log, self._index, self._spec = log, index, spec
        self._most, self._retry_s, self._idle_s = most, retry_s, idle_s
        self._subscribers: dict[bytes, Subscriber] = {}
        self._turn: deque[bytes] = deque()

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._subscribers

    @property
    def peers(self) -> list[bytes]:
        """All subscribers."""
        return list(self._subscribers)

    def hello(self, peer: bytes, message: Hello, now: float) -> list[Send]:
        """A subscriber comes, or starts anew after a silence: where it stopped if that is a place in this log."""
        if peer not in self._subscribers and len(self._subscribers) >= self._most and not self._make_room(now):
            return [
                Send("feed", peer, Refuse(f"{self._most} subscribers are served already: stop one, or use a relay"))
            ]
        if message.role == "worker":
            return [Send("feed", peer, Refuse("workers are served at the other door: take the address of --ingest"))]
        try:
            subscriber = Subscriber.of(message, self._index, now)
        except Refused as why_not:
            return [Send("feed", peer, Refuse(brief(str(why_not))))]
        goes_on = message.epoch == self._log.epoch and message.next >= 0
        goes_on = goes_on and (self._ahead or message.next <= self._log.head)
        self.forget(peer)
        subscriber.cursor = Cursor.at(message.next if goes_on else 0)
        self._subscribers[peer] = subscriber
        self._turn.append(peer)
        head = max(self._log.head, subscriber.cursor.next)
        welcome = Welcome(VERSION, self._log.epoch, head, self._log.largest())
        return [Send("feed", peer, welcome, [self._spec]), *self._elsewhere(peer)]

    def elsewhere(self) -> list[Send]:
        """Tells those who will miss labels where these are: it has become known only now."""
        return [send for peer in self._subscribers for send in self._elsewhere(peer)]

    def _elsewhere(self, peer: bytes) -> list[Send]:
        if self._subscribers[peer].cursor.next >= self._log.evicted:
            return []
        return [Send("feed", peer, Snapshot(self._log.evicted, self._log.store))]

    def role(self, peer: bytes) -> str:
        """What a subscriber said that it is; empty if it is none."""
        subscriber = self._subscribers.get(peer)
        return "" if subscriber is None else subscriber.role

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
        if self._find(subscriber) and not cursor.needs:
            cursor.needs = self._entry(subscriber, cursor.next).nbytes
        number, needs = (cursor.next, cursor.needs) if cursor.starved else (-1, 0)
        if subscriber.wanted and subscriber.fetch_needs > cursor.widest:
            number, needs = subscriber.wanted[0], subscriber.fetch_needs
        if number < 0:
            subscriber.told = False
            return []
        if subscriber.told:
            return []
        subscriber.told = True
        why = (
            f"entry {number} takes {needs:,} bytes and the window of {subscriber.name or 'the peer'} "
            f"has {max(cursor.room, 0):,}: give more credit"
        )
        return [Send("feed", peer, Refuse(brief(why)))]

    def fetch(self, peer: bytes, message: Fetch, payloads: Sequence[Buffer], now: float) -> list[Send]:
        """A subscriber wants some entries by their numbers, in place of those that it asked for before."""
        subscriber = self._subscribers.get(peer)
        if subscriber is None:
            return []
        if len(payloads) != 1 or not 0 <= message.count <= MOST_FETCHED or len(payloads[0]) != 8 * message.count:
            why = f"{MOST_FETCHED} entries at most may be fetched at a time, in one payload of 8 bytes each"
            return [Send("feed", peer, Refuse(why))]
        numbers = np.frombuffer(payloads[0], "<u8").tolist()
        if any(number >= self._log.head for number in numbers):
            why = f"the log has entries 0 to {self._log.head - 1}; others were to be fetched"
            return [Send("feed", peer, Refuse(why))]
        subscriber.wanted, subscriber.fetch_coarse = deque(numbers), message.level > 0
        subscriber.heard = now
        if numbers and min(numbers) < self._log.evicted:
            return [Send("feed", peer, Snapshot(self._log.evicted, self._log.store))]
        return []

    def present(self, peer: bytes, message: AskIndex) -> list[Send]:
        """What is there now, for anybody who asks."""
        try:
            region = Region(self._index.grid, message.region) if message.region else None
        except Refused as why:
            return [Send("feed", peer, Refuse(brief(str(why))))]
        return [Send("feed", peer, *pack_present(message.request, self._index.present(self._log.epoch, region)))]

    def last_sent(self, peer: bytes) -> int:
        """The entry that was sent to a subscriber last, in the order of the log."""
        subscriber = self._subscribers.get(peer)
        return FETCHED if subscriber is None else subscriber.cursor.prev

    def forget(self, peer: bytes) -> None:
        """The peer is gone."""
        if self._subscribers.pop(peer, None) is not None:
            self._turn.remove(peer)

    def stuck(self, send: Send, now: float) -> None:
        """The message that ``drain`` gave last could not be sent: its peer's pipe is full.  Its cursor goes back."""
        subscriber = self._subscribers.get(send.peer)
        if subscriber is None or not isinstance(send.message, Entry | Entries):
            return
        before, fetched = subscriber.before
        subscriber.cursor.unsent(before)
        if fetched >= 0:
            subscriber.wanted.appendleft(fetched)
        subscriber.retry = now + self._retry_s

    def drain(self, now: float) -> Iterator[Send]:
        """What may be sent, one message to each subscriber in turn.  What is given counts as sent (see ``stuck``)."""
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
        if subscriber.retry > now or subscriber.cursor.room < 0:
            return None
        subscriber.retry = 0.0
        follows = self._find(subscriber)
        if subscriber.wanted and (subscriber.fetch_next or not follows):
            batch = self._fetched(subscriber)
        elif follows:
            batch = self._followed(subscriber)
        else:
            if subscriber.cursor.next < self._log.head:
                subscriber.retry = now  # there is more to pass over, when the others have had their turn
            return None
        if not batch:
            return None
        subscriber.fetch_next = not subscriber.fetch_next
        subscriber.rate.add(len(batch), now)
        if len(batch) == 1:
            return Send("feed", peer, batch[0].entry, batch[0].payloads)
        return Send("feed", peer, *pack_entries(batch))

    def _find(self, subscriber: Subscriber) -> bool:
        """Takes a cursor past what is not for its subscriber; returns whether it stands at an entry that is."""
        cursor = subscriber.cursor
        if subscriber.region is not None:
            for _ in range(STRIDES):
                cursor.skip(self._index.next_for(subscriber.region, cursor.next))
                if cursor.next >= self._log.head or self._index.is_for(subscriber.region, cursor.next):
                    break
            else:
                return False
        return cursor.next < self._log.head

    def _followed(self, subscriber: Subscriber) -> list[Sent]:
        """The next entries in the order of the log, as many as go into one message."""
        cursor, batch, total = subscriber.cursor, list[Sent](), 0
        subscriber.before = cursor.copy(), -1
        while len(batch) < BATCH_ENTRIES and cursor.may_send(self._log.head):
            if batch and not self._find(subscriber):
                break
            entry, payloads, size = self._entry(subscriber, cursor.next)
            if size > cursor.room or (batch and total + size > subscriber.batch):
                cursor.needs = size
                break
            batch.append(Sent(Entry(entry.number, cursor.prev, entry.kind), payloads, size))
            cursor.sent(size)
            total += size
            if total >= subscriber.batch:
                break
        return batch

    def _fetched(self, subscriber: Subscriber) -> list[Sent]:
        """The entry that was asked for by number, if there is room for it."""
        cursor = subscriber.cursor
        sent = self._entry(subscriber, subscriber.wanted[0], coarse=subscriber.fetch_coarse)
        if sent.nbytes > cursor.room:
            subscriber.fetch_needs = sent.nbytes
            return []
        subscriber.fetch_needs = 0
        subscriber.before = cursor.copy(), subscriber.wanted.popleft()
        cursor.fetched(sent.nbytes)
        return [sent]

    def _entry(self, subscriber: Subscriber, number: int, *, coarse: bool = False) -> Sent:
        """An entry as this subscriber wants it."""
        try:
            kind, payloads = self._log.read(number)
        except IndexError:
            kind, payloads = "gone", []
        if kind in CHUNKS:
            payloads = [payloads[place] for place in (subscriber.coarse if coarse else subscriber.places)]
        return Sent(Entry(number, FETCHED, kind), payloads, sum(len(raw) for raw in payloads))

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
                subscriber.cursor.reached,
                head,
                rate := subscriber.rate.per_s(now),
                (head - subscriber.cursor.reached) / rate if rate > 0 else None,
            )
            for subscriber in self._subscribers.values()
            if subscriber.role != "control"
        ]

    def cursors(self) -> list[tuple[str, str, Cursor]]:
        """The subscribers' names, roles and cursors, for figures; not to be changed."""
        return [(one.name, one.role, one.cursor) for one in self._subscribers.values()]
