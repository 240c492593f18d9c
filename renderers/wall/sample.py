"""A made-up run for trying a wall out: rivers of vapour on a turning Earth, as a feed would bring them.

Small, but with all that has ever shown at a seam: surfaces in many chunks, objects across the date line and across
chunk faces, coastlines, fine lines, a field.  Invented from a few sines; it says nothing of any weather.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from renderers.entries import Arrived, Event, Started
from renderers.scene import Piece
from streamer.wire.block import pack_seam, seam_of
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Triple
from streamer.wire.volume import Axis, AxisKind, RunSpec, Source, Volume, floats

SHAPE: Triple = (24, 45, 90)
CHUNK: Triple = (8, 15, 18)
RANGE = (0.0, 1.0)
_STREAMS = 14


def spec(shape: Triple = SHAPE, chunk: Triple = CHUNK) -> RunSpec:
    """What the made-up run works on: (time, latitude, longitude) of the whole Earth; small unless told otherwise."""
    steps, rows, columns = shape
    axes = (
        _axis("time", np.arange(steps) * 6.0, "hours since 2000-01-01"),
        _axis("latitude", -90 + (np.arange(rows) + 0.5) * 180 / rows, "degrees_north"),
        _axis("longitude", -180 + (np.arange(columns) + 0.5) * 360 / columns, "degrees_east"),
    )
    volume = Volume("vapour", axes, "1", title="Invented, to try a wall out")
    grid = Grid(shape, chunk, (False, False, True))
    return RunSpec("trial", Source("nowhere", "vapour"), volume, grid, "connect", layers=("field",), field_range=RANGE)


def events(shape: Triple = SHAPE, chunk: Triple = CHUNK) -> Iterator[Event]:
    """The run from its start, as its feed would bring it."""
    run = spec(shape, chunk)
    field, labels = _vapour(shape)
    yield Started(run, "trial")
    for number in range(run.grid.size):
        yield Arrived(number, "chunk", 0, _piece(run.grid, number, field, labels))
    yield Arrived(run.grid.size, "end", 0, state="complete")


def _axis(kind: AxisKind, points: NDArray[np.floating], units: str) -> Axis:
    return Axis(kind, kind, floats(points), floats(np.full(len(points), points[1] - points[0])), units)


def _vapour(shape: Triple) -> tuple[NDArray[np.float64], Labels]:
    """The field, 0…1, and the streams in it, numbered from 1; both (z, y, x)."""
    t, lat, lon = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij", sparse=True)
    field = np.zeros(shape)
    labels = np.zeros(shape, np.uint32)
    for k in range(_STREAMS):
        start, speed = k / _STREAMS, 0.3 + 0.05 * (k % 4)
        east = (lon - start - speed * t + 0.5) % 1 - 0.5
        spine = 0.18 + 0.64 * ((k * 5) % _STREAMS) / _STREAMS + 0.05 * np.sin(2 * np.pi * (6 * east + t + start))
        wide = 0.032 + 0.008 * np.sin(2 * np.pi * (2 * t + start))
        long = 0.11 + 0.03 * np.cos(2 * np.pi * (t - start))
        strength = np.exp(-(((lat - spine) / wide) ** 2) - (east / long) ** 2)
        here = (strength > 0.35) & (strength > field)
        labels[here] = k + 1
        field = np.maximum(field, strength)
    return field, labels


def _piece(grid: Grid, chunk: int, field: NDArray[np.float64], labels: Labels) -> Piece:
    """A chunk: core and pad cut out, labels numbered from 1, own ones first."""
    core, shape = grid.core(chunk), grid.block_shape(chunk)
    places = [np.arange(a, a + n) % total for a, n, total in zip(core.start, shape, grid.shape, strict=True)]
    block = labels[np.ix_(*places)]
    inner = block[tuple(slice(0, n) for n in core.shape)]
    own = np.setdiff1d(inner, [0])
    rest = np.setdiff1d(np.setdiff1d(block, [0]), own)
    local = np.zeros(_STREAMS + 1, np.uint32)
    local[np.concatenate([own, rest])] = np.arange(1, len(own) + len(rest) + 1)
    ids = np.array([1 + int(np.argmax((labels == k).ravel())) for k in own.tolist()], np.uint64)
    made = np.ascontiguousarray(local[block])
    voxels = np.bincount(local[inner].ravel(), minlength=len(own) + len(rest) + 1)
    bytes_ = np.round(1 + 254 * field[core.slices]).astype(np.uint8)
    seam = pack_seam(seam_of(grid, chunk, made))
    return Piece(chunk, made, len(own), len(own) + len(rest), ids, seam, voxels, field=bytes_)
