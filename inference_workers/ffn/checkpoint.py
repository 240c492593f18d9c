"""From the variables of a TensorFlow 1 checkpoint to a network's weights.

The published reference implementation trains with TensorFlow 1; its checkpoints name variables
``seed_update/conv{i}_{a,b}/{weights,biases}`` and ``seed_update/conv_lom/…``, beside the optimiser's and
the global step, which are passed over.  A checkpoint does not say its depth or number of features: those
are asked for, and what contradicts them is said with names and shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.model import ModelError
from inference_workers.ffn.structure import Shape, Weights, check, shapes

SCOPE = "seed_update/"


class Variables(Protocol):
    """What a checkpoint can be asked."""

    prefix: str

    def shapes(self) -> Mapping[str, Shape]:
        """The shapes of all variables."""

    def read(self, names: Iterable[str]) -> Mapping[str, NDArray[Any]]:
        """These variables."""


def prefix_of(path: str) -> str:
    """A checkpoint's prefix, whichever of its files was named."""
    return re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)


def weights_of(checkpoint: Variables, depth: int, features: int) -> Weights:
    """The weights of a network of that depth and number of features.

    Raises ModelError, naming the variable and its shape, if the checkpoint holds another network.
    """
    wanted, there, what = shapes(depth, features), checkpoint.shapes(), checkpoint.prefix
    found = described(there)
    for name, shape in wanted.items():
        whole = SCOPE + name
        if whole not in there:
            raise ModelError(
                f"{what} has no variable {whole} of shape {shape}, which --depth {depth} --features {features} means;"
                f" {found}"
            )
        if tuple(there[whole]) != shape:
            raise ModelError(
                f"{what}: {whole} has shape {tuple(there[whole])}, but --depth {depth} --features {features} means"
                f" {shape}; {found}"
            )
    deeper = f"{SCOPE}conv{depth}_a/weights"
    if deeper in there:
        raise ModelError(f"{what} goes on with {deeper} of shape {tuple(there[deeper])} after --depth {depth}; {found}")
    read = checkpoint.read([SCOPE + name for name in wanted])
    weights = {name: np.ascontiguousarray(read[SCOPE + name], np.float32) for name in wanted}
    check(weights, depth, features, what)
    return weights


def described(there: Mapping[str, Shape]) -> str:
    """What network a checkpoint holds, in words."""
    depth = 0
    while f"{SCOPE}conv{depth}_a/weights" in there:
        depth += 1
    if not depth:
        return "it holds no flood-filling network with convolutions in pairs"
    return f"it looks like --depth {depth} --features {there[f'{SCOPE}conv0_a/weights'][-1]}"
