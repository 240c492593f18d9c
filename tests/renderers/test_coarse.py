"""Half the resolution: coarse surfaces fit together, stand in for whole ones and give way to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderers.camera import fit
from renderers.coarse import inside, lattice_of, occupied
from renderers.entries import Arrived, Started
from renderers.show import Show
from renderers.soften import Occupancy, soften
from renderers.vtk_surface import coarse_surface
from renderers.vtk_window import open_window
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Triple
from streamer.wire.layers import coarser
from tests.renderers.runs import blobs, block_of, coarse_of, pairs, piece_of, plain, spec_of

SIZE = (480, 360)


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(*SIZE)
    yield opened
    opened.Finalize()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 9)] * 3),
    cuts=st.tuples(*[st.integers(1, 9)] * 3),
    seed=st.integers(0, 10_000),
    full=st.floats(0.05, 0.95),
)
def test_coarse_surfaces_of_all_chunks_together_are_closed(shape: Triple, cuts: Triple, seed: int, full: float) -> None:
    labels = (np.random.default_rng(seed).random(shape) < full).astype(np.uint32)
    grid = Grid(shape, cast(Triple, tuple(min(c, n) for c, n in zip(cuts, shape, strict=True))))
    walked: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
    for chunk in range(grid.size):
        made = coarse_surface(grid, chunk, lattice_of(grid, chunk, block_of(grid, chunk, labels)))
        places = (made.halves + 2 * np.array(grid.core(chunk).start)).tolist()
        for row in made.triangles.tolist():
            for i in range(3):
                walked[tuple(places[row[i]]), tuple(places[row[(i + 1) % 3]])] += 1
    for (a, b), times in walked.items():
        assert a == b or walked[b, a] == times, (a, b)


@pytest.mark.parametrize("chunk", [(4, 6, 8), (5, 7, 9), (1, 3, 20)])
def test_what_comes_at_half_the_resolution_is_what_the_whole_says_halved(chunk: Triple) -> None:
    shape = (11, 13, 20)
    grid, labels = Grid(shape, chunk, (False, False, True)), blobs(shape, seed=2)
    for number in range(grid.size):
        whole, coarse = piece_of(grid, number, labels), coarse_of(grid, number, labels)
        if whole.block[inside_core(grid, number)].min() == whole.block[inside_core(grid, number)].max():
            continue  # a constant chunk has no coarse part: it is as it is
        assert coarse.level == 1
        lattice = lattice_of(grid, number, whole.block)
        assert np.array_equal(coarse.block != 0, lattice != 0)
        core = whole.block[inside_core(grid, number)]
        assert np.array_equal(coarse.block[inside(grid, number)], coarser(core))
        assert (occupied(grid, number, coarse.block) | (core == 0)).all()
        assert coarse.ids.tolist() == whole.ids.tolist()
        assert (coarse.voxels[1 : whole.own + 1] > 0).all()


def inside_core(grid: Grid, chunk: int) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in grid.core(chunk).shape)


def test_a_coarse_surface_is_nowhere_far_from_the_labels_and_meets_its_neighbours_when_softened() -> None:
    shape = (16, 20, 24)
    grid, labels = Grid(shape, (8, 10, 12)), (blobs(shape, seed=7) > 0).astype(np.uint32)
    occupancy = Occupancy(grid)
    for chunk in range(grid.size):
        occupancy.put(chunk, labels[grid.core(chunk).slices] != 0)
    where: dict[tuple[int, ...], list[float]] = {}
    for chunk in range(grid.size):
        made = coarse_surface(grid, chunk, lattice_of(grid, chunk, block_of(grid, chunk, labels)))
        soft = soften(grid, occupancy, chunk, made.halves, 1)
        assert np.isfinite(soft.points).all()
        absolute = made.halves + 2 * np.array(grid.core(chunk).start)
        assert np.abs(soft.points - absolute / 2).max() < 1.0
        for key, point in zip(absolute.tolist(), soft.points.tolist(), strict=True):
            assert where.setdefault(tuple(key), point) == pytest.approx(point, abs=1e-5)


def show_with(window: Any, labels: Labels, *levels: int) -> Show:
    """A show into which all chunks have come at these levels, one after the other."""
    spec = spec_of(plain(cast(Triple, labels.shape)), (8, 12, 16))
    show = Show(window)
    show.happen(Started(spec), 0.0)
    for level in levels:
        for chunk in range(spec.grid.size):
            piece = (coarse_of if level else piece_of)(spec.grid, chunk, labels)
            show.happen(Arrived(chunk, "chunk", 0, piece=piece, fetched=True), 0.0)
    while show.tidy(9.0):
        pass
    return show


def close(show: Show) -> None:
    assert show.theatre is not None
    show.theatre.close()


def test_the_coarse_picture_resembles_the_whole_one_and_gives_way_to_it(window: Any) -> None:
    labels = blobs((16, 24, 32), seed=5, level=0.8)
    pictures = []
    for levels in ((0,), (1,), (1, 0)):
        show = show_with(window, labels, *levels)
        pictures.append(show.draw(fit(*SIZE), *SIZE).astype(int))
        close(show)
    whole, coarse, both = pictures
    assert np.abs(both - whole).max() <= 1
    differs = np.abs(coarse - whole).max(axis=2)
    assert 0.01 < (differs > 8).mean() < 0.25
    seen = whole.max(axis=2) > 100
    assert ((coarse.max(axis=2) > 100) == seen).mean() > 0.85


def test_a_moving_camera_sees_fewer_triangles_and_a_merge_recolours_both_levels(window: Any) -> None:
    labels = np.zeros((16, 24, 32), np.uint32)
    labels[2:12, 4:20, 4:28] = 1
    show = show_with(window, labels, 0)
    assert show.theatre is not None
    grid = spec_of(plain((16, 24, 32)), (8, 12, 16)).grid
    ids = sorted({int(i) for chunk in range(grid.size) for i in piece_of(grid, chunk, labels).ids})
    assert len(ids) > 1
    made = show.theatre.extractions
    many = [show.draw(fit(*SIZE), *SIZE, level=level).copy() for level in (0, 1)]
    show.happen(Arrived(99, "merges", 0, pairs=pairs(*[(ids[0], i) for i in ids[1:]])), 0.0)
    one = [show.draw(fit(*SIZE), *SIZE, level=level).copy() for level in (0, 1)]
    for before, after in zip(many, one, strict=True):
        assert colours_in(before) > colours_in(after)
    assert show.theatre.extractions == made
    assert np.abs(one[0].astype(int) - one[1]).max() > 8, "they are two surfaces"
    close(show)


def colours_in(picture: np.ndarray) -> int:
    """How many hues cover more than a few pixels, whatever the light."""
    bright = picture.reshape(-1, 3)[picture.reshape(-1, 3).max(axis=1) > 90].astype(float)
    shares = np.round(bright / bright.sum(axis=1, keepdims=True), 1)
    _, counts = np.unique(shares, axis=0, return_counts=True)
    return int((counts > 40).sum())
