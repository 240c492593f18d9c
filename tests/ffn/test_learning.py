"""One step of learning, compared with the network in double precision and derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_workers.ffn.network_training import BETA_1, BETA_2, Learner
from inference_workers.ffn.structure import fresh
from tests.ffn.forward import forward

DEPTH, FEATURES, SHAPE = 2, 3, (2, 3, 5, 4)
Array = NDArray[np.float32]


def batch() -> tuple[Array, Array, Array, Array]:
    """Images, seeds, targets and weights; a third of the voxels do not count, others count double."""
    random = np.random.default_rng(5)
    image, seed = random.standard_normal(SHAPE), random.uniform(-3, 3, SHAPE)
    target = np.where(random.random(SHAPE) < 0.4, 0.95, 0.05)
    weight = random.choice([0.0, 1.0, 2.0], SHAPE)
    return image.astype("f4"), seed.astype("f4"), target.astype("f4"), weight.astype("f4")


def loss_of(weights: dict[str, Array], image: Array, seed: Array, target: Array, weight: Array) -> float:
    """The mean over all voxels of the weighted cross entropy."""
    logits = np.stack([forward(weights, DEPTH, *pair) for pair in zip(image, seed, strict=True)])
    return float(np.mean((np.logaddexp(0, logits) - target * logits) * weight))


def learner(clip: float = 0.7) -> Learner:
    return Learner(DEPTH, FEATURES, fresh(DEPTH, FEATURES, 3), clip=clip, average=0.998, threads=1, many=False)


@pytest.mark.parametrize("clip", [0.7, 0.01])
def test_a_step_follows_the_derivative_of_the_weighted_loss_clipped_entry_by_entry(clip: float) -> None:
    weights, given = fresh(DEPTH, FEATURES, 3), batch()
    made = learner(clip)
    _, loss = made.learn(*given, 0, 1e-3)
    assert loss == pytest.approx(loss_of(weights, *given), rel=1e-4)
    state, random = made.state(), np.random.default_rng(1)
    clipped = 0
    for name, value in weights.items():
        at = tuple(random.integers(0, n) for n in value.shape)
        moved = []
        for by in (1e-3, -1e-3):
            other = value.copy()
            other[at] += np.float32(by)
            moved.append(loss_of({**weights, name: other}, *given) - loss_of(weights, *given))
        slope = (moved[0] - moved[1]) / 2e-3
        taken = float(np.clip(slope, -clip, clip))
        clipped += taken != slope
        assert state[f"first/{name}"][at] / (1 - BETA_1) == pytest.approx(taken, rel=0.05, abs=2e-3), name
        assert state[f"second/{name}"][at] / (1 - BETA_2) == pytest.approx(taken**2, rel=0.1, abs=1e-4), name
        # Adam's first step is of the rate's size, against the slope.
        if abs(taken) > 2e-3:
            assert state[f"weights/{name}"][at] - value[at] == pytest.approx(-1e-3 * np.sign(slope), rel=0.05), name
    assert (clipped > 0) == (clip < 0.1)


def test_what_does_not_count_teaches_nothing() -> None:
    image, seed, target, weight = batch()
    other = np.where(weight == 0, 1 - target, target).astype(np.float32)
    assert (other != target).any()
    states = []
    for given in (target, other):
        made = learner()
        made.learn(image, seed, given, weight, 0, 1e-3)
        states.append(made.state())
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)


def test_the_average_follows_quickly_at_first_and_then_slowly() -> None:
    made, given = learner(), batch()
    expected = {name: value.astype(float) for name, value in fresh(DEPTH, FEATURES, 3).items()}
    kept: Callable[[int], float] = lambda step: min(0.998, (1 + step) / (10 + step))  # noqa: E731
    for step in (0, 1, 2, 5000):
        made.learn(*given, step, 1e-3)
        now = made.state()
        for name in expected:
            expected[name] = kept(step) * expected[name] + (1 - kept(step)) * now[f"weights/{name}"]
    for name, value in made.averaged().items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)
