"""A tile's side of the frame lock: what to draw, what to show, and what to pass over.  Pure; time is given.

Messages are taken in batches, all that have come: an eviction forgets what came before it, also a Show that waited
behind a process that was stopped.  A Show that is older than the deadline is passed over too: the eviction that must
follow it may still be on its way.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from renderers.wall.messages import Draw, Evict, Known, Refuse, Show, Welcome

BEAT_S = 0.5
SILENT_S = 3.0
"""A conductor that is not heard for so long is not there: what is shown is marked as old."""
ANEW_S = 1.0
"""Join is said again after so long without an answer."""


class Paint(NamedTuple):
    """Draw this into the back buffer, and say so with ``painted``."""

    draw: Draw
    scene: bytes


class Swap(NamedTuple):
    """Show what was painted."""

    draw: Draw


class Miss(NamedTuple):
    """Say that a frame was not shown, so that it is not counted among those that are."""

    frame: int


class Mark(NamedTuple):
    """Show what was painted last once more, marked as old."""

    why: str


class Greet(NamedTuple):
    """Say Join."""


class Pulse(NamedTuple):
    """Say Beat."""


class Quit(NamedTuple):
    """There is no place for this process."""

    why: str


Step = Paint | Swap | Miss | Mark | Greet | Pulse | Quit


class Seat:
    """One process at one conductor.  What it returns is to be done in order; ``tick`` at ``deadline``."""

    def __init__(self, now: float) -> None:
        self.turn = 0
        self.shown = 0
        """The frame shown last."""
        self.live = False
        """Whether it shows what the wall shows, as far as it knows."""
        self.feed = ""
        self.deadline_s = 0.25
        self.passed_over = 0
        """Shows that were not carried out."""
        self._back: Draw | None = None
        self._welcome = False
        self._heard = now
        self._beat_at = now
        self._greet_at = now
        self._marked = False

    def receive(self, said: Iterable[tuple[Known, bytes]], now: float, there: float) -> list[Step]:
        """All that has come, in order.  ``there``: what the conductor's clock says now."""
        batch = list(said)
        if batch:
            self._heard = now
        last = max((i for i, (message, _) in enumerate(batch) if isinstance(message, Evict)), default=-1)
        steps: list[Step] = []
        newest: Paint | None = None
        for i, (message, payload) in enumerate(batch):
            match message:
                case Welcome():
                    self._welcome, self.turn, self._greet_at = True, 0, inf
                    self.feed, self.deadline_s = message.feed, message.deadline_s
                    self._back, newest = None, None
                case Refuse(reason=why, again=again):
                    if not again:
                        return [Quit(why)]
                    if self._welcome:
                        self._welcome, self._greet_at, self._back, newest = False, now, None, None
                case Evict():
                    if i == last and message.turn != self.turn:
                        steps += self._out(message)
                case Draw() if i > last and self._welcome:
                    newest = Paint(message, payload)
                case Show() if i > last and self._welcome:
                    if newest is not None and newest.draw.frame == message.frame:
                        continue  # it was not painted in time
                    steps += self._show(message, there)
                case _:
                    pass
        if newest is not None:
            steps.append(newest)
        return steps + self.tick(now)

    def painted(self, draw: Draw) -> None:
        """It is in the back buffer; Ready is to be said."""
        self._back = draw
        self._marked = False

    def tick(self, now: float) -> list[Step]:
        """Time has passed."""
        steps: list[Step] = []
        if now >= self._heard + SILENT_S and self._welcome:
            self._welcome, self.live, self._back = False, False, None
            self._greet_at = now
            steps.append(self._mark("the conductor is not heard"))
        if not self._welcome and now >= self._greet_at:
            self._greet_at = now + ANEW_S
            steps.append(Greet())
        if self._welcome and now >= self._beat_at:
            self.beaten(now)
            steps.append(Pulse())
        return steps

    def beaten(self, now: float) -> None:
        """Beat has been said."""
        self._beat_at = now + BEAT_S

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        if not self._welcome:
            return self._greet_at
        return min(self._heard + SILENT_S, self._beat_at)

    @property
    def heard(self) -> float:
        """When the conductor was heard last; before that, when waiting for it began."""
        return self._heard

    @property
    def welcome(self) -> bool:
        """Whether the conductor knows this seat."""
        return self._welcome

    @property
    def owes(self) -> bool:
        """Whether a picture waits to be shown: the swap is not to be held up."""
        return self._back is not None

    # ------------------------------------------------------------------ inside

    def _show(self, show: Show, there: float) -> list[Step]:
        back, self._back = self._back, None
        if back is None or back.frame != show.frame or there - show.at > self.deadline_s:
            self.passed_over += 1
            return [Miss(show.frame)]
        self.shown, self.live, self._marked = show.frame, True, False
        return [Swap(back)]

    def _out(self, evict: Evict) -> list[Step]:
        self.turn, self.live, self._back = evict.turn, False, None
        return [self._mark(evict.why), Pulse()]

    def _mark(self, why: str) -> Mark:
        self._marked = True
        return Mark(why)
