"""Comparing a segmentation with the truth: in all, step by step, by blocks of time and by region, and object by object.

Both volumes are gone through once, a slab at a time.  Each slab gives tables (``measures``), which add up;
what comes out is one record, which ``report`` draws and ``--json`` prints.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from inference_workers.ffn import domain as where
from inference_workers.ffn.domain import Domain
from inference_workers.ffn.file import read_config
from inference_workers.ffn.labelled import (
    SLAB_VOXELS,
    Labelled,
    Labels,
    Store,
    Stored,
    check_same,
    components_of,
    open_labels,
)
from inference_workers.ffn.lives import Lives, gathered, lives
from inference_workers.ffn.measures import Table, added, contingency
from inference_workers.ffn.model import ModelError, Training
from inference_workers.ffn.scores import BlockScores, Evaluation, RegionScores, StepScores, object_scores, scores
from inference_workers.source import InputError
from streamer.wire.volume import Volume


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of an evaluation."""

    pred: str
    truth: str
    pred_variable: str | None = None
    truth_variable: str | None = None
    connect: float | None = None
    """The truth is a field, and its objects are what is connected at or above this."""
    connectivity: int = 26
    min_duration_h: float = 0.0
    """Objects of either side that live shorter are background."""
    intervals: list[str] = []
    regions: list[str] = []
    model: str | None = None
    """The model whose training is left out; without it, the one that the prediction's store names."""
    all: bool = False
    """Compare what was trained on as well."""
    block: int = 0
    """Steps of a block of time; 0: two dozen blocks at most."""


class Compared(NamedTuple):
    """An evaluation with what it was made from, for whoever wants to draw voxels."""

    evaluation: Evaluation
    volume: Volume
    pred: Labelled
    truth: Labelled
    domain: Domain


Progress = Callable[[int, int], None]


@contextlib.contextmanager
def opened(request: Request) -> Iterator[tuple[Labelled, Labelled]]:
    """Prediction and truth, open.  Raises InputError."""
    with contextlib.ExitStack() as stack:
        pred: Stored = stack.enter_context(open_labels(request.pred, request.pred_variable))
        truth: Labelled
        if request.connect is not None:
            truth = components_of(
                request.truth, request.truth_variable, request.connect, request.connectivity, request.min_duration_h
            )
        else:
            truth = stack.enter_context(open_labels(request.truth, request.truth_variable))
        check_same(pred, truth)
        time = reference(pred, truth).axes[0]
        for side in (pred, truth):
            if request.min_duration_h > 0 and isinstance(side, Stored):
                if time.kind != "time":
                    raise InputError(f"{time.name} of {truth.words} is no time, so objects have no duration.")
                side.drop_short(time.widths, request.min_duration_h)
        yield pred, truth


def evaluate(pred: Labelled, truth: Labelled, request: Request, progress: Progress = lambda *_: None) -> Compared:
    """Compares two volumes of labels.  Raises InputError, or ModelError if the model whose training is to be left out
    cannot be read; each one sentence."""
    volume = reference(pred, truth)
    notes = [f"{s.words} is {s.store.state}." for s in (pred, truth) if s.store and s.store.state != "complete"]
    training = None if request.all else _training(request.model, pred.store)
    names = where.instants(volume.axes[0])
    domain = make_domain(volume, names, request, training)
    parts = {part.name: part.cells for part in domain.parts}
    by_block: list[Table] = []
    by_part: dict[str, list[Table]] = {name: [] for name in parts}
    steps: list[StepScores] = []
    of_truth: list[Lives] = []
    of_pred: list[Lives] = []
    for block in domain.blocks:
        tables = []
        for start, stop in _slabs(block, volume):
            a, b = pred.read(start, stop), truth.read(start, stop)
            aside = ~domain.counts(start, stop)
            a[aside], b[aside] = -1, -1
            unknown = (a < 0) | (b < 0)
            a[unknown], b[unknown] = -1, -1
            tables.append(contingency(a, b))
            for name, cells in parts.items():
                by_part[name].append(contingency(a[:, cells], b[:, cells]))
            of_truth.append(lives(b, start))
            of_pred.append(lives(a, start))
            steps += _steps(a, b, start, names)
            progress(stop, volume.shape[0])
        by_block.append(added(tables))
    whole = added(by_block)
    if not whole.total:
        raise InputError("nobody said anything about any voxel that is compared: the prediction is empty there.")
    objects, unmatched = object_scores(whole, gathered(of_truth), gathered(of_pred), volume, names)
    evaluation = Evaluation(
        pred=pred.words,
        truth=truth.words,
        shape=volume.shape,
        axes=(volume.axes[1].name, volume.axes[2].name),
        notes=notes,
        left_out=_left_out(domain, training, names),
        total=scores(whole),
        time=[
            BlockScores(block.name, block.first, block.stop, scores(table))
            for block, table in zip(domain.blocks, by_block, strict=True)
        ],
        regions=[RegionScores(name, scores(added(tables))) for name, tables in by_part.items()],
        steps=steps,
        objects=objects,
        unmatched=unmatched,
    )
    return Compared(evaluation, volume, pred, truth, domain)


