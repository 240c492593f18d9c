"""Probabilities as bytes: 1…255 from 0 to 1, 0 where nothing is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EDGES = np.linspace(0, 1, 255)


def quantise(probability: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Bytes of probabilities 0…1 of any shape; 0 for NaN."""
    codes = np.digitize(probability, _EDGES)
    return np.where(np.isnan(probability), 0, codes).astype(np.uint8)


def dequantise(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The probabilities that bytes stand for: the middle of their range, NaN for 0."""
    middle = (code.astype(np.float32) - np.float32(0.5)) / np.float32(255)
    return np.where(code == 0, np.float32(np.nan), middle).astype(np.float32)


def sigmoid(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """1 / (1 + exp(−x)) in double precision, without overflow."""
    far = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits >= 0, 1 / (1 + far), far / (1 + far))
