"""Are the tiles one picture?  Which larger screen to compare each tile with, and how two pictures differ.

Tiles whose screens lie in one plane and have the same kind of pixel are parts of one large picture.  A gap
between panels need not be a whole number of pixels, so the large screen is laid so that its pixels fall on
those of the tile that is compared: tiles that agree in this share one large render, and it reaches over all
screens of the plane.  A screen that is alone in its plane (curved and closed walls) is compared with a render that
reaches beyond it on every side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Place, Screen

BUDGET = 1e-4
"""This share of the pixels may differ by more than one level of 255."""
MARGIN = 0.25
"""How far the large render reaches beyond a lonely screen, in parts of its side."""
LARGEST = 8192
"""No side of a large render has more pixels."""
_SAME = 1e-3
"""mm, and parts of a pixel."""


class Sized(NamedTuple):
    """A screen and its picture's size in pixels."""

    screen: Screen
    width: int
    height: int


class Part(NamedTuple):
    """Where a tile's picture lies in a large render: x and y from the upper left corner, in pixels."""

    name: str
    place: Place


class Large(NamedTuple):
    """A large render and the tiles that are parts of it."""

    screen: Screen
    width: int
    height: int
    parts: tuple[Part, ...]


def larges(screens: Iterable[Sized], around: Iterable[Sized] = ()) -> tuple[Large, ...]:
    """The large renders with which the screens are compared; each screen is a part of exactly one.

    ``around``: further screens over which those of their plane shall reach.
    """
    waiting = list(screens)
    every = [*waiting, *around]
    found = []
    while waiting:
        first = waiting[0]
        together = [(first, (0, 0))]
        for other in waiting[1:]:
            at = _pixel_offset(first, other)
            if at is not None and _extent([*together, (other, at)]) <= LARGEST:
                together.append((other, at))
        gone = {other.screen.name for other, _ in together}
        waiting = [other for other in waiting if other.screen.name not in gone]
        found.append(_large(together, every))
    return tuple(found)


def _pixel_offset(first: Sized, other: Sized) -> tuple[int, int] | None:
    """Where ``other`` lies in the pixel raster of ``first`` (x right, y down); None if it is not on that raster."""
    right, up, out = first.screen.axes
    theirs = other.screen.axes
    if not all(np.allclose(a, b, atol=1e-6) for a, b in zip((right, up, out), theirs, strict=True)):
        return None
    pitch_x, pitch_y = first.screen.size[0] / first.width, first.screen.size[1] / first.height
    if abs(other.screen.size[0] / other.width - pitch_x) * other.width > _SAME * pitch_x:
        return None
    if abs(other.screen.size[1] / other.height - pitch_y) * other.height > _SAME * pitch_y:
        return None
    away = np.array(other.screen.upper_left) - np.array(first.screen.upper_left)
    if abs(float(away @ out)) > _SAME:
        return None
    x, y = float(away @ right) / pitch_x, -float(away @ up) / pitch_y
    if abs(x - round(x)) > _SAME or abs(y - round(y)) > _SAME:
        return None
    return round(x), round(y)


def _in_plane(first: Sized, every: list[Sized]) -> Iterator[tuple[int, int, int, int]]:
    """The other screens of a plane in whole pixels of the first's raster: left, top, right and low ends."""
    right, up, out = first.screen.axes
    pitch_x, pitch_y = first.screen.size[0] / first.width, first.screen.size[1] / first.height
    for other in every:
        screen = other.screen
        corners = np.array([screen.lower_left, screen.lower_right, screen.upper_left, screen.upper_right])
        away = corners - np.array(first.screen.upper_left)
        if float(np.abs(away @ out).max()) <= _SAME and float(screen.axes[2] @ out) > 0:
            x, y = away @ right / pitch_x, -(away @ up) / pitch_y
            yield floor(x.min()), floor(y.min()), ceil(x.max()), ceil(y.max())


def _extent(together: list[tuple[Sized, tuple[int, int]]]) -> int:
    wide = max(x + s.width for s, (x, _) in together) - min(x for _, (x, _) in together)
    high = max(y + s.height for s, (_, y) in together) - min(y for _, (_, y) in together)
    return max(wide, high)


def _large(together: list[tuple[Sized, tuple[int, int]]], every: list[Sized]) -> Large:
    first = together[0][0]
    left, top = min(x for _, (x, _) in together), min(y for _, (_, y) in together)
    right_end = max(x + s.width for s, (x, _) in together)
    low_end = max(y + s.height for s, (_, y) in together)
    if len(together) == 1:
        beyond_x, beyond_y = ceil(MARGIN * first.width), ceil(MARGIN * first.height)
        left, top, right_end, low_end = left - beyond_x, top - beyond_y, right_end + beyond_x, low_end + beyond_y
    for x0, y0, x1, y1 in _in_plane(first, every):
        wider = min(left, x0), min(top, y0), max(right_end, x1), max(low_end, y1)
        if max(wider[2] - wider[0], wider[3] - wider[1]) <= LARGEST:
            left, top, right_end, low_end = wider
    # Graphics hardware works on squares of two by two pixels, from the lower left corner; the first tile's are whole.
    left, low_end = left - left % 2, low_end + (low_end - first.height) % 2
    wide, high = right_end - left, low_end - top
    right, up, _ = first.screen.axes
    pitch_x, pitch_y = first.screen.size[0] / first.width, first.screen.size[1] / first.height
    corner = np.array(first.screen.upper_left) + left * pitch_x * right - top * pitch_y * up
    lower_left = corner - high * pitch_y * up
    screen = Screen("large", _vec(lower_left), _vec(lower_left + wide * pitch_x * right), _vec(corner))
    parts = tuple(Part(s.screen.name, Place(x - left, y - top, s.width, s.height)) for s, (x, y) in together)
    return Large(screen, wide, high, parts)


def _vec(v: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = v.tolist()
    return x, y, z


def scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """The size of a tile's picture at a scale, at least 16 × 16 pixels."""
    return max(16, floor(width * scale + 0.5)), max(16, floor(height * scale + 0.5))


def differing(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """Pixels of two pictures, (height, width, 3), that differ by more than one level in any channel."""
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=-1)
    return int(np.count_nonzero(apart > 1))
