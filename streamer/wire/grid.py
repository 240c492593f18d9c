"""The geometry of a run: a volume cut into chunks, and what a chunk shares with its neighbours.

All triples are (z, y, x), which for geodata is (time, latitude, longitude).  A chunk's *core* is the
box of voxels that it owns.  Its *block* is the core and one voxel more on each high side that has a
neighbour (on a periodic axis the last chunk's neighbour is the first one, which may be the chunk
itself).  Whatever two voxels touch, across a face, an edge or a corner: one block holds both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import msgspec

Triple = tuple[int, int, int]
Flags = tuple[bool, bool, bool]


class Box(NamedTuple):
    """A half-open box of voxels, in (z, y, x)."""

    start: Triple
    stop: Triple

    @property
    def shape(self) -> Triple:
        """Voxels along (z, y, x)."""
        # Written out, here and below: a streamer asks its grid a hundred times for each commit.
        (z0, y0, x0), (z1, y1, x1) = self.start, self.stop
        return z1 - z0, y1 - y0, x1 - x0

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into an array in (z, y, x)."""
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x


class Shared(NamedTuple):
    """A piece of a block's pad, and where the chunk that owns those voxels keeps them."""

    owner: int
    in_block: Box
    in_owner: Box


class Grid(msgspec.Struct, frozen=True):
    """A volume of ``shape`` voxels cut into chunks of ``chunk`` voxels, numbered in C order."""

    shape: Triple
    chunk: Triple
    periodic: Flags = (False, False, False)
    compared: Triple = (1, 1, 1)
    """On how many layers of voxels beyond a face, along each axis, two chunks are compared; 1 is the pad alone."""

    def __post_init__(self) -> None:
        if any(n < 1 for n in (*self.shape, *self.chunk)):
            raise ValueError(f"a grid needs at least one voxel along each axis; got {self.shape} in {self.chunk}")
        if any(c > n for c, n in zip(self.chunk, self.shape, strict=True)):
            raise ValueError(f"chunk {self.chunk} is larger than the volume {self.shape}")
        if any(n < 1 for n in self.compared):
            raise ValueError(f"chunks are compared on one layer at least, not on {self.compared}")

    @property
    def counts(self) -> Triple:
        """Chunks along (z, y, x)."""
        (nz, ny, nx), (cz, cy, cx) = self.shape, self.chunk
        return -(-nz // cz), -(-ny // cy), -(-nx // cx)

    @property
    def size(self) -> int:
        """The number of chunks."""
        z, y, x = self.counts
        return z * y * x

    @property
    def voxels(self) -> int:
        """The number of voxels of the volume."""
        z, y, x = self.shape
        return z * y * x

    def index(self, chunk: int) -> Triple:
        """Where chunk number ``chunk`` stands in the grid of chunks.  Raises IndexError if there is none."""
        nz, ny, nx = self.counts
        if not 0 <= chunk < nz * ny * nx:
            raise IndexError(f"chunk {chunk} is not one of the grid's {self.size}")
        return chunk // (ny * nx), chunk // nx % ny, chunk % nx

    def number(self, index: Triple) -> int:
        """The number of the chunk at ``index``; wraps on periodic axes.  Raises IndexError outside."""
        n = 0
        for i, count, periodic in zip(index, self.counts, self.periodic, strict=True):
            if periodic:
                i %= count
            if not 0 <= i < count:
                raise IndexError(f"no chunk at {index}; the grid has {self.counts}")
            n = n * count + i
        return n

    def core(self, chunk: int) -> Box:
        """The voxels that the chunk owns."""
        return _core(self, chunk)

    def pad(self, chunk: int) -> Triple:
        """1 for each axis on which something lies beyond the chunk's high side, else 0."""
        (iz, iy, ix), (nz, ny, nx), (pz, py, px) = self.index(chunk), self.counts, self.periodic
        return int(pz or iz + 1 < nz), int(py or iy + 1 < ny), int(px or ix + 1 < nx)

    def block_shape(self, chunk: int) -> Triple:
        """The shape of core and pad together."""
        (nz, ny, nx), (pz, py, px) = self.core(chunk).shape, self.pad(chunk)
        return nz + pz, ny + py, nx + px

    def beyond(self, chunk: int) -> Triple:
        """Layers beyond the chunk's high faces on which neighbours are compared with it; 0 where the pad is enough."""
        return self._deep(chunk, 1)

    def within(self, chunk: int) -> Triple:
        """Layers behind the chunk's low faces on which it is compared with neighbours; 0 where the pad is enough."""
        return self._deep(chunk, -1)

    def _deep(self, chunk: int, side: int) -> Triple:
        if self.compared == (1, 1, 1):
            return 0, 0, 0
        index, found = self.index(chunk), [0, 0, 0]
        for axis, (i, count) in enumerate(zip(index, self.counts, strict=True)):
            if self.compared[axis] > 1 and (self.periodic[axis] or 0 <= i + side < count):
                owner = chunk if side < 0 else self.number(triple(n + (a == axis) for a, n in enumerate(index)))
                found[axis] = min(self.compared[axis], self.core(owner).shape[axis])
        return triple(found)

    def shared(self, chunk: int) -> Iterator[Shared]:
        """The up to seven pieces of the chunk's pad, with their owners."""
        index, size, pad = self.index(chunk), self.core(chunk).shape, self.pad(chunk)
        for step in product(*(range(p + 1) for p in pad)):
            if not any(step):
                continue
            owner = self.number(triple(i + s for i, s in zip(index, step, strict=True)))
            start = triple(n if s else 0 for n, s in zip(size, step, strict=True))
            stop = triple(n + 1 if s else n for n, s in zip(size, step, strict=True))
            there = triple(1 if s else n for n, s in zip(size, step, strict=True))
            yield Shared(owner, Box(start, stop), Box((0, 0, 0), there))

    def around(self, chunk: int) -> frozenset[int]:
        """The chunks that share a face, an edge or a corner with this one, without itself."""
        _, ny, nx = self.counts
        z, y, x = (
            {j % n if wraps else j for j in (i - 1, i, i + 1) if wraps or 0 <= j < n}
            for i, n, wraps in zip(self.index(chunk), self.counts, self.periodic, strict=True)
        )
        rows = [(a * ny + b) * nx for a in z for b in y]
        return frozenset(row + c for row in rows for c in x) - {chunk}


@lru_cache(256)  # for one commit it is asked half a dozen times
def _core(grid: Grid, chunk: int) -> Box:
    (iz, iy, ix), (cz, cy, cx), (nz, ny, nx) = grid.index(chunk), grid.chunk, grid.shape
    z, y, x = iz * cz, iy * cy, ix * cx
    return Box((z, y, x), (min(z + cz, nz), min(y + cy, ny), min(x + cx, nx)))


def triple(values: Iterable[int]) -> Triple:
    """Three integers as a tuple that the type checker knows to be three."""
    z, y, x = values
    return z, y, x


def suggest_chunk(shape: Triple, *, at_least: int = 64, largest: int = 1 << 21, smallest_side: int = 8) -> Triple:
    """A chunk shape for a volume of ``shape``: the longest side is halved until there is enough to watch.

    Stops when there are ``at_least`` chunks of ``largest`` voxels at most, or when no side can be halved
    without falling below ``smallest_side``.
    """
    sides = list(shape)
    while True:
        counts = [-(-n // s) for n, s in zip(shape, sides, strict=True)]
        if counts[0] * counts[1] * counts[2] >= at_least and sides[0] * sides[1] * sides[2] <= largest:
            break
        longest = max(range(3), key=lambda axis: sides[axis])
        if sides[longest] < 2 * smallest_side:
            break
        sides[longest] = -(-sides[longest] // 2)
    return triple(tuple(sides))
