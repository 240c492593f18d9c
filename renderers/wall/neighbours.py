"""Who stands beside whom: gaps, overlaps and doubled screens, on flat, curved and boxed walls alike.

Every edge of a picture looks for the nearest parallel edge of another screen; two that find each other are
neighbours.  How far apart they stand, less their frames, is a gap; how far one reaches into the other is an
overlap.  Nothing is assumed about rows and columns, so a roll of 180° or a corner of 90° is no special case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Bezel, Screen, Wall

Vector = NDArray[np.float64]
SIDES = ("left", "right", "bottom", "top")
TOUCH_MM = 2.0
"""Frames that miss each other by less are said to touch: nobody hangs panels better."""


class Edge(NamedTuple):
    """One edge of a screen's picture."""

    screen: str
    middle: Vector
    along: Vector
    """Unit vector."""
    outward: Vector
    """Unit vector in the screen's plane, away from the picture."""
    length: float
    depth: float
    """The screen's extent across this edge, mm."""
    frame: float | None
    """Width of the frame here, mm; None where the file says nothing."""


class Meeting(NamedTuple):
    """Two edges of different screens that face each other."""

    first: str
    second: str
    apart_mm: float
    """Between the pictures, less the frames; negative where they reach into each other."""
    framed: bool
    """Whether the file says how wide at least one of the frames is."""
    depth_mm: float
    """The smaller screen's extent in that direction."""


def edges(screen: Screen, bezel: Bezel | None) -> list[Edge]:
    """The four edges of a screen: left, right, bottom, top."""
    right, up, _ = screen.axes
    width, height = screen.size
    centre = (np.array(screen.lower_right) + np.array(screen.upper_left)) / 2
    found = []
    for side, outward, along, length, depth in (
        ("left", -right, up, height, width),
        ("right", right, up, height, width),
        ("bottom", -up, right, width, height),
        ("top", up, right, width, height),
    ):
        frame = None if bezel is None else float(getattr(bezel, side))
        found.append(Edge(screen.name, centre + outward * depth / 2, along, outward, length, depth, frame))
    return found


def same_place(wall: Wall) -> list[tuple[str, str]]:
    """Pairs of screens whose centres and planes agree: one panel that is listed twice."""
    found = []
    for i, a in enumerate(wall.screens):
        for b in wall.screens[i + 1 :]:
            near = np.linalg.norm(_centre(a) - _centre(b)) < 0.05 * min(*a.size, *b.size)
            if near and abs(float(a.axes[2] @ b.axes[2])) > 0.99:
                found.append((a.name, b.name))
    return found


def meetings(wall: Wall) -> list[Meeting]:
    """All pairs of facing edges, each once."""
    all_edges = [edge for screen in wall.screens for edge in edges(screen, wall.bezels.get(screen.name))]
    nearest = [_nearest(edge, all_edges) for edge in all_edges]
    found = []
    for i, j in enumerate(nearest):
        if j is None or nearest[j] != i or i > j:
            continue
        a, b = all_edges[i], all_edges[j]
        frames = (a.frame or 0.0) + (b.frame or 0.0)
        apart = _apart(a, b)
        # Frames that meet at an angle are a little nearer than side by side.
        turned = max(0.0, float(-(a.outward @ b.outward)))
        depth = min(a.depth, b.depth)
        framed = a.frame is not None or b.frame is not None
        found.append(Meeting(a.screen, b.screen, apart - frames * turned, framed, depth))
    return found


def _centre(screen: Screen) -> Vector:
    middle: Vector = (np.array(screen.lower_right) + np.array(screen.upper_left)) / 2
    return middle


def _apart(a: Edge, b: Edge) -> float:
    """Across the edges; negative where b's edge lies inside a's picture."""
    between = b.middle - a.middle
    across = between - (between @ a.along) * a.along
    distance = float(np.linalg.norm(across))
    inside = float(across @ a.outward) < -0.5 * distance and float(across @ b.outward) > 0.5 * distance
    return -distance if inside else distance


def _nearest(edge: Edge, others: list[Edge]) -> int | None:
    """The index of the edge that this one faces, if there is one less than a panel away."""
    best, found = edge.depth, None
    for index, other in enumerate(others):
        if other.screen == edge.screen or abs(float(edge.along @ other.along)) < 0.9:
            continue
        if float(edge.outward @ other.outward) > 0.5:
            continue  # the same side of another screen: behind or beside it, not facing
        shift = abs(float((other.middle - edge.middle) @ edge.along))
        if shift > 0.5 * min(edge.length, other.length):
            continue
        distance = abs(_apart(edge, other))
        if distance < min(best, other.depth):
            best, found = distance, index
    return found
