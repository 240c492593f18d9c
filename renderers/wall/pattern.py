"""The test pattern: what tells whoever stands before a wall that each picture is where the wall file says.

All of it is flat, in the plane of its screen, in millimetres of the room.  The grid is the room's own: the
planes at every 100 mm of x, y and z, cut by the screens, so its lines run on from screen to screen whatever
the wall's shape, and a screen that hangs elsewhere than the file says breaks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, cos, floor, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Screen, Tile, Wall

Colour = tuple[float, float, float]
Points = NDArray[np.float64]

FINE_MM, COARSE_MM = 100.0, 1000.0
AXES: tuple[Colour, ...] = ((0.75, 0.35, 0.30), (0.35, 0.68, 0.38), (0.36, 0.52, 0.88))
"""Lines of constant x, y, z."""
BARS: tuple[Colour, ...] = (
    (1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0),
)  # fmt: skip
GREYS = 16
LIFT_MM = 0.2
"""So far each layer lies before the one under it: enough for the depth buffer, too little to be seen."""
WHITE: Colour = (0.92, 0.94, 0.97)
LEFT: Colour = (1.0, 0.35, 0.2)
RIGHT: Colour = (0.2, 0.75, 1.0)


class Patch(NamedTuple):
    """A convex flat piece."""

    corners: Points
    """(n, 3), mm, anticlockwise seen from the viewer."""
    colour: Colour
    eye: str = ""
    """``left`` or ``right`` if only that eye is to see it."""


class Word(NamedTuple):
    """Text on a screen, around its middle."""

    text: str
    middle: Points
    """(3,), mm."""
    height: float
    """Of the letters, mm."""
    width: float
    """It is made smaller if it would be wider, mm."""
    colour: Colour
    eye: str = ""


class Pattern(NamedTuple):
    """The pattern of one tile."""

    patches: tuple[Patch, ...]
    words: tuple[Word, ...]


def pattern(wall: Wall, tile: Tile) -> Pattern:
    """The test pattern of a tile's screen, with the tile's name."""
    screen = wall.screen(tile.screen)
    wide, high = screen.size
    pixel = max(wide / tile.place.width, high / tile.place.height)
    place = tile.place
    where = f"{tile.node}  {tile.display}  {place.width}x{place.height}+{place.x}+{place.y}  {tile.stereo}"
    inside = 0.75 * min(wide, high)
    words = (
        Word(tile.name, _at(screen, 0.5, 0.62), 0.17 * high, inside, WHITE),
        Word(where, _at(screen, 0.5, 0.46), 0.05 * high, inside, WHITE),
        Word("L", _at(screen, 0.5, 0.34) - 0.2 * inside * screen.axes[0], 0.10 * high, inside, LEFT, "left"),
        Word("R", _at(screen, 0.5, 0.34) + 0.2 * inside * screen.axes[0], 0.10 * high, inside, RIGHT, "right"),
    )
    layers = (
        [*_grid(screen, pixel)],
        [*_circle(screen, 3 * pixel), *_frame(screen, 3 * pixel)],
        [*_bars(screen), _box(screen, 0.10, 0.22, 0.49, 0.24, LEFT, "left"),
         _box(screen, 0.51, 0.22, 0.90, 0.24, RIGHT, "right")],
    )  # fmt: skip
    out = LIFT_MM * screen.axes[2]
    patches = tuple(p._replace(corners=p.corners + i * out) for i, layer in enumerate(layers) for p in layer)
    return Pattern(patches, tuple(w._replace(middle=w.middle + len(layers) * out) for w in words))


def _at(screen: Screen, u: float, v: float) -> Points:
    """The place at u of the width from the left and v of the height from the bottom."""
    corner = np.array(screen.lower_left)
    right, up = np.array(screen.lower_right) - corner, np.array(screen.upper_left) - corner
    place: Points = corner + u * right + v * up
    return place


def _box(screen: Screen, u0: float, v0: float, u1: float, v1: float, colour: Colour, eye: str = "") -> Patch:
    corners = np.array([_at(screen, u, v) for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))])
    return Patch(corners, colour, eye)


def _bars(screen: Screen) -> Iterator[Patch]:
    """Colours, and greys below them, which all screens should show alike."""
    for i, colour in enumerate(BARS):
        yield _box(screen, 0.1 + 0.1 * i, 0.10, 0.1 + 0.1 * (i + 1), 0.18, colour)
    for i in range(GREYS):
        grey = i / (GREYS - 1)
        yield _box(screen, 0.1 + 0.8 * i / GREYS, 0.04, 0.1 + 0.8 * (i + 1) / GREYS, 0.10, (grey, grey, grey))


def _frame(screen: Screen, thick: float) -> Iterator[Patch]:
    """The outermost pixels: all four sides must be seen."""
    wide, high = screen.size
    u, v = thick / wide, thick / high
    for u0, v0, u1, v1 in ((0, 0, 1, v), (0, 1 - v, 1, 1), (0, 0, u, 1), (1 - u, 0, 1, 1)):
        yield _box(screen, u0, v0, u1, v1, WHITE)


def _circle(screen: Screen, thick: float) -> Iterator[Patch]:
    """A circle: an ellipse shows pixels that are not square, or a wrong size."""
    right, up, _ = screen.axes
    middle, radius = _at(screen, 0.5, 0.5), 0.45 * min(screen.size)
    turns = [2 * pi * i / 96 for i in range(97)]
    rim = np.array([cos(a) * right + sin(a) * up for a in turns])
    for a, b in pairwise(rim):
        inner, outer = radius - thick / 2, radius + thick / 2
        yield Patch(np.array([middle + inner * a, middle + outer * a, middle + outer * b, middle + inner * b]), WHITE)


def _grid(screen: Screen, pixel: float) -> Iterator[Patch]:
    """The room's planes at every 100 mm, cut by the screen; those at whole metres are thicker."""
    for axis in range(3):
        corners = [screen.lower_left, screen.lower_right, screen.upper_right, screen.upper_left]
        heights = [c[axis] for c in corners]
        for k in range(ceil(min(heights) / FINE_MM), floor(max(heights) / FINE_MM) + 1):
            ends = _cut(np.array(corners), axis, k * FINE_MM)
            if ends is None:
                continue
            coarse = (k * FINE_MM) % COARSE_MM == 0
            colour = AXES[axis] if coarse else _dim(AXES[axis])
            yield _ribbon(screen, ends, pixel * (3 if coarse else 1), colour)


def _dim(colour: Colour) -> Colour:
    red, green, blue = colour
    return 0.6 * red, 0.6 * green, 0.6 * blue


def _cut(corners: Points, axis: int, at: float) -> Points | None:
    """Where the plane at a coordinate crosses a rectangle: (2, 3); None if it does not, or the rectangle lies in it."""
    found: list[Points] = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        fall = b[axis] - a[axis]
        if abs(fall) < 1e-9:
            continue
        t = (at - a[axis]) / fall
        if -1e-9 <= t <= 1 + 1e-9:
            point = a + t * (b - a)
            if not any(np.allclose(point, other, atol=1e-6) for other in found):
                found.append(point)
    return np.array(found[:2]) if len(found) >= 2 else None


def _ribbon(screen: Screen, ends: Points, thick: float, colour: Colour) -> Patch:
    """A line on a screen, as a strip."""
    _, _, out = screen.axes
    along = ends[1] - ends[0]
    side = np.cross(out, along / np.linalg.norm(along)) * thick / 2
    return Patch(np.array([ends[0] - side, ends[1] - side, ends[1] + side, ends[0] + side]), colour)
