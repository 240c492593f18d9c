"""What two segmentations agree on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_workers.ffn.consensus import clear_small, split_apart, split_consensus

VECTORS = Path(__file__).parents[2].parent / "shared" / "ffn" / "unit_vectors.npz"
reference = pytest.mark.skipif(not VECTORS.exists(), reason="the reference vectors are not beside the checkout")


@reference
def test_the_consensus_is_that_of_the_reference() -> None:
    told = np.load(VECTORS)
    assert np.array_equal(split_consensus(told["cons_a"], told["cons_b"], 200), told["cons_out_min200"])


@reference
def test_clearing_is_that_of_the_reference() -> None:
    told = np.load(VECTORS)
    assert np.array_equal(clear_small(told["cons_a"], 1500), told["dust_out_min1500"])
    apart, expected = split_apart(told["cons_a"], 5), told["cleanup_cc1_min5_same_partition"]
    pairs = np.unique(np.stack([apart.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(apart)) == len(np.unique(expected))
    assert [0, 0] in pairs.T.tolist()


def row(*labels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return np.array(labels, np.int32).reshape(1, 1, -1)


def test_what_either_keeps_apart_stays_apart_and_the_largest_part_keeps_its_number() -> None:
    a, b = row(7, 7, 7, 7, 7, 0, 3), row(1, 1, 1, 2, 2, 2, 2)
    assert split_consensus(a, b, 1).ravel().tolist() == [7, 7, 7, 8, 8, 0, 3]


def test_where_the_other_has_nothing_is_a_part_of_its_own() -> None:
    assert split_consensus(row(1, 1, 1), row(0, 0, 5), 1).ravel().tolist() == [1, 1, 2]


def test_of_equal_parts_the_one_with_the_smaller_label_keeps_its_number() -> None:
    assert split_consensus(row(1, 1, 1, 1), row(9, 9, 4, 4), 1).ravel().tolist() == [2, 2, 1, 1]


def test_small_parts_are_free_and_take_no_number() -> None:
    assert split_consensus(row(1, 1, 1, 1, 1, 1), row(5, 5, 5, 6, 7, 7), 2).ravel().tolist() == [1, 1, 1, 0, 2, 2]


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        split_consensus(row(1, 2), row(1), 1)


def test_parts_of_a_label_that_do_not_touch_become_objects() -> None:
    assert len(np.unique(split_apart(row(4, 4, 0, 4, 4, 2), 2))) == 3  # 4 | 0 | 4; the 2 is too small
