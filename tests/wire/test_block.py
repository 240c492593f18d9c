"""A finished chunk on the wire: every part comes back, and anything damaged or dishonest is refused by name."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire import block as b
from streamer.wire.codec import Buffer, check_frame, compress, crc32c, decode_labels, decompress, encode_labels
from streamer.wire.grid import Grid
from streamer.wire.header import Refused
from streamer.wire.messages import Commit, PartInfo
from tests.wire.test_grid import grids


def segmented(grid: Grid, chunk: int, seed: int, *, background: bool = False) -> b.Segmented:
    random = np.random.default_rng(seed)
    block = random.integers(0, 1 if background else 4, grid.block_shape(chunk)).astype("<u4")
    own, rows, cells = 3, 5, 4
    stats = np.zeros(rows, b.STAT)
    stats["sum"] = random.random(rows)
    counts = np.array([1, 0, 3], "<u4")
    footprint = b.Footprint(counts, random.integers(0, 9, cells).astype("<u4"), random.random(cells))
    return b.Segmented(
        block, own, own, np.arange(1, own + 1, dtype="<u8"), stats, footprint,
        beyond=slabs(grid, chunk, 0 if background else seed),
    )  # fmt: skip


def slabs(grid: Grid, chunk: int, seed: int) -> b.Slabs:
    """Some labels beyond a chunk's high faces; none at all if ``seed`` is 0."""
    random, core = np.random.default_rng(seed), grid.core(chunk).shape
    z, y, x = (
        random.integers(0, 4 if seed else 1, [depth if a == axis else n for a, n in enumerate(core)]).astype("<u4")
        if depth
        else None
        for axis, depth in enumerate(grid.beyond(chunk))
    )
    return z, y, x


@given(grids(deep=True), st.integers(0, 2**32 - 1), st.booleans())
def test_a_chunk_comes_back_as_it_was(grid: Grid, seed: int, background: bool) -> None:
    chunk = seed % grid.size
    done = segmented(grid, chunk, seed, background=background)
    commit, payloads = b.pack(grid, chunk, 1, done)
    labels, seam, ids, stats, footprint = payloads
    assert np.array_equal(b.unpack_block(grid, commit, labels, seam), done.block)
    for there, slab in zip(b.unpack_seam(grid, chunk, seam).beyond, done.beyond, strict=True):
        assert (there is None) == (slab is None)
        if there is not None and slab is not None:
            assert np.array_equal(there, slab)
    assert np.array_equal(b.unpack_ids(commit, ids), done.ids)
    assert np.array_equal(b.unpack_stats(commit, stats), done.stats)
    cells = b.unpack_footprint(commit, footprint)
    assert cells is not None
    assert done.footprint is not None
    assert [part.tolist() for part in cells] == [part.tolist() for part in done.footprint]
    core = done.block[tuple(slice(0, n) for n in grid.core(chunk).shape)]
    assert commit.labelled == np.count_nonzero(core)


@given(grids(deep=True), st.integers(0, 2**32 - 1))
def test_a_seam_gives_the_pad_and_the_owners_faces(grid: Grid, seed: int) -> None:
    random = np.random.default_rng(seed)
    blocks = [random.integers(0, 9, grid.block_shape(c)).astype("<u4") for c in range(grid.size)]
    packed = [b.pack_seam(b.seam_of(grid, c, blocks[c], slabs(grid, c, seed))) for c in range(grid.size)]
    seams = [b.unpack_seam(grid, c, raw) for c, raw in enumerate(packed)]
    for chunk in range(grid.size):
        for piece in grid.shared(chunk):
            assert np.array_equal(seams[chunk].pad(piece), blocks[chunk][piece.in_block.slices])
            assert np.array_equal(seams[piece.owner].owned(piece), blocks[piece.owner][piece.in_owner.slices])
        for axis, (slab, depth) in enumerate(zip(seams[chunk].within, grid.within(chunk), strict=True)):
            core = blocks[chunk][tuple(slice(0, n) for n in grid.core(chunk).shape)]
            assert (slab is None) == (depth == 0)
            if slab is not None:
                assert np.array_equal(slab, np.moveaxis(np.moveaxis(core, axis, 0)[:depth], 0, axis))


