"""How well one labelling agrees with another: by voxels, by objects, and by how voxels are grouped.  Pure.

All of it follows from one sparse table: how many voxels carry this label in the prediction and that label
in the truth.  A table is made slab by slab and tables of disjoint voxels add up, so neither memory nor the
order of the slabs matters; a volume's measures need its table only, never its voxels.

Labels are whole numbers: 0 is background, and negative ones are voxels about which nobody said anything;
they count nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]
_NONE = np.empty(0, np.int64)


class Table(NamedTuple):
    """The contingency table of two labellings, sparse: row i says that ``voxels[i]`` voxels carry ``pred[i]`` and
    ``truth[i]``.  Rows are unique and sorted by (pred, truth); background is a label like others, 0."""

    pred: Ints = _NONE
    truth: Ints = _NONE
    voxels: Ints = _NONE

    @property
    def total(self) -> int:
        """Voxels that were compared."""
        return int(self.voxels.sum())


def contingency(pred: Labels, truth: Labels) -> Table:
    """The table of two arrays of one shape; voxels where either is negative are passed over.

    Raises ValueError if the shapes differ.
    """
    if pred.shape != truth.shape:
        raise ValueError(f"labels of {pred.shape} and of {truth.shape} cannot be compared")
    a, b = pred.reshape(-1), truth.reshape(-1)
    known = (a >= 0) & (b >= 0)
    empty = int(np.count_nonzero(known & (a == 0) & (b == 0)))
    # Most voxels are background in both; only the others are sorted.
    there = known & ((a != 0) | (b != 0))
    found = _counted(a[there].astype(np.int64), b[there].astype(np.int64), None)
    if not empty:
        return found
    zero = np.zeros(1, np.int64)
    return Table(*(np.concatenate(both) for both in zip((zero, zero, zero + empty), found, strict=True)))


def added(tables: Iterable[Table]) -> Table:
    """The table of all voxels of several tables, which have none in common."""
    some = list(tables)
    if not some:
        return Table()
    pred, truth, voxels = (np.concatenate(column) for column in zip(*some, strict=True))
    return _counted(pred, truth, voxels)


def _counted(pred: Ints, truth: Ints, voxels: Ints | None) -> Table:
    """Unique pairs, and how many voxels each has; ``voxels`` says how many each row stands for, else one."""
    if not len(pred):
        return Table()
    a_names, a = np.unique(pred, return_inverse=True)
    b_names, b = np.unique(truth, return_inverse=True)
    if voxels is None:
        keys, counts = np.unique(a * len(b_names) + b, return_counts=True)
    else:
        keys, place = np.unique(a * len(b_names) + b, return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, place, voxels)
    return Table(a_names[keys // len(b_names)], b_names[keys % len(b_names)], counts.astype(np.int64))


class Voxels(msgspec.Struct, frozen=True):
    """Voxels of objects against background, whichever object they belong to."""

    both: int
    only_pred: int
    only_truth: int
    neither: int

    @property
    def precision(self) -> float | None:
        """Of the predicted voxels, the share that is true; None if none is predicted."""
        return _share(self.both, self.both + self.only_pred)

    @property
    def recall(self) -> float | None:
        """Of the true voxels, the share that is predicted; None if none is true."""
        return _share(self.both, self.both + self.only_truth)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall (Dice's coefficient); None if neither has a voxel."""
        return _share(2 * self.both, 2 * self.both + self.only_pred + self.only_truth)

    @property
    def iou(self) -> float | None:
        """Intersection over union (Jaccard's index); None if neither has a voxel."""
        return _share(self.both, self.both + self.only_pred + self.only_truth)


def by_voxels(table: Table) -> Voxels:
    """How well object and background are told apart."""
    p, t, n = table.pred > 0, table.truth > 0, table.voxels
    return Voxels(*(int(n[rows].sum()) for rows in (p & t, p & ~t, ~p & t, ~p & ~t)))


class Objects(NamedTuple):
    """Every object of the truth, in ascending order of its id, with the prediction's share in it; arrays are (n,)."""

    id: Ints
    voxels: Ints
    best: Ints
    """The predicted object with the highest IoU, of equal ones the lowest id; 0 if none touches it."""
    iou: Floats
    """Of these two."""
    matched: Ints
    """The predicted object that it was matched with, one to one; 0 if with none."""
    pieces: Ints
    """Predicted objects that hold at least a twentieth of it each."""
    covered: Ints
    """Voxels that are in any predicted object."""
    predicted: int
    """Objects of the prediction."""
    unmatched: Ints
    """Their ids where no object of the truth was matched with them."""

    @property
    def hits(self) -> int:
        """Pairs that were matched."""
        return int(np.count_nonzero(self.matched))

    @property
    def precision(self) -> float | None:
        """Of the predicted objects, the share that is matched; None if there is none."""
        return _share(self.hits, self.predicted)

    @property
    def recall(self) -> float | None:
        """Of the true objects, the share that is matched; None if there is none."""
        return _share(self.hits, len(self.id))

    @property
    def f1(self) -> float | None:
        """The harmonic mean of the two; None if neither side has an object."""
        return _share(2 * self.hits, len(self.id) + self.predicted)

    @property
    def mean_iou(self) -> float | None:
        """The mean over all true objects of the IoU with their best predicted one, 0 where there is none."""
        return float(self.iou.mean()) if len(self.iou) else None


