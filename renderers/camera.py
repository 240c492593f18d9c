"""The orbiting camera: from a viewer's numbers to an eye, a focal point and what is up.

The scene lies around the origin with radius 1: x is east, y north, z up (time).  At azimuth 0 the eye
stands at −y and looks north; azimuth grows as the eye walks towards +x, elevation as it climbs.  The
picture spans ``VIEW_ANGLE`` from bottom to top.  ``display_clients/web/camera.js`` is its counterpart.
"""

from __future__ import annotations

from math import asin, atan, cos, pi, sin, sqrt, tan
from typing import NamedTuple

from streamer.wire.view import Camera

Vec = tuple[float, float, float]
VIEW_ANGLE = pi / 6
CLOSEST, FARTHEST = 0.05, 40.0
REACH = 2.0
"""The target stays this near to the scene, so that nobody gets lost."""
HOME = (-0.55, 0.5)
"""Azimuth and elevation where a newcomer stands: a little to the side and above."""


class Eye(NamedTuple):
    """A camera in the room."""

    position: Vec
    focal: Vec
    up: Vec
    near: float
    far: float

    @property
    def forward(self) -> Vec:
        """The unit vector from the eye to the focal point."""
        x, y, z = (f - p for f, p in zip(self.focal, self.position, strict=True))
        length = sqrt(x * x + y * y + z * z)
        return x / length, y / length, z / length


def bounded(camera: Camera) -> Camera:
    """The camera within its bounds: not beyond the poles, not inside out, not lost."""
    x, y, z = (min(REACH, max(-REACH, n)) for n in camera.target)
    return Camera(
        azimuth=camera.azimuth - 2 * pi * round(camera.azimuth / (2 * pi)),
        elevation=min(pi / 2, max(-pi / 2, camera.elevation)),
        distance=min(FARTHEST, max(CLOSEST, camera.distance)),
        target=(x, y, z),
    )


def eye_of(camera: Camera) -> Eye:
    """Where the eye is; the camera is bounded first.  ``up`` is also right above a pole."""
    a, e, d, focal = bounded(camera)
    x, y, z = (cos(e) * sin(a), -cos(e) * cos(a), sin(e))
    position = (focal[0] + d * x, focal[1] + d * y, focal[2] + d * z)
    away = sqrt(sum(n * n for n in position))
    return Eye(
        position=position,
        focal=focal,
        up=(-sin(e) * sin(a), sin(e) * cos(a), cos(e)),
        near=max(away - 1.25, 0.004 * d, 0.002),
        far=away + 1.25,
    )


def fit(width: int, height: int, direction: tuple[float, float] = HOME) -> Camera:
    """The whole scene in a picture of this size, tall and narrow ones too, with a margin for the words at its axes."""
    narrow = min(1.0, width / max(1, height))
    distance = 1.12 / sin(atan(tan(VIEW_ANGLE / 2) * narrow))
    return Camera(direction[0], direction[1], distance, (0.0, 0.0, 0.0))


def pixel_radius(camera: Camera, height: int) -> float:
    """How many pixels the scene's radius takes, seen from the camera."""
    return height / 2 * tan(asin(min(1.0, 1 / max(camera.distance, 1.0)))) / tan(VIEW_ANGLE / 2)
