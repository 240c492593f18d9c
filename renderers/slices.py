"""One step of the run at a time, or a few voxels: the labels of all chunks that lie there, with run-wide ids.

Globe and map show a step of axis 0, and a pick asks what stands around a place.  Chunks are kept compressed (as
labels are, about a hundredfold), and those that are asked for are unpacked; while time plays, the same few serve many
steps, so the last ones stay unpacked within a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import Ids
from streamer.wire.codec import compress, decompress
from streamer.wire.grid import Box, Grid, triple

KEPT_BYTES = 128 << 20
"""Unpacked chunks that are kept for the next step."""


class Slices:
    """The cores of the chunks that have arrived, a layer of one kind (labels, or bytes of a field)."""

    def __init__(self, grid: Grid, dtype: str = "<u4") -> None:
        self._grid, self._dtype = grid, np.dtype(dtype)
        self._packed: dict[int, bytes] = {}
        self._open: OrderedDict[int, NDArray[np.generic]] = OrderedDict()
        self._open_bytes = 0

    def put(self, chunk: int, core: NDArray[np.generic]) -> None:
        """A chunk's core, of the shape that the grid gives it, in place of an earlier one."""
        self.drop(chunk)
        if core.any():
            self._packed[chunk] = compress(np.ascontiguousarray(core, self._dtype))

    def drop(self, chunk: int) -> None:
        """The chunk is gone."""
        self._packed.pop(chunk, None)
        if (gone := self._open.pop(chunk, None)) is not None:
            self._open_bytes -= gone.nbytes

    @property
    def chunks(self) -> frozenset[int]:
        """The chunks that carry anything."""
        return frozenset(self._packed)

    def core(self, chunk: int) -> NDArray[np.generic]:
        """A chunk's core, (z, y, x); one of ``chunks``."""
        return self._unpacked(chunk)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(len(raw) for raw in self._packed.values()) + self._open_bytes

    def at(self, step: int, values: Callable[[int, NDArray[np.generic]], NDArray[np.generic]]) -> NDArray[np.generic]:
        """One step of the volume, (y, x); 0 where no chunk has brought anything.

        ``values`` gets a chunk's number and its part of the step (y, x), and says what is to stand there.
        Raises IndexError for a step outside the volume.
        """
        nz, ny, nx = self._grid.shape
        if not 0 <= step < nz:
            raise IndexError(f"step {step} is not one of the volume's {nz}")
        return self.box(Box((step, 0, 0), (step + 1, ny, nx)), values).reshape(ny, nx)

    def box(self, box: Box, values: Callable[[int, NDArray[np.generic]], NDArray[np.generic]]) -> NDArray[np.generic]:
        """A box of voxels inside the volume, (z, y, x); 0 where no chunk has brought anything.

        ``values`` gets a chunk's number and its part of the box (z, y, x), and says what is to stand there.
        """
        found: NDArray[np.generic] | None = None
        ranges = [range(a // c, -(-b // c)) for a, b, c in zip(box.start, box.stop, self._grid.chunk, strict=True)]
        for index in product(*ranges):
            chunk = self._grid.number(triple(index))
            if chunk not in self._packed:
                continue
            core = self._grid.core(chunk)
            low = [max(a, b) for a, b in zip(box.start, core.start, strict=True)]
            high = [min(a, b) for a, b in zip(box.stop, core.stop, strict=True)]
            here = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, core.start, strict=True))
            there = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, box.start, strict=True))
            part = values(chunk, self._unpacked(chunk)[here])
            if found is None:
                found = np.zeros(box.shape, part.dtype)
            found[there] = part
        return np.zeros(box.shape, self._dtype) if found is None else found

    def ids(self, step: int, ids_of: Callable[[int], Ids]) -> Ids:
        """Run-wide ids of one step, (y, x) uint64; ``ids_of`` gives a chunk's ids by local label."""
        return self.at(step, _named(ids_of)).astype(np.uint64)

    def ids_in(self, box: Box, ids_of: Callable[[int], Ids]) -> Ids:
        """Run-wide ids of a box of voxels inside the volume, (z, y, x) uint64."""
        return self.box(box, _named(ids_of)).astype(np.uint64)

    def __contains__(self, chunk: int) -> bool:
        return chunk in self._packed

    def _unpacked(self, chunk: int) -> NDArray[np.generic]:
        if chunk in self._open:
            self._open.move_to_end(chunk)
            return self._open[chunk]
        shape = self._grid.core(chunk).shape
        size = int(np.prod(shape)) * self._dtype.itemsize
        whole = np.frombuffer(decompress(self._packed[chunk], size, f"chunk {chunk}"), self._dtype).reshape(shape)
        self._open[chunk] = whole
        self._open_bytes += whole.nbytes
        while self._open_bytes > KEPT_BYTES and len(self._open) > 1:
            _, gone = self._open.popitem(last=False)
            self._open_bytes -= gone.nbytes
        return whole


def _named(ids_of: Callable[[int], Ids]) -> Callable[[int, NDArray[np.generic]], NDArray[np.generic]]:
    """Local labels of a chunk become run-wide ids."""
    return lambda chunk, labels: ids_of(chunk)[labels.astype(np.intp)]
