"""Kernels in bfloat16 whose rounding errors cancel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_workers.ffn.rounding import carried, nearest

VALUES = st.floats(-(2.0**60), 2.0**60, width=32)


@given(arrays(np.float32, 5, elements=VALUES))
def test_what_is_nearest_has_eight_bits_and_is_off_by_half_of_the_last_at_most(values: np.ndarray) -> None:
    found = nearest(values)
    assert not (found.view(np.uint32) & 0xFFFF).any()
    last = 2.0 ** (np.frexp(values.astype(np.float64))[1] - 8)
    off = np.abs(found.astype(np.float64) - values)
    assert (off <= np.maximum(last / 2, 2.0**-134)).all()


def test_of_two_as_near_the_even_one_is_taken() -> None:
    assert nearest(np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8], np.float32)).tolist() == [1, 1 + 2**-6, -1]


@given(st.integers(0, 2**32 - 1))
def test_the_sum_over_a_kernels_taps_stays(seed: int) -> None:
    kernel = np.random.default_rng(seed).normal(0, 0.2, (3, 3, 3, 4, 5)).astype(np.float32)
    found = carried(kernel)
    np.testing.assert_array_equal(found, nearest(found))
    assert np.abs(found - kernel).max() <= 2.0**-7 * np.abs(kernel).max()
    gone = np.abs((found.astype(np.float64) - kernel).sum(axis=(0, 1, 2)))
    assert gone.max() <= 2.0**-8 * np.abs(kernel).max()
    alone = np.abs((nearest(kernel).astype(np.float64) - kernel).sum(axis=(0, 1, 2)))
    assert gone.mean() < alone.mean() / 2
