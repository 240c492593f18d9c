"""What a canvas keeps apart though it overlaps, made one; and what is too small for an object, cleared.

A flood fill that was stopped short leaves voxels over, and a later seed among them begins a second object
that wants most of what the first has.  That is told by the same rule by which labels of two chunks are
joined: they share half of the smaller one, or three tenths of both together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.canvas import Filled
from streamer.wire.grid import Triple

Labels = NDArray[np.int32]
SMALLER_SHARED = 0.5
EITHER_SHARED = 0.3


def joined(filled: Filled) -> Labels:
    """The labels of a canvas (z, y, x) with those made one that wanted the same voxels; the earlier one speaks."""
    if not filled.overlaps:
        return filled.labels
    at = np.flatnonzero(filled.labels != 0)
    given = filled.labels.reshape(-1)[at]
    sizes = np.bincount(given, minlength=len(filled.origins) + 1).tolist()
    speaks = list(range(len(sizes)))
    for later, earlier, shared, wanted in filled.overlaps:
        size = sizes[earlier]
        if shared >= SMALLER_SHARED * min(size, wanted) or shared >= EITHER_SHARED * (size + wanted - shared):
            a, b = _root(speaks, earlier), _root(speaks, later)
            speaks[max(a, b)] = min(a, b)
    roots = np.array([_root(speaks, label) for label in speaks], np.int32)
    if (roots == np.arange(len(roots))).all():
        return filled.labels
    return _put(filled.labels.shape, at, roots[given])


def without_small(labels: Labels, least: int, margin: Triple, open_sides: Sequence[tuple[bool, bool]]) -> Labels:
    """The labels of a canvas (z, y, x) without those of fewer than ``least`` voxels, except objects that come within
    the margin of a side, (low, high) for each axis, beyond which the volume goes on."""
    at = np.flatnonzero(labels != 0)  # a few of a hundred: what follows looks at nothing else
    given = labels.reshape(-1)[at]
    small = np.bincount(given, minlength=1) < least
    for where, side, sides, near in zip(
        np.unravel_index(at, labels.shape), labels.shape, open_sides, margin, strict=True
    ):
        for is_open, rim in zip(sides, (where < near, where >= side - near), strict=True):
            if is_open:
                small[given[rim]] = False
    return _put(labels.shape, at, np.where(small[given], 0, given))


def _put(shape: tuple[int, ...], at: NDArray[np.intp], labels: Labels) -> Labels:
    """Labels at the places ``at`` of the flat array, 0 elsewhere."""
    found = np.zeros(shape, np.int32)
    found.reshape(-1)[at] = labels
    return found


def _root(speaks: list[int], label: int) -> int:
    while speaks[label] != label:
        label = speaks[label]
    return label
