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

    Raises EyeBehind where an eye is not in front of the tile's screen.
    """
    width, height = size or (tile.place.width, tile.place.height)
    screen = screen_in_scene(placement, wall.screen(tile.screen))
    lamps = tuple(to_scene(placement, at) for at in _lamps(placement, head))
    found = []
    for eye, into in passes(tile.stereo, width, height, swap=tile.swap_eyes):
        at = to_scene(placement, eye_position(head, separation_mm, eye))
        through = frustum(screen, at, wall.near_mm / placement.size, wall.far_mm / placement.size)
        found.append(Sight(eye, into, through, at, screen, lamps))
    return tuple(found)


def _lamps(placement: Placement, head: Head) -> list[Vec3]:
    away = float(np.linalg.norm(np.array(head.position) - np.array(placement.centre)))
    reach = max(away, 0.3 * placement.size)
    return [
        (head.position[0] + reach * right, head.position[1] + reach * up, head.position[2] + reach * back)
        for right, up, back in LAMPS
    ]
