"""Coastlines on the floor of the scene: polylines cut at the seam of the data's longitudes and clipped to its region.

Longitudes may be given as 0…360 or as −180…180 or over any other range: each line is continued across
the date line, repeated at every turn that the region can see, and clipped exactly at its borders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]
"""Shape (n, 2): longitude, latitude in degrees."""


def clip_lines(lines: Iterable[Line], west: float, east: float, south: float, north: float) -> list[Line]:
    """The pieces of some lines within a region, in the region's own longitudes (``west`` < ``east``)."""
    pieces: list[Line] = []
    for line in lines:
        unrolled = unroll(line)
        low, high = unrolled[:, 0].min(), unrolled[:, 0].max()
        for turn in range(int(np.floor((west - high) / 360)), int(np.ceil((east - low) / 360)) + 1):
            shifted = unrolled + np.array((360.0 * turn, 0.0))
            if shifted[:, 0].max() < west or shifted[:, 0].min() > east:
                continue
            pieces.extend(_pieces(shifted, np.array([west, south]), np.array([east, north])))
    return pieces


def unroll(line: Line) -> Line:
    """The line with longitudes that never jump: a step of more than half a turn goes the short way round."""
    steps = np.diff(line[:, 0])
    steps -= 360 * np.round(steps / 360)
    longitudes = np.concatenate([line[:1, 0], line[0, 0] + np.cumsum(steps)])
    return np.stack([longitudes, line[:, 1]], axis=1)


def _pieces(line: Line, low: NDArray[np.float64], high: NDArray[np.float64]) -> Iterator[Line]:
    """Liang and Barsky's clipping of every segment at once; segments that go on are joined."""
    start, step = line[:-1], np.diff(line, axis=0)
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    outside = np.zeros(len(start), bool)
    for axis in range(2):
        moves = step[:, axis] != 0
        safe = np.where(moves, step[:, axis], 1.0)
        a, b = (low[axis] - start[:, axis]) / safe, (high[axis] - start[:, axis]) / safe
        enter = np.where(moves, np.maximum(enter, np.minimum(a, b)), enter)
        leave = np.where(moves, np.minimum(leave, np.maximum(a, b)), leave)
        outside |= ~moves & ((start[:, axis] < low[axis]) | (start[:, axis] > high[axis]))
    seen = (enter < leave) & ~outside
    first, last = start + enter[:, None] * step, start + leave[:, None] * step
    run: list[NDArray[np.float64]] = []
    for i in np.flatnonzero(seen):
        if run and not (seen[i - 1] and leave[i - 1] == 1 and enter[i] == 0):
            yield np.array(run)
            run = []
        if not run:
            run.append(first[i])
        run.append(last[i])
    if run:
        yield np.array(run)


def fill(lines: Iterable[Line], west: float, south: float, step: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells of a raster lie inside the closed lines (even-odd rule).

    The raster has ``shape`` (rows from ``south`` northwards, columns from ``west`` eastwards) and square cells of
    ``step`` degrees; a cell is judged by its middle.  A line that winds round a pole is closed along it.
    """
    rows, columns = shape
    flips = np.zeros((rows, columns + 1), np.int32)
    middles: NDArray[np.float64] = (south + (np.arange(rows) + 0.5) * step).astype(np.float64)
    for line in lines:
        ring = _closed(unroll(line))
        low, high = ring[:, 0].min(), ring[:, 0].max()
        east = west + columns * step
        for turn in range(int(np.floor((west - high) / 360)), int(np.ceil((east - low) / 360)) + 1):
            _mark(flips, ring + np.array((360.0 * turn, 0.0)), middles, west, step)
    inside: NDArray[np.bool_] = np.cumsum(flips[:, :-1], axis=1) % 2 == 1
    return inside


def _closed(ring: Line) -> Line:
    turns = ring[-1, 0] - ring[0, 0]
    if abs(turns) > 180:
        pole = -90.0 if ring[:, 1].mean() < 0 else 90.0
        corners = np.array([[ring[-1, 0], pole], [ring[0, 0], pole]])
        ring = np.concatenate([ring, corners])
    return np.concatenate([ring, ring[:1]])


def _mark(flips: NDArray[np.int32], ring: Line, middles: NDArray[np.float64], west: float, step: float) -> None:
    """Adds one at the first cell east of every place where the ring crosses the middle of a row."""
    columns = flips.shape[1] - 1
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    first = np.searchsorted(middles, np.minimum(y0, y1), "left")
    counts = np.searchsorted(middles, np.maximum(y0, y1), "left") - first
    # One entry for each row whose middle a piece of the ring crosses.
    piece = np.repeat(np.arange(len(counts)), counts)
    row = first[piece] + np.arange(len(piece)) - (np.cumsum(counts) - counts)[piece]
    share = (middles[row] - y0[piece]) / (y1 - y0)[piece]
    crossing = x0[piece] + share * (x1 - x0)[piece]
    cell = np.clip(np.ceil((crossing - west) / step - 0.5), 0, columns).astype(np.intp)
    np.add.at(flips, (row, cell), 1)
