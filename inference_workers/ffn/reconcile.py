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
    sizes = np.bincount(filled.labels.reshape(-1), minlength=len(filled.origins) + 1).tolist()
    speaks = list(range(len(sizes)))
    for later, earlier, shared, wanted in filled.overlaps:
        size = sizes[earlier]
        if shared >= SMALLER_SHARED * min(size, wanted) or shared >= EITHER_SHARED * (size + wanted - shared):
            a, b = _root(speaks, earlier), _root(speaks, later)
            speaks[max(a, b)] = min(a, b)
    roots = np.array([_root(speaks, label) for label in speaks], np.int32)
    return np.asarray(roots[filled.labels], np.int32)


def without_small(labels: Labels, least: int, margin: Triple, open_sides: Sequence[tuple[bool, bool]]) -> Labels:
    """The labels of a canvas (z, y, x) without those of fewer than ``least`` voxels, except objects that come within
    the margin of a side, (low, high) for each axis, beyond which the volume goes on."""
    small = np.bincount(labels.reshape(-1)) < least
    for axis, (sides, near) in enumerate(zip(open_sides, margin, strict=True)):
        along = np.moveaxis(labels, axis, 0)
        for is_open, rim in zip(sides, (along[:near], along[len(along) - near :]), strict=True):
            if is_open:
                small[rim] = False
    small[0] = False
    return np.where(small[labels], 0, labels).astype(np.int32)


def _root(speaks: list[int], label: int) -> int:
    while speaks[label] != label:
        label = speaks[label]
    return label
