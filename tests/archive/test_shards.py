"""Chunks in shards: zarr-python reads what is written here, and the bytes within are the payloads."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.buffer import default_buffer_prototype
from zarr.codecs import BytesCodec, ZstdCodec
from zarr.storage import MemoryStore

from streamer.archive.shards import FEW, LARGEST, MANY, Shards, choose
from streamer.wire.codec import crc32c, decode_labels, encode_labels
from streamer.wire.grid import Grid, Triple
from streamer.wire.header import Refused
from tests.wire.test_grid import grids

SHAPES = st.tuples(*[st.integers(1, 4)] * 3)


@given(grids(), SHAPES)
def test_each_chunk_has_one_place_in_one_shard(grid: Grid, shape: Triple) -> None:
    shards = Shards(grid, shape)
    seen = [(chunk, shard, place) for shard in range(shards.size) for chunk, place in shards.members(shard)]
    assert sorted(chunk for chunk, _, _ in seen) == list(range(grid.size))
    for chunk, shard, place in seen:
        assert shards.of(chunk) == (shard, place)
        assert place < shards.places


@given(grids(), SHAPES, st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_zarr_reads_a_shard_that_was_put_together_here(grid: Grid, shape: Triple, seed: int) -> None:
    rng, shards, store = np.random.default_rng(seed), Shards(grid, shape), MemoryStore()
    array: Any = zarr.create_array(
        store, shape=grid.shape, chunks=grid.chunk, shards=None if shards.plain else shards.voxels, dtype="uint32",
        fill_value=77, filters=None, compressors=(ZstdCodec(level=1, checksum=False),),
        serializer=BytesCodec(endian="little"),
    )  # fmt: skip
    expected = np.full(grid.shape, 77, np.uint32)
    prototype = default_buffer_prototype()
    for shard in range(shards.size):
        parts: list[bytes | None] = [None] * shards.places
        for chunk, place in shards.members(shard):
            if rng.random() < 0.7:
                core = rng.integers(0, 5, grid.core(chunk).shape).astype("<u4")
                raw, constant = encode_labels(core, grid.chunk)
                if constant < 0:
                    parts[place], expected[grid.core(chunk).slices] = raw, core
        if any(parts):
            key = "/".join(("c", *map(str, shards.index(shard))))
            asyncio.run(store.set(key, prototype.buffer.from_bytes(shards.pack(parts))))
            assert shards.unpack(shards.pack(parts)) == parts
    assert np.array_equal(array[...], expected)


@given(grids(), SHAPES, st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_shard_that_zarr_wrote_is_taken_apart(grid: Grid, shape: Triple, seed: int) -> None:
    shards, store = Shards(grid, shape), MemoryStore()
    values = np.random.default_rng(seed).integers(1, 9, grid.shape).astype("<u4")
    array: Any = zarr.create_array(
        store, shape=grid.shape, chunks=grid.chunk, shards=None if shards.plain else shards.voxels, dtype="uint32",
        fill_value=0, filters=None, compressors=(ZstdCodec(level=1, checksum=False),),
        serializer=BytesCodec(endian="little"),
    )  # fmt: skip
    array[...] = values
    prototype = default_buffer_prototype()
    for shard in range(shards.size):
        found = asyncio.run(store.get("/".join(("c", *map(str, shards.index(shard)))), prototype))
        assert found is not None
        parts = shards.unpack(found.to_bytes())
        for chunk, place in shards.members(shard):
            raw, core = parts[place], grid.core(chunk)
            assert raw is not None
            inside = tuple(slice(0, n) for n in core.shape)
            assert np.array_equal(decode_labels(raw, -1, grid.chunk)[inside], values[core.slices])


def test_a_damaged_or_lying_index_is_refused() -> None:
    shards = Shards(Grid((4, 4, 4), (2, 2, 2)), (2, 2, 2))
    raw = shards.pack([b"abc", None, b"defg", *[None] * 5])
    assert shards.unpack(raw)[:3] == [b"abc", None, b"defg"]
    for bad in (raw[:-1] + bytes([raw[-1] ^ 1]), raw[3:-40], b"", b"x" * 100):
        with pytest.raises(Refused, match="index"):
            shards.unpack(bad)
    table = np.array([[0, 1 << 40]] * 8, "<u8").tobytes()
    with pytest.raises(Refused, match="its index speaks of bytes 0 to 1099511627776 of 132"):
        shards.unpack(table + struct.pack("<I", crc32c(table)))


@given(st.tuples(*[st.integers(1, 400)] * 3), st.tuples(*[st.integers(1, 128)] * 3))
def test_small_grids_have_a_file_for_each_chunk_and_large_ones_few_files(counts: Triple, chunk: Triple) -> None:
    z, y, x = (n * c for n, c in zip(counts, chunk, strict=True))
    grid = Grid((z, y, x), chunk)
    shape = choose(grid)
    shards = Shards(grid, shape)
    voxels = chunk[0] * chunk[1] * chunk[2]
    assert shards.plain == (grid.size <= MANY or 8 * voxels > LARGEST)
    assert shards.places <= MANY
    assert 4 * voxels * shards.places <= max(LARGEST, 4 * voxels)
    if not shards.plain and 4 * voxels * MANY <= LARGEST:
        # Sides are doubled, so that a shard may hang over the grid's ends.
        assert shards.size <= max(FEW, 8 * grid.size // (MANY // 2))


def test_the_papers_volume_lies_in_few_files() -> None:
    grid = Grid((240, 361, 576), (8, 32, 32))
    assert grid.size > 6000
    assert Shards(grid, choose(grid)).size <= FEW
