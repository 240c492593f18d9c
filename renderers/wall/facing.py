"""Is the picture seen from its front?  Three corners say by their order which side that is.

If the eye is behind a screen, either the head stands in the wrong place or two corners are exchanged, and the
picture would be mirrored.  From one screen alone the two look the same; its fellows tell them apart: screens
of a wall face the same room.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Screen, Wall

Seen = Literal["front", "mirrored", "behind"]


def seen(wall: Wall) -> dict[str, Seen]:
    """For each screen how the default head sees it."""
    eye = np.array(wall.head.position)
    centres = {screen.name: (np.array(screen.lower_right) + np.array(screen.upper_left)) / 2 for screen in wall.screens}
    distance = {s.name: float((eye - centres[s.name]) @ s.axes[2]) for s in wall.screens}
    front = [screen for screen in wall.screens if distance[screen.name] > 1e-6]
    found: dict[str, Seen] = {}
    for screen in wall.screens:
        if distance[screen.name] > 1e-6:
            found[screen.name] = "front"
        elif abs(distance[screen.name]) <= 1e-6:
            found[screen.name] = "behind"
        else:
            found[screen.name] = "mirrored" if _mirrored(screen, wall, front, centres) else "behind"
    return found


def _mirrored(screen: Screen, wall: Wall, front: list[Screen], centres: dict[str, NDArray[np.float64]]) -> bool:
    """Whether a screen that turns its back to the eye does so because its corners are exchanged."""
    out = screen.axes[2]
    here = centres[screen.name]
    # A fellow in the same plane that is seen from its front: the two cannot both be right.
    for other in front:
        if float(out @ other.axes[2]) < -0.99 and abs(float((centres[other.name] - here) @ out)) < 50.0:
            return True
    # Otherwise the middle of all screens is in the room that they face.
    others = [centres[s.name] for s in wall.screens if s.name != screen.name]
    if others:
        towards = float((np.mean([*others, here], axis=0) - here) @ out)
        if abs(towards) > 0.02 * max(screen.size):
            return towards < 0
    # A flat wall: the viewer stands at its back side in the wall's own words, where z points.
    return float(out[2]) < 0
