"""A box that may reach beyond the volume, as pieces of it.  Pure.

On a periodic axis what lies beyond one end is what lies within the other, as often as it takes; on
other axes there is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from streamer.wire.grid import Box, Flags, Triple, triple
from streamer.wire.volume import Axis, Volume


class Span(NamedTuple):
    """A run of voxels along one axis: where it lies in the volume, and where in the box."""

    start: int
    stop: int
    at: int


class Piece(NamedTuple):
    """A box within the volume, and where it starts in the box that was asked for."""

    box: Box
    at: Triple

    @property
    def target(self) -> tuple[slice, slice, slice]:
        """Where it goes, as an index."""
        z, y, x = (slice(a, a + n) for a, n in zip(self.at, self.box.shape, strict=True))
        return z, y, x


def spans(start: int, stop: int, length: int, periodic: bool) -> list[Span]:
    """The runs of ``start`` … ``stop`` on an axis of ``length`` voxels, in order."""
    if not periodic:
        low, high = max(start, 0), min(stop, length)
        return [Span(low, high, low - start)] if low < high else []
    found = []
    here = start
    while here < stop:
        low = here % length
        size = min(length - low, stop - here)
        found.append(Span(low, low + size, here - start))
        here += size
    return found


def pieces(box: Box, shape: Triple, periodic: Flags) -> Iterator[Piece]:
    """The parts of a box that are in the volume."""
    along = [spans(a, b, n, p) for a, b, n, p in zip(box.start, box.stop, shape, periodic, strict=True)]
    for z, y, x in product(*along):
        yield Piece(Box((z.start, y.start, x.start), (z.stop, y.stop, x.stop)), (z.at, y.at, x.at))


def may_repeat(axis: Axis) -> bool:
    """Whether an axis of this kind can be periodic at all."""
    return axis.kind in ("longitude", "other")


def periodic_axes(volume: Volume) -> Flags:
    """Which axes wrap: those that are cut off at neither end, latitude from pole to pole excepted."""
    z, y, x = (may_repeat(axis) and axis.open_ends == (False, False) for axis in volume.axes)
    return z, y, x


def whole(shape: Triple) -> Box:
    """The box of all voxels."""
    return Box((0, 0, 0), triple(shape))
