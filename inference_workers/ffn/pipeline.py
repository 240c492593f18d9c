"""Examples, made ready by threads while the network computes.

Blocks of the field are read from the store as they are wanted, straight from the file's own format, and
the last used ones stay in memory.  Row r of R works on the examples r, r + R, r + 2R, … in this order,
whichever thread is the quicker, so that what a network learns does not depend on timing.  A row's next
examples are asked for when it takes one: no queue grows.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.training import Example
from inference_workers.source import open_source
from inference_workers.source.pieces import spans
from streamer.wire.grid import Box, Triple, triple
from streamer.wire.volume import Source, Volume

BLOCK = (32, 64, 64)
MEMORY = 1 << 30
AHEAD = 2
"""Examples of each row that are being made ready."""
Field = NDArray[np.floating[Any]]


class Blocks:
    """A volume by blocks that are read once and kept while there is room.  Any thread may read."""

    def __init__(self, source: Source, volume: Volume, memory: int = MEMORY, block: Triple = BLOCK) -> None:
        self._source, self._volume = source, volume
        self._block = triple(min(side, n) for side, n in zip(block, volume.shape, strict=True))
        self._most = max(8, memory // (8 * int(np.prod(self._block))))
        self._kept: OrderedDict[Triple, Future[Field]] = OrderedDict()
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._opened: list[Any] = []
        self.reads = 0
        """Blocks that came from the store."""

    def read(self, box: Box, wraps_x: bool = False) -> Field:
        """Voxels of a box within the volume, beyond it only along x where that wraps; a new array (z, y, x)."""
        (z0, y0, x0), (z1, y1, x1) = box
        bz, by, bx = self._block
        out: Field | None = None
        for run in spans(x0, x1, self._volume.shape[2], wraps_x):
            for z in range(z0 // bz, -(-z1 // bz)):
                for y in range(y0 // by, -(-y1 // by)):
                    for x in range(run.start // bx, -(-run.stop // bx)):
                        block = self._get((z, y, x))
                        low = max(z0, z * bz), max(y0, y * by), max(run.start, x * bx)
                        high = min(z1, (z + 1) * bz), min(y1, (y + 1) * by), min(run.stop, (x + 1) * bx)
                        here = block[
                            low[0] - z * bz : high[0] - z * bz,
                            low[1] - y * by : high[1] - y * by,
                            low[2] - x * bx : high[2] - x * bx,
                        ]
                        if out is None:
                            out = np.empty(box.shape, here.dtype)
                        at = low[2] - run.start + run.at
                        out[low[0] - z0 : high[0] - z0, low[1] - y0 : high[1] - y0, at : at + here.shape[2]] = here
        assert out is not None, "an empty box is asked by nobody"
        return out

    def close(self) -> None:
        """Closes what the threads have opened, which have ended before."""
        for opened in self._opened:
            opened.close()
        self._opened.clear()

    def _get(self, key: Triple) -> Field:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            else:
                mine: Future[Field] = Future()
                self._kept[key] = mine
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
                self.reads += 1
        if found is not None:
            return found.result()
        try:
            mine.set_result(self._from_store(key))
        except BaseException as why:
            mine.set_exception(why)
            with self._lock:
                self._kept.pop(key, None)
        return mine.result()

    def _from_store(self, key: Triple) -> Field:
        opened = getattr(self._mine, "opened", None)
        if opened is None:
            opened = self._mine.opened = open_source(self._source, self._volume)
            with self._lock:
                self._opened.append(opened)
        start = triple(k * side for k, side in zip(key, self._block, strict=True))
        stop = triple(min(a + side, n) for a, side, n in zip(start, self._block, self._volume.shape, strict=True))
        read: Field = opened.read(Box(start, stop))
        return read


class Pipeline:
    """Examples for the rows ``first`` … ``first + rows`` of ``of``; ``begun`` says how many each has had before."""

    def __init__(
        self, make: Callable[[int], Example], rows: int, first: int, of: int, threads: int, begun: list[int]
    ) -> None:
        self._make, self._first, self._of = make, first, of
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="example")
        self._taken = list(begun)
        self._coming: list[list[Future[Example]]] = [[] for _ in range(rows)]
        self.waited_s = 0.0
        """Time that ``take`` has waited for examples, but for the first of each row."""
        self.taken = 0
        for row in range(rows):
            self._ask(row)

    def take(self, row: int) -> Example:
        """The row's next example.  Raises what making it raised."""
        coming = self._coming[row].pop(0)
        self._taken[row] += 1
        self._ask(row)
        before = time.perf_counter()
        example = coming.result()
        if self.taken >= len(self._coming):
            self.waited_s += time.perf_counter() - before
        self.taken += 1
        return example

    @property
    def begun(self) -> list[int]:
        """How many examples each row has taken, over all resumptions."""
        return list(self._taken)

    def _ask(self, row: int) -> None:
        while len(self._coming[row]) < AHEAD:
            turn = self._taken[row] + len(self._coming[row])
            self._coming[row].append(self._pool.submit(self._make, self._first + row + turn * self._of))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
