"""Which places of a volume are learned from: each kind of surroundings as often as every other.

Most of a volume is background, and most of an object lies on its rim or on its inside.  Places are sorted
into classes by how much of the box around them belongs to their own object (Januszewski et al. 2018,
"training"), and examples are drawn from all classes in turn.  Example number k is a function of the seed
and k alone, so that a training which is resumed, or divided among processes, draws the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from streamer.wire.grid import Triple

THRESHOLDS = (0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CLASSES = len(THRESHOLDS) + 1
"""Of objects, 1 … 13; class 0 is background."""
NOWHERE = 255
"""The class of voxels that are not learned from."""
Labels = NDArray[np.integer[Any]]


def class_map(labels: Labels, radius: Triple, thresholds: Sequence[float] = THRESHOLDS) -> NDArray[np.uint8]:
    """The class of each voxel around which a box of ``radius`` fits: (z − 2·rz, y − 2·ry, x − 2·rx), uint8.

    0 is background, ``NOWHERE`` where labels are negative, else 1 + the number of thresholds that are not above the
    share of the box (2·radius + 1 wide) that has the voxel's own label.  Raises ValueError if the box does not fit.
    """
    inner = tuple(slice(r, n - r) for r, n in zip(radius, labels.shape, strict=True))
    if any(2 * r >= n for r, n in zip(radius, labels.shape, strict=True)):
        raise ValueError(
            f"a box of {tuple(2 * r + 1 for r in radius)} voxels does not fit into a part of {labels.shape}"
        )
    own = labels[inner]
    found = np.where(own < 0, NOWHERE, 0).astype(np.uint8)
    size = int(np.prod([2 * r + 1 for r in radius]))
    edges = np.asarray(thresholds, np.float64)
    for number, box in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if box is None:
            continue
        # Only the object's own box is summed up; beyond it there is none of it.
        low = [max(side.start - r, 0) for side, r in zip(box, radius, strict=True)]
        high = [min(side.stop - r, n) for side, r, n in zip(box, radius, own.shape, strict=True)]
        if any(a >= b for a, b in zip(low, high, strict=True)):
            continue
        here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        wide = tuple(slice(a, b + 2 * r) for a, b, r in zip(low, high, radius, strict=True))
        mine = own[here] == number
        shares = box_sums(labels[wide] == number, radius)[mine] / size
        found[here][mine] = 1 + np.searchsorted(edges, shares, side="right")
    return found


def box_sums(mask: NDArray[np.bool_], radius: Triple) -> NDArray[np.int64]:
    """How many voxels of ``mask`` are in the box around each voxel where it fits: a summed-volume table."""
    table = np.zeros([n + 1 for n in mask.shape], np.int64)
    table[1:, 1:, 1:] = mask
    for axis, r in enumerate(radius):
        np.cumsum(table, axis=axis, out=table)
        wide = np.moveaxis(table, axis, 0)
        table = np.moveaxis(wide[2 * r + 1 :] - wide[: -(2 * r + 1)], 0, axis)
    return table


class Places(NamedTuple):
    """Voxels by class, as indices into a flattened array; classes without voxels are left out."""

    by_class: tuple[NDArray[np.unsignedinteger[Any]], ...]
    classes: tuple[int, ...]

    @property
    def counts(self) -> dict[int, int]:
        """How many voxels each class has."""
        return {name: len(places) for name, places in zip(self.classes, self.by_class, strict=True)}


def sort_places(classes: NDArray[np.uint8]) -> Places:
    """Voxels of an array of classes, sorted by class; raises ValueError if nothing but background is left."""
    flat = classes.reshape(-1)
    small = np.uint32 if flat.size < 2**32 else np.uint64
    names = [name for name in range(NOWHERE) if (flat == name).any()] if flat.size else []
    if not any(names):
        raise ValueError("there is no object to learn from: give other labels, a lower threshold or a longer interval")
    return Places(tuple(np.flatnonzero(flat == name).astype(small) for name in names), tuple(names))


class Draw(NamedTuple):
    """An example: where it is, and the random numbers for what is done with it."""

    place: int
    """Index into the flattened array of classes."""
    kind: int
    """Its class."""
    random: np.random.Generator


def draw(places: Places, seed: int, number: int) -> Draw:
    """Example ``number``: classes take turns in shuffled rounds, each going through all its voxels before any again."""
    kinds = len(places.classes)
    turn, at = divmod(number, kinds)
    order = np.random.default_rng((seed, 1, turn)).permutation(kinds)
    kind = int(order[at])
    mine = places.by_class[kind]
    again, position = divmod(turn, len(mine))
    place = int(mine[shuffled(position, len(mine), np.random.default_rng((seed, 2, kind, again)))])
    return Draw(place, places.classes[kind], np.random.default_rng((seed, 3, number)))


def shuffled(position: int, length: int, random: np.random.Generator) -> int:
    """Where ``position`` of 0 … length − 1 goes in a random order that takes no memory: one affine step.

    The same generator state gives the same order, which is one to one.
    """
    step = int(random.integers(1, max(length, 2)))
    while gcd(step, length) != 1:
        step = step % length + 1
    return (position * step + int(random.integers(length))) % length
