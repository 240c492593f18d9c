"""One step of the run at a time: the labels of all chunks that lie across it, with run-wide ids.

Globe and map show a step of axis 0.  Chunks are kept compressed (as labels are, about a hundredfold), and
those that the step cuts are unpacked when it is asked for; while time plays, the same few serve many steps,
so the last ones stay unpacked within a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import Ids
from streamer.wire.codec import compress, decompress
from streamer.wire.grid import Grid

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
        (nz, ny, nx), (cz, _, _) = self._grid.shape, self._grid.chunk
        if not 0 <= step < nz:
            raise IndexError(f"step {step} is not one of the volume's {nz}")
        _, rows, columns = self._grid.counts
        first = step // cz * rows * columns
        found: NDArray[np.generic] | None = None
        for chunk in range(first, first + rows * columns):
            if chunk not in self._packed:
                continue
            core = self._grid.core(chunk)
            part = values(chunk, self._unpacked(chunk)[step - core.start[0]])
            if found is None:
                found = np.zeros((ny, nx), part.dtype)
            found[core.slices[1:]] = part
        return np.zeros((ny, nx), self._dtype) if found is None else found

    def ids(self, step: int, ids_of: Callable[[int], Ids]) -> Ids:
        """Run-wide ids of one step, (y, x) uint64; ``ids_of`` gives a chunk's ids by local label."""

        def named(chunk: int, labels: NDArray[np.generic]) -> NDArray[np.generic]:
            return ids_of(chunk)[labels.astype(np.intp)]

        return self.at(step, named).astype(np.uint64)

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
