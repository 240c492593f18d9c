"""What the log holds, in memory: of which chunk each entry is, and the newest entry of each chunk.

So a subscriber that wants a region is taken past everything else without a look at the disk, and a late one
is told what is there now.  Kept up by whoever appends to the log, entry by entry, and on replay.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamer.merges import grown
from streamer.wire.batch import Present
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.header import Refused, decode
from streamer.wire.messages import Commit

STRIDE = 1 << 16
"""Entries that are passed over in one step."""
CHUNKS = ("chunk", "evicted")
"""The kinds of entries that are a chunk's: with its labels, or without."""
MOST_VOXELS = 1 << 40
CONTROL = -1
"""In place of a chunk: an entry that everybody gets."""


class Region:
    """A box of voxels, as the chunks that have a voxel in it.  Raises Refused if it is none of the grid's."""

    def __init__(self, grid: Grid, box: Sequence[int]) -> None:
        if len(box) != 6:
            raise Refused(f"a region of {len(box)} numbers; it has a start and a stop, (z, y, x) each")
        if any(abs(number) > MOST_VOXELS for number in box):
            raise Refused(f"a region that reaches beyond {MOST_VOXELS:,} voxels")
        self._counts = grid.counts
        self._axes: list[NDArray[np.bool_]] = []
        for axis, (start, stop) in enumerate(zip(box[:3], box[3:], strict=True)):
            n, side, wraps = grid.shape[axis], grid.chunk[axis], grid.periodic[axis]
            if wraps and (start >= stop or start < 0 or stop > n):
                through = np.arange(start, stop if stop > start else stop + n) if stop - start < n else np.arange(n)
                voxels = through[:n] % n
            else:
                voxels = np.arange(max(start, 0), min(stop, n))
            inside = np.zeros(self._counts[axis], np.bool_)
            inside[voxels // side] = True
            self._axes.append(inside)

    def holds(self, chunks: NDArray[np.integer]) -> NDArray[np.bool_]:
        """For each chunk number whether it has a voxel in the box."""
        _, ny, nx = self._counts
        at = np.asarray(chunks, np.int64)
        z, y, x = self._axes
        return np.asarray(z[at // (ny * nx)] & y[at // nx % ny] & x[at % nx], np.bool_)


class Index:
    """The entries of one log; ``parts`` are those that a chunk of the run has."""

    def __init__(self, grid: Grid, parts: tuple[str, ...]) -> None:
        self.grid, self.parts = grid, parts
        self.head = 0
        self._chunk_of = np.empty(0, np.int32)
        self._newest = np.full(grid.size, -1, np.int64)
        self._sizes = np.zeros((grid.size, len(parts)), np.uint32)
        self._pairs = {"merges": _Rows(2, np.uint64), "verdicts": _Rows(2, np.uint64), "failed": _Rows(1, np.uint32)}
        self._end = ""

    def note(self, number: int, kind: str, payloads: Sequence[Buffer], chunk: int = CONTROL) -> None:
        """An entry of the log, in order.  Raises Refused if it is a chunk that is none of the grid's.

        ``chunk`` is the entry's where that is known already.
        """
        if kind in CHUNKS:
            if chunk == CONTROL:
                commit, _ = decode([memoryview(payloads[0])])
                if not isinstance(commit, Commit) or not 0 <= commit.chunk < self.grid.size:
                    raise Refused(f"entry {number} is no chunk of this run")
                chunk = commit.chunk
            self._newest[chunk] = number
            sizes = [len(raw) for raw in payloads[1 : 1 + len(self.parts)]]
            self._sizes[chunk, : len(sizes)] = sizes
        elif kind in ("merges", "verdicts"):
            self._pairs[kind].add(np.frombuffer(payloads[0], "<u8").reshape(-1, 2))
        elif kind == "failed":
            self._pairs[kind].add(np.frombuffer(payloads[0], "<u4").reshape(-1, 1))
        elif kind == "end":
            self._end = bytes(payloads[0]).decode("utf-8", "replace")
        if number >= self.head:
            self._chunk_of = grown(self._chunk_of, self.head, number + 1)
            self._chunk_of[self.head : number] = CONTROL
            self._chunk_of[number] = chunk
            self.head = number + 1

    def next_for(self, region: Region | None, number: int) -> int:
        """The first entry from ``number`` on that is for a region, or how far the search came: one stride at most."""
        if region is None or number >= self.head:
            return number
        stop = min(number + STRIDE, self.head)
        chunks = self._chunk_of[number:stop]
        wanted = (chunks < 0) | region.holds(np.maximum(chunks, 0))
        first = int(wanted.argmax())
        return number + first if wanted[first] else stop

    def is_for(self, region: Region | None, number: int) -> bool:
        """Whether an entry is for a region."""
        if region is None or number >= self.head or self._chunk_of[number] < 0:
            return True
        return bool(region.holds(self._chunk_of[number : number + 1])[0])

    def present(self, epoch: str, region: Region | None) -> Present:
        """The present state."""
        chunks = np.flatnonzero(self._newest >= 0)
        if region is not None:
            chunks = chunks[region.holds(chunks)]
        return Present(
            epoch,
            self.head,
            chunks.astype(np.uint32),
            self._newest[chunks].astype(np.uint64),
            self._sizes[chunks],
            self.parts,
            self._pairs["merges"].rows,
            self._pairs["verdicts"].rows,
            self._pairs["failed"].rows[:, 0],
            self._end,
        )


class _Rows:
    """Rows that grow at the end."""

    def __init__(self, width: int, kind: type[np.unsignedinteger]) -> None:
        self._flat = np.empty(0, kind)
        self._width, self._size = width, 0

    def add(self, rows: NDArray[np.unsignedinteger]) -> None:
        wanted = self._size + rows.size
        self._flat = grown(self._flat, self._size, wanted)
        self._flat[self._size : wanted] = rows.reshape(-1)
        self._size = wanted

    @property
    def rows(self) -> NDArray[np.unsignedinteger]:
        return self._flat[: self._size].reshape(-1, self._width)
