"""Objects by definition: what is connected in space and time, and lives long enough.  Pure.

This is what ``connect`` finds in a whole volume that fits into memory: the truth that networks are trained
on and compared with.
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from streamer.wire.grid import Flags

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def connected(belongs: NDArray[np.bool_], connectivity: int = 26, periodic: Flags = (False,) * 3) -> NDArray[np.uint32]:
    """Connected components of a mask (z, y, x), joined across the seams of periodic axes: 1…n, 0 elsewhere.

    ``connectivity``: 6, 18 or 26 neighbours, of which those across a seam are neighbours like others.
    """
    # A margin of background: cc3d 4.1 reserves room for one label too few where every second voxel stands alone.
    padded = np.pad(belongs, ((0, 1), (0, 1), (0, 1)))
    labels = np.asarray(
        cc3d.connected_components(padded, connectivity=connectivity, out_dtype=np.uint32, binary_image=True)
    )[:-1, :-1, :-1]
    pairs = [_across(labels, axis, connectivity, periodic) for axis in range(3) if periodic[axis]]
    if not pairs or not labels.size:
        return np.ascontiguousarray(labels)
    ends = np.concatenate(pairs)
    count = int(labels.max()) + 1
    graph = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    # Background is a group of its own, as it touches nothing here, and the first.
    return np.asarray(group.astype(np.uint32)[labels])


def _across(labels: NDArray[np.uint32], axis: int, connectivity: int, periodic: Flags) -> Ints:
    """Pairs of labels (n, 2) that touch across the seam of an axis."""
    low, high = (np.moveaxis(labels, axis, 0)[end].astype(np.int64) for end in (0, -1))
    wraps = [periodic[other] for other in range(3) if other != axis]
    most = {6: 0, 18: 1, 26: 2}[connectivity]
    found = []
    for step in np.ndindex(3, 3):
        shift = (step[0] - 1, step[1] - 1)
        if abs(shift[0]) + abs(shift[1]) > most:
            continue
        there = np.roll(low, shift, (0, 1))
        for other, (by, wrap) in enumerate(zip(shift, wraps, strict=True)):
            if by and not wrap:  # what has come round an open axis is no neighbour
                np.moveaxis(there, other, 0)[0 if by > 0 else -1] = 0
        touch = (there > 0) & (high > 0)
        found.append(np.stack([there[touch], high[touch]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def lasting(labels: NDArray[np.uint32], hours: Floats, least_h: float) -> NDArray[np.uint32]:
    """Labels (z, y, x) without objects that live shorter than ``least_h`` from the beginning of their first step to the
    end of their last; ``hours``, (z,), is what each step lasts."""
    if least_h <= 0 or not labels.size:
        return labels
    count = int(labels.max()) + 1
    first, last = np.full(count, len(labels)), np.full(count, -1)
    for z, plane in enumerate(labels):
        there = np.unique(plane)
        first[there], last[there] = np.minimum(first[there], z), z
    until = np.concatenate(([0.0], np.cumsum(hours)))
    life = until[last + 1] - until[np.minimum(first, len(labels))]
    keep = life >= least_h * (1 - 1e-9)
    keep[0] = False
    return np.where(keep[labels], labels, np.uint32(0))
