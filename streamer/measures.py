"""From sums to what people read: lifetimes, means, centroids and extents of objects and of their steps.

Rows are sums and extremes (``ROW`` for an object at a step, ``TOTAL`` for a whole object), so they add up
in any order; nothing here keeps a state.  Centroids on the sphere are the direction of summed unit
vectors, on other periodic axes that of summed cosines and sines; elsewhere they are plain means.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import NOWHERE, STAT
from streamer.wire.grid import Grid
from streamer.wire.volume import Axis, Volume

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ids = NDArray[np.uint64]
Rows = NDArray[np.void]

_SUMS = ("voxels", "area_km2", "sum", "weight", "moment")
_LEAST = ("y_min", "x_min", "x_min_high")
_MOST = ("max", "y_max", "x_max", "x_max_low")

_STAT = [column for column in STAT.descr if column[0] != "label"]
ROW = np.dtype([("node", "<i8"), *_STAT])
"""An object (its node in the union-find) at one step: the columns of ``STAT``."""
_OVER_ALL = [("first", "<i8"), ("last", "<i8"), ("area_time", "<f8"), ("footprint", "<f8")]
TOTAL = np.dtype([("node", "<i8"), *(column for column in _STAT if column[0] != "step"), *_OVER_ALL])
"""An object over all its steps; ``area_time`` in km² h, ``footprint`` in km²."""


class Steps(NamedTuple):
    """The lives of objects, one row per (object, step), in that order.  Arrays of shape (n,)."""

    object_id: Ids
    step: Ints
    voxels: Ints
    area_km2: Floats | None
    mean: Floats
    max: Floats
    y: Floats
    """Centroid, in the units of axis 1."""
    x: Floats


class Columns(NamedTuple):
    """Objects, in the order of their ids, and their steps.  Arrays of shape (n,); units: the volume's, km², hours."""

    object_id: Ids
    first_step: Ints
    last_step: Ints
    lifetime_h: Floats | None
    voxels: Ints
    mean: Floats
    max: Floats
    footprint_km2: Floats | None
    area_time_km2_h: Floats | None
    y: Floats
    """Centroid, in the units of axis 1."""
    x: Floats
    y_first: Ints
    """First and last voxel along the axis; ``x_first > x_last`` where an object crosses a periodic seam."""
    y_last: Ints
    x_first: Ints
    x_last: Ints
    touches_edge: NDArray[np.bool_]
    final: NDArray[np.bool_]
    steps: Steps


def thinned(step: Ints, values: Floats, points: int) -> Floats:
    """Values at steps, ascending, as so many points at most, evenly from the first step to the last: the mean of what
    each stands for, 0 where there is nothing."""
    if not len(step):
        return np.empty(0)
    length = int(step[-1] - step[0]) + 1
    many = min(points, length)
    place = (step - step[0]) * many // length
    sums, counts = np.bincount(place, values, many), np.bincount(place, minlength=many)
    means: Floats = sums / np.maximum(counts, 1)
    return means


def grouped(rows: Rows) -> Rows:
    """The rows of one (node, step) added up to one, sorted by (node, step)."""
    rows = rows[np.lexsort((rows["step"], rows["node"]))]
    new = (np.diff(rows["node"]) != 0) | (np.diff(rows["step"]) != 0)
    return _added(rows, _starts(new, len(rows)), ROW)


def totals(rows: Rows, hours: Floats) -> Rows:
    """Objects from their rows, which are sorted by (node, step); ``hours`` are the widths of the steps."""
    starts = _starts(np.diff(rows["node"]) != 0, len(rows))
    found = _added(rows, starts, TOTAL)
    if len(rows):
        found["first"] = rows["step"][starts]
        found["last"] = np.maximum.reduceat(rows["step"], starts)
        found["area_time"] = np.add.reduceat(rows["area_km2"] * hours[rows["step"]], starts)
    return found


def _starts(new: NDArray[np.bool_], size: int) -> Ints:
    return np.concatenate(([0], np.flatnonzero(new) + 1)) if size else np.empty(0, np.int64)


def _added(rows: Rows, starts: Ints, dtype: np.dtype[np.void]) -> Rows:
    found = np.zeros(len(starts), dtype)
    if not len(starts):
        return found
    for name in set(ROW.names or ()) & set(dtype.names or ()) - {*_SUMS, *_LEAST, *_MOST}:
        found[name] = rows[name][starts]
    for names, ufunc in ((_SUMS, np.add), (_LEAST, np.minimum), (_MOST, np.maximum)):
        for name in names:
            found[name] = ufunc.reduceat(rows[name], starts, axis=0)
    return found


