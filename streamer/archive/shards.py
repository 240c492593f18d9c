"""How chunks lie in files: each in one of its own, or many in a shard: parallel file systems choke on small files.

A shard is a box of chunks in one file: their bytes one after the other, then an index of (offset, size) in
C order and its CRC-32C, as the Zarr v3 codec ``sharding_indexed`` with its index at the end has it.  What is
not there yet has an entry of ones; so a shard is whole at any time, and readers see what it holds so far.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from streamer.wire.codec import crc32c
from streamer.wire.grid import Grid, Triple, triple
from streamer.wire.header import Refused

MANY, FEW = 512, 64
"""A grid of more than ``MANY`` chunks is sharded by itself, into ``FEW`` shards if they can hold all of it."""
LARGEST = 1 << 28
"""Bytes of labels, uncompressed, in a shard that is chosen by itself: it is put together in memory."""
_NONE = 2**64 - 1


class Member(NamedTuple):
    """A chunk of a shard: its number in the grid, and its place in the shard."""

    chunk: int
    place: int


class Shards:
    """A grid's chunks in boxes of ``shape`` chunks along (z, y, x); (1, 1, 1) is a file for each, without an index."""

    def __init__(self, grid: Grid, shape: Triple) -> None:
        if min(shape) < 1:
            raise ValueError(f"a shard of {shape} chunks is empty")
        self.grid = grid
        # A shard that reaches beyond the grid has holes for ever.
        self.shape = triple(tuple(min(s, n) for s, n in zip(shape, grid.counts, strict=True)))
        self.counts = triple(tuple(-(-n // s) for n, s in zip(grid.counts, self.shape, strict=True)))

    @property
    def plain(self) -> bool:
        """Whether each chunk is a file of its own."""
        return self.shape == (1, 1, 1)

    @property
    def size(self) -> int:
        """The number of shards."""
        z, y, x = self.counts
        return z * y * x

    @property
    def places(self) -> int:
        """The number of chunks for which a shard has a place."""
        z, y, x = self.shape
        return z * y * x

    @property
    def voxels(self) -> Triple:
        """The shape of a shard in voxels."""
        return triple(tuple(s * c for s, c in zip(self.shape, self.grid.chunk, strict=True)))

    def of(self, chunk: int) -> tuple[int, int]:
        """The shard of a chunk, and the chunk's place in it."""
        (sz, sy, sx), (_, ny, nx) = self.shape, self.counts
        z, y, x = self.grid.index(chunk)
        return (z // sz * ny + y // sy) * nx + x // sx, (z % sz * sy + y % sy) * sx + x % sx

    def index(self, shard: int) -> Triple:
        """Where a shard stands in the grid of shards."""
        _, ny, nx = self.counts
        return shard // (ny * nx), shard // nx % ny, shard % nx

    def members(self, shard: int) -> Iterator[Member]:
        """The chunks of a shard, in the order of their places."""
        starts = [i * s for i, s in zip(self.index(shard), self.shape, strict=True)]
        for place, step in enumerate(product(*map(range, self.shape))):
            at = triple(tuple(a + b for a, b in zip(starts, step, strict=True)))
            if all(i < n for i, n in zip(at, self.grid.counts, strict=True)):
                _, ny, nx = self.grid.counts
                yield Member((at[0] * ny + at[1]) * nx + at[2], place)

    def pack(self, parts: Sequence[bytes | None]) -> bytes:
        """The file of a shard from the bytes of its chunks, by place; None where there is none."""
        if self.plain:
            assert parts[0] is not None, "a file without an index cannot say that it is empty"
            return parts[0]
        index = np.full((self.places, 2), _NONE, "<u8")
        offset = 0
        for place, raw in enumerate(parts):
            if raw is not None:
                index[place] = offset, len(raw)
                offset += len(raw)
        table = index.tobytes()
        return b"".join([*(raw for raw in parts if raw is not None), table, struct.pack("<I", crc32c(table))])

    def unpack(self, raw: bytes | None) -> list[bytes | None]:
        """The bytes of a shard's chunks, by place.  Raises Refused if the file is no shard."""
        if self.plain or raw is None:
            return [raw, *[None] * (self.places - 1)]
        size = 16 * self.places
        table = raw[-size - 4 : -4]
        if len(table) != size or struct.unpack("<I", raw[-4:])[0] != crc32c(table):
            raise Refused("the index at its end is damaged")
        parts: list[bytes | None] = []
        for offset, length in np.frombuffer(table, "<u8").reshape(-1, 2).tolist():
            if (offset, length) == (_NONE, _NONE):
                parts.append(None)
            elif offset + length <= len(raw) - size - 4:
                parts.append(raw[offset : offset + length])
            else:
                raise Refused(f"its index speaks of bytes {offset} to {offset + length} of {len(raw)}")
        return parts


def choose(grid: Grid) -> Triple:
    """Chunks of a shard along (z, y, x): one each for a small grid, else boxes until there are ``FEW``.

    Shards grow along the axis on which there are most of them, but not beyond ``MANY`` chunks or ``LARGEST`` bytes.
    """
    shape = [1, 1, 1]
    if grid.size <= MANY:
        return 1, 1, 1
    z, y, x = grid.chunk
    most = min(MANY, max(1, LARGEST // (4 * z * y * x)))
    while True:
        counts = [-(-n // s) for n, s in zip(grid.counts, shape, strict=True)]
        widest = max(range(3), key=lambda axis: counts[axis])
        if counts[0] * counts[1] * counts[2] <= FEW or 2 * shape[0] * shape[1] * shape[2] > most:
            return triple(tuple(shape))
        shape[widest] *= 2
