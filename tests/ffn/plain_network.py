"""The published network in plain NumPy, for tests: slow, without TensorFlow, and easy to check by eye."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
Patch = NDArray[np.float32]


class PlainNetwork:
    """Weights under ``seed_update.conv{i}_{a,b}.{weights,biases}`` and ``seed_update.conv_lom.…``, DHWIO."""

    def __init__(self, weights: Weights) -> None:
        self._weights = {name: weights[name] for name in weights if name.startswith("seed_update.")}
        self.depth = sum(name.endswith("_a.weights") for name in self._weights)
        self.calls = 0

    def predict(self, image: Patch, seed: Patch) -> Patch:
        """Images and seeds (batch, z, y, x) → seeds + updates."""
        return np.stack([self._one(*pair) for pair in zip(image, seed, strict=True)])

    def _one(self, image: Patch, seed: Patch) -> Patch:
        self.calls += 1
        net = self._conv(np.maximum(self._conv(np.stack([image, seed], -1), "conv0_a"), 0), "conv0_b")
        for i in range(1, self.depth):
            net = net + self._conv(np.maximum(self._conv(np.maximum(net, 0), f"conv{i}_a"), 0), f"conv{i}_b")
        update: Patch = seed + self._conv(np.maximum(net, 0), "conv_lom")[..., 0]
        return update

    def _conv(self, x: Patch, name: str) -> NDArray[Any]:
        """A convolution with zeros around, as one product of matrices."""
        weights, biases = self._weights[f"seed_update.{name}.weights"], self._weights[f"seed_update.{name}.biases"]
        r = weights.shape[0] // 2
        padded = np.pad(x, ((r, r), (r, r), (r, r), (0, 0)))
        nz, ny, nx, channels = x.shape
        columns = np.empty((nz, ny, nx, weights.shape[0] ** 3, channels), np.float32)
        for i, (a, b, c) in enumerate(product(range(2 * r + 1), repeat=3)):
            columns[..., i, :] = padded[a : a + nz, b : b + ny, c : c + nx]
        out = columns.reshape(nz * ny * nx, -1) @ weights.reshape(-1, weights.shape[-1]) + biases
        return out.reshape(nz, ny, nx, -1)
