"""One step of the labels as a raised sheet over the ground: the geometry of the globe and the map.

Every labelled cell gets a lid of two triangles at a height that its intensity gives, and a wall down to the
ground at each side where the next cell carries no label.  Lids meet at common corners, whose height is the
mean of the labelled cells around them, so the top is smooth and closed.  Where a corner lies in space is
said by a ``Ground``: a globe or a flat map.
"""

from __future__ import annotations

from math import asin, atan2, degrees, sqrt
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streamer.wire.viewing import Vec3
from streamer.wire.volume import Volume

Floats = NDArray[np.float64]


class Ground(Protocol):
    """Where places on Earth are in the scene."""

    def points(self, lat: Floats, lon: Floats, height: Floats) -> Floats:
        """(…, 3): degrees north, degrees east, and the height over the ground in scene units."""
        ...

    def under(self, eye: Vec3, focal: Vec3) -> tuple[float, float]:
        """Degrees north and east of the place on the ground that is in the middle, seen from an eye."""
        ...


class Globe(NamedTuple):
    """A ball of ``radius`` around the origin: z points to the north pole, x to 0° E on the equator."""

    radius: float = 0.8

    def points(self, lat: Floats, lon: Floats, height: Floats) -> Floats:
        """As ``Ground`` says."""
        phi, lam, away = np.radians(lat), np.radians(lon), self.radius + height
        flat = away * np.cos(phi)
        points: Floats = np.stack([flat * np.cos(lam), flat * np.sin(lam), away * np.sin(phi)], -1)
        return points

    def under(self, eye: Vec3, focal: Vec3) -> tuple[float, float]:
        """As ``Ground`` says; beside the ball, the place that comes nearest.  East is from -180 to 180."""
        dx, dy, dz = (f - e for f, e in zip(focal, eye, strict=True))
        length = dx * dx + dy * dy + dz * dz
        # Where the ray is nearest to the ball's middle, and from there back to where it went in.
        nearest = -(eye[0] * dx + eye[1] * dy + eye[2] * dz) / length
        beside = sum((e + nearest * d) ** 2 for e, d in zip(eye, (dx, dy, dz), strict=True))
        at = nearest - sqrt(max(0.0, self.radius**2 - beside) / length)
        x, y, z = (e + at * d for e, d in zip(eye, (dx, dy, dz), strict=True))
        away = sqrt(x * x + y * y + z * z)
        return degrees(asin(max(-1.0, min(1.0, z / away)))), degrees(atan2(y, x))


class Flat(NamedTuple):
    """Plate carrée around a middle: x east, y north, z up; ``scale`` scene units for a degree."""

    middle_lat: float
    middle_lon: float
    scale: float

    def points(self, lat: Floats, lon: Floats, height: Floats) -> Floats:
        """As ``Ground`` says."""
        x, y = (lon - self.middle_lon) * self.scale, (lat - self.middle_lat) * self.scale
        points: Floats = np.stack(np.broadcast_arrays(x, y, height), -1).astype(float)
        return points

    def under(self, eye: Vec3, focal: Vec3) -> tuple[float, float]:
        """As ``Ground`` says; where nothing of the ground is in the middle, what lies under the focal point."""
        drop = eye[2] - focal[2]
        at = eye[2] / drop if abs(drop) > 1e-9 else 1.0
        x, y, _ = (e + (at if at > 0 else 1.0) * (f - e) for e, f in zip(eye, focal, strict=True))
        return self.middle_lat + y / self.scale, self.middle_lon + x / self.scale


Region = tuple[float, float, float, float]
"""West, east, south, north; degrees."""


def region_of(view: Literal["globe", "map"], lat: Floats, lon: Floats) -> Region:
    """What of the Earth is shown of a volume whose cells have their corners there: a map shows the volume alone."""
    if view == "globe":
        return -180.0, 180.0, -90.0, 90.0
    return float(lon.min()), float(lon.max()), float(lat.min()), float(lat.max())


def ground_of(view: Literal["globe", "map"], region: Region) -> Globe | Flat:
    """The ground of a view; a map's half diagonal is 0.95."""
    if view == "globe":
        return Globe()
    west, east, south, north = region
    return Flat((south + north) / 2, (west + east) / 2, 1.9 / float(np.hypot(east - west, north - south)))


class Sheet(NamedTuple):
    """A surface."""

    points: NDArray[np.float32]
    """(n, 3)."""
    normals: NDArray[np.float32]
    """(n, 3), outward, of length 1."""
    cells: NDArray[np.int64]
    """(n,): the cell, counted in C order of (y, x), that each point belongs to."""
    triangles: NDArray[np.int32]
    """(m, 3), anticlockwise seen from outside."""


EMPTY = Sheet(
    np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.int64), np.zeros((0, 3), np.int32)
)


def corners_of(volume: Volume) -> tuple[Floats, Floats]:
    """The corners of a volume's cells in degrees north, (y + 1,), and east, (x + 1,)."""
    lat, lon = (axis.points.astype(float) for axis in volume.axes[1:])
    return corners(lat, -90.0, 90.0), corners(lon, -720.0, 720.0)


def corners(centres: Floats, low: float, high: float) -> Floats:
    """The corners between the centres of cells along an axis, (n + 1,): halfway, clipped to ``low`` … ``high``."""
    middles = (centres[:-1] + centres[1:]) / 2 if len(centres) > 1 else centres + 0.5
    ends = 2 * centres[0] - middles[0], 2 * centres[-1] - middles[-1]
    between = np.concatenate([[ends[0]], middles, [ends[1]]]) if len(centres) > 1 else np.array([ends[0], middles[0]])
    clipped: Floats = np.clip(between, low, high)
    return clipped