class Measures:
    """What a volume's axes make of the sums."""

    def __init__(self, volume: Volume, grid: Grid) -> None:
        self._volume = volume
        self._grid = grid
        self.hours: Floats = volume.axes[0].widths if volume.has_time else np.ones(len(volume.axes[0]))
        self._until = np.concatenate(([0.0], np.cumsum(self.hours)))

    def lifetimes_h(self, first: Ints, last: Ints) -> Floats:
        """From the beginning of the first step to the end of the last one."""
        return np.asarray(self._until[last + 1] - self._until[first], np.float64)

    def columns(self, total: Rows, ids: Ids, final: NDArray[np.bool_], steps: Steps) -> Columns:
        """Objects as people read them."""
        volume, sphere = self._volume, self._volume.on_sphere
        first, last = total["first"], total["last"]
        y, x = self._centroids(total)
        y_first, y_last = total["y_min"].astype(np.int64), total["y_max"].astype(np.int64)
        x_first, x_last = total["x_min"].astype(np.int64), total["x_max"].astype(np.int64)
        ends = [(first, last), (y_first, y_last), (x_first.copy(), x_last.copy())]
        if self._grid.periodic[2]:
            across = (x_first == 0) & (x_last == self._grid.shape[2] - 1)
            across &= (total["x_min_high"] != NOWHERE) & (total["x_max_low"] >= 0)
            x_first[across], x_last[across] = total["x_min_high"][across], total["x_max_low"][across]
        touches = np.zeros(len(total), np.bool_)
        for axis, wraps, n, (low, high) in zip(volume.axes, self._grid.periodic, volume.shape, ends, strict=True):
            if not wraps:
                touches |= (axis.open_ends[0] & (low == 0)) | (axis.open_ends[1] & (high == n - 1))
        return Columns(
            ids,
            first,
            last,
            self.lifetimes_h(first, last) if volume.has_time else None,
            total["voxels"].astype(np.int64),
            total["sum"] / total["voxels"],
            total["max"],
            total["footprint"] if sphere else None,
            total["area_time"] if sphere and volume.has_time else None,
            y,
            x,
            y_first,
            y_last,
            x_first,
            x_last,
            touches,
            final,
            steps,
        )

    def steps(self, rows: Rows, ids: Ids) -> Steps:
        """The lives of objects as people read them; ``ids`` are the rows' objects."""
        y, x = self._centroids(rows)
        return Steps(
            ids,
            rows["step"].astype(np.int64),
            rows["voxels"].astype(np.int64),
            rows["area_km2"] if self._volume.on_sphere else None,
            rows["sum"] / rows["voxels"],
            rows["max"],
            y,
            x,
        )

    def _centroids(self, rows: Rows) -> tuple[Floats, Floats]:
        moment = rows["moment"]
        _, y_axis, x_axis = self._volume.axes
        if self._volume.on_sphere:
            a, b, c = moment[:, 0], moment[:, 1], moment[:, 2]
            return np.degrees(np.arctan2(c, np.hypot(a, b))), _in_convention(np.degrees(np.arctan2(b, a)), x_axis)
        weight = np.where(rows["weight"] > 0, rows["weight"], 1.0)
        return (
            _along(y_axis, self._grid.periodic[1], moment[:, 0], moment[:, 1], weight),
            _along(x_axis, self._grid.periodic[2], moment[:, 2], moment[:, 3], weight),
        )


def _along(axis: Axis, wraps: bool, a: Floats, b: Floats, weight: Floats) -> Floats:
    if not wraps:
        return np.asarray(a / weight, np.float64)
    # The phase of voxel i is 2π·(i + ½)/n: back to a fraction of an index, and from there to a coordinate.
    n, points = len(axis), axis.points
    at = np.arctan2(b, a) % (2 * np.pi) * n / (2 * np.pi) - 0.5
    gap = (points[-1] - points[0]) / (n - 1) if n > 1 else float(axis.widths[0])
    there = np.interp(at, np.arange(-1, n + 1), np.concatenate(([points[0] - gap], points, [points[-1] + gap])))
    return _in_convention(there, axis) if axis.kind == "longitude" else np.asarray(there, np.float64)


def _in_convention(degrees: Floats, axis: Axis) -> Floats:
    """Longitudes as the axis counts them: 0…360, −180…180, or from its own beginning."""
    low, high = float(axis.points.min()), float(axis.points.max())
    start = 0.0 if low >= 0 and high <= 360 else -180.0 if low >= -180 and high <= 180 else low - axis.widths[0] / 2
    # A hair below the start is rounding, not a place 360° away.
    return np.asarray(np.maximum((degrees - start + 1e-9) % 360 - 1e-9 + start, start), np.float64)