def test_slabs_of_another_shape_than_the_grid_says_are_an_error() -> None:
    grid = Grid((4, 6, 8), (4, 3, 8), (False, False, False), (1, 2, 1))
    block = np.zeros(grid.block_shape(0), np.uint32)
    with pytest.raises(ValueError, match="chunk 0: slabs of"):
        b.seam_of(grid, 0, block)
    with pytest.raises(ValueError, match="chunk 0: slabs of"):
        b.seam_of(grid, 0, block, (None, np.zeros((4, 3, 8), np.uint32), None))
    with pytest.raises(ValueError, match="one layer at least"):
        Grid((4, 6, 8), (4, 3, 8), (False, False, False), (1, 0, 1))


GRID = Grid((4, 6, 8), (3, 4, 5), (False, False, True))


def sound() -> tuple[Commit, list[bytes]]:
    return b.pack(GRID, 0, 1, segmented(GRID, 0, 7))


def test_a_sound_commit_passes() -> None:
    commit, payloads = sound()
    b.check(GRID, commit, list(payloads))


def test_one_flipped_bit_is_refused_and_the_part_is_named() -> None:
    commit, payloads = sound()
    for i, name in enumerate(b.PARTS):
        damaged: list[Buffer] = list(payloads)
        raw = bytearray(payloads[i])
        raw[len(raw) // 2] ^= 1
        damaged[i] = raw
        with pytest.raises(Refused, match=f"part {name} arrived damaged"):
            b.check(GRID, commit, damaged)


def test_a_chunk_outside_the_grid_a_missing_part_and_absurd_counts_are_refused() -> None:
    from msgspec.structs import replace

    commit, payloads = sound()
    with pytest.raises(Refused, match="not one of the grid's"):
        b.check(GRID, replace(commit, chunk=99), list(payloads))
    with pytest.raises(Refused, match="4 payloads for 5 parts"):
        b.check(GRID, commit, list(payloads[:4]))
    with pytest.raises(Refused, match="parts"):
        b.check(GRID, replace(commit, parts=commit.parts[::-1]), list(payloads))
    with pytest.raises(Refused, match="components in"):
        b.check(GRID, replace(commit, own=1 << 40, components=1 << 40), list(payloads))


def test_labels_that_their_readers_could_not_unpack_are_refused_before_they_are_acknowledged() -> None:
    commit, payloads = b.pack(GRID, 0, 1, segmented(GRID, 0, 0))
    content = decompress(payloads[0], 4 * 3 * 4 * 5, "labels")
    unstated = zstandard.ZstdCompressor(write_content_size=False).compress(content)
    for labels, why in (
        (compress(content[:-4]), "236 bytes where 240"),
        (compress(content + bytes(4)), "244 bytes where 240"),
        (unstated, "no size"),
        (content, "not a zstd frame"),
        (payloads[0][:3], "not a zstd frame"),
    ):
        parts = (PartInfo("labels", len(labels), crc32c(labels)), *commit.parts[1:])
        with pytest.raises(Refused, match=f"chunk 0: part labels: .*{why}"):
            b.check(GRID, msgspec.structs.replace(commit, parts=parts), [labels, *payloads[1:]])


def test_a_frame_that_asks_for_more_memory_than_its_content_is_refused() -> None:
    head = bytes.fromhex("28b52ffd") + bytes([0b10_0_0_0_0_00, (27 - 10) << 3]) + (100).to_bytes(4, "little")
    with pytest.raises(Refused, match="a window of 134217728 bytes"):
        check_frame(head, 100, "labels")


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    """Ten megabytes of zeros in a small frame, where forty bytes belong."""
    bomb = compress(bytes(10_000_000))
    with pytest.raises(Refused, match="states 10000000 bytes where 40 belong"):
        decompress(bomb, 40, "seam")
    lying = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(10_000_000))
    with pytest.raises(Refused, match="where 40 belong"):
        decompress(lying, 40, "seam")


@given(st.binary(max_size=200))
def test_no_bytes_decode_to_labels_by_accident(raw: bytes) -> None:
    with pytest.raises(Refused, match="labels: "):
        decode_labels(raw, -1, (2, 3, 4))


def test_constant_chunks_carry_no_payload() -> None:
    assert encode_labels(np.zeros((2, 2, 2), "<u4"), (4, 4, 4)) == (b"", 0)
    assert encode_labels(np.full((4, 4, 4), 3, "<u4"), (4, 4, 4)) == (b"", 3)
    raw, constant = encode_labels(np.full((2, 2, 2), 3, "<u4"), (4, 4, 4))
    assert constant == -1
    assert decode_labels(raw, constant, (4, 4, 4)).sum() == 24
