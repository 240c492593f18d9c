"""Layers: thin objects survive at half the resolution, bytes come back as the field, and bombs are refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import ndimage

from streamer.wire import block as b
from streamer.wire.codec import Labels, compress
from streamer.wire.grid import Grid, Triple
from streamer.wire.header import Refused
from streamer.wire.layers import coarse_shape, coarser, quantise, step_and_offset, values
from tests.streamer.runs import spec_of
from tests.wire.test_grid import grids

SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


def masks(shape: Triple, seed: int, density: float) -> np.ndarray[Triple, np.dtype[np.bool_]]:
    return np.random.default_rng(seed).random(shape) < density


def by_hand(labels: Labels) -> Labels:
    """The most frequent label of each cell where there is one, voxel by voxel."""
    out = np.zeros(coarse_shape(labels.shape), np.uint32)
    for cell in np.ndindex(out.shape):
        z, y, x = (slice(2 * i, 2 * i + 2) for i in cell)
        names, counts = np.unique(labels[z, y, x][labels[z, y, x] > 0], return_counts=True)
        if len(names):
            best = names[counts == counts.max()]
            out[cell] = best[0] if len(best) == 1 else 0xFFFF_FFFF
    return out


@given(SHAPES, st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_a_cell_has_the_label_that_most_of_its_voxels_have(shape: Triple, seed: int, labels: int) -> None:
    fine = np.random.default_rng(seed).integers(0, labels, shape).astype(np.uint32)
    coarse, expected = coarser(fine), by_hand(fine)
    assert coarse.shape == expected.shape
    assert np.array_equal(coarse == 0, expected == 0)
    kept = set(np.unique(coarse).tolist()) - {0}
    assert kept <= set(np.unique(fine).tolist())
    # Only a tie, or a label that had lost everywhere, overrides the vote.
    voted = set(np.unique(expected[expected < 0xFFFF_FFFF]).tolist())
    overridden = (coarse != expected) & (expected != 0xFFFF_FFFF)
    assert not set(np.unique(coarse[overridden]).tolist()) & voted


@given(SHAPES, st.integers(0, 2**32 - 1), st.floats(0.01, 0.9))
def test_objects_of_26_neighbours_keep_their_number_their_place_and_stay_in_one_piece(
    shape: Triple, seed: int, density: float
) -> None:
    fine = ndimage.label(masks(shape, seed, density), np.ones((3, 3, 3)))[0].astype(np.uint32)
    coarse = coarser(fine)
    for z, y, x in np.argwhere(fine).tolist():
        assert coarse[z // 2, y // 2, x // 2] == fine[z, y, x]
    for label in np.unique(fine[fine > 0]).tolist():
        assert ndimage.label(coarse == label, np.ones((3, 3, 3)))[1] == 1


@pytest.mark.parametrize("normal", [n for n in product((-1, 0, 1), repeat=3) if any(n)])
@pytest.mark.parametrize("offset", [4, 5])
def test_a_sheet_of_one_voxel_survives_in_every_direction(normal: Triple, offset: int) -> None:
    place = np.indices((11, 12, 13))
    distance = sum(n * (at - offset) for n, at in zip(normal, place, strict=True))
    sheet = (distance == 0).astype(np.uint32)
    coarse = coarser(sheet)
    cells = {(z // 2, y // 2, x // 2) for z, y, x in np.argwhere(sheet).tolist()}
    assert {(z, y, x) for z, y, x in np.argwhere(coarse).tolist()} == cells


@pytest.mark.parametrize("way", [n for n in product((-1, 0, 1), repeat=3) if any(n)])
@pytest.mark.parametrize("start", [5, 6])
def test_a_filament_of_one_voxel_survives_inside_a_body_that_touches_it(way: Triple, start: int) -> None:
    body = np.full((12, 12, 12), 7, np.uint32)
    at = np.full(3, start)
    while ((at >= 0) & (at < 12)).all():
        body[tuple(at)] = 3
        at += way
    assert {3, 7} == set(np.unique(coarser(body)).tolist())


def test_two_sheets_that_share_all_their_cells_both_survive() -> None:
    fine = np.zeros((8, 8, 8), np.uint32)
    fine[2], fine[3] = 4, 9
    counts = np.bincount(coarser(fine).ravel())
    assert counts[4] == counts[9] == 8


@given(
    SHAPES,
    st.integers(0, 2**32 - 1),
    st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1])),
)
@example((2, 2, 2), 0, (-273.0, 40.0))
def test_a_field_comes_back_within_half_a_step(shape: Triple, seed: int, ends: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    low, high = ends
    field = rng.uniform(low, high, shape)
    field[rng.random(shape) < 0.2] = np.nan
    raw = quantise(field, ends)
    assert np.array_equal(raw == 0, np.isnan(field))
    step, offset = step_and_offset(ends)
    there = raw > 0
    assert np.abs(raw[there] * step + offset - field[there]).max(initial=0) <= step * 0.5000001 + 1e-9 * abs(low)
    assert np.allclose(values(raw, ends), field, atol=step * 0.51 + 1e-6 * max(abs(low), abs(high)), equal_nan=True)


def test_what_lies_beyond_the_range_is_clipped_and_nothing_is_nothing() -> None:
    field = np.array([[[-np.inf, -5.0, 0.0, 10.0, 99.0, np.inf, np.nan]]], np.float32)
    assert quantise(field, (0.0, 10.0)).ravel().tolist() == [1, 1, 1, 255, 255, 255, 0]


def made(grid: Grid, chunk: int, seed: int) -> b.Segmented:
    rng = np.random.default_rng(seed)
    block, core = rng.integers(0, 3, grid.block_shape(chunk)).astype("<u4"), grid.core(chunk).shape
    field, probability = (rng.integers(0, 256, core).astype(np.uint8) for _ in range(2))
    return b.Segmented(block, 1, 1, np.ones(1, "<u8"), np.zeros(1, b.STAT), None, field, probability)


@given(grids(), st.integers(0, 2**32 - 1), st.sets(st.sampled_from(b.EXTRA)))
def test_layers_come_back_as_they_were(grid: Grid, seed: int, asked: set[str]) -> None:
    layers = tuple(name for name in b.EXTRA if name in asked)
    chunk = seed % grid.size
    done = made(grid, chunk, seed)
    commit, payloads = b.pack(grid, chunk, 1, done, layers=layers)
    b.check(grid, commit, payloads, layers)
    assert tuple(info.name for info in commit.parts) == (*b.PARTS, *layers)
    part = dict(zip((*b.PARTS, *layers), payloads, strict=True))
    assert done.field is not None
    assert done.probability is not None
    core = done.block[tuple(slice(0, n) for n in grid.core(chunk).shape)]
    if "labels1" in part:
        assert np.array_equal(b.unpack_coarse(grid, commit, part["labels1"]), coarser(core))
    if "field" in part:
        assert np.array_equal(b.unpack_layer(grid, chunk, part["field"]), done.field)
    if "probability" in part:
        assert np.array_equal(b.unpack_layer(grid, chunk, part["probability"]), done.probability)


GRID = Grid((4, 6, 8), (3, 4, 5), (False, False, True))


def test_a_chunk_has_the_layers_of_its_run_and_no_others() -> None:
    commit, payloads = b.pack(GRID, 0, 1, made(GRID, 0, 1), layers=("labels1", "field"))
    for wrong in ((), ("labels1",), ("field", "labels1"), b.EXTRA):
        with pytest.raises(Refused, match="expected"):
            b.check(GRID, commit, payloads, wrong)


def test_what_a_segmenter_does_not_know_is_nothing_and_a_field_has_to_be_there() -> None:
    done = made(GRID, 0, 1)._replace(probability=None)
    commit, payloads = b.pack(GRID, 0, 1, done, layers=("probability",))
    assert payloads[-1] == b""
    assert not b.unpack_layer(GRID, 0, payloads[-1]).any()
    with pytest.raises(ValueError, match="chunk 0: the layer field is missing"):
        b.pack(GRID, 0, 1, done._replace(field=None), layers=("field",))
    with pytest.raises(ValueError, match="where uint8 of"):
        b.pack(GRID, 0, 1, done._replace(field=np.zeros((1, 1, 1), np.uint8)), layers=("field",))
    assert commit.parts[-1].size == 0


def test_a_layer_that_would_unpack_to_more_than_its_chunk_is_refused_before_memory_is_taken() -> None:
    commit, _ = b.pack(GRID, 0, 1, made(GRID, 0, 1), layers=b.EXTRA)
    bomb = compress(bytes(10_000_000))
    with pytest.raises(Refused, match="chunk 0: labels1: the frame states 10000000 bytes where"):
        b.unpack_coarse(GRID, commit, bomb)
    with pytest.raises(Refused, match="chunk 0: a layer of bytes: the frame states 10000000 bytes where 60"):
        b.unpack_layer(GRID, 0, bomb)


def test_a_constant_chunk_is_constant_at_every_resolution() -> None:
    grid = Grid((4, 4, 4), (4, 4, 4))
    done = made(grid, 0, 1)._replace(block=np.full((4, 4, 4), 2, "<u4"))
    commit, payloads = b.pack(grid, 0, 1, done, layers=("labels1",))
    assert payloads[-1] == b""
    assert b.unpack_coarse(grid, commit, payloads[-1]).tolist() == np.full((2, 2, 2), 2).tolist()


@pytest.mark.parametrize(
    ("layers", "ends", "reason"),
    [
        (("field", "labels1"), (0.0, 1.0), "in that order"),
        (("colour",), None, "not some of"),
        (("labels1", "labels1"), None, "not some of"),
        (("field",), None, "needs a range"),
        (("field",), (1.0, 1.0), "a lower and a higher"),
        (("field",), (float("nan"), 1.0), "a lower and a higher"),
        (("field",), (0.0, float("inf")), "a lower and a higher"),
    ],
)
def test_a_run_names_layers_that_there_are_in_their_order(
    layers: tuple[str, ...], ends: tuple[float, float] | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(spec_of(), layers=layers, field_range=ends)
