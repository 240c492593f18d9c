"""What a viewer's link carries, and from that how many pictures are on their way, and how fine they are.  Pure.

What is known is how long pictures take from leaving to being acknowledged.  Where that is too long,
quality goes first, then resolution; what is still too much costs frames, by the credit alone.  A step down that does
not make pictures quicker is undone: a link that is long but wide loses nothing.  Where the link is thin besides
(``renderers.flow``), who can decode H.264 gets that, on which the same is tried in the same order.
"""

from __future__ import annotations

from math import ceil, inf
from typing import NamedTuple

from renderers.flow import Flow, Thin, kbit_for
from streamer.wire.view import ALWAYS, NEVER, THIN


class Fineness(NamedTuple):
    """How much of a picture is sent while it moves."""

    quality: int
    """Of the JPEG."""
    half: bool
    """Half the resolution each way."""


RUNGS = (Fineness(75, False), Fineness(55, False), Fineness(40, False), Fineness(50, True), Fineness(35, True))
"""From fine to coarse."""
SHARES = (0.55, 0.45, 0.4, 0.4, 0.3)
"""The same for H.264, whose quality follows from the bits that it may have, as a share of what the link carries: where
there is no room left, pictures wait for each other.  The last two have half the resolution."""
LONG_S, SHORT_S = 0.110, 0.070
"""Pictures that take longer are made smaller; those that take less may be larger."""
NEAR = 1.25
"""So do pictures that take hardly longer than the quickest did: a link may be long."""
GAIN = 0.9
"""A step down has to bring a picture's time below this part of what it was."""
TRY_AGAIN_S = 20.0
"""After so long a step down that was of no use is tried again: something else may have held up the pictures."""
STEADY = 4
"""Pictures after which a step is judged."""
CLIMB_S = 2.0
"""Steps up are so far apart, and twice as far each time that one turns out to be too many."""
LONGEST_CLIMB_S = 32.0
INTERVAL_S = 1 / 30
MOST_IN_FLIGHT = 4


class Link:
    """One viewer's link."""

    def __init__(self) -> None:
        self._rung = 0
        self._sent_at: dict[int, float] = {}
        self._trips: list[float] = []
        self._before: float | None = None
        """What pictures took on the rung above, if that was left because of it."""
        self._floor = len(RUNGS) - 1
        """Lower rungs have turned out to be of no use."""
        self._climb_s = CLIMB_S
        self._changed_at = 0.0
        self.trip_s: float | None = None
        """What moving pictures take now, from leaving to being acknowledged."""
        self.last_s = inf
        """What the last picture took, stills included."""
        self.flow = Flow()
        self._thin = Thin()
        self._wish = NEVER
        self._kbit: int | None = None
        self._trial_s: float | None = None
        """What JPEG pictures took, while it is to be seen whether H.264 is quicker."""
        self._newest = self._counts_from = 0
        self._least_s = inf

    def wish(self, wish: int) -> None:
        """When H.264 is wanted: NEVER, THIN or ALWAYS."""
        before, self._wish = self.video, wish
        if self.video != before:
            self._begin()

    def sent(self, frame: int, now: float) -> None:
        """A picture has left."""
        self._sent_at[frame] = now
        self._newest = frame

    def acknowledged(self, frame: int, now: float, *, still: bool = False) -> None:
        """A picture has been shown, and with it all before it.  Stills say nothing about what those take that move."""
        at = self._sent_at.get(frame)
        if at is not None:
            now = max(now, at)  # a viewer may say anything of how long it was held back
        self.flow.acknowledged(frame, now)
        self._sent_at = {number: at for number, at in self._sent_at.items() if number > frame}
        if at is None:
            return
        self.last_s = now - at
        if still:
            self._weigh(now)
            return
        if frame < self._counts_from:
            return
        self._trips.append(now - at)
        if len(self._trips) >= STEADY:
            self.trip_s = sorted(self._trips)[len(self._trips) // 2]
            self._trips.clear()
            self._judge(self.trip_s, now)

    @property
    def fineness(self) -> Fineness:
        """How much of a moving picture is sent now."""
        return RUNGS[self._rung]

    @property
    def video(self) -> bool:
        """Whether moving pictures are H.264."""
        return self._wish == ALWAYS or (self._wish == THIN and self._thin.yes)

    @property
    def kbit(self) -> int:
        """For how many kbit/s H.264 is coded now."""
        self._kbit = kbit_for(self.flow.carries if self.flow.full else 0.0, SHARES[self._rung], self._kbit)
        return self._kbit

    @property
    def in_flight(self) -> int:
        """Pictures that may be on their way: as many as fill the link at thirty a second, and one to be made."""
        if self.trip_s is None:
            return 2
        if self._rung == self._floor and self.trip_s > 4 * LONG_S:
            return 1
        if self.trip_s > LONG_S and self._floor == len(RUNGS) - 1:
            return 2  # it is full already, as far as is known
        return min(MOST_IN_FLIGHT, 1 + max(1, ceil(self.trip_s / INTERVAL_S)))

    def _weigh(self, now: float) -> None:
        """A still has arrived: it is large, so that what it took is the best that is known of what the link carries."""
        slow = self.last_s > LONG_S
        if slow:
            self.flow.slow(now)
        if self._wish == THIN and self._thin.judge(self.flow.carries, now, slow=slow):
            self._begin()

    def _judge(self, trip_s: float, now: float) -> None:
        before, self._before = self._before, None
        slow, trial_s = trip_s > LONG_S, self._trial_s
        smaller_is_quicker = before is not None and trip_s <= GAIN * before
        if slow and (smaller_is_quicker or not (self.video and self.flow.full)):
            # H.264 leaves room on the link, so that it is slow alone does not say that the link carries less.
            self.flow.slow(now)
        self._least_s = min(self._least_s, trip_s)
        if trial_s is not None:
            self._trial_s = None
            self._thin.helped(now, yes=trip_s <= GAIN * trial_s)
            if not self._thin.yes:
                self._begin()
                return
        if self._wish == THIN and self._thin.judge(self.flow.carries, now, slow=slow):
            self._begin()
            self._trial_s = trip_s if self._thin.yes else None
        elif before is not None and trip_s > GAIN * before:
            # It is the way that is long, or the page that is slow: not what is sent.
            self._step(-1, now)
            self._floor = self._rung
        elif slow:
            if self._rung == self._floor and now >= self._changed_at + TRY_AGAIN_S:
                self._floor = len(RUNGS) - 1
            if self._rung < self._floor:
                self._before = trip_s
                self._step(1, now)
                self._climb_s = min(LONGEST_CLIMB_S, 2 * self._climb_s)
        elif trip_s < max(SHORT_S, NEAR * self._least_s) and now >= self._changed_at + self._climb_s:
            self._floor = len(RUNGS) - 1
            if self._rung > 0:
                self._step(-1, now)

    def _begin(self) -> None:
        """The codec is another: nothing is known of what its pictures take."""
        self._rung, self._floor, self._climb_s = 0, len(RUNGS) - 1, CLIMB_S
        self._before, self._kbit, self._trial_s = None, None, None
        self._least_s = inf
        self._trips.clear()
        # Those on their way are the other's, and the first one of a chain is larger than those that follow.
        self._counts_from = self._newest + 2

    def _step(self, by: int, now: float) -> None:
        self._rung += by
        self._changed_at = now