SIDES = ((0, 1), (1, 2), (2, 3), (3, 0))
"""The southern, eastern, northern and western side of a cell, by its corners from the south-west round."""


def sheet(
    labelled: NDArray[np.bool_], heights: Floats, lat: Floats, lon: Floats, ground: Ground, *, wraps: bool
) -> Sheet:
    """The surface over the labelled cells of one step.

    ``labelled`` and ``heights`` are (y, x); ``lat`` (y + 1,) and ``lon`` (x + 1,) are the cells' corners in degrees, in
    either direction; ``wraps`` says that the last column is the first one's neighbour.
    """
    rows, columns = np.nonzero(labelled)
    if not len(rows):
        return EMPTY
    tops = _corner_heights(labelled, heights, wraps=wraps)
    up, right = int(lat[-1] > lat[0]), int(lon[-1] > lon[0])
    # South-west, south-east, north-east, north-west of each cell, whichever way the axes run.
    south, north, west, east = rows + (1 - up), rows + up, columns + (1 - right), columns + right
    ys = np.stack([south, south, north, north], 1)
    xs = np.stack([west, east, east, west], 1)
    top = ground.points(lat[ys], lon[xs], tops[ys, xs])
    foot = ground.points(lat[ys], lon[xs], np.zeros_like(tops[ys, xs]))
    cell = rows * labelled.shape[1] + columns
    lid_normals = _corner_normals(top, ys, xs, tops.shape, wraps=wraps)
    base = 4 * np.arange(len(rows))[:, None]
    pieces = [(top.reshape(-1, 3), lid_normals.reshape(-1, 3), np.repeat(cell, 4))]
    triangles = [_halves(base)]
    count = 4 * len(rows)
    for (a, b), open_side in zip(SIDES, _open(labelled, up, right, wraps=wraps), strict=True):
        bare = open_side[rows, columns]
        if not bare.any():
            continue
        wall = np.stack([foot[bare, a], foot[bare, b], top[bare, b], top[bare, a]], 1)
        out = np.cross(wall[:, 1] - wall[:, 0], wall[:, 3] - wall[:, 0])
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        pieces.append((
            wall.reshape(-1, 3),
            np.repeat(out / np.where(lengths > 0, lengths, 1), 4, axis=0),
            np.repeat(cell[bare], 4),
        ))  # fmt: skip
        base = count + 4 * np.arange(int(bare.sum()))[:, None]
        triangles.append(_halves(base))
        count += 4 * int(bare.sum())
    points, normals, cells = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Sheet(
        points.astype(np.float32), normals.astype(np.float32), cells, np.concatenate(triangles).astype(np.int32)
    )


def _halves(base: NDArray[np.int64]) -> NDArray[np.int64]:
    """The two triangles of each quadrangle whose four points begin at ``base``, (n, 1)."""
    both: NDArray[np.int64] = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
    return both


def _corner_heights(labelled: NDArray[np.bool_], heights: Floats, *, wraps: bool) -> Floats:
    """The mean height of the labelled cells around each corner, (y + 1, x + 1); 0 where there is none."""
    y, x = labelled.shape
    total, count = np.zeros((y + 1, x + 1)), np.zeros((y + 1, x + 1))
    high = np.where(labelled, heights, 0.0)
    for dy in (0, 1):
        for dx in (0, 1):
            total[dy : dy + y, dx : dx + x] += high
            count[dy : dy + y, dx : dx + x] += labelled
    if wraps:
        for sums in (total, count):
            sums[:, 0] += sums[:, -1]
            sums[:, -1] = sums[:, 0]
    mean: Floats = total / np.maximum(count, 1)
    return mean


def _corner_normals(
    top: Floats, ys: NDArray[np.int64], xs: NDArray[np.int64], shape: tuple[int, int], *, wraps: bool
) -> Floats:
    """Normals of the lids at their corners, (cells, 4, 3): the mean of those of all lids that meet there."""
    face = np.cross(top[:, 2] - top[:, 0], top[:, 3] - top[:, 1])
    sums = np.zeros((*shape, 3))
    for corner in range(4):
        np.add.at(sums, (ys[:, corner], xs[:, corner]), face)
    if wraps:
        sums[:, 0] += sums[:, -1]
        sums[:, -1] = sums[:, 0]
    found = sums[ys, xs]
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    unit: Floats = found / np.where(lengths > 0, lengths, 1)
    return unit


def _open(labelled: NDArray[np.bool_], up: int, right: int, *, wraps: bool) -> list[NDArray[np.bool_]]:
    """For the southern, eastern, northern and western side of each cell: whether no labelled cell lies beyond."""
    before_y, after_y = np.zeros_like(labelled), np.zeros_like(labelled)
    before_y[1:], after_y[:-1] = labelled[:-1], labelled[1:]
    before_x, after_x = np.zeros_like(labelled), np.zeros_like(labelled)
    before_x[:, 1:], after_x[:, :-1] = labelled[:, :-1], labelled[:, 1:]
    if wraps:
        before_x[:, 0], after_x[:, -1] = labelled[:, -1], labelled[:, 0]
    south, north = (before_y, after_y) if up else (after_y, before_y)
    west, east = (before_x, after_x) if right else (after_x, before_x)
    return [~south, ~east, ~north, ~west]
