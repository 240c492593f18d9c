"""Which voxels of a volume are compared, and by which blocks of time and regions they are told apart.  Pure.

What a network was trained on counts nowhere unless it is asked for.  A voxel belongs to a region if its
centre lies in it, both ends included; a region may cross the date line (west larger than east).  Objects
that reach beyond what is compared are cut there, on both sides alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.model import Training
from inference_workers.ffn.training_choice import between
from inference_workers.source.times import epoch_text, say
from streamer.wire.volume import Axis, Volume

Mask = NDArray[np.bool_]
BANDS = (-90, -60, -30, 0, 30, 60, 90)
MOST_BLOCKS = 24


class Region(NamedTuple):
    """A part of the (y, x) plane by its ends: south, north, west, east in degrees, or low and high y and x."""

    name: str
    south: float
    north: float
    west: float
    east: float


class Part(NamedTuple):
    """A region as cells, (y, x)."""

    name: str
    cells: Mask


class Block(NamedTuple):
    """Steps ``first`` … ``stop`` − 1."""

    name: str
    first: int
    stop: int


class Domain(NamedTuple):
    """What is compared."""

    steps: Mask
    """(z,)"""
    cells: Mask
    """(y, x)"""
    seen_steps: Mask
    """Steps of training, (z,); they do not count in ``seen_cells``."""
    seen_cells: Mask
    parts: list[Part]
    blocks: list[Block]

    def counts(self, first: int, stop: int) -> Mask:
        """Which voxels of these steps are compared, (z, y, x)."""
        seen = self.seen_steps[first:stop, None, None] & self.seen_cells
        return np.asarray(self.steps[first:stop, None, None] & self.cells & ~seen)

    @property
    def any_seen(self) -> bool:
        """Whether training takes anything away."""
        steps, cells = self.steps & self.seen_steps, self.cells & self.seen_cells
        return bool(steps.any() and cells.any())


def read_region(text: str) -> Region:
    """``NAME=S,N,W,E`` or ``S,N,W,E``.  Raises ValueError, one sentence."""
    name, equals, numbers = text.rpartition("=")
    try:
        south, north, west, east = (float(part) for part in numbers.split(","))
    except ValueError:
        south = north = west = east = math.nan
    if not all(map(math.isfinite, (south, north, west, east))) or south > north or (equals and not name.strip()):
        raise ValueError(
            f"a region is NAME=SOUTH,NORTH,WEST,EAST in degrees (or low and high y and x), south first, not {text!r}"
        )
    return Region(name.strip() or numbers, south, north, west, east)


def cells_of(region: Region, volume: Volume) -> Mask:
    """The cells (y, x) whose centres lie in a region.  Raises ValueError if there are none."""
    rows, columns = volume.axes[1].points, volume.axes[2].points
    across = (rows >= region.south) & (rows <= region.north)
    if volume.axes[2].kind == "longitude":
        # Degrees east of the western end, on the circle; 360 or more is all of it.
        reach = region.east - region.west
        along = (columns - region.west) % 360 <= (reach if 0 <= reach < 360 else 360 if reach >= 360 else reach % 360)
    else:
        along = (columns >= region.west) & (columns <= region.east)
    found = np.asarray(across[:, None] & along[None, :])
    if not found.any():
        y, x = (f"{a.name} {float(a.points.min()):g} to {float(a.points.max()):g}" for a in volume.axes[1:])
        raise ValueError(f"region {region.name} holds no cell of the volume, which has {y} and {x}")
    return found


def steps_of(volume: Volume, intervals: Sequence[str], option: str = "--interval") -> Mask:
    """The steps of intervals ``A:B`` (see ``training_choice.between``), (z,); all if there is none."""
    axis = volume.axes[0]
    if not intervals:
        return np.ones(len(axis), np.bool_)
    found = np.zeros(len(axis), np.bool_)
    for text in intervals:
        first, stop = between(axis, text, option)
        found[first:stop] = True
    return found


def seen(training: Training | None, volume: Volume) -> tuple[Mask, Mask]:
    """What a training has seen of a volume: steps (z,) and cells (y, x).

    By dates where both have them, whatever file they are from: the same days in another file are the same weather.
    Else by number of the step.
    """
    axis, cells = volume.axes[0], np.zeros(volume.shape[1:], np.bool_)
    steps = np.zeros(len(axis), np.bool_)
    if training is None:
        return steps, cells
    dated = axis.kind == "time" and bool(epoch_text(axis.units))
    if training.times and dated:
        said = np.array(instants(axis))
        for first, last in training.times:
            steps |= (said >= _plain(first)) & (said <= _plain(last))
    else:
        for start, stop in training.steps:
            steps[start:stop] = True
    if training.region is None:
        return steps, ~cells
    try:
        return steps, cells_of(Region("of training", *training.region), volume)
    except ValueError:
        return steps, cells


def instants(axis: Axis) -> list[str]:
    """What each step is called: date and time, to the minute, in one width, so that words sort as times; else its
    coordinate."""
    return [_plain(say(float(p), axis.units, axis.calendar)) if axis.kind == "time" else f"{p:g}" for p in axis.points]


def _plain(instant: str) -> str:
    return instant.replace("T", " ").removesuffix("Z")[:16]


def blocks(steps: Mask, names: Sequence[str], length: int = 0) -> list[Block]:
    """The compared steps in blocks of ``length`` steps, counted from the first; 0: two dozen blocks at most."""
    there = np.flatnonzero(steps)
    if not len(there):
        return []
    first, stop = int(there[0]), int(there[-1]) + 1
    length = length or -(-(stop - first) // MOST_BLOCKS)
    made = [Block(names[a], a, min(a + length, stop)) for a in range(first, stop, length)]
    return [block for block in made if steps[block.first : block.stop].any()]


def parts(volume: Volume, regions: Sequence[Region]) -> list[Part]:
    """The regions as cells; without any, bands of 30 degrees of latitude, or else quarters."""
    if regions:
        return [Part(region.name, cells_of(region, volume)) for region in regions]
    rows, columns = volume.axes[1].points, volume.axes[2].points
    if volume.axes[1].kind == "latitude":
        bands = [Part(_band(a, b), _rows(volume, (rows >= a) & ((rows < b) | (b == 90)))) for a, b in pairwise(BANDS)]
        bands = [band for band in bands if band.cells.any()]
        if len(bands) > 2:
            return bands[::-1]
    middle_y, middle_x = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    names = (("south", "north"), ("west", "east")) if volume.on_sphere else (("low y", "high y"), ("low x", "high x"))
    found = []
    for north in (True, False):
        for east in (False, True):
            cells = ((rows >= middle_y) == north)[:, None] & ((columns >= middle_x) == east)[None, :]
            found.append(Part(f"{names[0][north]} {names[1][east]}", np.asarray(cells)))
    return [part for part in found if part.cells.any()]


def _rows(volume: Volume, rows: NDArray[np.bool_]) -> Mask:
    return np.repeat(rows[:, None], volume.shape[2], axis=1)


def _band(low: int, high: int) -> str:
    low, high, half = (low, high, "N") if low >= 0 else (-high, -low, "S")
    return f"{low}–{high}° {half}"
