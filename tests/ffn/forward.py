"""The network once more, by SciPy's correlation in double precision: slow, and written apart from ours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate

from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.settings import FloodFillSettings
from inference_workers.ffn.structure import Weights, shapes

Doubles = NDArray[np.float64]


def layer(net: Doubles, weights: Weights, name: str) -> Doubles:
    """One convolution of (channel, z, y, x) with zeros beyond the edges."""
    kernel, bias = weights[f"{name}/weights"].astype(float), weights[f"{name}/biases"].astype(float)
    return np.stack([
        bias[out] + sum(correlate(net[k], kernel[..., k, out], mode="constant") for k in range(len(net)))
        for out in range(kernel.shape[-1])
    ])  # fmt: skip


def forward(weights: Weights, depth: int, image: NDArray[np.float32], seed: NDArray[np.float32]) -> Doubles:
    """New seed logits of one (z, y, x)."""
    net = layer(np.stack([image, seed]).astype(float), weights, "conv0_a")
    net = layer(np.maximum(net, 0), weights, "conv0_b")
    for i in range(1, depth):
        inner = np.maximum(layer(np.maximum(net, 0), weights, f"conv{i}_a"), 0)
        net = net + layer(inner, weights, f"conv{i}_b")
    logits: Doubles = seed + layer(np.maximum(net, 0), weights, "conv_lom")[0]
    return logits


def some_weights(depth: int, features: int, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Weights of a size that makes logits of a few units, biases included."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(depth, features).items():
        scale = 0.3 if name.endswith("/biases") else np.sqrt(2 / np.prod(shape[:-1]))
        found[name] = (scale * random.standard_normal(shape)).astype(np.float32)
    return found


def some_input(*shape: int, seed: int = 2) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A normalised image, and seed logits as a fill meets them."""
    random = np.random.default_rng(seed)
    return random.standard_normal(shape).astype(np.float32), random.uniform(-3, 4, shape).astype(np.float32)


def config(depth: int, features: int, fov: tuple[int, int, int] = (3, 5, 7)) -> ModelConfig:
    """A configuration for a small network."""
    deltas = (fov[0] // 4, fov[1] // 4, fov[2] // 4)
    return ModelConfig(
        depth=depth, features=features, mean=300, std=200, flood=FloodFillSettings(fov=fov, deltas=deltas)
    )