def reference(pred: Labelled, truth: Labelled) -> Volume:
    """The volume of the two that knows more of its axes; an array alone knows nothing."""
    return max((truth.volume, pred.volume), key=lambda v: sum(axis.kind != "other" for axis in v.axes))


def make_domain(volume: Volume, names: Sequence[str], request: Request, training: Training | None) -> Domain:
    """What is compared.  Raises InputError if nothing is."""
    try:
        regions = [where.read_region(text) for text in request.regions]
        steps = where.steps_of(volume, request.intervals)
        parts = where.parts(volume, regions)
    except ValueError as why:
        raise InputError(f"{why}.") from None
    cells = np.ones(volume.shape[1:], np.bool_)
    if regions:
        cells = np.logical_or.reduce([part.cells for part in parts])
    seen_steps, seen_cells = where.seen(training, volume)
    domain = Domain(steps, cells, seen_steps, seen_cells, parts, [])
    whole = steps if not (seen_cells | ~cells).all() else steps & ~seen_steps
    if not whole.any():
        raise InputError(
            "nothing is left to compare: the model was trained on all of it; name other steps with --interval, or"
            " compare what it has seen with --all."
        )
    return domain._replace(blocks=where.blocks(whole, names, request.block))


def _training(model: str | None, store: Store | None) -> Training | None:
    """What the network behind a prediction was trained on.  Raises ModelError if its model cannot be read."""
    if model is None:
        named = store.parameters.get("model") if store is not None else None
        if named is None:
            return None
        if not Path(str(named)).is_file():
            raise ModelError(
                f"the prediction was made with {named}, which is not there, so what it was trained on is not known:"
                " name the model with --model, or compare everything with --all"
            )
        model = str(named)
    return read_config(model).training


def _left_out(domain: Domain, training: Training | None, names: Sequence[str]) -> str:
    if training is None or not domain.any_seen:
        return ""
    seen = np.flatnonzero(domain.seen_steps & domain.steps)
    words = f"{len(seen)} steps from {names[seen[0]]} to {names[seen[-1]]}"
    if training.region is not None:
        words += " in the region {:g} to {:g}, {:g} to {:g}".format(*training.region)
    return f"{words}, on which the model was trained"


def _slabs(block: where.Block, volume: Volume) -> list[tuple[int, int]]:
    size = max(1, SLAB_VOXELS // (volume.shape[1] * volume.shape[2]))
    return [(z, min(z + size, block.stop)) for z in range(block.first, block.stop, size)]


def _steps(a: Labels, b: Labels, first: int, names: Sequence[str]) -> list[StepScores]:
    p, t = a > 0, b > 0
    compared = np.flatnonzero((a >= 0).any(axis=(1, 2))).tolist()
    both, only_pred, only_truth = (mask.sum(axis=(1, 2)).tolist() for mask in (p & t, p & ~t, t & ~p))
    return [StepScores(first + i, names[first + i], both[i], only_pred[i], only_truth[i]) for i in compared]
