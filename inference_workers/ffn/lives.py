"""Where and when objects of a labelled volume are: a row for each object and step, gathered slab by slab.  Pure.

Rows are few where voxels are many, so that a volume of any size is looked at once, a slab at a time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Lives(NamedTuple):
    """Columns of one length, ascending by (id, step)."""

    id: Ints
    step: Ints
    voxels: Ints
    y: Floats
    """Sum of row numbers."""
    x: NDArray[np.complex128]
    """Sum of unit vectors at the columns' angles on a circle of the axis' length."""

    def of(self, name: int) -> Lives:
        """The rows of one object."""
        low, high = np.searchsorted(self.id, [name, name + 1])
        some: list[Any] = [column[low:high] for column in self]
        return Lives(*some)


class Place(NamedTuple):
    """An object in a few numbers."""

    first: int
    last: int
    peak: int
    """The step at which it has most voxels."""
    y: float
    """Mean row."""
    x: float
    """Mean column, 0 … length of the axis; across a seam too."""


def lives(labels: NDArray[np.integer[Any]], first: int) -> Lives:
    """The objects of a slab (z, y, x) that begins at step ``first``; labels of 0 and below are none."""
    z, y, x = np.nonzero(labels > 0)
    names = labels[z, y, x].astype(np.int64)
    if not len(names):
        none: list[Any] = [np.empty(0, kind) for kind in (np.int64, np.int64, np.int64, np.float64, np.complex128)]
        return Lives(*none)
    ids, number = np.unique(names, return_inverse=True)
    keys, row = np.unique(number * len(labels) + z, return_inverse=True)
    angle = 2j * np.pi * (x + 0.5) / labels.shape[2]
    sums = [np.bincount(row, part) for part in (np.exp(angle).real, np.exp(angle).imag)]
    return Lives(
        ids[keys // len(labels)],
        keys % len(labels) + first,
        np.bincount(row).astype(np.int64),
        np.bincount(row, y).astype(np.float64),
        sums[0] + 1j * sums[1],
    )


def gathered(slabs: list[Lives]) -> Lives:
    """The lives of slabs that have no steps in common, as one."""
    if not slabs:
        return lives(np.zeros((1, 1, 1), np.int64), 0)
    columns: list[Any] = [np.concatenate(column) for column in zip(*slabs, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return Lives(*(column[order] for column in columns))


def place(rows: Lives, columns: int) -> Place:
    """Where one object is; ``columns``: voxels along x."""
    mean = complex(rows.x.sum())
    return Place(
        first=int(rows.step[0]),
        last=int(rows.step[-1]),
        peak=int(rows.step[int(rows.voxels.argmax())]),
        y=float(rows.y.sum() / rows.voxels.sum()),
        x=float(np.angle(mean) / (2 * np.pi) % 1 * columns - 0.5) if abs(mean) > 1e-9 else columns / 2,
    )
