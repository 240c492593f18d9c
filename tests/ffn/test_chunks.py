"""Chunk by chunk is as all at once: seams, edges, what is missing, and who shares whose batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from inference_workers.ffn.chunks import filled_up, halo_of, open_sides
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.segmenter import Ffn, Flooding
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings
from inference_workers.segmenter import Block
from inference_workers.source import InspectRequest, inspect, open_source
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


def segmenter(leap: int = 0, **asked: Any) -> tuple[Ffn, GrowingNetwork]:
    network = GrowingNetwork(leap)
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
    return put_together(segmenter(**asked)[0], field, grid, order)


def put_together(ffn: Ffn, field: NDArray[np.float32], grid: Grid, order: Sequence[int] | None = None) -> Ids:
    """The same of any network."""
    grid = msgspec.structs.replace(grid, compared=ffn.compared)
    assembly = Assembly(plain_volume(grid.shape), grid, Keep(min_voxels=ffn.min_voxels), RULES[ffn.joins])
    made = {}
    for chunk in order or range(grid.size):
        block = block_of(field, grid, chunk, ffn.halo, [])
        done = measure(block, ffn.segment(block))
        made[chunk] = done.block
        assembly.commit(*pack(grid, chunk, 1, done))
    ids = np.zeros(grid.shape, np.uint64)
    for chunk, labels in made.items():
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
    assert torn(found, whole, chunk) < 0.01


def torn(found: Ids, whole: Ids, chunk: Triple) -> float:
    """Of the pairs of voxels across a face (of the seam of x too) that are one object's in the whole, the share that
    has two ids."""
    pairs = different = 0
    for axis, (size, n) in enumerate(zip(chunk, whole.shape, strict=True)):
        for face in (*range(size, n, size), *((n,) if axis == 2 else ())):
            low, high = (np.take(found, at % n, axis) for at in (face - 1, face))
            here = np.take(whole, face - 1, axis)
            crosses = (low > 0) & (high > 0) & (here > 0) & (here == np.take(whole, face % n, axis))
            pairs += int(crosses.sum())
            different += int((low != high)[crosses].sum())
    assert pairs > 0
    return different / pairs


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_lies_beside_a_face_and_does_not_reach_it_is_joined_with_what_it_belongs_to(order: Sequence[int]) -> None:
    shape = (4, 40, 20)
    field = np.full(shape, -1, np.float32)
    # The body ends before the face at 20, and an island of it lies behind.
    field[:, 10:19, 4:16] = field[:, 21, 6:12] = 2
    field[2, 14, 10] = 3
    whole = run(field, Grid(shape, shape, (False, False, False)), leap=4)
    assert len(np.unique(whole)) == 2, "one object and background"
    chunked = Grid(shape, (4, 20, 20), (False, False, False))
    np.testing.assert_array_equal(run(field, chunked, order, leap=4), whole)
    assert len(np.unique(run(field, chunked, order, leap=4, reach=0))) == 3, "on the pad alone they would be two"


@pytest.fixture(scope="module")
def rivers() -> NDArray[np.float32]:
    """What the demo model has not seen of its sample, or the first half of it."""
    found = inspect(InspectRequest("sample:rivers"))
    with open_source(found.source, found.volume) as opened:
        return opened.read(Box((160, 0, 0), (200, *found.volume.shape[1:]))).astype(np.float32)


@pytest.fixture(scope="module")
def demo() -> Ffn:
    return Ffn(Flooding(model="demo", backend="tensorflow"))


@pytest.fixture(scope="module")
def rivers_whole(rivers: NDArray[np.float32], demo: Ffn) -> Ids:
    return put_together(demo, rivers, Grid(triple(rivers.shape), triple(rivers.shape), (False, False, True)))


@pytest.mark.parametrize(
    ("chunk", "east"),
    [
        ((20, 64, 43), 0),
        *(pytest.param(chunk, east, marks=pytest.mark.long) for chunk, east in (
            ((18, 34, 34), 0), ((40, 34, 34), 0), ((18, 64, 128), 0), ((40, 64, 34), 0), ((25, 40, 37), 0),
            ((33, 47, 50), 0), ((19, 35, 90), 0), ((40, 64, 64), 17), ((18, 34, 34), 64), ((20, 64, 43), 101),
        )),
    ],
)  # fmt: skip
def test_the_demo_model_finds_chunk_by_chunk_what_it_finds_at_once_wherever_longitude_begins(
    rivers: NDArray[np.float32], demo: Ffn, rivers_whole: Ids, chunk: Triple, east: int
) -> None:
    grid = Grid(triple(rivers.shape), chunk, (False, False, True))
    found = put_together(demo, np.roll(rivers, east, axis=2), grid)
    assert object_f1(np.roll(found, -east, axis=2), rivers_whole) >= 0.95
    assert torn(found, np.roll(rivers_whole, east, axis=2), chunk) == 0


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
    # Which of the two a log goes to is set for the whole process, by whatever command was tested in it before.
    assert "not numbers" in "".join(capsys.readouterr())


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
