"""Every chunk's result against the plain reference: numbering, ids, statistics, footprints, what is packed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference_workers.connect import Connect, Connectivity
from inference_workers.segmenter import Block, Labelling
from inference_workers.statistics import measure
from streamer.wire.block import (
    PARTS,
    STAT,
    Segmented,
    check,
    pack,
    unpack_block,
    unpack_footprint,
    unpack_ids,
    unpack_stats,
)
from streamer.wire.grid import Box, Flags, Grid, Triple, triple
from streamer.wire.volume import Volume
from tests.workers.reference import (
    Areas,
    cut_block,
    globe_areas_km2,
    globe_volume,
    label_whole,
    neighbours,
    object_statistics,
    plain_volume,
)


@dataclass(frozen=True)
class Case:
    field: NDArray[np.float32]
    volume: Volume
    grid: Grid
    areas: Areas | None
    threshold: float
    connectivity: Literal[6, 18, 26]

    @property
    def parameters(self) -> Connectivity:
        return Connectivity(self.threshold, self.connectivity)

    def block(self, chunk: int, halo: Triple = (0, 0, 0)) -> Block:
        core, shape = self.grid.core(chunk), self.grid.block_shape(chunk)
        areas = self.areas
        if areas is not None:
            y, x = (np.arange(core.start[a], core.start[a] + shape[a]) % self.grid.shape[a] for a in (1, 2))
            areas = areas[np.ix_(y, x)]
        inner = Box(halo, triple(h + n for h, n in zip(halo, shape, strict=True)))
        field = cut_block(self.field, self.grid, chunk, halo)
        return Block(self.grid, chunk, self.volume, field, inner, areas, lambda: None)

    def finish(self, chunk: int, halo: Triple = (0, 0, 0)) -> Segmented:
        block = self.block(chunk, halo)
        return measure(block, Connect(self.parameters).segment(block))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = triple(draw(st.integers(1, n)) for n in (5, 6, 7))
    chunk = triple(draw(st.integers(1, n)) for n in shape)
    globe = draw(st.booleans())
    periodic: Flags = (False, False, draw(st.booleans())) if globe else draw(st.tuples(*[st.booleans()] * 3))
    volume = globe_volume(shape) if globe else plain_volume(shape)
    areas = globe_areas_km2(volume) if draw(st.booleans()) else None
    # Few distinct values, so that some lie exactly on the threshold; a quarter of them NaN at times.
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    field = (rng.integers(0, 8, shape) / 8).astype(np.float32)
    field[rng.random(shape) < draw(st.sampled_from([0, 0.25]))] = np.nan
    threshold = draw(st.sampled_from([0.0, 0.5, 0.75, 0.875, 2.0]))
    return Case(field, volume, Grid(shape, chunk, periodic), areas, threshold, draw(st.sampled_from([6, 18, 26])))


@given(cases())
def test_the_components_of_every_block_are_numbered_by_their_lowest_core_voxel(case: Case) -> None:
    for chunk in range(case.grid.size):
        done, core = case.finish(chunk), case.grid.core(chunk)
        cut = cut_block(case.field, case.grid, chunk)
        # The same components as those of the block taken by itself.
        alone = label_whole(cut, case.threshold, case.connectivity, (False, False, False))
        pairs = set(zip(alone.ravel().tolist(), done.block.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert all((a == 0) == (b == 0) for a, b in pairs)
        assert set(done.block.ravel().tolist()) - {0} == set(range(1, done.components + 1))
        order = [
            label for label in dict.fromkeys(done.block[Box((0, 0, 0), core.shape).slices].ravel().tolist()) if label
        ]
        assert order == list(range(1, done.own + 1))
        later = [label for label in dict.fromkeys(done.block.ravel().tolist()) if label > done.own]
        assert later == list(range(done.own + 1, done.components + 1))


@given(cases())
def test_ids_and_statistics_of_every_chunk_are_those_of_plain_loops(case: Case) -> None:
    for chunk in range(case.grid.size):
        done, core = case.finish(chunk), case.grid.core(chunk)
        within = np.zeros(case.grid.shape, np.uint64)
        within[core.slices] = done.block[Box((0, 0, 0), core.shape).slices]
        wanted = object_statistics(within, case.field, case.volume, case.grid.periodic, case.areas)
        assert list(wanted) == list(range(1, done.own + 1))
        first = [1 + int(np.flatnonzero(within.ravel() == label)[0]) for label in wanted]
        assert done.ids.tolist() == first
        assert done.ids.dtype == np.uint64
        rows = [(label, step, row) for label, life in wanted.items() for step, row in life.steps.items()]
        assert done.stats.dtype == STAT
        assert list(zip(done.stats["label"].tolist(), done.stats["step"].tolist(), strict=True)) == [
            r[:2] for r in rows
        ]
        scale = 1.0 if case.areas is None else float(case.areas.max())
        for name in STAT.names[2:]:  # type: ignore[index]
            expected = np.array([getattr(row, name) for _, _, row in rows]).reshape(done.stats[name].shape)
            slack = 1e-12 * scale * sum(case.grid.shape) if STAT[name].base.kind == "f" else 0
            np.testing.assert_allclose(done.stats[name], expected, rtol=1e-12, atol=slack, err_msg=name)
        _compare_footprint(done, [life.footprint for life in wanted.values()], case.areas is not None)


def _compare_footprint(done: Segmented, wanted: list[dict[int, float]], there: bool) -> None:
    assert (done.footprint is not None) == there
    if done.footprint is not None:
        assert done.footprint.counts.tolist() == [len(cells) for cells in wanted]
        assert done.footprint.cells.tolist() == [cell for cells in wanted for cell in cells]
        assert done.footprint.areas_km2.tolist() == [area for cells in wanted for area in cells.values()]


@given(cases())
def test_what_is_packed_passes_the_streamers_checks_and_comes_out_the_same(case: Case) -> None:
    for chunk in range(case.grid.size):
        done = case.finish(chunk)
        commit, payloads = pack(case.grid, chunk, 7, done)
        check(case.grid, commit, list(payloads))
        part = dict(zip(PARTS, payloads, strict=True))
        assert np.array_equal(unpack_block(case.grid, commit, part["labels"], part["seam"]), done.block)
        assert np.array_equal(unpack_ids(commit, part["ids"]), done.ids)
        assert unpack_stats(commit, part["stats"]).tobytes() == done.stats.tobytes()
        cells = unpack_footprint(commit, part["footprint"])
        if cells is not None and done.footprint is not None:
            assert same_bytes(cells, done.footprint)


@given(cases(), st.tuples(*[st.integers(0, 2)] * 3), st.integers(0, 2**32))
def test_neither_the_halo_nor_the_segmenters_numbering_changes_the_result(case: Case, halo: Triple, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for chunk in range(case.grid.size):
        plain, block = case.finish(chunk), case.block(chunk, halo)
        raw = Connect(case.parameters).segment(block).labels
        # Any names for the labels: shuffled, 64 bits wide, with gaps larger than memory.
        names = np.append(0, rng.permutation(np.arange(1, int(raw.max(initial=0)) + 1) * 10**12)).astype(np.uint64)
        for labels in (raw, names[raw], np.asfortranarray(raw)):
            assert_same(measure(block, Labelling(labels)), plain)


def assert_same(a: Segmented, b: Segmented) -> None:
    """The same result, byte for byte."""
    assert (a.own, a.components) == (b.own, b.components)
    assert a.block.tobytes() == b.block.tobytes()
    assert a.ids.tobytes() == b.ids.tobytes()
    assert a.stats.tobytes() == b.stats.tobytes()
    assert (a.footprint is None) == (b.footprint is None)
    if a.footprint is not None and b.footprint is not None:
        assert same_bytes(a.footprint, b.footprint)


def same_bytes(a: Sequence[NDArray[Any]], b: Sequence[NDArray[Any]]) -> bool:
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def test_more_labels_than_fit_16_bits_are_counted() -> None:
    # Every second voxel of a line is an object of its own.
    field = np.zeros((1, 1, 140_001), np.float32)
    field[..., ::2] = np.arange(70_001) + 1
    volume, grid = plain_volume(field.shape), Grid(field.shape, field.shape)
    done = Case(field, volume, grid, None, 0.5, 26).finish(0)
    assert done.own == 70_001
    assert done.ids[-1] == 140_001
    assert np.array_equal(done.stats["sum"], np.arange(70_001) + 1.0)


def test_two_touching_labels_of_another_segmenter_stay_apart() -> None:
    field = np.ones((1, 2, 4), np.float32)
    block = Case(field, plain_volume(field.shape), Grid(field.shape, field.shape), None, 0.5, 26).block(0)
    done = measure(block, Labelling(np.array([[[9, 9, 4, 4], [9, 4, 4, 4]]], np.uint16)))
    assert done.block.tolist() == [[[1, 1, 2, 2], [1, 2, 2, 2]]]
    assert done.stats["voxels"].tolist() == [3, 5]


def test_labels_of_another_shape_are_refused_with_the_chunk() -> None:
    field = np.ones((2, 2, 4), np.float32)
    block = Case(field, plain_volume((2, 2, 4)), Grid((2, 2, 4), (2, 2, 2)), None, 0.5, 26).block(0)
    with pytest.raises(ValueError, match=r"chunk 0: labels of shape \(2, 2, 2\) for a block of \(2, 2, 3\)"):
        measure(block, Labelling(np.zeros((2, 2, 2), np.uint32)))


def test_the_reference_joins_across_a_seam_what_a_plain_labelling_leaves_apart() -> None:
    field = np.zeros((1, 3, 6), np.float32)
    field[0, 0, 0] = field[0, 1, 5] = 1
    for connectivity, periodic, objects in ((26, True, 1), (18, True, 1), (6, True, 2), (26, False, 2)):
        labels = label_whole(field, 1, connectivity, (False, False, periodic))
        assert len(np.unique(labels)) - 1 == objects
    assert label_whole(field, 1, 26, (False, False, True))[0, 1, 5] == 1


@given(st.integers(0, 2**32), st.sampled_from([6, 18, 26]), st.tuples(*[st.booleans()] * 3))
def test_the_reference_equals_a_flood_fill(seed: int, connectivity: int, periodic: Flags) -> None:
    field = np.random.default_rng(seed).random((3, 4, 5), np.float32)
    labels = label_whole(field, 0.7, connectivity, periodic)
    left = {(z, y, x) for z, y, x in np.argwhere(field >= 0.7).tolist()}
    while left:
        lowest = min(left)
        edge, seen = [lowest], {lowest}
        while edge:
            at = edge.pop()
            for step in neighbours(connectivity):
                to: Any = tuple(
                    (i + s) % n if p else i + s for i, s, n, p in zip(at, step, field.shape, periodic, strict=True)
                )
                if to in left and to not in seen:
                    seen.add(to)
                    edge.append(to)
        left -= seen
        assert {int(labels[at]) for at in seen} == {1 + int(np.ravel_multi_index(lowest, field.shape))}
    assert np.count_nonzero(labels) == np.count_nonzero(field >= 0.7)
    assert cc3d.connected_components(field >= 0.7, connectivity=connectivity).max() >= len(np.unique(labels)) - 1


def test_an_object_that_cannot_be_measured_is_refused_where_it_is_made() -> None:
    shape = (1, 2, 4)
    volume, grid = globe_volume(shape), Grid(shape, shape)
    field, areas = np.ones(shape, np.float32), globe_areas_km2(volume)
    areas[0, 0] = np.nan
    block = Case(field, volume, grid, areas, 0.5, 26).block(0)
    with pytest.raises(ValueError, match="chunk 0: objects lie on cells whose area is not a number"):
        measure(block, Labelling(np.ones(shape, np.uint32)))
    field[0, 1, 1] = np.nan
    block = Case(field, volume, grid, globe_areas_km2(volume), 0.5, 26).block(0)
    with pytest.raises(ValueError, match="chunk 0: the segmenter has labelled voxels where the field is not a number"):
        measure(block, Labelling(np.ones(shape, np.uint32)))
