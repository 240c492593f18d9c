"""Labels of two chunks are one where they overlap enough; and objects too small as a whole are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.assembly import Assembly
from streamer.seams import MatchRule, overlapping, same_voxel
from streamer.wire.grid import Grid
from streamer.wire.volume import Keep
from tests.assembly.pieces import assemble, connect, pieces
from tests.workers.reference import plain_volume


def plane(*rows: str) -> NDArray[np.uint32]:
    return np.array([[int(c) for c in row] for row in rows], np.uint32)[None]


@pytest.mark.parametrize(("pad", "owned", "pairs"), [
    (plane("111100"), plane("001111"), [[1, 1]]),  # half of the smaller
    (plane("111110000"), plane("000011111"), []),  # a fifth
    (plane("11111111"), plane("00000020"), [[1, 2]]),  # a sliver that lies in it
    (plane("1111222"), plane("3333333"), [[1, 3], [2, 3]]),  # what was two here is one there
    (plane("1112"), plane("3334"), [[1, 3], [2, 4]]),
    (plane("1111222"), plane("3333344"), [[1, 3], [2, 4]]),  # an outline drawn one voxel farther joins nothing
    (plane("0011"), plane("1100"), []),
])  # fmt: skip
def test_labels_are_one_if_they_share_half_of_the_smaller_or_three_tenths_of_both(
    pad: NDArray[np.uint32], owned: NDArray[np.uint32], pairs: list[list[int]]
) -> None:
    assert overlapping(pad, owned).tolist() == pairs


def test_three_tenths_of_both_are_enough_where_that_is_less_than_half_of_the_smaller() -> None:
    pad, owned = np.zeros((1, 1, 160), np.uint32), np.zeros((1, 1, 160), np.uint32)
    pad[..., :100], owned[..., 52:152] = 1, 1
    assert overlapping(pad, owned).tolist() == [[1, 1]], "48 of 152"
    owned[..., 52:55] = 0
    owned[..., 152:155] = 1
    assert overlapping(pad, owned).tolist() == [], "45 of 155"


def two_that_meet_at_an_edge() -> NDArray[np.float32]:
    field = np.zeros((2, 4, 4), np.float32)
    field[:, 0:2, 0:2] = field[:, 2:4, 2:4] = 1
    return field


@pytest.mark.parametrize(("rule", "objects"), [(same_voxel, 1), (overlapping, 2)])
def test_a_line_of_voxels_is_no_evidence_of_overlap(rule: MatchRule, objects: int) -> None:
    field = two_that_meet_at_an_edge()
    volume, grid = plain_volume((2, 4, 4)), Grid((2, 4, 4), (2, 2, 2), (False, False, False))
    made = pieces(field, volume, grid, connect(0.5))
    assert assemble(Assembly(volume, grid, Keep(), rule), made, range(grid.size)).objects == objects


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_size_is_judged_over_all_chunks_and_not_in_each(order: tuple[int, ...]) -> None:
    field = np.zeros((1, 1, 12), np.float32)
    field[..., 2:10] = 1  # two voxels, four and two
    field[..., 11] = 1
    volume, grid = plain_volume((1, 1, 12)), Grid((1, 1, 12), (1, 1, 4), (False, False, False))
    made = pieces(field, volume, grid, connect(0.5))
    for least, kept in ((1, [3, 12]), (2, [3]), (8, [3]), (9, [])):
        whole = assemble(Assembly(volume, grid, Keep(min_voxels=least)), made, order)
        assert whole.columns().object_id.tolist() == kept
        assert whole.objects == len(kept)
