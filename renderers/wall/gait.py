"""How much of the surfaces all tiles draw: all of it while nothing moves, less of it while something does.  Pure.

A wall is as slow as its slowest tile, and a picture of two levels of detail would be of two minds; so the conductor
decides, from the times that tiles report, and the level travels with every frame.  Where the whole scene is quick
enough it is drawn whole, moving or not.
"""

from __future__ import annotations

from collections import OrderedDict
from math import acos, dist, inf

from renderers.detail import FULL, Detail
from streamer.wire.viewing import Head, Placement

STILL_S = 0.35
"""What has not moved for so long stands still."""
HEAD_MM, HEAD_RAD = 4.0, 0.02
"""A tracked head is never quite still: it moves if it has gone or turned further than that."""
REMEMBERED = 16
"""Frames whose level is remembered until tiles report them."""


class Gait:
    """Whether something moves at a wall, and the level that follows from it."""

    def __init__(self, rate_hz: float) -> None:
        self._detail = Detail(1 / rate_hz if rate_hz > 30 else 1 / 30)
        self._placement: Placement | None = None
        self._head: Head | None = None
        self._moved_at = -inf
        self._levels: OrderedDict[int, int] = OrderedDict()

    def see(self, placement: Placement, head: Head, now: float) -> None:
        """The scene stands there and is seen from there."""
        first = self._placement is None
        if placement != self._placement or self._head is None or apart(head, self._head):
            self._placement, self._head = placement, head
            self._moved_at = -inf if first else now

    def level(self, now: float) -> int:
        """The level of a picture that is drawn now."""
        return self._detail.of(moving=now < self._moved_at + STILL_S, triangles=1)

    def deadline(self, level: int) -> float:
        """When a picture that was drawn at this level is to be drawn anew."""
        return self._moved_at + STILL_S if level != FULL else inf

    def drawn(self, frame: int, level: int) -> None:
        """A frame is drawn at this level."""
        self._levels[frame] = level
        while len(self._levels) > REMEMBERED:
            self._levels.popitem(last=False)

    def took(self, frame: int, seconds: float) -> None:
        """A tile process has drawn the frame in this time; the slowest counts for most."""
        if (level := self._levels.get(frame)) is not None and seconds > 0:
            self._detail.drew(level, seconds, 1)


def apart(a: Head, b: Head) -> bool:
    """Whether two heads are further from each other than a head at rest sways."""
    if dist(a.position, b.position) > HEAD_MM:
        return True
    cosine = abs(sum(p * q for p, q in zip(a.turn, b.turn, strict=True)))
    return 2 * acos(min(1.0, cosine)) > HEAD_RAD
