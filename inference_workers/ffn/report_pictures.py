"""Reads the planes that a report shows, and has them drawn: some steps, and the best and worst objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.domain import instants
from inference_workers.ffn.evaluation import Compared
from inference_workers.ffn.pictures import errors, objects, portrait
from inference_workers.ffn.report import Card, View, page
from inference_workers.ffn.scores import ObjectScores, StepScores

CARDS = 8
Plane = NDArray[np.int64]


def report(compared: Compared) -> str:
    """The page for an evaluation.  Reads some twenty planes of both volumes; raises InputError."""
    e = compared.evaluation
    names = instants(compared.volume.axes[0])
    worst, best = worst_and_best(e.objects)
    cards = [[_card(compared, one, names) for one in some] for some in (worst, best, e.unmatched[: CARDS // 2])]
    return page(e, [_view(compared, title, step) for title, step in chosen_steps(e.steps)], *cards)


def chosen_steps(steps: Sequence[StepScores]) -> list[tuple[str, StepScores]]:
    """The step with the highest F1, the middle one and the lowest, of those that have objects enough: a quarter of the
    usual number of voxels at least."""
    usual = float(np.median([s.both + s.only_truth for s in steps])) if steps else 0.0
    some = sorted((s for s in steps if s.f1 is not None and s.both + s.only_truth >= usual / 4),
                  key=lambda s: (s.f1 or 0, s.step))  # fmt: skip
    if not some:
        return []
    named = (("best", some[-1]), ("typical", some[len(some) // 2]), ("worst", some[0]))
    return [(name, step) for i, (name, step) in enumerate(named) if step not in [s for _, s in named[:i]]]


def worst_and_best(objects: Sequence[ObjectScores]) -> tuple[list[ObjectScores], list[ObjectScores]]:
    """The objects that cost most voxels, and of the larger half those with the highest IoU."""
    worst = sorted((o for o in objects if o.iou < 1), key=lambda o: (-(1 - o.iou) * o.voxels, o.id))[:CARDS]
    larger = sorted(objects, key=lambda o: (-o.voxels, o.id))[: -(-len(objects) // 2)]
    best = [o for o in sorted(larger, key=lambda o: (-o.iou, o.id)) if o.matched and o not in worst]
    return worst, best[: CARDS // 2]


def _planes(compared: Compared, step: int) -> tuple[Plane, Plane]:
    """Prediction and truth at a step, (y, x), north up; −1 where nothing was compared."""
    a, b = (side.read(step, step + 1)[0] for side in (compared.pred, compared.truth))
    aside = ~compared.domain.counts(step, step + 1)[0] | (a < 0) | (b < 0)
    a[aside], b[aside] = -1, -1
    rows = compared.volume.axes[1].points
    upward = len(rows) > 1 and rows[0] < rows[-1] and compared.volume.axes[1].kind == "latitude"
    return (a[::-1], b[::-1]) if upward else (a, b)


def _view(compared: Compared, title: str, step: StepScores) -> View:
    a, b = _planes(compared, step.step)
    partners = {o.best: o.id for o in compared.evaluation.objects if o.matched}
    return View(
        f"{step.name} · {title}, voxel F1 {step.f1 or 0:.3f}",
        (
            objects(b, None, f"true objects at {step.name}"),
            objects(a, partners, f"predicted objects at {step.name}"),
            errors(a, b, f"errors at {step.name}"),
        ),
        _extent(compared, 2) / _extent(compared, 1),
    )


def _extent(compared: Compared, axis: int) -> float:
    return float(np.abs(compared.volume.axes[axis].widths).sum()) or 1.0


def _card(compared: Compared, one: ObjectScores, names: Sequence[Any]) -> Card:
    a, b = _planes(compared, one.peak)
    alt = f"object {one.id} and predicted object {one.best}" if one.id else f"predicted object {one.best}"
    return Card(portrait(a, b, one.id, one.best, alt), one, names[one.peak])
