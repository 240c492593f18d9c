"""Where the viewers look, for the streamer: the point of the volume that each one's camera is aimed at.  Pure.

A viewer who has only come, or only walks around the whole, looks nowhere in particular; from the moment at
which the camera is aimed elsewhere or comes nearer, its target is where people want to see more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renderers.geometry import Room
from streamer.wire.grid import Grid
from streamer.wire.messages import Focus
from streamer.wire.view import Camera

EVERY_S = 0.5
"""The streamer is told at most so often."""
AGAIN_S = 30.0
"""It is told again after so long, so that a still viewer's focus does not lapse."""
VIEWS = 64


def voxel_of(room: Room, target: tuple[float, float, float]) -> tuple[float, float, float]:
    """The voxel (z, y, x), fractional, at a point (x, y, z) of the room; outside, the nearest."""
    found = []
    for ruler, at in zip(room.rulers, target, strict=True):
        places = (ruler.values - ruler.middle) * ruler.scale
        rising = 1 if places[0] <= places[-1] else -1
        found.append(float(np.interp(at, places[::rising], ruler.indices[::rising])))
    x, y, z = found
    return z, y, x


class Looks:
    """The viewers' cameras, and what of them the streamer has been told."""

    def __init__(self) -> None:
        self._homes: dict[bytes, Camera] = {}
        self._cameras: dict[bytes, Camera] = {}
        self._numbers: dict[bytes, int] = {}
        self._told: dict[bytes, tuple[Camera, float]] = {}
        self._gone: list[int] = []
        self._at = -EVERY_S

    def see(self, viewer: bytes, camera: Camera) -> None:
        """A viewer's camera now; the first one says where it stood when it came."""
        home = self._homes.setdefault(viewer, camera)
        if viewer in self._numbers or (camera.target, camera.distance) != (home.target, home.distance):
            if viewer not in self._numbers:
                free = set(range(VIEWS)) - set(self._numbers.values())
                if not free:
                    return
                self._numbers[viewer] = min(free)
            self._cameras[viewer] = camera

    def leave(self, viewer: bytes) -> None:
        """A viewer has gone."""
        self._homes.pop(viewer, None)
        self._cameras.pop(viewer, None)
        told = self._told.pop(viewer, None)
        number = self._numbers.pop(viewer, None)
        if told is not None and number is not None:
            self._gone.append(number)

    @property
    def viewers(self) -> set[bytes]:
        """Those that were seen."""
        return set(self._homes)

    def due(self, room: Room, now: float) -> list[Focus]:
        """What the streamer is to be told now."""
        if now - self._at < EVERY_S:
            return []
        told = [Focus(0, 0, 0, 0.0, number) for number in self._gone if number not in self._numbers.values()]
        self._gone.clear()
        for viewer, camera in self._cameras.items():
            before = self._told.get(viewer)
            if before is not None and before[0].target == camera.target and now - before[1] < AGAIN_S:
                continue
            z, y, x = voxel_of(room, camera.target)
            told.append(Focus(z, y, x, 1.0, self._numbers[viewer]))
            self._told[viewer] = camera, now
        if told:
            self._at = now
        return told


def nearest_first(grid: Grid, chunks: NDArray[np.integer], foci: Sequence[Focus]) -> NDArray[np.int64]:
    """The order in which to fetch some chunks: places in ``chunks``, by distance in chunks to the nearest focus."""
    if not foci:
        return np.arange(len(chunks))
    best = np.full(len(chunks), np.inf)
    index = np.unravel_index(np.asarray(chunks, np.int64), grid.counts)
    for focus in foci:
        far = np.zeros(len(chunks))
        for at, place, side, n, wraps in zip(
            (focus.z, focus.y, focus.x), index, grid.chunk, grid.shape, grid.periodic, strict=True
        ):
            away = np.abs((place + 0.5) * side - at)
            if wraps:
                away = np.minimum(away % n, n - away % n)
            far += (away / side) ** 2
        best = np.minimum(best, far)
    return np.argsort(best, kind="stable")
