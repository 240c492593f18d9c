"""Keyboard and mouse of a desk's window: what its events mean as records, and as a ray into the room.

The window tells of pixels; a record holds shares of the screen, so that a recorded session fits a window
of any size.
"""

from __future__ import annotations

import numpy as np

from renderers.wall.records import Screen
from renderers.wall.track.sensed import LONGEST_KEY, Decoder, Key, Pointer, Record
from renderers.wall.track.turns import of_rows
from streamer.wire.viewing import Head, Vec3


class Mouse(Decoder):
    """Turns a window's events into records."""

    def __init__(self, source: int = 0, screen: str = "", width: int = 1, height: int = 1) -> None:
        super().__init__(source)
        self.screen, self.width, self.height = screen, width, height
        self._held = 0

    def moved(self, x: float, y: float) -> list[Record]:
        """The pointer is at a pixel, from the window's upper left corner."""
        self.packets += 1
        if not (0 <= x <= self.width and 0 <= y <= self.height):
            self.garbage["outside"] += 1
            return []
        return [Pointer(self.source, self.screen, x / max(self.width, 1), y / max(self.height, 1), self._held)]

    def pressed(self, button: int, down: bool, x: float, y: float) -> list[Record]:
        """A button (1 left, 2 middle, 3 right, as X counts) at a pixel."""
        if not 1 <= button <= 3:
            self.packets += 1
            self.garbage["button"] += 1
            return []
        bit = 1 << (button - 1)
        self._held = self._held | bit if down else self._held & ~bit
        return self.moved(x, y)

    def key(self, name: str, down: bool) -> list[Record]:
        """A key, by its X name."""
        self.packets += 1
        if not 0 < len(name) <= LONGEST_KEY:
            self.garbage["key"] += 1
            return []
        return [Key(self.source, name, down)]


def screen_point(screen: Screen, x: float, y: float) -> Vec3:
    """The point (mm) at shares of the screen's width from the left and of its height from the top."""
    origin, right, up = (np.array(corner) for corner in (screen.lower_left, screen.lower_right, screen.upper_left))
    px, py, pz = (origin + x * (right - origin) + (1 - y) * (up - origin)).tolist()
    return px, py, pz


def pointing(screen: Screen, eye: Vec3, x: float, y: float) -> Head:
    """A wand that stands at the eye and points (−z) through the pointer's place on the screen.

    Raises ValueError where the eye is on that very place.
    """
    target = np.array(screen_point(screen, x, y))
    behind = np.array(eye) - target
    length = float(np.linalg.norm(behind))
    if length < 1e-6:
        raise ValueError(f"the eye is on screen {screen.name}: there is no direction to point")
    behind /= length
    up = screen.axes[1]
    right = np.cross(up, behind)
    if np.linalg.norm(right) < 1e-9:
        right = screen.axes[0]
    right = right / np.linalg.norm(right)
    rows = np.stack([right, np.cross(behind, right), behind], axis=1)
    return Head(eye, of_rows([[float(value) for value in row] for row in rows]))
