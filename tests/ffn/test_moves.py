"""Where a field of view goes next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_workers.ffn.moves import FaceMoves
from inference_workers.ffn.settings import logit

VECTORS = Path(__file__).parents[2].parent / "shared" / "ffn" / "unit_vectors.npz"


@pytest.mark.skipif(not VECTORS.exists(), reason="the reference vectors are not beside the checkout")
@pytest.mark.parametrize("case", range(4))
def test_moves_are_those_of_the_reference(case: int) -> None:
    told = np.load(VECTORS)
    logits = told[f"move{case}_logits"]
    z, y, x = told[f"move{case}_deltas"].tolist()
    moves = FaceMoves(logits.shape, (z, y, x))(logits, logit(0.9))
    assert [score for score, _ in moves] == told[f"move{case}_scores"].tolist()
    assert [list(offset) for _, offset in moves] == told[f"move{case}_offsets"].tolist()


def test_each_face_gives_its_likeliest_voxel_and_the_likeliest_face_comes_first() -> None:
    logits = np.full((5, 5, 5), -3, np.float32)
    logits[2, 2, 4] = 3  # at one step along x
    logits[2, 3, 1] = 9  # at one step along y, beyond the step along x: on that face all the same
    logits[0, 2, 2] = 9  # two steps along z, where the step is one
    assert FaceMoves((5, 5, 5), (1, 1, 2))(logits, 2.0) == [(9.0, (0, 1, -1)), (3.0, (0, 0, 2))]


def test_of_equal_voxels_the_first_in_c_order_is_taken_and_equal_moves_are_one() -> None:
    logits = np.full((3, 3, 3), 5, np.float32)
    moves = FaceMoves((3, 3, 3), (1, 1, 1))(logits, 2.0)
    # Three faces begin at the corner (−1, −1, −1), the other three each at a corner of their own.
    assert moves == [(5.0, (1, -1, -1)), (5.0, (-1, 1, -1)), (5.0, (-1, -1, 1)), (5.0, (-1, -1, -1))]


def test_an_axis_without_a_step_is_not_moved_along() -> None:
    logits = np.full((3, 5, 5), 5, np.float32)
    assert {offset[0] for _, offset in FaceMoves((3, 5, 5), (0, 1, 1))(logits, 2.0)} == {0}
    assert FaceMoves((3, 5, 5), (0, 0, 0))(logits, 2.0) == []


def test_nothing_is_likely_enough_so_nothing_moves() -> None:
    logits = np.full((3, 3, 3), 1.9, np.float32)
    assert FaceMoves((3, 3, 3), (1, 1, 1))(logits, 2.0) == []
