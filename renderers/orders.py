"""The darkroom's orders: whose picture or film is made, when it is its turn, and which piece of the file leaves.  Pure.

One is made at a time, few wait, and they are begun when the scene is whole, as far as is known.  A piece leaves when
those before it have been taken, the last one only when it is known to be the last; nothing more is drawn meanwhile, so
that no more than a few are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf
from typing import Literal, NamedTuple

from streamer.wire.taking import Wish

MOST_WAITING = 4
MOST_ON_THE_WAY = 3
PIECE = 1 << 20
TURN_S = 0.25
"""Somebody who drags is interrupted so often at the most."""
HOLD_S = 5.0
"""So long the scene is held still for a picture in several tiles."""
SILENT_S = 60.0
"""Whoever takes nothing for so long has gone."""
WARM_S, PATIENT_S = 2.0, 20.0
"""A scene that is there for so long and does not change is whole, as far as is known; so long that is waited for."""
LOOK_S = 0.1
BUSY = 429, 503

Deed = Literal["wait", "draw", "end", "lost"]
"""What is to be done for the order that is being made: nothing yet; its next small picture; it is done with, because
all of it is on its way or because nobody takes it."""


class Order(NamedTuple):
    """What somebody wants."""

    peer: bytes
    wish: Wish
    asked_at: float


class Refusal(NamedTuple):
    """Whose order is not made, and why: a status of HTTP and a sentence."""

    peer: bytes
    status: int
    why: str


class Sight(NamedTuple):
    """What there is to be seen: anything; that stays as it is if nothing new happens; of a run that has ended."""

    there: bool
    settled: bool
    over: bool


class Piece(NamedTuple):
    """A part of the file that may leave now."""

    number: int
    raw: bytes
    last: bool


class Orders:
    """Times in seconds, on a clock that never goes back."""

    def __init__(self) -> None:
        self.job: Order | None = None
        """The one that is being made."""
        self.drawings = 0
        """Small pictures that were drawn for it."""
        self._waiting: deque[Order] = deque()
        self._working = self._works = 0
        self._pieces: deque[bytes] = deque()
        self._over = False
        self._sent = self._taken = 0
        self._turn_at = self._begun_at = self._heard_at = -inf
        self._there_at: float | None = None

    # ------------------------------------------------------------------ who asks

    def ask(self, order: Order) -> Refusal | None:
        """Somebody wants a file; he waits, unless too many do."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(order)
            return None
        why = f"{MOST_WAITING} pictures and films wait to be made by this renderer already: try again in a minute"
        return Refusal(order.peer, BUSY[0], why)

    def gone(self, peer: bytes) -> bool:
        """Somebody does not want his file any more; whether it is the one that is being made."""
        self._waiting = deque(order for order in self._waiting if order.peer != peer)
        return self.job is not None and self.job.peer == peer

    def taken(self, peer: bytes, piece: int, now: float) -> bool:
        """A piece has been taken; False if it is none of ours."""
        if self.job is None or peer != self.job.peer:
            return False
        if self._taken < piece <= self._sent:
            self._taken, self._heard_at = piece, now
        return True

    # ------------------------------------------------------------------ whose turn it is

    def begin(self, sight: Sight, now: float) -> Order | Refusal | None:
        """The order that is being made from now on, or that is not to be; None: none yet, or one still is."""
        if sight.there and self._there_at is None:
            self._there_at = now
        if self.job is not None or not self._waiting:
            return None
        patient = now >= self._waiting[0].asked_at + PATIENT_S
        if self._there_at is None:
            if not patient:
                return None
            peer = self._waiting.popleft().peer
            return Refusal(peer, BUSY[1], "there is nothing to be seen of the run yet: try again in a moment")
        # A run that is served again comes piece by piece; who asks right then wants to see it all.
        warm = sight.settled and now >= self._there_at + WARM_S
        if not (sight.over or warm or patient):
            return None
        self.job = self._waiting.popleft()
        self._over = False
        self._sent = self._taken = self.drawings = 0
        self._begun_at = self._heard_at = now
        return self.job

    def end(self) -> None:
        """The order is done, or given up."""
        self.job = None
        self._working = 0
        self._pieces.clear()

    def holding(self, now: float) -> bool:
        """Whether the scene should stay as it is: the parts of a picture are to fit."""
        picture = self.job is not None and self.job.wish.kind == "picture" and not self._over
        return picture and now < self._begun_at + HOLD_S

    def rest_s(self, due: float, rung: bool, now: float) -> float:
        """How long until there is something to do; ``due``: when a viewer's picture is, ``rung``: some work is done."""
        if self.job is None:
            return LOOK_S if self._waiting else inf
        if self._working and not rung:
            return inf  # it rings
        if self._blocked:
            return max(0.0, self._heard_at + SILENT_S - now)
        return 0.0 if due > now else max(0.0, self._turn_at + TURN_S - now)

    def turn(self, now: float) -> Deed:
        """What is to be done now, when what could leave has left.  ``draw`` is to be followed by drawn or finished."""
        assert self.job is not None
        if self._working:
            return "wait"
        if self._blocked:
            return "lost" if now >= self._heard_at + SILENT_S else "wait"
        if self._over:
            return "end"
        self._turn_at = now
        return "draw"

    # ------------------------------------------------------------------ what is made

    def drawn(self) -> int:
        """A small picture was drawn: the number of the work that puts it into the file, beside the drawing."""
        self.drawings += 1
        self._works += 1
        self._working = self._works
        return self._working

    def worked(self, number: int) -> bool:
        """That work is done; False if it was for an order that was given up."""
        if number != self._working:
            return False
        self._working = 0
        return True

    def finished(self) -> None:
        """There is nothing more to be drawn."""
        self._over = True

    def cut(self, raw: bytes) -> None:
        """So much more of the file is there."""
        self._pieces.extend(raw[at : at + PIECE] for at in range(0, len(raw), PIECE))

    def leaving(self, now: float) -> Iterator[Piece]:
        """The pieces that may leave; each counts as sent."""
        while self._sent - self._taken < MOST_ON_THE_WAY and len(self._pieces) > (0 if self._over else 1):
            raw = self._pieces.popleft()
            self._sent += 1
            self._heard_at = now
            yield Piece(self._sent, raw, self._over and not self._pieces)

    @property
    def _blocked(self) -> bool:
        """Whether what is ready has to be taken first."""
        return self._sent - self._taken >= MOST_ON_THE_WAY and bool(self._pieces)
