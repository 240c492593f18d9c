"""What one output shows: a frustum for each of its pictures, in the scene's own units.

The placement of the data in the room is undone here once, on the screen's corners and the eye, so the
scene is drawn in its own coordinates and the same geometry serves a wall and a browser.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from renderers.wall.projection import Frustum, eye_position, frustum, rotation
from renderers.wall.records import Place, Screen, Tile, Wall
from renderers.wall.stereo import passes
from streamer.wire.viewing import Head, Placement, Vec3

LAMPS = ((0.0, 0.0, 0.0), (0.35, 0.75, 0.25))
"""Right, up and back of the head along the room's axes, in parts of its distance to the middle of the data.
The first lights all that is seen; the second, above the shoulder, gives relief."""
CLOSEST_MM = 20.0
"""No eye is nearer than this to a screen."""


class Sight(NamedTuple):
    """One drawing of the scene."""

    eye: str
    """``left``, ``right`` or ``middle``."""
    into: Place
    """The part of the output, in pixels from its upper left corner."""
    frustum: Frustum
    """In the scene's units."""
    position: Vec3
    """Of the eye, in the scene."""
    screen: Screen
    """The screen that is looked through, its corners in the scene's units."""
    lamps: tuple[Vec3, ...]
    """Where the lights hang, in the scene: at the head, the same for all tiles and both eyes."""
    held: bool = False
    """The eye is not in front of the screen, so the scene is seen from a place just before it."""


def to_scene(placement: Placement, point: Vec3) -> Vec3:
    """The point of the scene that stands at a point (mm) of the room."""
    away = np.array(point) - np.array(placement.centre)
    x, y, z = (rotation(placement.turn).T @ away / placement.size).tolist()
    return x, y, z


def screen_in_scene(placement: Placement, screen: Screen) -> Screen:
    """A screen seen from the scene: its corners in the scene's units."""
    return Screen(
        screen.name,
        to_scene(placement, screen.lower_left),
        to_scene(placement, screen.lower_right),
        to_scene(placement, screen.upper_left),
    )


def sights(
    wall: Wall, tile: Tile, placement: Placement, head: Head, separation_mm: float, size: tuple[int, int] | None = None
) -> tuple[Sight, ...]:
    """What a tile has to draw; ``size`` in pixels if it is not the tile's own.

    Who walks out of a closed wall has an eye in a screen's plane or behind it.  Such an eye is held ``CLOSEST_MM``
    before the plane: the picture stays whole, moves steadily, and follows from the head alone.
    """
    width, height = size or (tile.place.width, tile.place.height)
    real = wall.screen(tile.screen)
    if tile.upside_down:
        real = turned(real)
    screen = screen_in_scene(placement, real)
    lamps = tuple(to_scene(placement, at) for at in _lamps(placement, head))
    found = []
    for eye, into in passes(tile.stereo, width, height, swap=tile.swap_eyes):
        there = eye_position(head, separation_mm, eye)
        before = in_front(real, there)
        at = to_scene(placement, before)
        through = frustum(screen, at, wall.near_mm / placement.size, wall.far_mm / placement.size)
        found.append(Sight(eye, into, through, at, screen, lamps, before != there))
    return tuple(found)


def turned(screen: Screen) -> Screen:
    """The screen for a panel that hangs on its head: what was its upper right corner is the lower left one."""
    return Screen(screen.name, screen.upper_right, screen.upper_left, screen.lower_right)


def in_front(screen: Screen, eye: Vec3) -> Vec3:
    """The eye, or the place ``CLOSEST_MM`` before the screen's plane if the eye is not that far in front of it."""
    _, _, out = screen.axes
    away = float((np.array(eye) - np.array(screen.lower_left)) @ out)
    if away >= CLOSEST_MM:
        return eye
    x, y, z = (np.array(eye) + (CLOSEST_MM - away) * out).tolist()
    return x, y, z


def _lamps(placement: Placement, head: Head) -> list[Vec3]:
    away = float(np.linalg.norm(np.array(head.position) - np.array(placement.centre)))
    reach = max(away, 0.3 * placement.size)
    return [
        (head.position[0] + reach * right, head.position[1] + reach * up, head.position[2] + reach * back)
        for right, up, back in LAMPS
    ]
