"""One body as one source sees it: what is believed of its poses, and where it is at any time.

A pose that cannot be is not believed: a jump that nobody can make, unless the device insists on it, or one
that was overtaken on the network.  Pure: the time is passed in.
"""

from __future__ import annotations

import math

import msgspec

from renderers.wall.track.smooth import Motion, Smoothing
from streamer.wire.viewing import Head


class Tuning(msgspec.Struct, frozen=True):
    """How poses are treated."""

    smoothing: Smoothing | None = None
    """None: poses come through as they are."""
    predict: bool = True
    """Whether ``TrackerSource.latency_ms`` is made up for; where it is 0 nothing is predicted anyway."""
    horizon_s: float = 0.1
    """Nothing is predicted further ahead."""
    hold_s: float = 2.0
    """A lost head stays this long."""
    ease_s: float = 1.5
    """Then it moves to the default head in this time."""
    return_s: float = 0.3
    """One that is found again, or thawed, is moved to in this time."""
    stale_s: float = 0.5
    """A body counts as lost after this time without a pose."""
    jump_mm: float = 400.0
    """A pose further from the last one than this and than ``speed_mm_s`` allows is rejected …"""
    speed_mm_s: float = 10_000.0
    insist: int = 5
    """… until this many in a row agree."""


class Body:
    """The head or the wand as one source sees it."""

    def __init__(self, latency_s: float, tuning: Tuning) -> None:
        self.seen_at: float | None = None
        self.lost_at: float | None = None
        self._latency_s = latency_s
        self._tuning = tuning
        self._motion = Motion(tuning.smoothing)
        self._doubted: list[Head] = []
        self._stamp: float | None = None
        self._clock = 0.0
        self._late = 0

    def add(self, pose: Head, stamp: float | None, now: float) -> str:
        """Take a pose.  Not empty: why it was not believed."""
        if self.seen_at is not None and not self._in_order(stamp):
            return "late"
        if self.seen_at is not None and not self._believable(pose, now - self.seen_at):
            return "jump"
        self._doubted.clear()
        # The device's own clock where it runs forwards: arrival is shaken by the network.
        passed = now - self.seen_at if self.seen_at is not None else 0.0
        if stamp is not None and self._stamp is not None and 0 < stamp - self._stamp < 1:
            passed = stamp - self._stamp
        self._clock += passed
        self._stamp = stamp
        self._motion.add(pose, self._clock)
        self.seen_at, self.lost_at, self._late = now, None, 0
        return ""

    def lose(self, now: float) -> None:
        """The device does not see it."""
        if self.lost_at is None:
            self.lost_at = now

    def lost_since(self, now: float) -> float | None:
        """When it was lost; None while it is seen."""
        if self.lost_at is not None or self.seen_at is None:
            return self.lost_at
        return self.seen_at + self._tuning.stale_s if now - self.seen_at > self._tuning.stale_s else None

    def at(self, now: float) -> Head:
        """Where it is, made up for the device's latency."""
        if not (self._tuning.predict and self._latency_s > 0) or self.seen_at is None:
            return self._motion.pose
        return self._motion.ahead(min(self._latency_s + max(0.0, now - self.seen_at), self._tuning.horizon_s))

    def _in_order(self, stamp: float | None) -> bool:
        """Whether it was not overtaken on its way; a clock that was set back for good is followed."""
        if stamp is None or self._stamp is None or not 0 < self._stamp - stamp < 1:
            return True
        self._late += 1
        return self._late >= self._tuning.insist

    def _believable(self, pose: Head, passed: float) -> bool:
        t = self._tuning
        reach = max(t.jump_mm, t.speed_mm_s * passed)
        if math.dist(pose.position, self._motion.pose.position) <= reach or passed > t.hold_s:
            return True
        if self._doubted and math.dist(pose.position, self._doubted[-1].position) > t.jump_mm:
            self._doubted.clear()
        self._doubted.append(pose)
        if len(self._doubted) < t.insist:
            return False
        self._motion = Motion(t.smoothing)  # the way between the two places says nothing of speed
        return True
