"""Two walls, one view, a slow link between them: what was shown there is shown here a fixed while later.  Pure.

A barrier over a wide-area link would cost its latency in every frame, so the second wall has a barrier of its own and
follows the first by time stamps.  How the two clocks differ is measured as NTP does: of many exchanges the one that
took least time says most, and it cannot be wrong by more than half of that time.  Source: D. L. Mills, RFC 5905, §10
(clock filter).
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

SAMPLES, WINDOW_S = 64, 120.0
"""Exchanges that are remembered, and how long: clocks drift apart by some 50 µs in each second."""
DRIFT = 50e-6


class Exchange(NamedTuple):
    """A question and its answer, by both clocks."""

    sent: float
    """Here."""
    came: float
    """There."""
    left: float
    """There."""
    back: float
    """Here."""


class Clock:
    """Somebody else's clock, seen from here."""

    def __init__(self, *, same: bool = False) -> None:
        """``same``: both are one clock, there is nothing to measure."""
        self._same = same
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=SAMPLES)
        """(delay, offset, when)."""

    def exchange(self, one: Exchange) -> None:
        """An answer has come.  One whose times contradict each other is passed over."""
        delay = (one.back - one.sent) - (one.left - one.came)
        if self._same or not 0 <= delay < inf or one.left < one.came:
            return
        offset = ((one.came - one.sent) + (one.left - one.back)) / 2
        self._samples.append((delay, offset, one.back))
        while self._samples[0][2] < one.back - WINDOW_S:
            self._samples.popleft()

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self._same or bool(self._samples)

    def offset_s(self, now: float) -> float:
        """What the other clock shows minus what this one shows."""
        return self._best(now)[1]

    def error_s(self, now: float) -> float:
        """By so much it may be wrong at most; infinite while nothing is known."""
        if self._same:
            return 0.0
        if not self._samples:
            return inf
        delay, _, at = self._best(now)
        return delay / 2 + DRIFT * abs(now - at)

    def there(self, now: float) -> float:
        """What the other clock shows at ``now``."""
        return now + self.offset_s(now)

    def here(self, there: float, now: float) -> float:
        """What this clock shows when the other one shows ``there``."""
        return there - self.offset_s(now)

    def _best(self, now: float) -> tuple[float, float, float]:
        if self._same or not self._samples:
            return 0.0, 0.0, now
        # An old exchange counts for less, as the clocks may have drifted since.
        return min(self._samples, key=lambda one: one[0] / 2 + DRIFT * (now - one[2]))


class Playout:
    """What another wall has begun to show, and when it is the turn of it here."""

    MOST = 64

    def __init__(self, delay_s: float) -> None:
        """``delay_s``: so long after the first wall the second shows it; longer than the link takes."""
        self.delay_s = delay_s
        self.late = 0
        """Came after they were due: the delay is too short for the link."""
        self.skipped = 0
        """Came, and something newer was due as well."""
        self._waiting: deque[tuple[float, int, object]] = deque()
        self._number = -1

    def put(self, number: int, due: float, content: object, now: float) -> None:
        """Something that is due at ``due`` by this clock; what is older than what was put before is passed over."""
        if number <= self._number:
            return
        self._number = number
        self.late += due < now
        # Not before what came before it, and never further off than the delay: the clock's offset is an estimate.
        due = min(max(due, self._waiting[-1][0] if self._waiting else due), now + self.delay_s)
        self._waiting.append((due, number, content))
        if len(self._waiting) > self.MOST:
            self._waiting.popleft()
            self.skipped += 1

    def anew(self) -> None:
        """The first wall counts from the beginning again."""
        self._number = -1

    def take(self, now: float) -> object | None:
        """The newest that is due, if there is one; what is older is skipped."""
        found = None
        while self._waiting and self._waiting[0][0] <= now:
            self.skipped += found is not None
            found = self._waiting.popleft()[2]
        return found

    def deadline(self) -> float:
        """When ``take`` will have something."""
        return self._waiting[0][0] if self._waiting else inf
