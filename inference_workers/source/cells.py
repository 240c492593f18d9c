"""Cells: where they begin and end, how wide they are, and their area on the sphere.  Pure.

Bounds from the file come first.  Else a cell reaches half-way to its neighbours, and at the ends as far
out as in.  A latitude axis whose last cell leaves less of the globe than another cell would need (every
Gaussian grid does) reaches the pole; a longitude axis whose cells add up to 360° closes.
"""

from __future__ import annotations

import numpy as np

from streamer.wire.volume import Floats

EARTH_RADIUS_KM = 6371.0088
"""The mean radius R₁ of the Earth (IUGG)."""
_TO_THE_POLE = 0.4
"""Of a step: the first row of a Gaussian grid leaves 0.27; a row cut off a regular grid leaves 0.5 or 1."""
_CLOSING = 0.05
"""Of a step: how far a full circle may miss 360° because coordinates were rounded."""


def midway(points: Floats) -> Floats:
    """The two edges of each cell, shape (n, 2), half-way between the points; one point: half a unit each way."""
    n = len(points)
    edges = np.empty((n, 2))
    if n == 1:
        edges[0] = points[0] - 0.5, points[0] + 0.5
        return edges
    middle = (points[:-1] + points[1:]) / 2
    edges[1:, 0] = edges[:-1, 1] = middle
    edges[0, 0] = 2 * points[0] - middle[0]
    edges[-1, 1] = 2 * points[-1] - middle[-1]
    return edges


def usable_bounds(bounds: Floats, points: Floats, period: float | None = None) -> bool:
    """Whether bounds, shape (n, 2), are those of the points: finite, of some width, each around its point."""
    if bounds.shape != (len(points), 2) or not np.isfinite(bounds).all():
        return False
    low, width = bounds[:, 0], bounds[:, 1] - bounds[:, 0]
    offset = points - low
    if period is not None:
        turns = np.round((low + width / 2 - points) / period) * period
        low, offset = low - turns, offset + turns
    inside = (np.minimum(0, width) - 1e-6 <= offset) & (offset <= np.maximum(0, width) + 1e-6)
    return bool((width != 0).all() and inside.all())


def unwrap(points: Floats) -> Floats:
    """Longitudes without a jump of 360° in the middle."""
    return np.unwrap(points, period=360.0)


def latitude_edges(points: Floats, bounds: Floats | None) -> Floats:
    """The two edges of each row in degrees, shape (n, 2), never beyond a pole."""
    if bounds is not None:
        return np.clip(bounds, -90.0, 90.0)
    edges = midway(points)
    if len(points) > 1:
        for row, side, neighbour in ((0, 0, 1), (-1, 1, -2)):
            step = abs(points[row] - points[neighbour])
            pole = np.copysign(90.0, points[row] - points[neighbour])
            if abs(pole - edges[row, side]) < _TO_THE_POLE * step:
                edges[row, side] = pole
    return np.clip(edges, -90.0, 90.0)


def at_pole(edge: float) -> bool:
    """Whether an edge, in degrees, is a pole."""
    return abs(abs(edge) - 90.0) < 1e-6


def closes_globe(points: Floats) -> bool:
    """Whether unwrapped longitudes, each the middle of its cell, go around once: their widths add up to 360°."""
    if len(points) < 2:
        return False
    steps = np.abs(np.diff(points))
    around = float(steps.sum() + (steps[0] + steps[-1]) / 2)
    return abs(around - 360.0) <= _CLOSING * float(steps.mean())


def repeats_first(points: Floats) -> bool:
    """Whether the last of unwrapped longitudes is the first one again, a turn later."""
    if len(points) < 3:
        return False
    steps = np.abs(np.diff(points))
    return abs(float(steps.sum()) - 360.0) <= _CLOSING * float(steps.mean())


def longitude_edges(points: Floats, bounds: Floats | None) -> Floats:
    """The two edges of each column in degrees, shape (n, 2); of a full circle they add up to 360° exactly."""
    if bounds is not None:
        width = bounds[:, 1] - bounds[:, 0]
        # A column across the date line or Greenwich may be written as 359.5 … 0.5.
        width = np.where(np.abs(width) > 180.0 if len(points) > 1 else False, width - np.sign(width) * 360.0, width)
        return np.stack([bounds[:, 0], bounds[:, 0] + width], axis=1)
    edges = midway(points)
    if closes_globe(points):
        turn = np.copysign(360.0, points[-1] - points[0])
        edges[0, 0] = (points[0] + points[-1] - turn) / 2
        edges[-1, 1] = edges[0, 0] + turn
    return edges


def widths(edges: Floats) -> Floats:
    """How wide each cell is, ≥ 0, shape (n,)."""
    return np.abs(edges[:, 1] - edges[:, 0])


def cell_area_km2(rows: Floats, column_widths: Floats) -> Floats:
    """R²·Δλ·(sin φ₂ − sin φ₁) in km², shape (ny, nx), from ``latitude_edges`` and widths of columns in degrees."""
    south, north = np.sin(np.deg2rad(rows)).T
    area: Floats = EARTH_RADIUS_KM**2 * np.abs(north - south)[:, None] * np.deg2rad(column_widths)[None, :]
    return area
