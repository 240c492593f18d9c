"""Where a field of view moves: to the likeliest voxel of each face of the box of steps around its centre.

For each axis along which it may move, and each direction, the plane at one step from the centre is
looked at, within one step along the other axes.  Its likeliest voxel is a candidate if it is likely
enough; the first in C order where several are equal.
"""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Triple, triple

Move = tuple[float, Triple]
"""The logit of a voxel, and its offset from the centre (z, y, x)."""


class FaceMoves:
    """The faces of the box of ``deltas`` (z, y, x) around the centre of a field of view, as indices into it."""

    def __init__(self, fov: Triple, deltas: Triple) -> None:
        offsets: list[Triple] = []
        starts: list[int] = []
        for axis, sign in product(range(3), (-1, 1)):
            if deltas[axis] > 0:
                starts.append(len(offsets))
                sides = [range(-delta, delta + 1) for delta in deltas]
                sides[axis] = range(sign * deltas[axis], sign * deltas[axis] + 1)
                offsets += [triple(offset) for offset in product(*sides)]
        self._offsets = offsets
        self._starts = np.array(starts, np.intp)
        self._bounds = list(pairwise([*starts, len(offsets)]))
        centre = np.array([side // 2 for side in fov])
        places = np.array(offsets, np.intp).reshape(-1, 3) + centre
        self._at = np.ravel_multi_index(tuple(places.T), fov)

    def __call__(self, logits: NDArray[np.float32], threshold: float) -> list[Move]:
        """The candidates of a prediction (z, y, x), C-contiguous: the likeliest first, by offset where equal."""
        if not self._offsets:
            return []
        values = logits.reshape(-1).take(self._at)
        found: set[Move] = set()
        for (first, stop), best in zip(self._bounds, np.maximum.reduceat(values, self._starts).tolist(), strict=True):
            if best >= threshold:
                found.add((best, self._offsets[first + int(values[first:stop].argmax())]))
        return sorted(found, reverse=True)
