"""Runs to draw: volumes, labels, and the chunks that a worker would make of them."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray

from renderers.entries import Arrived, unpack
from renderers.follow import PARTS as WANTED
from renderers.follow import Take
from renderers.scene import Piece
from streamer.wire.block import PARTS, STAT, Segmented, pack
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Triple
from streamer.wire.header import encode
from streamer.wire.messages import FETCHED, Commit, Entry
from streamer.wire.volume import Axis, RunSpec, Source, Volume, floats


def axis(kind: str, points: Sequence[float], units: str = "", calendar: str = "", name: str = "") -> Axis:
    """An axis with evenly wide voxels."""
    step = abs(points[1] - points[0]) if len(points) > 1 else 1.0
    return Axis(name or kind, kind, floats(points), floats([step] * len(points)), units, calendar)  # type: ignore[arg-type]  # spelt right


def earth(shape: Triple, title: str = "Simulated transport") -> Volume:
    """A volume of (time, latitude, longitude) over the whole globe."""
    z, y, x = shape
    lat = np.linspace(-90 + 90 / y, 90 - 90 / y, y)
    lon = np.arange(x) * 360 / x
    return Volume(
        "ivt",
        (
            axis("time", [3.0 * i for i in range(z)], "hours since 1959-01-02", "standard"),
            axis("latitude", lat.tolist(), "degrees_north"),
            axis("longitude", lon.tolist(), "degrees_east"),
        ),
        "kg m-1 s-1",
        title=title,
    )


def plain(shape: Triple) -> Volume:
    """A volume of (z, y, x) in micrometres."""
    z, y, x = (
        axis("other", [float(i) for i in range(n)], "um", name=name) for n, name in zip(shape, "zyx", strict=True)
    )
    return Volume("em", (z, y, x), title="Tissue")


def spec_of(volume: Volume, chunk: Triple, periodic: tuple[bool, bool, bool] = (False, False, False)) -> RunSpec:
    """A run over a volume."""
    return RunSpec("run-1", Source("/nowhere", volume.variable), volume, Grid(volume.shape, chunk, periodic), "connect")


def blobs(shape: Triple, seed: int = 1, level: float = 0.62) -> Labels:
    """Labels of a few smooth blobs, (z, y, x) uint32."""
    rng = np.random.default_rng(seed)
    field = rng.random(shape)
    for a in range(3):
        field = (field + np.roll(field, 1, a) + np.roll(field, -1, a)) / 3
    mask = field > np.quantile(field, level)
    return np.asarray(cc3d.connected_components(mask, connectivity=26), np.uint32)


def block_of(grid: Grid, chunk: int, labels: Labels) -> Labels:
    """Core and pad of a chunk, cut from the whole volume; wraps on periodic axes."""
    core, shape = grid.core(chunk), grid.block_shape(chunk)
    index = [np.arange(a, a + n) % total for a, n, total in zip(core.start, shape, grid.shape, strict=True)]
    return np.ascontiguousarray(labels[np.ix_(*index)])


def payloads_of(grid: Grid, chunk: int, labels: Labels) -> list[bytes]:
    """The payloads of a chunk's entry as a renderer gets them: header, labels, seam, ids."""
    commit, payloads = packed(grid, chunk, labels)
    return [encode(commit), *(payloads[PARTS.index(name)] for name in WANTED)]


def coarse_of(grid: Grid, chunk: int, labels: Labels) -> Piece:
    """A chunk as it comes out of the feed at half the resolution."""
    commit, payloads = packed(grid, chunk, labels, layers=("labels1",))
    wanted = [payloads[len(PARTS)], *(payloads[PARTS.index(name)] for name in WANTED[1:])]
    arrived = unpacked(grid, Take(Entry(0, FETCHED, "chunk"), [encode(commit), *wanted], 0, level=1))
    assert arrived.piece is not None
    return arrived.piece


def packed(grid: Grid, chunk: int, labels: Labels, layers: tuple[str, ...] = ()) -> tuple[Commit, list[bytes]]:
    """A chunk as a worker sends it."""
    whole = block_of(grid, chunk, labels)
    nz, ny, nx = grid.core(chunk).shape
    core = whole[:nz, :ny, :nx]
    # As `connect` does: the components of the block by itself, own ones first.
    alone = np.zeros(whole.shape, np.uint32)
    number = 0
    for label in np.unique(whole[whole > 0]):
        parts, n = cc3d.connected_components(whole == label, connectivity=26, return_N=True)
        alone[parts > 0] = parts[parts > 0] + number
        number += n
    own = np.unique(alone[:nz, :ny, :nx])
    own = own[own > 0]
    rest = np.setdiff1d(np.unique(alone[alone > 0]), own)
    order = np.zeros(number + 1, np.uint32)
    order[own] = np.arange(1, len(own) + 1)
    order[rest] = np.arange(len(own) + 1, number + 1)
    local = order[alone]
    start = grid.core(chunk).start
    ids = np.zeros(len(own), np.uint64)
    for i in range(len(own)):
        z, y, x = (int(v[0]) for v in np.nonzero(local[:nz, :ny, :nx] == i + 1))
        ids[i] = 1 + np.ravel_multi_index((z + start[0], y + start[1], x + start[2]), grid.shape)
    stats = np.zeros(len(own), STAT)
    stats["label"] = np.arange(1, len(own) + 1)
    assert core.shape == grid.core(chunk).shape
    return pack(grid, chunk, 1, Segmented(local, len(own), number, ids, stats, None), layers=layers)


def unpacked(grid: Grid, take: Take) -> Arrived:
    """An entry that the log holds, as it comes out of the feed."""
    arrived = unpack(grid, take)
    assert isinstance(arrived, Arrived)
    return arrived


def piece_of(grid: Grid, chunk: int, labels: Labels, number: int = 0) -> Piece:
    """A chunk as it comes out of the feed."""
    payloads = payloads_of(grid, chunk, labels)
    arrived = unpacked(grid, Take(Entry(number, number - 1, "chunk"), payloads, sum(map(len, payloads))))
    assert arrived.piece is not None
    return arrived.piece


def pairs(*rows: tuple[int, int]) -> NDArray[np.uint64]:
    """Merges or verdicts."""
    return np.array(rows, np.uint64).reshape(-1, 2)
