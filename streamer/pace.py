"""How fast a run may go: a run of a few seconds can be told to take half a minute, so that it can be watched.

Lease number i of n is not granted before start + pace·i/n.  Only chunks that are out or done count, so
that a chunk which has to be done again does not wait for a turn of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Pace:
    """When the leases of a run of ``chunks`` chunks may be granted; times are in seconds."""

    chunks: int
    pace_s: float
    start: float

    @classmethod
    def resumed(cls, chunks: int, pace_s: float, now: float, done: int) -> Pace:
        """The pace of a run that goes on with ``done`` chunks behind it."""
        return cls(chunks, pace_s, now - pace_s * done / chunks)

    def opens(self, granted: int) -> float:
        """The time at which one more lease may be granted when ``granted`` are out or done."""
        if self.pace_s <= 0:
            return -inf
        return self.start + self.pace_s * granted / self.chunks
