"""Chunk by chunk is as all at once: seams, edges, what is missing, and who shares whose batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_workers.ffn.chunks import filled_up, halo_of, open_sides
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.segmenter import Ffn, Flooding
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings
from inference_workers.segmenter import Block
from inference_workers.statistics import measure
from streamer.assembly import Assembly
from streamer.seams import RULES
from streamer.wire.block import pack
from streamer.wire.grid import Box, Grid, Triple, triple
from streamer.wire.volume import Keep
from tests.ffn.growing import GrowingNetwork, blobs
from tests.workers.reference import cut_block, label_whole, plain_volume

FOV, DELTAS, LEAST = (3, 7, 7), (1, 2, 2), 12
THRESHOLD = 1.2
SHAPE = (12, 30, 48)
FIELD = blobs(SHAPE, seed=11, sigma=1.6)
Ids = NDArray[np.uint64]


def segmenter(**asked: Any) -> tuple[Ffn, GrowingNetwork]:
    network = GrowingNetwork()
    flood = FloodFillSettings(fov=FOV, deltas=DELTAS, min_segment_size=LEAST)
    config = ModelConfig(
        depth=1, features=1, mean=THRESHOLD, std=1, flood=flood, seeds=SeedSettings(threshold=THRESHOLD)
    )
    return Ffn(Flooding(model="none.keras", **asked), config, network.predict), network


def block_of(field: NDArray[np.float32], grid: Grid, chunk: int, halo: Triple, beats: list[int]) -> Block:
    shape = grid.block_shape(chunk)
    inner = Box(halo, triple(tuple(a + n for a, n in zip(halo, shape, strict=True))))
    cut = cut_block(field, grid, chunk, halo)
    return Block(grid, chunk, plain_volume(field.shape), cut, inner, None, lambda: beats.append(chunk))


def run(field: NDArray[np.float32], grid: Grid, order: Sequence[int] | None = None, **asked: Any) -> Ids:
    """The run-wide ids of a volume that is segmented in chunks and put together as the streamer does."""
    ffn, _ = segmenter(**asked)
    assembly = Assembly(plain_volume(grid.shape), grid, Keep(min_voxels=ffn.min_voxels), RULES[ffn.joins])
    blocks = {}
    for chunk in order or range(grid.size):
        block = block_of(field, grid, chunk, ffn.halo, [])
        done = measure(block, ffn.segment(block))
        blocks[chunk] = done.block
        assembly.commit(*pack(grid, chunk, 1, done))
    ids = np.zeros(grid.shape, np.uint64)
    for chunk, labels in blocks.items():
        core = grid.core(chunk)
        ids[core.slices] = assembly.chunk_ids(chunk)[labels[tuple(slice(0, n) for n in core.shape)]]
    return ids


def object_f1(found: Ids, truth: Ids) -> float:
    """Share of objects that have one of the other side with an intersection over union above a half."""
    names, others = np.unique(found[found > 0]), np.unique(truth[truth > 0])
    matched = 0
    for name in names:
        here = found == name
        there, shared = np.unique(truth[here], return_counts=True)
        best = there[np.argmax(np.where(there > 0, shared, 0))]
        both = int((here & (truth == best)).sum())
        matched += best > 0 and both > 0.5 * (here | (truth == best)).sum()
    return 2 * matched / (len(names) + len(others))


@pytest.fixture(scope="module")
def whole() -> Ids:
    return run(FIELD, Grid(SHAPE, SHAPE, (False, False, True)))


def test_the_whole_at_once_is_what_is_connected_across_the_periodic_seam_too(whole: Ids) -> None:
    truth = label_whole(FIELD, THRESHOLD, 26, (False, False, True))
    names, counts = np.unique(truth, return_counts=True)
    truth[np.isin(truth, names[counts < LEAST])] = 0
    assert len(np.unique(truth)) > 8
    assert object_f1(whole, truth) >= 0.95
    assert np.intersect1d(whole[..., 0], whole[..., -1]).max() > 0, "something crosses the seam, with one id"


@pytest.mark.parametrize("chunk", [(6, 14, 14), (12, 15, 16), (6, 30, 48), (7, 20, 48), (12, 14, 48)])
def test_chunked_is_as_whole(chunk: Triple, whole: Ids) -> None:
    found = run(FIELD, Grid(SHAPE, chunk, (False, False, True)))
    assert object_f1(found, whole) >= 0.95
    # No seam: an object of the whole that crosses a face goes by one id on both of its sides.
    for axis, size in enumerate(chunk):
        for face in range(size, SHAPE[axis], size):
            low, high = (np.take(found, at, axis) for at in (face - 1, face))
            here = np.take(whole, face - 1, axis)
            crosses = (low > 0) & (high > 0) & (here > 0) & (here == np.take(whole, face, axis))
            assert (low == high)[crosses].mean() > 0.99 if crosses.any() else True


def test_where_longitude_begins_does_not_matter(whole: Ids) -> None:
    rolled = run(np.roll(FIELD, 17, axis=2), Grid(SHAPE, (6, 14, 14), (False, False, True)))
    assert object_f1(np.roll(rolled, -17, axis=2), whole) >= 0.95


def test_the_order_of_the_chunks_and_who_shares_batches_change_nothing() -> None:
    grid = Grid(SHAPE, (6, 15, 16), (False, False, True))
    ordered, shuffled = run(FIELD, grid), run(FIELD, grid, np.random.default_rng(1).permutation(grid.size).tolist())
    assert np.array_equal(ordered, shuffled)
    ffn, network = segmenter(batch=4)
    blocks = [block_of(FIELD, grid, chunk, ffn.halo, []) for chunk in range(6)]
    together = dict(ffn.segment_together(blocks))
    assert max(network.batches) == 4
    for place, block in enumerate(blocks):
        alone = segmenter()[0].segment(block)
        assert np.array_equal(alone.labels, together[place].labels)
        certain, shared = alone.probability, together[place].probability
        assert certain is not None
        assert shared is not None
        assert np.array_equal(certain, shared)


def test_objects_reach_the_last_voxel_of_the_volume() -> None:
    field = np.full((8, 20, 20), 2, np.float32)
    assert (run(field, Grid((8, 20, 20), (8, 20, 20), (False, False, False))) == 1).all()
    assert (run(field, Grid((8, 20, 20), (6, 14, 14), (False, False, False))) == 1).all()


def test_what_is_no_number_carries_no_label_and_does_not_part_what_lies_around(
    capsys: pytest.CaptureFixture[str],
) -> None:
    field = np.full((8, 20, 20), 2, np.float32)
    field[:, 10, 5:8] = np.nan
    found = run(field, Grid((8, 20, 20), (8, 20, 20), (False, False, False)))
    assert np.array_equal(found > 0, np.isfinite(field))
    assert len(np.unique(found[found > 0])) == 1
    assert "not numbers" in capsys.readouterr().out


def test_a_block_without_any_number_is_empty_and_asks_nothing_of_the_network() -> None:
    ffn, network = segmenter()
    grid = Grid((8, 20, 20), (8, 20, 20), (False, False, False))
    labelled = ffn.segment(block_of(np.full(grid.shape, np.nan, np.float32), grid, 0, ffn.halo, []))
    assert not labelled.labels.any()
    assert not network.batches


def test_the_work_beats_before_each_batch() -> None:
    ffn, network = segmenter()
    beats: list[int] = []
    grid = Grid(SHAPE, (12, 30, 48), (False, False, True))
    ffn.segment(block_of(FIELD, grid, 0, ffn.halo, beats))
    assert len(beats) == len(network.batches) > 10


def test_the_consensus_keeps_apart_what_either_order_keeps_apart_and_asks_both_in_one_batch() -> None:
    ffn, network = segmenter(consensus=True, batch=2)
    grid = Grid(SHAPE, (12, 30, 48), (False, False, True))
    labelled = ffn.segment(block_of(FIELD, grid, 0, ffn.halo, []))
    assert max(network.batches) == 2
    assert object_f1(run(FIELD, grid, consensus=True), run(FIELD, grid)) >= 0.95
    assert labelled.labels.any()


def test_the_halo_is_half_a_field_of_view_and_the_steps_asked_for() -> None:
    settings = FloodFillSettings(fov=(5, 33, 33), deltas=(1, 8, 8))
    assert halo_of(settings, 0) == (2, 16, 16)
    assert halo_of(settings, 2) == (4, 32, 32)


def test_sides_are_open_where_the_volume_goes_on() -> None:
    grid = Grid((12, 30, 48), (6, 15, 16), (False, False, True))
    sides = open_sides(block_of(FIELD, grid, 0, (1, 1, 1), []))
    assert sides == ((False, True), (False, True), (True, True))


def test_what_is_missing_is_taken_for_its_nearest_neighbour() -> None:
    row = np.array([np.nan, np.nan, 1, np.nan, np.nan, np.nan, 5, np.nan]).reshape(1, 1, -1)
    filled = filled_up(row, np.isfinite(row)).ravel().tolist()
    assert filled[:4] == [1, 1, 1, 1]
    assert filled[5:] == [5, 5, 5]
