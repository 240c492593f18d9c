"""A relay's decisions: a subscriber with a log of its own that serves others.  Pure.

Its log is a copy, with the epoch and the numbers of the source's, so a subscriber may go from one to the
other and back.  What it is asked about the run it asks its source; where its subscribers look and what they
command it passes on.  A subscriber that is ahead of the copy waits until that has come so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import error as StructError
from typing import NamedTuple

from msgspec.structs import replace

from streamer.cursor import Cursor
from streamer.feed import Feed, Send
from streamer.focus import VIEWS
from streamer.index import CHUNKS, Index
from streamer.manners import Manners
from streamer.record import BadLog, LogBroken, LogFull, LogLike
from streamer.wire.batch import Sent
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.header import MAX_NAME, Refused, brief, decode
from streamer.wire.messages import (
    Archived,
    AskIndex,
    AskStatus,
    AskTable,
    Command,
    Commit,
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
    Trouble,
)
from streamer.wire.volume import RunSpec, encode_spec

MOST_ASKED = 256
"""Questions that are on their way to the source."""
_ROWS = {"merges": 16, "verdicts": 16, "failed": 4, "end": 1}
"""Bytes of a row of an entry that is no chunk."""
ASIDE_S = 60.0
"""A peer that sent three bad messages in a row is not heard for so long."""


class Up(NamedTuple):
    """A message for the source."""

    message: Message


class CopyDamaged(RuntimeError):
    """An entry of the copy is not what it was: the log is to be opened anew, which cuts it there."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"entry {number} of the copy is damaged ({why}): it is fetched again, with all after it")
        self.number = number


class _Checked:
    """A log whose chunks are looked at whenever they are read.  Raises CopyDamaged; not for entries that it lacks."""

    def __init__(self, log: LogLike) -> None:
        self._log = log
        self.gone = 0
        """Before this entry labels had left the source's log already: the copy never had them."""

    @property
    def epoch(self) -> str:
        return self._log.epoch

    @property
    def head(self) -> int:
        return self._log.head

    @property
    def nbytes(self) -> int:
        return self._log.nbytes

    @property
    def evicted(self) -> int:
        return max(self._log.evicted, self.gone)

    @property
    def store(self) -> str:
        return self._log.store

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int:
        return self._log.append(kind, payloads, crcs)

    def largest(self) -> int:
        return self._log.largest()

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        try:
            kind, payloads = self._log.read(number)
        except (LogBroken, IndexError, StructError, BadLog) as why:
            if not 0 <= number < self._log.head:
                raise
            raise CopyDamaged(number, str(why)) from None
        if wrong := damage(kind, payloads):
            raise CopyDamaged(number, wrong)
        return kind, payloads


class Relay:
    """One copy of a log and its subscribers.  Raises BadLog if the log is not of this run."""

    def __init__(
        self, spec: RunSpec, log: LogLike, now: float, *, most: int = 256, retry_s: float = 0.02, pulse_s: float = 2.0,
        idle_s: float = 30.0,
    ) -> None:  # fmt: skip
        self._pulse_s = pulse_s
        self._log = log = _Checked(log)
        self._index = Index(spec.grid, PARTS + spec.layers)
        try:
            for number in range(log.head):
                kind, payloads = log.read(number)
                self._index.note(number, kind, payloads)
                if kind == "evicted":
                    log.gone = number + 1
        except (Refused, ValueError, IndexError) as why:
            raise BadLog(f"the log is not of this run: {why}") from why
        self._feed = Feed(
            log, self._index, encode_spec(spec), most=most, retry_s=retry_s, idle_s=idle_s, ahead=True
        )  # fmt: skip
        self._asked: dict[int, tuple[bytes, int]] = {}
        self._views: dict[tuple[bytes, int], int] = {}
        self._manners = Manners(ASIDE_S, pulse_s)
        self._last = 0
        self._next_probe = now + pulse_s
        self.full = ""
        """Why nothing can be copied, in a sentence; empty while there is room."""

    @property
    def cursors(self) -> list[tuple[str, str, Cursor]]:
        """The subscribers' names, roles and cursors, for figures; not to be changed."""
        return self._feed.cursors()

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

    def elsewhere(self, number: int) -> list[Send]:
        """Labels of entries before this one have left the source's log, and lie where the log says."""
        self._log.gone = max(self._log.gone, number)
        return self._feed.elsewhere()

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
        sends = self._heard(peer, message, payloads, now)
        if not any(isinstance(send, Send) and isinstance(send.message, Refuse) for send in sends):
            self._manners.forgive("feed", peer)
        return sends

    def _heard(self, peer: bytes, message: Message, payloads: Sequence[Buffer], now: float) -> list[Send | Up]:
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
            case Archived() | Trouble():
                return [Up(message)] if self._feed.role(peer) in ("archive", "relay") else []
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
        self._manners.leave("feed", peer)
        gone = [key for key in self._views if key[0] == peer]
        return [Up(Focus(0, 0, 0, 0.0, self._views.pop(key))) for key in gone]

    # ------------------------------------------------------------ bad peers, time

    @property
    def refused(self) -> int:
        """Messages that were answered with Refuse."""
        return self._manners.refused

    @property
    def put_aside(self) -> int:
        """Times that a peer was put aside."""
        return self._manners.put_aside

    def aside(self, peer: bytes, now: float) -> bool:
        """Whether a peer is not heard now."""
        return self._manners.aside("feed", peer, now)

    def garbled(self, peer: bytes, why: str, now: float) -> list[Send | Up]:
        """A peer sent what is no message, or has no meaning here; after the third it is not heard for a while."""
        answer = Send("feed", peer, Refuse(self._manners.strike("feed", peer, why, now)))
        return [answer, *(self.forget(peer) if self.aside(peer, now) else [])]

    def _pulse(self, peer: bytes, now: float) -> list[Send]:
        if not self._manners.may_pulse("feed", peer, now):
            return []
        return [Send("feed", peer, Pulse(self._log.head, self._feed.last_sent(peer)))]

    def tick(self, now: float) -> list[Send]:
        """Asks those who were silent whether they are there."""
        if now < self._next_probe:
            return []
        self._next_probe = now + self._pulse_s
        self._manners.tidy(now)
        return [send for peer in self._feed.silent(now - self._pulse_s) for send in self._pulse(peer, now)]

    def deadline(self) -> float:
        """When ``tick`` or ``drain_feed`` wants to be called next."""
        return min(self._next_probe, self._feed.deadline())


def damage(kind: str, payloads: Sequence[Buffer]) -> str:
    """What is wrong with an entry that has all of its payloads, in words; empty if nothing is."""
    if kind not in CHUNKS:
        row = _ROWS.get(kind, 0)
        if not row:
            return f"an entry of kind {brief(kind, MAX_NAME)!r} is not known here: update CaveCast on this side"
        return "" if payloads and not len(payloads[0]) % row else f"an entry of {kind} that is not made of rows"
    try:
        commit, _ = decode([memoryview(payloads[0])]) if payloads else (None, ())
    except Refused as why:
        return str(why)
    if not isinstance(commit, Commit) or len(commit.parts) != len(payloads) - 1:
        return "a chunk whose header is no commit of its parts"
    for info, raw in zip(commit.parts, payloads[1:], strict=True):
        if kind == "evicted" and not len(raw):
            continue
        if len(raw) != info.size or crc32c(raw) != info.crc:
            return f"chunk {commit.chunk}: part {info.name} differs from what its header says"
    return ""
