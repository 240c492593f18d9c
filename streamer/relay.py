"""A relay's decisions: a subscriber with a log of its own that serves others.  Pure.

Its log is a copy, with the epoch and the numbers of the source's, so a subscriber may go from one to the
other and back.  What it is asked about the run it asks its source; where its subscribers look and what they
command it passes on.  A subscriber that is ahead of the copy waits until that has come so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from msgspec.structs import replace

from streamer.feed import Feed, Send
from streamer.focus import VIEWS
from streamer.index import Index
from streamer.record import BadLog, LogFull, LogLike
from streamer.wire.batch import Sent
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.header import Refused, brief
from streamer.wire.messages import (
    AskIndex,
    AskStatus,
    AskTable,
    Command,
    Credit,
    Fetch,
    Focus,
    Goodbye,
    Hello,
    Message,
    Pulse,
    Refuse,
    Status,
    Table,
)
from streamer.wire.volume import RunSpec, encode_spec

MOST_ASKED = 256
"""Questions that are on their way to the source."""
STRIKES = 3
ASIDE_S = 60.0
MOST_STRANGERS = 1024


class Up(NamedTuple):
    """A message for the source."""

    message: Message


class Relay:
    """One copy of a log and its subscribers.  Raises BadLog if the log is not of this run."""

    def __init__(
        self, spec: RunSpec, log: LogLike, now: float, *, most: int = 256, retry_s: float = 0.02, pulse_s: float = 2.0,
        idle_s: float = 30.0, disk_retry_s: float = 0.5,
    ) -> None:  # fmt: skip
        self._log, self._pulse_s, self._disk_retry_s = log, pulse_s, disk_retry_s
        self._index = Index(spec.grid, PARTS + spec.layers)
        try:
            for number in range(log.head):
                self._index.note(number, *log.read(number))
        except (Refused, ValueError, IndexError) as why:
            raise BadLog(f"the log is not of this run: {why}") from why
        self._feed = Feed(
            log, self._index, encode_spec(spec), most=most, retry_s=retry_s, idle_s=idle_s, ahead=True
        )  # fmt: skip
        self._asked: dict[int, tuple[bytes, int]] = {}
        self._views: dict[tuple[bytes, int], int] = {}
        self._bad: dict[bytes, tuple[int, float]] = {}
        self._pulsed: dict[bytes, float] = {}
        self._last = 0
        self._next_probe = now + pulse_s
        self.full = ""
        """Why nothing can be copied, in a sentence; empty while there is room."""

    @property
    def head(self) -> int:
        """The number of the entry that is wanted next from the source."""
        return self._log.head

    # ------------------------------------------------------------ from the source

    def copy(self, sent: Sent) -> bool:
        """The next entry; returns whether it is in the log, which it is not while the disk is full."""
        if sent.entry.number != self._log.head:
            raise ValueError(f"entry {sent.entry.number} cannot follow {self._log.head - 1}")
        try:
            number = self._log.append(sent.entry.kind, sent.payloads)
        except LogFull as why:
            self.full = str(why)
            return False
        self.full = ""
        self._index.note(number, sent.entry.kind, sent.payloads)
        return True

    def answered(self, message: Message, payloads: Sequence[Buffer]) -> list[Send]:
        """The source answers a question: so does the relay."""
        if not isinstance(message, Status | Table):
            return []
        peer, request = self._asked.pop(message.request, (b"", 0))
        return [Send("feed", peer, replace(message, request=request), payloads)] if peer else []

    # ------------------------------------------------------------ from those who are served

    def feed(self, peer: bytes, message: Message, payloads: Sequence[Buffer], now: float) -> list[Send | Up]:
        """A peer's message; what is to be sent because of it, to peers or to the source."""
        if self.aside(peer, now):
            return []
        known = self._feed.heard(peer, now)
        match message:
            case Hello():
                return list(self._feed.hello(peer, message, now))
            case Credit():
                return list(self._feed.credit(peer, message, now))
            case Fetch():
                return list(self._feed.fetch(peer, message, payloads, now))
            case AskIndex():
                return list(self._feed.present(peer, message))
            case Pulse():
                return list(self._pulse(peer, now)) if known else []
            case Goodbye():
                return list(self.forget(peer))
            case AskStatus() | AskTable():
                return [self._ask(peer, message)]
            case Focus():
                return [Up(replace(message, view=self._view(peer, message.view)))] if known else []
            case Command():
                return [Up(message)]
        return list(self.garbled(peer, f"a {type(message).__name__} has no meaning at a relay", now))

    def _ask(self, peer: bytes, question: AskStatus | AskTable) -> Up:
        self._last += 1
        self._asked[self._last] = peer, question.request
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        return Up(replace(question, request=self._last))

    def _view(self, peer: bytes, view: int) -> int:
        """The number under which the source knows a view; the one that was named longest ago gives way."""
        number = self._views.pop((peer, view), -1)
        if number < 0:
            free = set(range(VIEWS)) - set(self._views.values())
            number = min(free) if free else self._views.pop(next(iter(self._views)))
        self._views[peer, view] = number
        return number

    def drain_feed(self, now: float) -> Iterator[Send]:
        """Entries that credit allows (see ``Feed.drain``)."""
        return self._feed.drain(now)

    def stuck(self, send: Send, now: float) -> None:
        """What was given last could not be sent: the peer does not read."""
        self._feed.stuck(send, now)

    def forget(self, peer: bytes) -> list[Up]:
        """A peer has gone, and looks nowhere any more."""
        self._feed.forget(peer)
        self._pulsed.pop(peer, None)
        gone = [key for key in self._views if key[0] == peer]
        return [Up(Focus(0, 0, 0, 0.0, self._views.pop(key))) for key in gone]

    # ------------------------------------------------------------ bad peers, time

    def aside(self, peer: bytes, now: float) -> bool:
        """Whether a peer is not heard now."""
        strikes, until = self._bad.get(peer, (0, -inf))
        if strikes >= STRIKES and until <= now:
            del self._bad[peer]
        return strikes >= STRIKES and until > now

    def garbled(self, peer: bytes, why: str, now: float) -> list[Send | Up]:
        """A peer sent what is no message, or has no meaning here; after the third it is not heard for a while."""
        strikes = self._bad.pop(peer, (0, 0.0))[0] + 1
        self._bad[peer] = strikes, now + ASIDE_S
        if len(self._bad) > MOST_STRANGERS:
            del self._bad[next(iter(self._bad))]
        gone = self.forget(peer) if strikes >= STRIKES else []
        return [Send("feed", peer, Refuse(brief(why))), *gone]

    def _pulse(self, peer: bytes, now: float) -> list[Send]:
        if now - self._pulsed.get(peer, -inf) < self._pulse_s / 4:
            return []
        self._pulsed[peer] = now
        return [Send("feed", peer, Pulse(self._log.head, self._feed.last_sent(peer)))]

    def tick(self, now: float) -> list[Send]:
        """Asks those who were silent whether they are there."""
        if now < self._next_probe:
            return []
        self._next_probe = now + self._pulse_s
        return [send for peer in self._feed.silent(now - self._pulse_s) for send in self._pulse(peer, now)]

    def deadline(self, now: float) -> float:
        """When ``tick`` wants to be called next; sooner while the disk is full, to try again."""
        full = now + self._disk_retry_s if self.full else inf
        return min(self._next_probe, self._feed.deadline(), full)
