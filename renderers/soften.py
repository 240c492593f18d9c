"""Staircases made smooth, the same way from both sides of every chunk face.

A chunk's surface runs along voxel edges.  Its points are moved by less than half a voxel onto a level
of the smoothed occupancy, and normals are the gradient of it.  Occupancy is kept for the whole volume,
one bit per voxel, so a chunk's points are softened with what lies beyond its faces: two chunks that
know the same neighbours place the points that they share alike.  The level is the local mean along the
surface, not one half, so that thin objects keep their thickness.  Beyond the volume's ends the last
voxels are continued and caps stay flat: what was cut off looks cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Box, Grid, triple

Floats = NDArray[np.float32]
REACH = 6
"""Voxels beyond a chunk that its softened surface depends on."""
FURTHEST = 0.49
"""Voxels that a point may be moved along each axis."""
LEAST_SLOPE = 0.14
"""Of the smoothed occupancy, per voxel: where it is flatter, points are moved less."""


class Soft(NamedTuple):
    """Where a surface's points go and which way they face; arrays (n, 3) in (z, y, x) of the volume's indices."""

    points: Floats
    outward: Floats


class Occupancy:
    """Which voxels carry a label, of the chunks that have arrived."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._bits: dict[int, NDArray[np.uint8] | None] = {}

    def __contains__(self, chunk: int) -> bool:
        return chunk in self._bits

    def put(self, chunk: int, core: NDArray[np.bool_]) -> None:
        """A chunk's core has arrived, (z, y, x)."""
        self._bits[chunk] = np.packbits(core) if core.any() else None

    def alone(self, chunk: int) -> Occupancy:
        """As if no other chunk had arrived."""
        return self.among((chunk,))

    def among(self, chunks: Iterable[int]) -> Occupancy:
        """As if no other chunks than these had arrived."""
        found = Occupancy(self._grid)
        found._bits = {chunk: self._bits[chunk] for chunk in chunks if chunk in self._bits}
        return found

    def region(self, box: Box) -> tuple[Floats, Floats | None]:
        """Occupancy of a box inside the volume as 0 or 1, and what is known of it, or None if all is."""
        occupied = np.zeros(box.shape, np.float32)
        known = np.zeros(box.shape, np.float32)
        size = self._grid.chunk
        ranges = [range(a // c, -(-b // c)) for a, b, c in zip(box.start, box.stop, size, strict=True)]
        complete = True
        for index in np.ndindex(*(len(r) for r in ranges)):
            chunk = self._grid.number(triple(r[i] for r, i in zip(ranges, index, strict=True)))
            if chunk not in self._bits:
                complete = False
                continue
            core = self._grid.core(chunk)
            low = triple(max(a, b) for a, b in zip(core.start, box.start, strict=True))
            high = triple(min(a, b) for a, b in zip(core.stop, box.stop, strict=True))
            there = _relative(low, high, box.start)
            known[there] = 1
            bits = self._bits[chunk]
            if bits is not None:
                count = int(np.prod(core.shape))
                voxels = np.unpackbits(bits, count=count).reshape(core.shape)
                occupied[there] = voxels[_relative(low, high, core.start)]
        return occupied, None if complete else known


def _relative(
    low: tuple[int, int, int], high: tuple[int, int, int], to: tuple[int, int, int]
) -> tuple[slice, slice, slice]:
    z, y, x = (slice(a - o, b - o) for a, b, o in zip(low, high, to, strict=True))
    return z, y, x


def soften(grid: Grid, occupancy: Occupancy, chunk: int, halves: NDArray[np.int16], level: int = 0) -> Soft:
    """The softened surface of a chunk, whose points lie at ``halves``: twice the index, relative to the core's start.

    ``halves`` has shape (n, 3) in (z, y, x); every point is the middle of an edge between two voxels.  At level 1 it
    is smoothed by cells of 2 × 2 × 2 voxels, which costs an eighth.
    """
    if not len(halves):
        return Soft(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    absolute = halves + 2 * np.array(grid.core(chunk).start, np.int32)
    side = 1 + level
    below, above = absolute // 2 // side, -(-absolute // 2) // side
    first, last = below.min(axis=0), above.max(axis=0) + 1
    fields = _fields(*_around(grid, occupancy, first, last, side))

    edge = above - below
    facing = _across(fields.occupied, 6, below, above, first)[:, None] * edge.astype(np.float32)
    steep = _slopes(fields.smooth, 4, below, above, first)
    outward = -_slopes(fields.smoother, 2, below, above, first)
    mean, value = (_between(field, by, below, above, first) for field, by in ((fields.level, 0), (fields.smooth, 4)))
    squared = np.maximum(np.einsum("ij,ij->i", steep, steep), LEAST_SLOPE**2)
    move = np.clip(steep * ((mean - value) / squared)[:, None], -FURTHEST, FURTHEST)
    faint = np.einsum("ij,ij->i", outward, outward) < 1e-6
    outward[faint] = facing[faint]

    # Between two labels there is no way out: such points stay.  Caps at the volume's ends stay flat.
    move[~facing.any(axis=1)] = 0
    for axis, n in enumerate(grid.shape):
        for cap, side in ((absolute[:, axis] < 0, -1), (absolute[:, axis] >= 2 * n - 1, 1)):
            outward[cap] = 0
            outward[cap, axis] = side
            move[cap, axis] = 0
    points = absolute.astype(np.float32) / 2 + side * move
    return Soft(np.clip(points, -0.5, np.array(grid.shape, np.float32) - 0.5), outward)


def _around(
    grid: Grid, occupancy: Occupancy, first: NDArray[np.int32], last: NDArray[np.int32], side: int
) -> tuple[Floats, Floats | None]:
    """Occupancy and what is known of it, ``REACH`` cells around a box of cells; the volume's last ones go on beyond."""
    wanted = [(int(a) - REACH, int(b) + REACH) for a, b in zip(first, last, strict=True)]
    counts = [-(-n // side) for n in grid.shape]
    low = [max(a, 0) for a, _ in wanted]
    high = [min(b, n) for (_, b), n in zip(wanted, counts, strict=True)]
    stop = tuple(min(side * b, n) for b, n in zip(high, grid.shape, strict=True))
    box = Box(triple(tuple(side * a for a in low)), triple(stop))
    beyond = [(a - begin, end - b) for (begin, end), a, b in zip(wanted, low, high, strict=True)]
    occupied, known = occupancy.region(box)
    return np.pad(_cells(occupied, side), beyond, "edge"), (
        None if known is None else np.pad(_cells(known, side), beyond, "edge")
    )


def _cells(voxels: Floats, side: int) -> Floats:
    """The largest of the voxels in each cell; a side is 1 or 2."""
    for axis in range(3) if side == 2 else ():
        along = np.moveaxis(voxels, axis, 0)
        if len(along) % 2:
            along = np.concatenate([along, along[-1:]])
        voxels = np.moveaxis(np.maximum(along[::2], along[1::2]), 0, axis)
    return voxels


class _Fields(NamedTuple):
    """Smoothed occupancy around a box, each array larger than the box by a margin."""

    occupied: Floats
    """0 or 1; margin 6."""
    smooth: Floats
    """Smoothed a little; margin 4."""
    smoother: Floats
    """Smoothed more; margin 2."""
    level: Floats
    """The mean of ``smooth`` along the surface nearby; margin 0."""


def _fields(occupied: Floats, known: Floats | None) -> _Fields:
    smooth = _mean(occupied, known)
    known_2 = None if known is None else _inner(known, 2)
    smoother = _mean(smooth, known_2)
    near = _inner(occupied, 3)
    surface = np.zeros(near.shape, np.float32)
    for axis in range(3):
        along, mark = np.moveaxis(near, axis, 0), np.moveaxis(surface, axis, 0)
        change = along[1:] != along[:-1]
        mark[1:][change] = 1
        mark[:-1][change] = 1
    surface = _inner(surface, 1)
    if known is not None:
        surface *= _inner(known, 4)
    weight = _binomial(surface)
    level = _ratio(_binomial(_inner(smooth, 2) * surface), weight)
    level[weight <= 1e-6] = 0.5
    return _Fields(occupied, smooth, smoother, level)


def _inner(values: Floats, by: int) -> Floats:
    return values[by:-by, by:-by, by:-by]


def _mean(values: Floats, known: Floats | None) -> Floats:
    """The smoothed values, two voxels less on every side; what is not known does not count."""
    if known is None:
        return _binomial(values)
    return _ratio(_binomial(values * known), _binomial(known))


def _ratio(sums: Floats, weights: Floats) -> Floats:
    mean: Floats = np.divide(sums, np.maximum(weights, np.float32(1e-6)), dtype=np.float32)
    return mean


def _binomial(values: Floats) -> Floats:
    """The weights 1 4 6 4 1 along each axis, without the two outermost voxels on every side."""
    out = values
    # Sums of neighbours, four times along each axis; written out, for this is most of what softening takes.
    for _ in range(4):
        out = out[1:] + out[:-1]
    for _ in range(4):
        out = out[:, 1:] + out[:, :-1]
    for _ in range(4):
        out = out[:, :, 1:] + out[:, :, :-1]
    out *= np.float32(1 / 4096)
    return out


Indices = NDArray[np.int32]


def _flat(field: Floats, margin: int, voxels: Indices, first: Indices) -> NDArray[np.int64]:
    z, y, x = ((voxels - first) + margin).astype(np.int64).T
    flat: NDArray[np.int64] = (z * field.shape[1] + y) * field.shape[2] + x
    return flat


def _across(field: Floats, margin: int, below: Indices, above: Indices, first: Indices) -> Floats:
    """How much the field falls from the lower to the upper voxel of each edge."""
    flat = np.ascontiguousarray(field).ravel()
    return flat[_flat(field, margin, below, first)] - flat[_flat(field, margin, above, first)]


def _between(field: Floats, margin: int, below: Indices, above: Indices, first: Indices) -> Floats:
    """The field in the middle of each edge."""
    flat = np.ascontiguousarray(field).ravel()
    return (flat[_flat(field, margin, below, first)] + flat[_flat(field, margin, above, first)]) / np.float32(2)


def _slopes(field: Floats, margin: int, below: Indices, above: Indices, first: Indices) -> Floats:
    """The gradient (n, 3) in (z, y, x) of a field in the middle of each edge, by central differences."""
    flat = np.ascontiguousarray(field).ravel()
    a, b = _flat(field, margin, below, first), _flat(field, margin, above, first)
    strides = (field.shape[1] * field.shape[2], field.shape[2], 1)
    return np.stack([(flat[a + s] - flat[a - s] + flat[b + s] - flat[b - s]) / np.float32(4) for s in strides], axis=1)
