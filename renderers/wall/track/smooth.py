"""Smoothing and prediction of one body, each of which can be switched off.

Smoothing is the One Euro filter: a low-pass whose cut-off rises with speed, so that a still head does not
shake and a moving one does not lag (Casiez, Roussel, Vogel, CHI 2012).  Prediction goes on with constant
velocity and constant turning for as long as the device's picture is old.  With both off a pose comes
through as it is, bit for bit.
"""

from __future__ import annotations

import math

import msgspec

from renderers.wall.track import turns
from renderers.wall.track.calibrate import moved
from streamer.wire.viewing import Head, Vec3


class Smoothing(msgspec.Struct, frozen=True):
    """The One Euro filter's figures."""

    still_hz: float = 1.5
    """Cut-off at rest."""
    per_mm_s: float = 0.01
    """Hz more for each mm/s."""
    per_rad_s: float = 2.0
    """Hz more for each rad/s of turning."""
    speed_hz: float = 1.0
    """Cut-off of the measured speed."""


VELOCITY_S = 0.03
"""Time constant of the velocity that prediction goes by: two poses alone would multiply their noise."""
LONGEST_S = 0.25
"""Poses further apart say nothing about velocity: motion starts anew."""


def share(cutoff_hz: float, dt: float) -> float:
    """The weight of a new value in a first-order low-pass."""
    return 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff_hz * dt))


def mixed(a: Vec3, b: Vec3, weight: float) -> Vec3:
    """From ``a`` (0) to ``b`` (1)."""
    return a[0] + weight * (b[0] - a[0]), a[1] + weight * (b[1] - a[1]), a[2] + weight * (b[2] - a[2])


def blend(a: Head, b: Head, weight: float) -> Head:
    """From ``a`` (0) to ``b`` (1); exactly ``a`` or ``b`` at the ends."""
    if weight <= 0:
        return a
    if weight >= 1:
        return b
    return Head(mixed(a.position, b.position, weight), turns.between(a.turn, b.turn, weight))


class Motion:
    """The recent motion of one body: its pose (smoothed if asked for), velocity and turning."""

    def __init__(self, smoothing: Smoothing | None) -> None:
        self.smoothing = smoothing
        self.pose = Head()
        self.velocity: Vec3 = (0.0, 0.0, 0.0)
        """mm/s."""
        self.turning: Vec3 = (0.0, 0.0, 0.0)
        """Axis times rad/s, in the wall's axes."""
        self._last: tuple[float, Head] | None = None
        self._speeds: tuple[Vec3, Vec3] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        self._moving = False

    def add(self, pose: Head, at: float) -> None:
        """A pose measured at ``at`` (seconds, of the device or of arrival)."""
        last = self._last
        if last is not None and at == last[0]:
            # Two poses of one moment (read in one go, by arrival): the newer counts, and says nothing of speed.
            self.pose = pose if self.smoothing is None else self.pose
            self._last = (at, pose)
            return
        if last is None or not 0 < at - last[0] <= LONGEST_S:
            self.pose, self.velocity, self.turning = pose, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
            self._speeds, self._moving = (self.velocity, self.turning), False
        else:
            dt = at - last[0]
            (x, y, z), (px, py, pz) = pose.position, last[1].position
            velocity = ((x - px) / dt, (y - py) / dt, (z - pz) / dt)
            ax, ay, az = turns.vector(turns.times(pose.turn, turns.back(last[1].turn)))
            turning = (ax / dt, ay / dt, az / dt)
            weight = 1 - math.exp(-dt / VELOCITY_S) if self._moving else 1.0
            self.velocity = mixed(self.velocity, velocity, weight)
            self.turning = mixed(self.turning, turning, weight)
            self._moving = True
            self._smooth(pose, velocity, turning, dt)
        self._last = (at, pose)

    def ahead(self, seconds: float) -> Head:
        """The pose ``seconds`` after the last one, if the body goes on as it does."""
        if seconds <= 0 or not self._moving:
            return self.pose
        vx, vy, vz = self.velocity
        tx, ty, tz = self.turning
        return Head(
            moved(self.pose.position, (vx * seconds, vy * seconds, vz * seconds)),
            turns.unit(turns.times(turns.of_vector((tx * seconds, ty * seconds, tz * seconds)), self.pose.turn)),
        )

    def _smooth(self, pose: Head, velocity: Vec3, turning: Vec3, dt: float) -> None:
        if self.smoothing is None:
            self.pose = pose
            return
        weight = share(self.smoothing.speed_hz, dt)
        self._speeds = mixed(self._speeds[0], velocity, weight), mixed(self._speeds[1], turning, weight)
        speed, spin = math.hypot(*self._speeds[0]), math.hypot(*self._speeds[1])
        self.pose = Head(
            mixed(
                self.pose.position, pose.position, share(self.smoothing.still_hz + self.smoothing.per_mm_s * speed, dt)
            ),
            turns.between(
                self.pose.turn, pose.turn, share(self.smoothing.still_hz + self.smoothing.per_rad_s * spin, dt)
            ),
        )
