"""What a canvas keeps apart though it overlaps, and what is too small."""

from __future__ import annotations

import numpy as np

from inference_workers.ffn.canvas import Filled, Origin, Overlap
from inference_workers.ffn.reconcile import joined, without_small

NOTHING = np.empty((0, 3), np.int32)


def canvas(*labels: int, overlaps: list[Overlap]) -> Filled:
    row = np.array(labels, np.int32).reshape(1, 1, -1)
    origins = [Origin(i + 1, 0, 0, 0, 1) for i in range(max(labels))]
    return Filled(row, row.astype(np.uint8), origins, [], overlaps, NOTHING, np.empty((0, 4), np.int32))


def test_a_later_object_that_wants_half_of_what_an_earlier_one_has_is_part_of_it() -> None:
    filled = canvas(1, 1, 1, 1, 2, 2, 2, overlaps=[Overlap(2, 1, 2, 5)])
    assert joined(filled).ravel().tolist() == [1] * 7


def test_one_that_wants_little_of_it_stays_apart() -> None:
    filled = canvas(1, 1, 1, 1, 1, 2, 2, 2, 2, overlaps=[Overlap(2, 1, 1, 5)])
    assert joined(filled).ravel().tolist() == [1] * 5 + [2] * 4


def test_what_is_joined_to_what_is_joined_is_one() -> None:
    filled = canvas(1, 1, 2, 2, 3, 3, overlaps=[Overlap(2, 1, 1, 3), Overlap(3, 2, 2, 4)])
    assert joined(filled).ravel().tolist() == [1] * 6


def test_small_objects_are_cleared_except_near_a_side_that_is_open() -> None:
    labels = np.array([1, 0, 2, 2, 0, 3, 3, 3, 3, 0, 4], np.int32).reshape(1, 1, -1)
    shut = ((False, False),) * 3
    assert without_small(labels, 3, (0, 0, 1), shut).ravel().tolist() == [0, 0, 0, 0, 0, 3, 3, 3, 3, 0, 0]
    low = ((False, False), (False, False), (True, False))
    assert without_small(labels, 3, (0, 0, 1), low).ravel().tolist() == [1, 0, 0, 0, 0, 3, 3, 3, 3, 0, 0]
