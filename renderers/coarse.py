"""Half the resolution: a chunk's coarse labels as a lattice whose surface fits those of its neighbours.

A lattice has a layer for each pair of voxels of the core, and towards each neighbour one more that stands for the
single layer of voxels on which the two chunks meet: the core's first, the neighbour's first.  Both chunks know
those voxels, so both see the same labels there: coarse surfaces meet without cracks, and end in the same plane as
full ones do.  A coarse cell is labelled if any of its voxels is (``streamer.wire.layers``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.codec import Labels
from streamer.wire.grid import Grid
from streamer.wire.layers import coarse_shape


class _Way(NamedTuple):
    """The layers of a lattice along one axis."""

    first: NDArray[np.int64]
    """The first voxel that each stands for, from the core's start."""
    last: NDArray[np.int64]
    """The last one: the same or the next."""
    inner: slice
    """The layers that are pairs of the core."""


def _ways(grid: Grid, chunk: int) -> tuple[_Way, _Way, _Way]:
    """Along (z, y, x).  As surfaces are drawn, a periodic axis ends at the volume's ends."""
    z, y, x = (
        _way(n, low=at > 0 and n > 1, high=at < count - 1)
        for n, at, count in zip(grid.core(chunk).shape, grid.index(chunk), grid.counts, strict=True)
    )
    return z, y, x


def _way(n: int, *, low: bool, high: bool) -> _Way:
    pairs = np.arange(0, n, 2)
    below, above = [0] * low, [n] * high
    first = np.concatenate([below, pairs, above]).astype(np.int64)
    last = np.concatenate([below, np.minimum(pairs + 1, n - 1), above]).astype(np.int64)
    return _Way(first, last, slice(len(below), len(below) + len(pairs)))


def lattice_of(grid: Grid, chunk: int, block: Labels) -> Labels:
    """The lattice (z, y, x) of a chunk from its core and pad at full resolution, ``grid.block_shape(chunk)``.

    Of several labels in a cell the largest number stays.
    """
    lattice = block
    for axis, way in enumerate(_ways(grid, chunk)):
        lattice = np.maximum(lattice.take(way.first, axis), lattice.take(way.last, axis))
    return lattice


def lattice_from(grid: Grid, chunk: int, core: Labels, faces: Labels) -> Labels:
    """The lattice of a chunk from its coarse core, ``coarse_shape`` of the core, and what its seam says.

    ``faces`` has ``grid.block_shape(chunk)``; only the core's low faces and the pad are looked at.
    """
    lattice = lattice_of(grid, chunk, faces)
    lattice[inside(grid, chunk)] = core
    return lattice


def inside(grid: Grid, chunk: int) -> tuple[slice, slice, slice]:
    """Where in a lattice the coarse core is."""
    z, y, x = (way.inner for way in _ways(grid, chunk))
    return z, y, x


def occupied(grid: Grid, chunk: int, lattice: Labels) -> NDArray[np.bool_]:
    """What a lattice says of the core's voxels, of the core's shape: which of them may carry a label."""
    core = lattice[inside(grid, chunk)] != 0
    assert core.shape == coarse_shape(grid.core(chunk).shape), "a lattice of another chunk"
    for axis in range(3):
        core = core.repeat(2, axis)
    z, y, x = grid.core(chunk).shape
    found: NDArray[np.bool_] = core[:z, :y, :x]
    return found


def places(grid: Grid, chunk: int, doubled: NDArray[np.integer]) -> NDArray[np.int16]:
    """Points of a lattice in voxels: both are twice the index, (n, 3) in (z, y, x), the latter from the core's start.

    A point between two layers comes to lie between the voxels at which one ends and the next begins.
    """
    found = np.empty(doubled.shape, np.int16)
    for axis, way in enumerate(_ways(grid, chunk)):
        # One layer of background lies below the first where the volume begins.
        ends = 2 * np.concatenate([[-1], way.last])
        between = doubled[:, axis] % 2
        found[:, axis] = ends[(doubled[:, axis] - between) // 2 + 1] + between
    return found
