"""How data is laid into the room of a wall, and which screen a ray goes through.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

import numpy as np

from renderers.wall.projection import rotation
from renderers.wall.records import Fit, Screen
from renderers.wall.track.wand import Ray
from streamer.wire.viewing import LARGEST, SMALLEST, Placement, Quaternion, Vec3

BALL: Vec3 = (1.0, 1.0, 1.0)
"""While nothing is known of a run, its box may be as large as the sphere around it."""
_HALF = 0.5**0.5
_UPRIGHT: dict[str, Quaternion] = {
    "x": (_HALF * _HALF, _HALF * _HALF, _HALF * _HALF, _HALF * _HALF),
    "y": (0.0, 0.0, 0.0, 1.0),
    "z": (-_HALF, 0.0, 0.0, _HALF),
}
"""From the scene's axes to the wall's, so that the named one points up."""


def placed(fit: Fit, half: Vec3 = BALL, steps: int = 0) -> Placement:
    """Where a wall wants the data: its box has half the sides ``half`` (x, y, z) in the scene, and so many steps.

    The longest side becomes ``fit.size_mm`` long.  A scene keeps its proportions, so where ``fit.mm_per_step`` is
    given, that says how large all of it is.  Sides that are none are those of ``BALL``.
    """
    if not all(isfinite(side) and side > 0 for side in half):
        half = BALL
    size = fit.size_mm / (2 * max(half))
    if fit.mm_per_step is not None and steps > 0 and half is not BALL:
        size = fit.mm_per_step * steps / (2 * half[2])
    return Placement(fit.centre, _UPRIGHT[fit.up], min(LARGEST, max(SMALLEST, size)))


def noted_screen(screens: Iterable[Screen], placement: Placement, ray: Ray) -> str:
    """The screen through which a ray (in scene units) leaves the room; the first one, if it is none."""
    turn = rotation(placement.turn)
    origin = placement.size * turn @ np.array(ray.origin) + np.array(placement.centre)
    direction = turn @ np.array(ray.direction)
    best, nearest, first = "", inf, ""
    for screen in screens:
        first = first or screen.name
        corner = np.array(screen.lower_left)
        right, up, out = screen.axes
        width, height = screen.size
        towards = float(direction @ out)
        if abs(towards) < 1e-9:
            continue
        away = float((corner - origin) @ out) / towards
        at = origin + away * direction - corner
        if 0 < away < nearest and 0 <= at @ right <= width and 0 <= at @ up <= height:
            best, nearest = screen.name, away
    return best or first
