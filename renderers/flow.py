"""How many bytes a second a link carries, and whether that makes it a thin one.  Pure.

What was delivered between a picture's leaving and its acknowledgement, over the time that this took, is never more than
the link carries: the reckoning of BBR's delivery rate (Cardwell et al., 2016).  It may be much less where there was
little to send, so the best that was seen is believed until pictures are slow, which they are where the link is full.

H.264 is for thin links: it is tried where pictures are slow and the link has carried little of late, is given up where
it does not make them quicker, then for longer each time, and left when something, a still as a rule, shows that the
link carries twice the bound.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import NamedTuple

THIN = 1.0e6
"""Bytes a second: a link that carries less is thin (8 Mbit/s)."""
WIDE = 2 * THIN
"""A link that was thin is so no longer when it has carried as much."""
STAY_S = 5.0
"""The choice stands for so long at least, and twice as long each time that it was of no use."""
LONGEST_STAY_S = 160.0
RECENT_S = 10.0
"""Once pictures are slow, the best delivery of this time is believed."""
MOST_RECENT = 1024
STEP = 2**0.25
SLOWEST_KBIT, FASTEST_KBIT = 400, 16_000
"""Bounds of what H.264 is coded for."""


class _Left(NamedTuple):
    at: float
    nbytes: int
    delivered: int
    delivered_at: float
    first_at: float
    """When the picture left whose acknowledgement was the last one then."""


class Flow:
    """What one link delivers."""

    def __init__(self) -> None:
        self._out: dict[int, _Left] = {}
        self._delivered = 0
        self._delivered_at = 0.0
        self._first_at = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=MOST_RECENT)
        self.carries = 0.0
        """Bytes a second that the link carries at least; 0 as long as nothing is known."""
        self.full = False
        """Whether pictures were slow, so that it carries no more than that."""

    def left(self, frame: int, nbytes: int, now: float) -> None:
        """A picture has left, with so many bytes."""
        if not self._out:
            self._delivered_at = self._first_at = now
        self._out[frame] = _Left(now, nbytes, self._delivered, self._delivered_at, self._first_at)

    def acknowledged(self, frame: int, now: float) -> None:
        """A picture has arrived, and with it all before it."""
        arrived = sorted(number for number in self._out if number <= frame)
        if not arrived:
            return
        rows = [self._out.pop(number) for number in arrived]
        last = rows[-1]
        self._delivered += sum(row.nbytes for row in rows)
        took_s = max(now - last.delivered_at, last.at - last.first_at)
        self._delivered_at, self._first_at = now, last.at
        if took_s <= 0:
            return
        rate = (self._delivered - last.delivered) / took_s
        self._recent.append((now, rate))
        self.carries = max(self.carries, rate)

    def forget(self, frame: int) -> None:
        """A picture and all before it will not be acknowledged."""
        self._out = {number: row for number, row in self._out.items() if number > frame}

    def slow(self, now: float) -> None:
        """Pictures take long: the link is full, so it carries what it has carried of late and no more."""
        while self._recent and self._recent[0][0] < now - RECENT_S:
            self._recent.popleft()
        if self._recent:
            self.full = True
            self.carries = max(rate for _, rate in self._recent)


class Thin:
    """Whether a link is to get H.264."""

    def __init__(self) -> None:
        self.yes = False
        self._since = -inf
        self._stay_s = STAY_S

    def judge(self, carries: float, now: float, *, slow: bool) -> bool:
        """Takes note of what the link carries, and whether pictures take too long; whether the choice has changed."""
        if now < self._since + self._stay_s:
            return False
        wanted = carries < WIDE if self.yes else slow and 0 < carries < THIN
        if wanted == self.yes:
            return False
        self.yes, self._since = wanted, now
        return True

    def helped(self, now: float, *, yes: bool) -> None:
        """Whether pictures are quicker as H.264; if not, they are JPEG again."""
        if yes:
            self._stay_s = STAY_S
            return
        self.yes, self._since, self._stay_s = False, now, min(LONGEST_STAY_S, 2 * self._stay_s)


def kbit_for(carries: float, share: float, before: int | None) -> int:
    """For how many kbit/s H.264 is coded where a link carries so many bytes a second, of which it may take a share.

    In steps, as each change costs a key frame; what it was ``before`` stays while it is within one of them.
    """
    wanted = min(float(FASTEST_KBIT), max(float(SLOWEST_KBIT), carries * share * 8 / 1000 or FASTEST_KBIT))
    if before is not None and before / STEP <= wanted <= before * STEP:
        return before
    kbit = float(SLOWEST_KBIT)
    while kbit * STEP <= wanted:
        kbit *= STEP
    return round(kbit)
