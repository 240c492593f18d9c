"""Where a point must appear, reckoned without any projection matrix: the straight line from the eye through the screen.

Independent of ``renderers.wall.projection`` on purpose: each is the other's proof.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Screen
from streamer.wire.viewing import Vec3


def pixels_of(points: NDArray[np.floating], eye: Vec3, screen: Screen, width: int, height: int) -> NDArray[np.float64]:
    """Where points (n, 3), mm, are seen on a screen of ``width`` × ``height`` pixels.

    Returns (n, 2): x to the right and y down from the upper left corner, in pixels; NaN where a point is not in
    front of the eye.
    The sight line from the eye to the point meets the screen's plane; that place is measured along the screen's edges.
    """
    corner, right_end, low_end = (np.array(c) for c in (screen.upper_left, screen.upper_right, screen.lower_left))
    across, down = right_end - corner, low_end - corner
    normal = np.cross(across, down)
    start = np.array(eye, float)
    found = np.full((len(points), 2), np.nan)
    for i, point in enumerate(np.asarray(points, float)):
        along = point - start
        slope = float(normal @ along)
        if abs(slope) < 1e-12:
            continue
        t = float(normal @ (corner - start)) / slope
        if t <= 0:
            continue
        met = start + t * along - corner
        found[i] = (met @ across) / (across @ across) * width, (met @ down) / (down @ down) * height
    return found
