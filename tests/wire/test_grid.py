"""The geometry: chunks tile the volume, and every two voxels that touch lie in one block together."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.grid import Box, Grid, suggest_chunk


@st.composite
def grids(draw: st.DrawFn, *, deep: bool = False) -> Grid:
    """Some grid; ``deep``: of chunks that are compared on more than the pad."""
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    z, y, x = (draw(st.integers(1, n)) for n in shape)
    periodic = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    return Grid(shape, (z, y, x), periodic, draw(st.tuples(*[st.integers(1, 4 if deep else 1)] * 3)))


def voxels(box: Box) -> set[tuple[int, int, int]]:
    z, y, x = (range(a, b) for a, b in zip(box.start, box.stop, strict=True))
    return set(product(z, y, x))


@given(grids())
def test_cores_tile_the_volume(grid: Grid) -> None:
    seen = [voxel for chunk in range(grid.size) for voxel in voxels(grid.core(chunk))]
    assert len(seen) == len(set(seen)) == grid.voxels == math.prod(grid.shape)


@given(grids())
def test_number_and_index_are_inverse(grid: Grid) -> None:
    assert [grid.number(grid.index(chunk)) for chunk in range(grid.size)] == list(range(grid.size))


@given(grids())
def test_whatever_two_voxels_touch_one_block_holds_both(grid: Grid) -> None:
    """A block is core and pad; its voxels, wrapped, must hold every pair of 26-neighbours at adjacent places."""
    pairs: set[frozenset[tuple[int, ...]]] = set()
    steps = [s for s in product((-1, 0, 1), repeat=3) if any(s)]
    for voxel in product(*(range(n) for n in grid.shape)):
        for step in steps:
            at = tuple(v + s for v, s in zip(voxel, step, strict=True))
            if all(p or 0 <= v < n for v, n, p in zip(at, grid.shape, grid.periodic, strict=True)):
                pairs.add(frozenset((voxel, tuple(v % n for v, n in zip(at, grid.shape, strict=True)))))
    held: set[frozenset[tuple[int, ...]]] = set()
    for chunk in range(grid.size):
        start, shape = grid.core(chunk).start, grid.block_shape(chunk)
        inside = set(product(*(range(n) for n in shape)))
        for local, step in product(inside, steps):
            other = tuple(v + s for v, s in zip(local, step, strict=True))
            if other in inside:
                held.add(
                    frozenset(
                        tuple((a + v) % n for a, v, n in zip(start, at, grid.shape, strict=True))
                        for at in (local, other)
                    )
                )
    assert pairs == held


@given(grids(deep=True))
def test_layers_beyond_a_face_are_as_many_as_their_owner_has_behind_it(grid: Grid) -> None:
    for chunk in range(grid.size):
        for axis, (depth, pad) in enumerate(zip(grid.beyond(chunk), grid.pad(chunk), strict=True)):
            if not pad or grid.compared[axis] == 1:
                assert depth == 0
                continue
            index = tuple(i + (a == axis) for a, i in enumerate(grid.index(chunk)))
            owner = grid.number((index[0], index[1], index[2]))
            assert depth == grid.within(owner)[axis] == min(grid.compared[axis], grid.core(owner).shape[axis])
    if grid.compared == (1, 1, 1):
        assert all(grid.within(chunk) == (0, 0, 0) for chunk in range(grid.size))


@given(grids())
def test_the_pieces_of_a_pad_are_the_owners_low_faces(grid: Grid) -> None:
    for chunk in range(grid.size):
        start, core = grid.core(chunk).start, grid.core(chunk).shape
        covered: list[tuple[int, int, int]] = []
        for piece in grid.shared(chunk):
            here = sorted(voxels(piece.in_block))
            covered += here
            there = grid.core(piece.owner).start
            assert piece.in_block.shape == piece.in_owner.shape
            shift = [b - a for a, b in zip(piece.in_block.start, piece.in_owner.start, strict=True)]
            for voxel in here:
                world = tuple((a + v) % n for a, v, n in zip(start, voxel, grid.shape, strict=True))
                owned = tuple(a + v + s for a, v, s in zip(there, voxel, shift, strict=True))
                assert world == owned
        pad = set(product(*(range(n) for n in grid.block_shape(chunk)))) - set(product(*(range(n) for n in core)))
        assert sorted(pad) == sorted(covered)


@given(grids())
def test_around_is_mutual_and_leaves_the_chunk_out(grid: Grid) -> None:
    for chunk in range(grid.size):
        around = grid.around(chunk)
        assert chunk not in around
        assert all(chunk in grid.around(other) for other in around)


def test_a_chunk_of_a_periodic_axis_may_be_its_own_neighbour() -> None:
    grid = Grid((2, 2, 8), (2, 2, 8), (False, False, True))
    assert [piece.owner for piece in grid.shared(0)] == [0]
    assert grid.around(0) == frozenset()


@pytest.mark.parametrize(
    ("shape", "chunk", "words"),
    [((0, 4, 4), (1, 1, 1), "at least one voxel"), ((4, 4, 4), (4, 5, 4), "larger than the volume")],
)
def test_a_grid_that_cannot_be_is_refused_in_words(
    shape: tuple[int, int, int], chunk: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Grid(shape, chunk)


@given(st.tuples(*[st.integers(1, 5000)] * 3))
def test_a_suggested_chunk_fits_the_volume_and_is_not_too_large(shape: tuple[int, int, int]) -> None:
    chunk = suggest_chunk(shape)
    Grid(shape, chunk)
    assert math.prod(chunk) <= 1 << 21 or max(chunk) < 16


def test_the_samples_get_chunks_worth_watching() -> None:
    assert suggest_chunk((240, 64, 128)) == (30, 32, 32)
    assert suggest_chunk((124, 361, 576)) == (62, 91, 72)