PIECE = 1 / 20


def by_objects(table: Table, least_iou: float = 0.5) -> Objects:
    """Matches objects of both sides one to one, where their IoU is ``least_iou`` or more.

    The rule: pairs in descending order of IoU, of equal ones by truth's and then prediction's id; a pair is taken if
    neither is taken yet.  Above one half no object can have two partners (Kirillov et al. 2019, "Panoptic
    segmentation", section 4.1), so that the order decides only where IoU is one half exactly, or ``least_iou`` below.
    """
    p_ids, p_sizes = _sizes(table.pred, table.voxels)
    t_ids, t_sizes = _sizes(table.truth, table.voxels)
    rows = (table.pred > 0) & (table.truth > 0)
    shared = table.voxels[rows]
    p, t = np.searchsorted(p_ids, table.pred[rows]), np.searchsorted(t_ids, table.truth[rows])
    iou = shared / (p_sizes[p] + t_sizes[t] - shared)
    order = np.lexsort((p, t, -iou))
    best, best_iou = np.zeros(len(t_ids), np.int64), np.zeros(len(t_ids))
    first, at = np.unique(t[order], return_index=True)
    best[first], best_iou[first] = p_ids[p[order][at]], iou[order][at]
    matched, taken = np.zeros(len(t_ids), np.int64), np.zeros(len(p_ids), np.bool_)
    for i in order[iou[order] >= least_iou].tolist():
        if not taken[p[i]] and not matched[t[i]]:
            taken[p[i]], matched[t[i]] = True, p_ids[p[i]]
    return Objects(
        id=t_ids,
        voxels=t_sizes,
        best=best,
        iou=best_iou,
        matched=matched,
        pieces=np.bincount(t[shared >= PIECE * t_sizes[t]], minlength=len(t_ids)).astype(np.int64),
        covered=np.bincount(t, shared, minlength=len(t_ids)).astype(np.int64),
        predicted=len(p_ids),
        unmatched=p_ids[~taken],
    )


class Grouping(msgspec.Struct, frozen=True):
    """How voxels are grouped, over the voxels of true objects; None where there is none.  All are 0 at best."""

    split: float | None
    """Variation of information, H(prediction | truth) in bits: how much true objects are cut up."""
    merge: float | None
    """H(truth | prediction) in bits: how much true objects run into one."""
    rand_error: float | None
    """Adapted Rand error, 0…1: 1 − F1 of the pairs of voxels that are together."""

    @property
    def variation(self) -> float | None:
        """Variation of information: both of its parts together."""
        return None if self.split is None or self.merge is None else self.split + self.merge


def by_grouping(table: Table) -> Grouping:
    """Variation of information (Meilă 2007, doi:10.1016/j.jmva.2006.11.013) in bits and adapted Rand error
    (Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142).

    Both look at the voxels of true objects only, as is usual where most of a volume is background; what is predicted
    as background there is one group.  Voxels that are predicted where nothing is true count in precision instead.
    """
    rows = table.truth > 0
    n = table.voxels[rows].astype(np.float64)
    if not len(n):
        return Grouping(None, None, None)
    total = n.sum()
    _, p = np.unique(table.pred[rows], return_inverse=True)
    _, t = np.unique(table.truth[rows], return_inverse=True)
    of_p, of_t = np.bincount(p, n), np.bincount(t, n)
    split = float((n * np.log2(of_t[t] / n)).sum() / total)
    merge = float((n * np.log2(of_p[p] / n)).sum() / total)
    together, pairs = (n @ n) - total, of_p @ of_p + of_t @ of_t - 2 * total
    return Grouping(split, merge, float(1 - 2 * together / pairs) if pairs > 0 else 0.0)


def _sizes(labels: Ints, voxels: Ints) -> tuple[Ints, Ints]:
    """The ids above background, ascending, and their voxels."""
    ids, place = np.unique(labels, return_inverse=True)
    sizes = np.bincount(place, voxels, minlength=len(ids)).astype(np.int64)
    return ids[ids > 0], sizes[ids > 0]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
