"""Labels of two chunks are one where they overlap enough; and objects too small as a whole are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_workers.segmenter import Block, Labelling
from inference_workers.statistics import measure
from streamer.assembly import Assembly
from streamer.seams import MatchRule, overlapping, same_voxel
from streamer.wire.block import Segmented, pack
from streamer.wire.grid import Box, Grid
from streamer.wire.header import Refused
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


def island(chunk: int, grid: Grid, *, beyond: bool = True) -> Segmented:
    """Of two chunks along y: in the first an object; in the second an island of it, one voxel away from the face.  The
    first has seen that both are one."""
    seen = np.zeros((1, 14, 5), np.uint32)  # from 3 before the volume's first row
    seen[:, 4:6, 1:4] = seen[:, 8, 1:4] = 1
    if chunk:
        seen[:, 4:6] = 0
    first = grid.core(chunk).start[1]
    inner = Box((0, 3, 0), (1, 3 + grid.block_shape(chunk)[1], 5))
    field = seen[:, first : first + 10]
    block = Block(grid, chunk, plain_volume(grid.shape), field.astype(np.float32), inner, None, lambda: None)
    return measure(block, Labelling(field[inner.slices], None, field if beyond else None))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("layers", "objects"), [(1, 2), (2, 1), (3, 1)])
def test_an_island_beside_a_face_is_joined_by_the_layers_that_both_have_seen(
    order: tuple[int, ...], layers: int, objects: int
) -> None:
    grid = Grid((1, 8, 5), (1, 4, 5), (False, False, False), (1, layers, 1))
    whole = Assembly(plain_volume(grid.shape), grid, Keep(), overlapping)
    for chunk in order:
        whole.commit(*pack(grid, chunk, 1, island(chunk, grid)))
    assert whole.objects == objects


def test_who_does_not_say_what_is_beyond_or_names_what_is_not_there_is_refused() -> None:
    grid = Grid((1, 8, 5), (1, 4, 5), (False, False, False), (1, 3, 1))
    with pytest.raises(ValueError, match="no labels beyond the pad"):
        island(0, grid, beyond=False)
    made = island(0, grid)
    _, slab, _ = made.beyond
    assert slab is not None
    whole = Assembly(plain_volume(grid.shape), grid, Keep(), overlapping)
    with pytest.raises(Refused, match="label 9 in the pad, there are 1"):
        whole.commit(*pack(grid, 0, 1, made._replace(beyond=(None, np.where(slab > 0, 9, 0).astype(np.uint32), None))))
    assert whole.objects == 0


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
