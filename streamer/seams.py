"""The front of a run: where committed chunks meet, and which of them nothing can touch any more.

A block's pad shows a layer of voxels that its neighbours own (or several, ``Grid.compared``).  As soon as
both are there, in either order, its labels of them are matched with the owner's by the segmenter's rule
(``RULES``).  A chunk is *closed* once it and all 26 around it are committed or failed; its seam is let go
then, so memory follows the front and not the volume.  All is counted, never scanned: a commit costs no more
late in a run than early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import Seam
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Shared
from streamer.wire.header import Refused
from streamer.wire.status import COMMITTED, FAILED, PENDING

Pairs = NDArray[np.uint32]
MatchRule = Callable[[Labels, Labels], Pairs]
"""Labels of one piece of pad, once as the block has them and once as their owner has them, (z, y, x) → the labels
(in the block, at the owner) that are one, shape (n, 2), each > 0."""


def same_voxel(pad: Labels, owned: Labels) -> Pairs:
    """Two labels at the same voxel are one: right where both blocks label it alike, as CONNECT does."""
    both = (pad > 0) & (owned > 0)
    if not both.any():
        return np.empty((0, 2), np.uint32)
    return _pairs(np.unique(pad[both].astype(np.uint64) << np.uint64(32) | owned[both]))


def _pairs(codes: NDArray[np.uint64]) -> Pairs:
    pairs: Pairs = np.column_stack((codes >> np.uint64(32), codes & np.uint64(0xFFFF_FFFF))).astype(np.uint32)
    return pairs


SMALLER_SHARED = 0.5
EITHER_SHARED = 0.3


def overlapping(pad: Labels, owned: Labels) -> Pairs:
    """Two labels are one if they share half of the smaller one's voxels, or three tenths of both together: right where
    two blocks may draw an object's outline a little differently, as networks do.

    Only faces are looked at: on a line or at a corner, neighbours that are two could share all there is.
    """
    both = (pad > 0) & (owned > 0)
    if not both.any():
        return np.empty((0, 2), np.uint32)
    codes, shared = np.unique(pad[both].astype(np.uint64) << np.uint64(32) | owned[both], return_counts=True)
    pairs: Pairs = _pairs(codes)
    there, here = (_sizes(labels, pairs[:, side]) for side, labels in enumerate((pad, owned)))
    one = (shared >= SMALLER_SHARED * np.minimum(there, here)) | (shared >= EITHER_SHARED * (there + here - shared))
    joined: Pairs = pairs[one]
    return joined


def _sizes(labels: Labels, names: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Voxels of each of the named labels."""
    known, counts = np.unique(labels, return_counts=True)
    return np.asarray(counts[np.searchsorted(known, names)], np.int64)


RULES: dict[str, MatchRule] = {"voxel": same_voxel, "overlap": overlapping}
"""By the names of ``RunSpec.joins``."""

_FACES_ONLY = frozenset({overlapping})


class Joined(NamedTuple):
    """Labels of ``chunk``'s block that are one with labels of ``owner``'s, pairs (n, 2)."""

    chunk: int
    owner: int
    pairs: Pairs


class Advance(NamedTuple):
    """What a commit or a failure brings: joins, and the committed chunks that are closed by it."""

    joined: list[Joined]
    closed: list[int]


class _Held(NamedTuple):
    seam: Seam
    pieces: tuple[Shared, ...]


class Seams:
    """The state of each chunk, and the seams of those that are committed but not closed."""

    def __init__(self, grid: Grid, joins: MatchRule = same_voxel) -> None:
        self._grid = grid
        self._joins = joins
        self._state = bytearray(grid.size)  # PENDING is 0; single bytes are read faster than from an array
        self._waits_for = bytearray(grid.size)  # of committed chunks: pending ones around
        self._held: dict[int, _Held] = {}

    @property
    def held(self) -> int:
        """Seams kept for neighbours that are still to come."""
        return len(self._held)

    def check(self, chunk: int) -> None:
        """Raises Refused unless the chunk is still to come."""
        if not 0 <= chunk < self._grid.size:
            raise Refused(f"chunk {chunk} is not one of the grid's {self._grid.size}")
        if self._state[chunk] != PENDING:
            word = "has failed" if self._state[chunk] == FAILED else "is committed"
            raise Refused(f"chunk {chunk} {word} already")

    def commit(self, chunk: int, seam: Seam | None) -> Advance:
        """A chunk's seam; None if no face carries a label.  Raises Refused if the chunk is not pending."""
        self.check(chunk)
        around = self._grid.around(chunk)
        joined: list[Joined] = []
        if seam is not None:
            # The pieces are cut once and kept with the seam: that is most of what a commit costs.
            self._held[chunk] = _Held(seam, tuple(self._pieces(chunk)))
            joined = self._match(chunk)
            for other in sorted(around & self._held.keys()):
                joined += self._match(other, chunk)
        self._state[chunk] = COMMITTED
        self._waits_for[chunk] = sum(self._state[other] == PENDING for other in around)
        return Advance(joined, self._close(around, chunk))

    def fail(self, chunk: int) -> Advance:
        """The chunk will bring nothing.  Raises Refused if it is not pending."""
        self.check(chunk)
        self._state[chunk] = FAILED
        return Advance([], self._close(self._grid.around(chunk), None))

    def _pieces(self, chunk: int) -> Iterator[Shared]:
        """The pieces of a chunk's pad that the rule looks at."""
        for shared in self._grid.shared(chunk):
            if self._joins not in _FACES_ONLY or sum(start > 0 for start in shared.in_block.start) == 1:
                yield shared

    def _match(self, chunk: int, only: int | None = None) -> list[Joined]:
        """Joins between ``chunk``'s pad and the cores of its owners, or of one of them, as far as both are there."""
        held = self._held[chunk]
        joined = []
        for shared in held.pieces:
            other = self._held.get(shared.owner) if only is None or shared.owner == only else None
            if other is not None:
                pairs = self._joins(*self._both(held.seam, other.seam, shared))
                if len(pairs):
                    joined.append(Joined(chunk, shared.owner, pairs))
        return joined

    def _both(self, mine: Seam, theirs: Seam, shared: Shared) -> tuple[Labels, Labels]:
        """Labels of one piece of voxels as a block has them and as their owner has them: of the pad, or of a slab."""
        if self._joins in _FACES_ONLY:
            axis = next(a for a, start in enumerate(shared.in_block.start) if start > 0)
            beyond, within = mine.beyond[axis], theirs.within[axis]
            if beyond is not None and within is not None:
                return beyond, within
        return mine.pad(shared), theirs.owned(shared)

    def _close(self, around: frozenset[int], chunk: int | None) -> list[int]:
        closed = [] if chunk is None or self._waits_for[chunk] else [chunk]
        for other in around:
            if self._state[other] == COMMITTED:
                self._waits_for[other] -= 1
                if not self._waits_for[other]:
                    closed.append(other)
        for done in closed:
            self._held.pop(done, None)
        return sorted(closed)
