"""A wall folded flat, so that a drawing can show every screen at its true size.

Screens that stand above one another, as seen from the head, are a column; columns are laid side by side from
left to right.  A floor is hung under the column in front, a ceiling above it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.coverage import lies_flat
from renderers.wall.records import Screen, Wall

SAME_COLUMN_DEG = 9.0
GAP_MM = 60.0


class Column(NamedTuple):
    """Screens above one another, the lowest first, and the heading of their middle (degrees, right positive)."""

    screens: tuple[Screen, ...]
    heading: float


class Laid(NamedTuple):
    """A screen in the unrolled drawing: its middle and size, mm, x right and y up."""

    screen: Screen
    x: float
    y: float
    width: float
    height: float


def columns(wall: Wall) -> list[Column]:
    """The upright screens by heading from the default head; floors and ceilings are in none."""
    eye = np.array(wall.head.position)
    placed = []
    for screen in wall.screens:
        if not lies_flat(screen):
            x, y, z = middle(screen) - eye
            placed.append((float(np.degrees(np.arctan2(x, -z))), float(y), screen))
    placed.sort(key=lambda one: one[0])
    groups: list[list[tuple[float, float, Screen]]] = []
    for one in placed:
        # Heights must differ too: panels of a flat wall far to the side lie at nearly the same heading.
        fits = groups and one[0] - groups[-1][0][0] < SAME_COLUMN_DEG and not _beside(one, groups[-1])
        if fits:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [
        Column(
            tuple(screen for _, _, screen in sorted(group, key=lambda one: one[1])),
            sum(heading for heading, _, _ in group) / len(group),
        )
        for group in groups
    ]


def _beside(one: tuple[float, float, Screen], group: list[tuple[float, float, Screen]]) -> bool:
    """Whether a screen stands at the height of one that the group has already."""
    return any(abs(one[1] - y) < 0.4 * min(extent(one[2])[1], extent(screen)[1]) for _, y, screen in group)


def middle(screen: Screen) -> NDArray[np.float64]:
    """The centre of a screen."""
    found: NDArray[np.float64] = (np.array(screen.lower_right) + np.array(screen.upper_left)) / 2
    return found


def extent(screen: Screen) -> tuple[float, float]:
    """Width and height as it hangs: a panel on its side is as wide as its picture is high."""
    right, up, _ = screen.axes
    width, height = screen.size
    return (height, width) if abs(right[1]) > abs(up[1]) else (width, height)


def is_flat(wall: Wall) -> bool:
    """Whether all screens lie about in one plane, so that a front view shows them all."""
    out = np.array([screen.axes[2] for screen in wall.screens])
    return not len(out) or bool((out @ out[0] > 0.97).all())


def unrolled(wall: Wall) -> list[Laid]:
    """All screens side by side, at true size."""
    found = []
    x = 0.0
    front = (float("inf"), 0.0)
    standing = columns(wall)
    most = max((len(column.screens) for column in standing), default=0)
    for column in standing:
        width = max(extent(screen)[0] for screen in column.screens)
        # Columns of fewer screens are centred, so that rows meet where they can.
        y = (most - len(column.screens)) / 2 * (extent(column.screens[0])[1] + GAP_MM)
        for screen in column.screens:
            wide, high = extent(screen)
            found.append(Laid(screen, x + width / 2, y + high / 2, wide, high))
            y += high + GAP_MM
        front = min(front, (abs(column.heading), x + width / 2))
        x += width + GAP_MM
    top = max((laid.y + laid.height / 2 for laid in found), default=0.0) + GAP_MM
    bottom = min((laid.y - laid.height / 2 for laid in found), default=0.0) - GAP_MM
    for screen in wall.screens:
        if lies_flat(screen):
            wide, high = extent(screen)
            if screen.axes[2][1] > 0:
                bottom -= high
                found.append(Laid(screen, front[1], bottom + high / 2, wide, high))
                bottom -= GAP_MM
            else:
                found.append(Laid(screen, front[1], top + high / 2, wide, high))
                top += high + GAP_MM
    return found
