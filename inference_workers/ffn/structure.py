"""Which weights a flood-filling network has: their names, shapes and number.

The network is a stack of 3×3×3 convolutions in pairs with additive shortcuts (Januszewski et al. 2018,
methods, "network architecture").  Names are those of the published checkpoints without their scope:
``conv0_a/weights`` to ``convN_b/biases``, then ``conv_lom`` (logit of the object map).  Kernels are
(z, y, x, in, out).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.model import ModelError

Weights = Mapping[str, NDArray[np.float32]]
Shape = tuple[int, ...]

LAST = "conv_lom"
EXACT = frozenset({"conv0_a", "conv0_b", LAST})
"""Convolutions that are computed in float32 in every precision: they see the seed's logits, or write them."""
CHANNELS = 2
"""Image and seed logits, in this order."""
MOST_DEPTH, MOST_FEATURES, MOST_PARAMETERS = 128, 512, 50_000_000
"""Beyond what anybody trains; a file that asks for more is damaged or hostile."""


def layers(depth: int) -> list[str]:
    """The convolutions in the order in which they are gone through."""
    return [f"conv{i}_{half}" for i in range(depth) for half in "ab"] + [LAST]


def shapes(depth: int, features: int) -> dict[str, Shape]:
    """The shape of each variable.  Raises ModelError, before any memory is taken, if the network is too large."""
    if not (1 <= depth <= MOST_DEPTH and 1 <= features <= MOST_FEATURES):
        raise ModelError(
            f"a network of depth {depth} with {features} features is out of reach:"
            f" depth is 1 to {MOST_DEPTH}, features are 1 to {MOST_FEATURES}"
        )
    if parameters(depth, features) > MOST_PARAMETERS:
        raise ModelError(
            f"a network of depth {depth} with {features} features has {parameters(depth, features):,} parameters;"
            f" {MOST_PARAMETERS:,} is the most"
        )
    found: dict[str, Shape] = {}
    for name in layers(depth):
        kernel = (1, 1, 1, features, 1) if name == LAST else (3, 3, 3, features, features)
        if name == "conv0_a":
            kernel = (3, 3, 3, CHANNELS, features)
        found[f"{name}/weights"] = kernel
        found[f"{name}/biases"] = kernel[-1:]
    return found


def parameters(depth: int, features: int) -> int:
    """How many numbers are learned: 638,433 for the published depth 12 with 32 features."""
    first = 27 * CHANNELS * features + features
    return first + (2 * depth - 1) * (27 * features**2 + features) + features + 1


def check(weights: Weights, depth: int, features: int, what: str) -> None:
    """Raises ModelError, naming the variable and both shapes, if these are not such a network's weights."""
    for name, shape in shapes(depth, features).items():
        if name not in weights:
            raise ModelError(f"{what} has no {name}, which a network of depth {depth} has")
        if weights[name].shape != shape:
            raise ModelError(
                f"{what}: {name} has shape {weights[name].shape}, but depth {depth} with {features} features"
                f" means {shape}"
            )
        if not np.isfinite(weights[name]).all():
            raise ModelError(f"{what}: {name} holds numbers that are not finite, so it was not trained to an end")


def fresh(depth: int, features: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Weights to begin training with: He's normal distribution (2015) for kernels, zero for biases.

    The last convolution of each pair and the one that makes logits are small, so that an untrained
    network changes little of the map that it is given.
    """
    random = np.random.default_rng(seed)
    found: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes(depth, features).items():
        if name.endswith("/biases"):
            found[name] = np.zeros(shape, np.float32)
            continue
        deviation = np.sqrt(2 / np.prod(shape[:-1]))
        if name.startswith(LAST):
            deviation /= 10
        elif name.endswith("_b/weights"):
            deviation /= np.sqrt(depth)
        found[name] = (deviation * random.standard_normal(shape)).astype(np.float32)
    return found
