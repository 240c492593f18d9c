"""Probabilities as bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_workers.ffn.quantise import dequantise, quantise, sigmoid

VECTORS = Path(__file__).parents[2].parent / "shared" / "ffn" / "unit_vectors.npz"


@pytest.mark.skipif(not VECTORS.exists(), reason="the reference vectors are not beside the checkout")
def test_bytes_and_what_they_stand_for_are_those_of_the_reference() -> None:
    told = np.load(VECTORS)
    assert np.array_equal(quantise(told["quant_in"]), told["quant_out"])
    assert np.array_equal(dequantise(told["quant_out"]), told["dequant_out"], equal_nan=True)


def test_unknown_is_zero_and_everything_known_is_not() -> None:
    codes = quantise(np.array([np.nan, 0, 1e-9, 0.5, 1]))
    assert codes.tolist() == [0, 1, 1, 128, 255]
    assert np.isnan(dequantise(codes)[0])


def test_a_byte_stands_for_what_it_was_made_from_within_a_step_and_a_half() -> None:
    share = np.linspace(0, 1, 5001)
    assert np.abs(dequantise(quantise(share)) - share).max() <= 1.5 / 255


def test_logits_however_large_become_probabilities_without_a_warning() -> None:
    assert sigmoid(np.array([-1e4, -30, 0, 30, 1e4])).tolist() == pytest.approx([0, 9.4e-14, 0.5, 1, 1], abs=1e-12)
