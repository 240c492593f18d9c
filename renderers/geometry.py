"""From voxel indices to the room in which the scene is drawn.

The volume becomes a box around the origin whose bounding sphere has radius 1: x is axis 2 (east),
y is axis 1 (north), z is axis 0 (time, or depth) upwards.  Positions follow the axes' real
coordinates, uneven as they are, so north is +y also where latitudes descend.  Longitude and latitude
keep their proportion in degrees; time, which has no length, is as high as latitude is wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.volume import Axis, Volume

Floats = NDArray[np.float64]
Vec = tuple[float, float, float]
THINNEST = 0.12
"""No side of the box is less than this part of its longest one, or the picture would be a line."""


class Ruler(NamedTuple):
    """One axis of the volume laid along one direction of the room."""

    indices: Floats
    """Increasing: the two ends (half a voxel beyond the outer centres) and every centre."""
    values: Floats
    """The coordinate at each of them, in the axis' own units; monotonic."""
    middle: float
    scale: float
    """Room units per coordinate unit; positive, so that larger coordinates lie further along +."""

    def at(self, index: NDArray[np.floating]) -> Floats:
        """Where fractional indices lie in the room."""
        there: Floats = (np.interp(index, self.indices, self.values) - self.middle) * self.scale
        return there

    def slope(self, index: NDArray[np.floating]) -> Floats:
        """Room units per index there: signed, for turning gradients into normals."""
        middles = (self.indices[:-1] + self.indices[1:]) / 2
        slopes = np.diff(self.values) / np.diff(self.indices) * self.scale
        here: Floats = np.interp(index, middles, slopes)
        return here

    def of(self, value: float) -> float:
        """Where a coordinate lies in the room."""
        return (value - self.middle) * self.scale

    def index_of(self, value: float) -> float:
        """The fractional index at a coordinate; beyond the ends, the nearest."""
        rising = 1 if self.values[0] <= self.values[-1] else -1
        return float(np.interp(value, self.values[::rising], self.indices[::rising]))

    @property
    def low(self) -> float:
        """The smallest coordinate of the box."""
        return float(min(self.values[0], self.values[-1]))

    @property
    def high(self) -> float:
        """The largest coordinate of the box."""
        return float(max(self.values[0], self.values[-1]))


class Room(NamedTuple):
    """The rulers along room x, y, z, which are axes 2, 1, 0 of the volume."""

    rulers: tuple[Ruler, Ruler, Ruler]
    half: Vec
    """Half the box's sides; it is centred on the origin."""
    mirrored: bool
    """Whether an odd number of axes run backwards, so that triangles must be wound the other way."""

    def points(self, index_zyx: NDArray[np.floating]) -> NDArray[np.float32]:
        """Room positions, shape (n, 3) as x, y, z, of fractional voxel indices, shape (n, 3) as z, y, x."""
        columns = [ruler.at(index_zyx[:, 2 - i]) for i, ruler in enumerate(self.rulers)]
        return np.stack(columns, axis=1).astype(np.float32)

    def normals(self, outward_zyx: NDArray[np.floating], index_zyx: NDArray[np.floating]) -> NDArray[np.float32]:
        """Unit vectors in the room, (n, 3) as x, y, z, of gradients per index, (n, 3) as z, y, x, at some indices."""
        columns = [
            outward_zyx[:, 2 - i] / _away_from_zero(ruler.slope(index_zyx[:, 2 - i]))
            for i, ruler in enumerate(self.rulers)
        ]
        vectors = np.stack(columns, axis=1)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)[:, None]).astype(np.float32)
        return unit


def _away_from_zero(slopes: Floats) -> Floats:
    return np.where(np.abs(slopes) < 1e-12, 1e-12, slopes)


def room_of(volume: Volume) -> Room:
    """The room for a volume."""
    spans = [_span(volume.axes[2 - i]) for i in range(3)]
    sides = _sides(volume, [abs(values[-1] - values[0]) for _, values in spans])
    radius = float(np.linalg.norm(sides)) / 2
    rulers = []
    for (indices, values), side in zip(spans, sides, strict=True):
        extent = abs(float(values[-1] - values[0]))
        rulers.append(Ruler(indices, values, float(values[0] + values[-1]) / 2, side / radius / extent))
    x, y, z = rulers
    backwards = sum(float(ruler.values[-1]) < float(ruler.values[0]) for ruler in rulers)
    half = (sides[0] / radius / 2, sides[1] / radius / 2, sides[2] / radius / 2)
    return Room((x, y, z), half, backwards % 2 == 1)


def _span(axis: Axis) -> tuple[Floats, Floats]:
    """Indices and coordinates of the ends and centres of an axis' voxels."""
    points = axis.points
    n = len(points)
    if n == 1:
        half = float(axis.widths[0]) / 2 if axis.kind != "time" else 0.5
        low, high = points[0] - half, points[0] + half
    else:
        low, high = points[0] - (points[1] - points[0]) / 2, points[-1] + (points[-1] - points[-2]) / 2
    if axis.kind == "latitude":
        low, high = float(np.clip(low, -90, 90)), float(np.clip(high, -90, 90))
    indices = np.concatenate([[-0.5], np.arange(n, dtype=float), [n - 0.5]])
    return indices, np.concatenate([[low], points, [high]])


def _sides(volume: Volume, extents: Sequence[float]) -> list[float]:
    """The sides of the box along room x, y, z, in any unit."""
    x, y, z = extents
    unlike = volume.axes[0].units != volume.axes[1].units
    if volume.has_time or (unlike and not volume.on_sphere):
        z = y
    if volume.on_sphere and not volume.has_time:
        z = y / 2
    longest = max(x, y, z)
    return [max(side, THINNEST * longest) for side in (x, y, z)]
