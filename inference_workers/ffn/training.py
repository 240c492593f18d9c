"""What a training is asked for, and the decisions of one: how fast it learns, when it stops, what is best.  Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from inference_workers.ffn.settings import FloodFillSettings, logit
from streamer.wire.grid import Triple, triple

FloatArray = NDArray[np.float32]
LIKELY, UNLIKELY = 0.95, 0.05
"""What a voxel of the object, and any other, shall become."""


Moves = Literal["fixed", "max_pred"]


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train.  What is trained on is not in here."""

    depth: Annotated[int, Meta(ge=1)] = 4
    features: Annotated[int, Meta(ge=1)] = 8
    flood: FloodFillSettings
    mean: float
    std: Annotated[float, Meta(gt=0)]
    batch: Annotated[int, Meta(ge=1)] = 16
    """Examples that are learned from at a time, over all processes."""
    learning_rate: Annotated[float, Meta(gt=0)] = 2e-3
    steps: Annotated[int, Meta(ge=0)] = 0
    """Batches to learn from; 0: no end of its own."""
    minutes: Annotated[float, Meta(ge=0)] = 0.0
    """Time to learn for, over all resumptions; 0: no end of its own."""
    patience: Annotated[int, Meta(ge=0)] = 20
    """Validations in a row that bring nothing better, after which training stops; 0: never."""
    watch: Literal["f1", "loss"] = "f1"
    """What the best network is chosen by."""
    validate_every: Annotated[int, Meta(ge=1)] = 250
    validation_examples: Annotated[int, Meta(ge=1)] = 128
    object_weight: Annotated[float, Meta(gt=0)] = 1.0
    """How much a voxel of the object counts in the loss, where any other counts 1."""
    mirror: tuple[bool, bool, bool] = (False, False, True)
    """Axes (z, y, x) along which examples may be mirrored."""
    move: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    """What the network must have come to think of a place before its field of view goes there."""
    moves: Moves = "fixed"
    """Where fields of view go in an example (see ``training_row``)."""
    clip: Annotated[float, Meta(gt=0)] = 0.7
    """No entry of a gradient is larger."""
    average: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    """The network that is kept is a moving average over steps; this is what stays of it at each."""
    seed: int = 0

    @property
    def crop(self) -> Triple:
        """What an example takes: the field of view and so many steps on all sides as it may move, one or two."""
        steps = 1 if self.moves == "fixed" else 2
        return triple(side + 2 * steps * delta for side, delta in zip(self.flood.fov, self.flood.deltas, strict=True))

    @property
    def radius(self) -> Triple:
        """Half of it."""
        return triple(side // 2 for side in self.crop)

    @property
    def around(self) -> Triple:
        """How far around a voxel its class looks: half a field of view and a step."""
        return triple(side // 2 + delta for side, delta in zip(self.flood.fov, self.flood.deltas, strict=True))


class Example(NamedTuple):
    """What is learned from, (z, y, x) of ``TrainingSettings.crop``."""

    number: int
    image: FloatArray
    target: FloatArray
    """``LIKELY`` where the object of the middle voxel is, else ``UNLIKELY``."""
    weight: FloatArray
    """What each voxel counts in the loss; 0 where nobody knows."""


class Score(NamedTuple):
    """How good a network is on examples of the validation."""

    loss: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, by voxels."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def score(canvases: FloatArray, targets: FloatArray, weights: FloatArray, segment: float) -> Score:
    """Compares what became of canvases, in logits, with what should have; voxels of weight 0 do not count."""
    counts = weights > 0
    said, true = (canvases >= logit(segment)) & counts, (targets > 0.5) & counts
    right = int(np.count_nonzero(said & true))
    told, there = int(np.count_nonzero(said)), int(np.count_nonzero(true))
    # The cross entropy of a logit x and a target p is softplus(x) − p·x.
    loss = float(np.mean((np.logaddexp(np.float32(0), canvases) - targets * canvases) * weights))
    return Score(loss, right / max(told, 1), right / max(there, 1))


class Watch(msgspec.Struct):
    """The best validation so far, and how many have been since."""

    best: float | None = None
    best_step: int = 0
    waited: int = 0

    def better(self, step: int, value: float) -> bool:
        """Takes a validation into account (more is better); whether it is the best so far."""
        if self.best is None or value > self.best:
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False


def why_stop(settings: TrainingSettings, step: int, minutes: float, watch: Watch) -> str | None:
    """Why training is over, as a part of a sentence; None: it goes on."""
    if settings.steps and step >= settings.steps:
        return f"{step:,} steps are done"
    if settings.minutes and minutes >= settings.minutes:
        return f"{settings.minutes:g} minutes are over"
    if settings.patience and watch.waited >= settings.patience:
        return f"{watch.waited} validations brought nothing better than step {watch.best_step:,}"
    return None


def rate(settings: TrainingSettings, step: int, minutes: float) -> float:
    """The learning rate of a step: rising over the first hundred, falling to zero towards an end that is known."""
    done = max(
        step / settings.steps if settings.steps else 0.0, minutes / settings.minutes if settings.minutes else 0.0
    )
    falling = 0.5 * (1 + float(np.cos(np.pi * min(done, 1))))
    return settings.learning_rate * min(1.0, (step + 1) / 100) * falling


def split(length: int, share: float, least: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Time steps 0 … length for training and for validation: the last block of each fifth of the interval, or of
    as many parts as have at least ``least`` steps in each block.  Raises ValueError if there is room for none."""
    parts = min(5, int(length * min(share, 1 - share) // least))
    if parts < 1:
        raise ValueError(
            f"{length} time steps are too few to set {share:g} of them aside for validation in a block of {least} or"
            " more: take a longer interval, another share, or name the steps with --validation A:B"
        )
    edges = [round(i * length / parts) for i in range(parts + 1)]
    learned, kept = [], []
    for low, high in pairwise(edges):
        middle = high - round((high - low) * share)
        learned.append((low, middle))
        kept.append((middle, high))
    return learned, kept
