"""Where the viewers look, for the streamer: the place of the volume that each one has in the middle.  Pure.

In the cube that is what the camera is aimed at.  On globe and map it is the place on Earth in the middle of the
picture, at the step that the time cursor shows.  A viewer who has only come, or only walks around the cube, looks
nowhere in particular; from the moment at which he aims elsewhere, comes nearer, turns the globe or chooses a step of
globe or map, people want to see more there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.camera import eye_of
from renderers.geometry import Room, Ruler
from renderers.sheet import corners_of, ground_of, region_of
from renderers.staging import shown_step, staging
from streamer.wire.grid import Grid
from streamer.wire.messages import Focus
from streamer.wire.view import Camera
from streamer.wire.viewing import View
from streamer.wire.volume import RunSpec

EVERY_S = 0.5
"""The streamer is told at most so often."""
AGAIN_S = 30.0
"""It is told again after so long, so that a still viewer's focus does not lapse."""
VIEWS = 64

Place = tuple[float, float, float]
"""A voxel (z, y, x), fractional."""


class Seen(NamedTuple):
    """What a viewer sees."""

    camera: Camera
    view: View


class Told(NamedTuple):
    """What the streamer was told of a viewer, when, and what that followed from."""

    basis: tuple[Seen, int]
    place: Place
    at: float


def voxel_of(room: Room, target: tuple[float, float, float]) -> Place:
    """The voxel at a point (x, y, z) of the room; outside, the nearest."""
    x, y, z = (ruler.index_of(at / ruler.scale + ruler.middle) for ruler, at in zip(room.rulers, target, strict=True))
    return z, y, x


def place_of(seen: Seen, spec: RunSpec, room: Room, newest: int) -> Place:
    """The voxel that a viewer has in the middle; ``newest``: the last step with something to see."""
    asked = staging(seen.view, spec, room)
    if asked.mode == "cube":
        return voxel_of(room, seen.camera.target)
    eye = eye_of(seen.camera)
    lat, lon = ground_of(asked.mode, region_of(asked.mode, *corners_of(spec.volume))).under(eye.position, eye.focal)
    east, north, _ = room.rulers
    step = shown_step(asked, seen.view.window, newest)
    return float(step), north.index_of(lat), east.index_of(_turned(lon, east))


def _turned(lon: float, ruler: Ruler) -> float:
    """A longitude by whole turns where the volume is; outside, at the nearer end."""
    lon = ruler.low + (lon - ruler.low) % 360
    return ruler.low if lon - ruler.high > ruler.low + 360 - lon else lon


class Looks:
    """What the viewers see, and what of it the streamer has been told."""

    def __init__(self) -> None:
        self._homes: dict[bytes, Camera] = {}
        self._seen: dict[bytes, Seen] = {}
        self._numbers: dict[bytes, int] = {}
        self._told: dict[bytes, Told] = {}
        self._gone: list[int] = []
        self._at = -EVERY_S

    def see(self, viewer: bytes, camera: Camera, view: View) -> None:
        """What a viewer sees now; the first camera says where it stood when it came."""
        self._homes.setdefault(viewer, camera)
        self._seen[viewer] = Seen(camera, view)

    def leave(self, viewer: bytes) -> None:
        """A viewer has gone."""
        self._homes.pop(viewer, None)
        self._seen.pop(viewer, None)
        told = self._told.pop(viewer, None)
        number = self._numbers.pop(viewer, None)
        if told is not None and number is not None:
            self._gone.append(number)

    @property
    def viewers(self) -> set[bytes]:
        """Those that were seen."""
        return set(self._homes)

    def due(self, spec: RunSpec, room: Room, newest: int, now: float) -> list[Focus]:
        """What the streamer is to be told now of those who look at a run whose last step to be seen is ``newest``."""
        if now - self._at < EVERY_S:
            return []
        told = [Focus(0, 0, 0, 0.0, number) for number in self._gone if number not in self._numbers.values()]
        self._gone.clear()
        for viewer, seen in self._seen.items():
            number = self._number(viewer, seen, earth=spec.volume.on_sphere)
            if number is None:
                continue
            before, basis = self._told.get(viewer), (seen, newest)
            fresh = before is not None and now - before.at < AGAIN_S
            if before is not None and fresh and before.basis == basis:
                continue
            place = place_of(seen, spec, room, newest)
            if before is not None and fresh and before.place == place:
                self._told[viewer] = before._replace(basis=basis)
                continue
            told.append(Focus(*place, 1.0, number))
            self._told[viewer] = Told(basis, place, now)
        if told:
            self._at = now
        return told

    def _number(self, viewer: bytes, seen: Seen, *, earth: bool) -> int | None:
        """What tells a viewer who looks at some place from the others; None while he looks nowhere in particular."""
        if viewer not in self._numbers:
            free = set(range(VIEWS)) - set(self._numbers.values())
            if not free or not _aims(self._homes[viewer], seen, earth=earth):
                return None
            self._numbers[viewer] = min(free)
        return self._numbers[viewer]


def _aims(home: Camera, seen: Seen, *, earth: bool) -> bool:
    """Whether a viewer looks at some place, and not only at the whole as it was when he came."""
    camera, view = seen
    if (camera.target, camera.distance) != (home.target, home.distance):
        return True
    if not earth or view.mode == "cube":
        return False
    return view.time is not None or (view.mode == "globe" and camera != home)


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
