"""Split consensus of two segmentations, and the clearing away of what is small.

Where the forward and the inverted seed order disagree, one of them has merged what the other keeps
apart.  The consensus keeps apart what either keeps apart (Januszewski et al. 2018, over-segmentation
consensus).
"""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]


def split_consensus(a: NDArray[Any], b: NDArray[Any], min_size: int = 1000) -> Labels:
    """Each pair of labels (of ``a`` > 0, of ``b`` ≥ 0) at one voxel is an object of its own; arrays (z, y, x).

    Of the parts of a label of ``a``, the one with the most voxels keeps its number (the first where equal), the
    others are numbered on in the order of (b, a).  Parts of fewer than ``min_size`` voxels are free.  Raises ValueError
    if the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"a consensus needs two segmentations of one shape, not {a.shape} and {b.shape}")
    inside = a > 0
    codes = b[inside].astype(np.uint64) << np.uint64(32) | a[inside].astype(np.uint64)
    pairs, at, counts = np.unique(codes, return_inverse=True, return_counts=True)
    mine = (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int64)
    # Sorted by label, then the larger first, then the smaller code: the first of each label keeps its number.
    order = np.lexsort((pairs, -counts, mine))
    keeps = np.zeros(len(pairs), bool)
    keeps[order[np.flatnonzero(np.diff(mine[order], prepend=-1))]] = True
    stays = counts >= min_size
    fresh = stays & ~keeps
    named = np.where(keeps & stays, mine, 0)
    named[fresh] = int(mine.max(initial=0)) + 1 + np.arange(np.count_nonzero(fresh))
    made = np.zeros(a.shape, np.int32)
    made[inside] = named[at]
    return made


def clear_small(labels: NDArray[Any], min_size: int) -> NDArray[Any]:
    """The labels without those of fewer than ``min_size`` voxels."""
    names, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = np.where(counts < min_size, 0, names).astype(labels.dtype)
    return kept[at].reshape(labels.shape)


def split_apart(labels: NDArray[Any], min_size: int) -> NDArray[np.uint32]:
    """Connected parts of each label (by faces) as objects 1…n; parts of fewer than ``min_size`` voxels are free."""
    parts = cc3d.connected_components(np.ascontiguousarray(labels), connectivity=6, out_dtype=np.uint32)
    return np.asarray(clear_small(parts, min_size), np.uint32)
