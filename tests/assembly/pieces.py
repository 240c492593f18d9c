"""Chunks made by the real worker's functions from small volumes, for the tests of what the streamer makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_workers.connect import Connect, Connectivity
from inference_workers.segmenter import Block, Segmenter
from inference_workers.statistics import measure
from streamer.assembly import Assembly
from streamer.wire.block import Ids, pack, unpack_ids
from streamer.wire.codec import Buffer, decode_labels
from streamer.wire.grid import Box, Grid, triple
from streamer.wire.messages import Commit
from streamer.wire.volume import Volume
from tests.workers.reference import cut_block

Piece = tuple[Commit, list[bytes]]
Field = NDArray[Any]
Areas = NDArray[np.float64]


def connect(threshold: float, connectivity: int = 26) -> Segmenter:
    """The segmenter with its parameters."""
    assert connectivity in (6, 18, 26)
    return Connect(Connectivity(threshold, connectivity))  # type: ignore[arg-type]


def piece(
    field: Field, volume: Volume, grid: Grid, chunk: int, segmenter: Segmenter, areas: Areas | None = None
) -> Piece:
    """One chunk of a volume, segmented, measured and packed as a worker would."""
    shape = grid.block_shape(chunk)
    inner = Box((0, 0, 0), shape)
    cells = None
    if areas is not None:
        (_, y0, x0), (_, ny, nx) = grid.core(chunk).start, shape
        rows, columns = (
            np.arange(a, a + n) % size for a, n, size in ((y0, ny, grid.shape[1]), (x0, nx, grid.shape[2]))
        )
        cells = areas[np.ix_(rows, columns)]
    block = Block(grid, chunk, volume, cut_block(field, grid, chunk), inner, cells, lambda: None)
    return pack(grid, chunk, 1, measure(block, segmenter.segment(block)))


def pieces(field: Field, volume: Volume, grid: Grid, segmenter: Segmenter, areas: Areas | None = None) -> list[Piece]:
    """All chunks, in C order."""
    return [piece(field, volume, grid, chunk, segmenter, areas) for chunk in range(grid.size)]


def parts_of(made: Piece) -> list[Buffer]:
    """The payloads as a feed without the labels would bring them."""
    return [b"", *made[1][1:]]


def assemble(assembly: Assembly, made: Sequence[Piece], order: Iterable[int]) -> Assembly:
    """The assembly after the chunks, in an order."""
    for chunk in order:
        assembly.commit(made[chunk][0], parts_of(made[chunk]))
    return assembly


def provisional(made: Sequence[Piece], grid: Grid) -> Ids:
    """The ids that the chunks themselves give to every voxel, (z, y, x); 0 in the background."""
    whole = np.zeros(grid.shape, np.uint64)
    for commit, payloads in made:
        names = np.concatenate([np.zeros(1, np.uint64), unpack_ids(commit, payloads[2])])
        core = grid.core(commit.chunk)
        inside = tuple(slice(0, n) for n in core.shape)
        local = decode_labels(payloads[0], commit.constant, grid.chunk)
        whole[core.slices] = names[local[inside]]
    return whole


def half(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A chunk shape of about half of each side."""
    return triple(tuple(max(1, n // 2) for n in shape))
