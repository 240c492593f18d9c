"""What an evaluation says: one record of numbers and words, which a report draws and ``--json`` prints.  Pure.

Ratios are None where nothing can be said, for instance the recall of objects where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from inference_workers.ffn.lives import Lives, place
from inference_workers.ffn.measures import Table, by_grouping, by_objects, by_voxels
from streamer.wire.volume import Axis, Volume


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """All measures of one part of a volume; None where nothing can be said.  See ``measures`` for each."""

    voxels: int
    """Voxels that were compared."""
    voxels_pred: int
    voxels_truth: int
    voxel_precision: float | None
    voxel_recall: float | None
    voxel_f1: float | None
    voxel_iou: float | None
    objects_pred: int
    objects_truth: int
    objects_matched: int
    object_precision: float | None
    object_recall: float | None
    object_f1: float | None
    mean_object_iou: float | None
    vi_split_bits: float | None
    vi_merge_bits: float | None
    adapted_rand_error: float | None


class BlockScores(msgspec.Struct, frozen=True):
    """A block of time: steps ``first`` … ``stop`` − 1; objects are cut at its ends."""

    name: str
    first: int
    stop: int
    scores: Scores


class RegionScores(msgspec.Struct, frozen=True):
    """A region; objects are cut at its borders."""

    name: str
    scores: Scores


class StepScores(msgspec.Struct, frozen=True):
    """The voxels of one step."""

    step: int
    name: str
    both: int
    only_pred: int
    only_truth: int

    @property
    def f1(self) -> float | None:
        """As of ``Voxels``."""
        whole = 2 * self.both + self.only_pred + self.only_truth
        return 2 * self.both / whole if whole else None


class ObjectScores(msgspec.Struct, frozen=True, kw_only=True):
    """An object of the truth, or (``id`` 0) one of the prediction that is matched with none."""

    id: int
    voxels: int
    best: int
    """The predicted object with the highest IoU (of a predicted one: itself); 0 if none touches it."""
    iou: float
    matched: bool
    pieces: int
    """Predicted objects that hold a twentieth of it at least."""
    covered: float
    """The share of its voxels that are in any predicted object."""
    first: str
    last: str
    peak: int
    """The step at which it is largest."""
    y: float
    x: float
    """Its mean coordinates."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What came out."""

    pred: str
    truth: str
    shape: tuple[int, int, int]
    axes: tuple[str, str]
    """What y and x are called."""
    notes: list[str]
    left_out: str
    """What training took away, in words; empty if nothing."""
    total: Scores
    time: list[BlockScores]
    regions: list[RegionScores]
    steps: list[StepScores]
    objects: list[ObjectScores]
    """Of the truth, by id."""
    unmatched: list[ObjectScores]
    """Of the prediction, the largest first."""


def scores(table: Table) -> Scores:
    """All measures of a table."""
    v, o, g = by_voxels(table), by_objects(table), by_grouping(table)
    return Scores(
        voxels=table.total,
        voxels_pred=v.both + v.only_pred,
        voxels_truth=v.both + v.only_truth,
        voxel_precision=v.precision,
        voxel_recall=v.recall,
        voxel_f1=v.f1,
        voxel_iou=v.iou,
        objects_pred=o.predicted,
        objects_truth=len(o.id),
        objects_matched=o.hits,
        object_precision=o.precision,
        object_recall=o.recall,
        object_f1=o.f1,
        mean_object_iou=o.mean_iou,
        vi_split_bits=g.split,
        vi_merge_bits=g.merge,
        adapted_rand_error=g.rand_error,
    )


def object_scores(
    table: Table, of_truth: Lives, of_pred: Lives, volume: Volume, names: Sequence[str]
) -> tuple[list[ObjectScores], list[ObjectScores]]:
    """Objects of the truth, and those of the prediction that are matched with none."""
    found = by_objects(table)
    columns: list[list[Any]] = [
        column.tolist()
        for column in (found.id, found.voxels, found.best, found.iou, found.matched, found.pieces, found.covered)
    ]
    true = [
        ObjectScores(
            id=id_, voxels=n, best=best, iou=iou, matched=matched > 0, pieces=pieces, covered=covered / n,
            **_place(of_truth.of(id_), volume, names),
        )
        for id_, n, best, iou, matched, pieces, covered in zip(*columns, strict=True)
    ]  # fmt: skip
    false = []
    for id_ in found.unmatched.tolist():
        life = of_pred.of(id_)
        false.append(
            ObjectScores(
                id=0, voxels=int(life.voxels.sum()), best=id_, iou=0.0, matched=False, pieces=0, covered=1.0,
                **_place(life, volume, names),
            )
        )  # fmt: skip
    return true, sorted(false, key=lambda o: (-o.voxels, o.best))


def _place(life: Lives, volume: Volume, names: Sequence[str]) -> dict[str, Any]:
    at = place(life, volume.shape[2])
    y, x = (_coordinate(axis, index) for axis, index in zip(volume.axes[1:], (at.y, at.x), strict=True))
    return {"first": names[at.first], "last": names[at.last], "peak": at.peak, "y": y, "x": x}


def _coordinate(axis: Axis, index: float) -> float:
    """Where a fraction of an index lies; beyond the ends, where a circle closes, as far as the last voxels are wide."""
    points = axis.points
    low_width, high_width = float(axis.widths[0]), float(axis.widths[-1])
    beyond = min(index, 0.0) * low_width + max(index - (len(points) - 1), 0.0) * high_width
    found = float(np.interp(index, np.arange(len(points)), points))
    if axis.kind == "longitude":
        low = float(points.min())
        found = (found + beyond - low) % 360 + low
    return round(found, 4)
