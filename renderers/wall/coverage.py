"""How much of what one can look at a wall fills, in degrees as seen from the default head.

Horizontally: all directions of the compass in which a screen stands, gaps of less than 5° (frames) included,
so that a closed ring has 360°.  Floors and ceilings (screens tilted by more than 60°) do not count here,
since one beneath the feet lies in every direction; they do if the wall has nothing else.
Vertically: from the lowest to the highest direction of all screens; a floor under the head reaches to −90°.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Screen, Wall
from streamer.wire.viewing import Vec3

FRAME_DEG = 5.0
STEPS = 32


def fov_deg(wall: Wall) -> tuple[float, float]:
    """Horizontal and vertical angle of the wall's screens from ``wall.head``; (0, 0) without screens."""
    if not wall.screens:
        return 0.0, 0.0
    eye = wall.head.position
    upright = [s for s in wall.screens if not lies_flat(s)] or list(wall.screens)
    return _compass([_headings(screen, eye) for screen in upright]), _height(wall.screens, eye)


def lies_flat(screen: Screen) -> bool:
    """Whether it is a floor or a ceiling: tilted by more than 60° from upright."""
    return bool(abs(screen.axes[2][1]) > np.cos(np.radians(30.0)))


def nearest_mm(screen: Screen, eye: Vec3) -> float:
    """The distance from an eye to the nearest point of a screen."""
    right, up, _ = screen.axes
    width, height = screen.size
    corner = np.array(screen.lower_left)
    offset = np.array(eye) - corner
    x, y = np.clip(float(offset @ right), 0, width), np.clip(float(offset @ up), 0, height)
    return float(np.linalg.norm(offset - x * right - y * up))


def _border(screen: Screen, eye: Vec3) -> NDArray[np.float64]:
    """(n, 3): points around the border, from the eye; the last is the first again."""
    share = np.linspace(0, 1, STEPS, endpoint=False)[:, None]
    ring = [np.array(p) for p in (screen.lower_left, screen.lower_right, screen.upper_right, screen.upper_left)]
    sides = [a + share * (b - a) for a, b in zip(ring, [*ring[1:], ring[0]], strict=True)]
    points: NDArray[np.float64] = np.concatenate([*sides, ring[0][None]]) - np.array(eye)
    return points


def _headings(screen: Screen, eye: Vec3) -> tuple[float, float]:
    """From … to, in degrees to the right of forward; more than 360 apart at most once around."""
    points = _border(screen, eye)
    angles = np.unwrap(np.arctan2(points[:, 0], -points[:, 2]))
    if abs(angles[-1] - angles[0]) > np.pi:
        return -180.0, 180.0  # the border goes round the head: the screen lies above or below it
    low, high = np.degrees([angles.min(), angles.max()]).tolist()
    return low, high


def _compass(spans: list[tuple[float, float]]) -> float:
    """Degrees that the spans cover together, on the circle."""
    starts = sorted((low % 360.0, high - low) for low, high in spans)
    free, reach = 0.0, starts[0][0]
    first = starts[0][0]
    for start, width in starts:
        if start - reach > FRAME_DEG:
            free += start - reach
        reach = max(reach, start + width)
    if (rest := first + 360.0 - reach) > FRAME_DEG:
        free += rest
    return round(360.0 - free, 6)


def _height(screens: tuple[Screen, ...], eye: Vec3) -> float:
    lowest, highest = 90.0, -90.0
    for screen in screens:
        points = _border(screen, eye)
        angles = np.degrees(np.arctan2(points[:, 1], np.hypot(points[:, 0], points[:, 2])))
        low, high = float(angles.min()), float(angles.max())
        if (ends := _headings(screen, eye)) == (-180.0, 180.0) and ends[1] - ends[0] >= 360.0:
            low, high = (-90.0, high) if screen.lower_left[1] < eye[1] else (low, 90.0)
        lowest, highest = min(lowest, low), max(highest, high)
    return round(highest - lowest, 6)
