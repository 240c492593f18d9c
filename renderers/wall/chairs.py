"""What is said at the barrier: its rules, what seats can draw, and what is to be done.  Pure records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Literal, NamedTuple

State = Literal["out", "waiting", "guest", "live", "dead"]
"""``out``: evicted, does not know yet; ``waiting``: wants in; ``guest``: draws, but nobody waits for it."""


class Rules(NamedTuple):
    """How patient the wall is."""

    deadline_s: float = 0.25
    """From Draw to Show, at most."""
    rate_hz: float = 60.0
    """Frames are begun no faster."""
    dead_s: float = 3.0
    """A seat that is not heard for so long is dead."""
    stale_s: float = 2.0
    """A seat may hold the others back so long."""
    stale_entries: int = 1000
    """A seat may be so many entries behind the foremost."""
    most_seats: int = 256
    longest_pause_s: float = 10.0
    """One that misses again and again is asked at least so often."""
    most_step: int = 64
    """Entries by which one frame may be ahead of the one before it."""


class Span(NamedTuple):
    """Positions in a log that a seat can draw: from what it has drawn (it cannot go back) to what it has got."""

    epoch: str
    floor: int
    reached: int


class Look(NamedTuple):
    """A view by its number; what is behind it is not looked at here."""

    number: int
    content: object


class Draw(NamedTuple):
    """These seats draw this, each into its back buffer."""

    seats: tuple[str, ...]
    frame: int
    look: Look
    epoch: str
    position: int


class Show(NamedTuple):
    """These seats show the frame, now."""

    seats: tuple[str, ...]
    frame: int


class Evict(NamedTuple):
    """This seat is out: it forgets what it has drawn."""

    seat: str
    turn: int
    stale: bool
    """It was behind in the log; else it was late with a frame."""
    why: str


Act = Draw | Show | Evict


class Full(ValueError):
    """There are as many seats as there may be."""


class Chair:
    """A seat, as the barrier keeps it."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.state: State = "waiting"
        self.heard = now
        self.turn = 0
        self.spans: tuple[Span, ...] = ()
        self.misses = 0
        self.not_before = -inf
        self.live_since = inf
        self.trial = -1
        """The frame that it draws as a guest."""
        self.trial_until = inf
        self.why = ""
        self.stale = False

    def span(self, epoch: str) -> Span | None:
        """What it can draw of a log."""
        return next((span for span in self.spans if span.epoch == epoch), None)

    def can(self, epoch: str, position: int) -> bool:
        """Whether it can draw this."""
        span = self.span(epoch)
        return span is not None and span.floor <= position <= span.reached


class Flight(NamedTuple):
    """The frame that is being drawn."""

    frame: int
    waited: set[str]
    guests: set[str]
    ready: set[str]
    begun: float
    moved: bool


class At(NamedTuple):
    """What a wall shows of a log, and by how many entries one frame may be ahead of the one before."""

    epoch: str
    position: int
    step: int


def choose(at: At, live: Sequence[Chair], entrants: Sequence[Chair]) -> tuple[str, int]:
    """Log and position of the next frame: never back within a log."""
    seats = live or entrants
    if not seats:
        return at.epoch, at.position
    newest = {seat.spans[-1].epoch for seat in seats if seat.spans}
    if live:
        epoch = next(iter(newest)) if len(newest) == 1 and all(seat.spans for seat in live) else at.epoch
    else:
        votes = Counter(seat.spans[-1].epoch for seat in seats if seat.spans)
        epoch = max(votes, key=lambda one: (votes[one], one == at.epoch, one), default=at.epoch)
    spans = [span for seat in seats if (span := seat.span(epoch)) is not None]
    if not spans:
        return at.epoch, at.position
    floor = max(span.floor for span in spans)
    if epoch != at.epoch:
        if live and min(span.reached for span in spans) < floor:
            return at.epoch, at.position
        return epoch, floor
    top = min((span.reached for span in spans), default=0) if live else floor
    return epoch, max(at.position, min(top, at.position + at.step) if live else top)
