"""Layers in the worker: the field of the core in the run's range, and the certainty of a segmenter that has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from inference_workers.segmenter import Block, Labelling
from inference_workers.statistics import measure, with_layers
from streamer.wire.block import EXTRA, pack, unpack_coarse, unpack_layer
from streamer.wire.grid import Box, Grid, triple
from streamer.wire.layers import coarser, quantise
from streamer.wire.volume import RunSpec
from tests.streamer.runs import spec_of


def block_of(grid: Grid, chunk: int, field: np.ndarray[Any, Any], spec: RunSpec, halo: int = 1) -> Block:
    shape = grid.block_shape(chunk)
    around = np.pad(field, halo + 2, constant_values=np.nan)
    start = grid.core(chunk).start
    cut = tuple(slice(a + 2, a + 2 + n + 2 * halo) for a, n in zip(start, shape, strict=True))
    inner = Box((halo,) * 3, triple(tuple(halo + n for n in shape)))
    return Block(grid, chunk, spec.volume, around[cut], inner, None, lambda: None)


SPEC = replace(spec_of(), layers=EXTRA, field_range=(0.0, 2.0), grid=Grid((8, 6, 6), (4, 3, 3)))
FIELD = np.random.default_rng(5).uniform(0, 2, SPEC.grid.shape)
FIELD[1, 1, 1] = np.nan


def labelled(block: Block, probability: np.ndarray[Any, Any] | None = None) -> Labelling:
    return Labelling((block.inner_field >= 1).astype(np.uint32), probability)


def test_the_field_of_all_cores_together_is_the_whole_field_quantised_once() -> None:
    whole = np.zeros(SPEC.grid.shape, np.uint8)
    for chunk in range(SPEC.grid.size):
        block = block_of(SPEC.grid, chunk, FIELD, SPEC)
        done = with_layers(SPEC, block, labelled(block), measure(block, labelled(block)))
        commit, payloads = pack(SPEC.grid, chunk, 1, done, layers=SPEC.layers)
        part = {info.name: raw for info, raw in zip(commit.parts, payloads, strict=True)}
        whole[SPEC.grid.core(chunk).slices] = unpack_layer(SPEC.grid, chunk, part["field"])
        assert part["probability"] == b"", "this segmenter does not know"
        core = done.block[tuple(slice(0, n) for n in SPEC.grid.core(chunk).shape)]
        assert np.array_equal(unpack_coarse(SPEC.grid, commit, part["labels1"]), coarser(core))
    assert np.array_equal(whole, quantise(FIELD, (0.0, 2.0)))
    assert whole[1, 1, 1] == 0


def test_a_certainty_travels_if_the_segmenter_has_it_and_the_run_wants_it() -> None:
    block = block_of(SPEC.grid, 0, FIELD, SPEC)
    certain = np.arange(np.prod(SPEC.grid.block_shape(0))).astype(np.uint8).reshape(SPEC.grid.block_shape(0))
    labelling = labelled(block, certain)
    done = with_layers(SPEC, block, labelling, measure(block, labelling))
    assert done.probability is not None
    assert np.array_equal(done.probability, certain[:4, :3, :3])
    silent = replace(SPEC, layers=("labels1",))
    assert with_layers(silent, block, labelling, measure(block, labelling)).probability is None


@pytest.mark.parametrize("certain", [np.zeros((4, 3, 3), np.uint8), np.zeros((5, 4, 4), np.float32)])
def test_a_certainty_of_another_shape_fails_the_chunk_by_name(certain: np.ndarray[Any, Any]) -> None:
    block = block_of(SPEC.grid, 0, FIELD, SPEC)
    labelling = labelled(block, certain)
    with pytest.raises(ValueError, match="chunk 0: a probability of"):
        with_layers(SPEC, block, labelling, measure(block, labelling))
