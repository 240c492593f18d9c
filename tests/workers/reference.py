"""The answer that a chunked run must reach, found the slow and plain way on the whole volume at once.

Nothing here shares code with the product: the labels come from cc3d on the full array, joined across
periodic seams by a union-find over every pair of neighbours, and the statistics from one loop over
all voxels with exact sums.  Ids are run-wide: 1 + C-order index of an object's lowest voxel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import cc3d
import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Flags, Grid, Triple
from streamer.wire.volume import Axis, AxisKind, Volume, floats

Ids = NDArray[np.uint64]
Field = NDArray[Any]
Areas = NDArray[np.float64]
NOWHERE = 0xFFFFFFFF


class StepStatistics(NamedTuple):
    """One object at one step; the columns of ``streamer.wire.block.STAT`` after ``step``."""

    voxels: int
    area_km2: float
    sum: float
    max: float
    weight: float
    moment: tuple[float, float, float, float]
    y_min: int
    y_max: int
    x_min: int
    x_max: int
    x_min_high: int
    x_max_low: int


class ObjectStatistics(NamedTuple):
    """One object: its steps in order, and the cells (y·nx + x) it covers at any step with their areas in km²."""

    steps: dict[int, StepStatistics]
    footprint: dict[int, float]


def neighbours(connectivity: int) -> Iterator[Triple]:
    """The offsets (z, y, x) to a voxel's 6, 18 or 26 neighbours."""
    apart = {6: 1, 18: 2, 26: 3}[connectivity]
    for z, y, x in product((-1, 0, 1), repeat=3):
        if 0 < abs(z) + abs(y) + abs(x) <= apart:
            yield z, y, x


def label_whole(field: Field, threshold: float, connectivity: int, periodic: Flags) -> Ids:
    """Labels of a whole volume (z, y, x) as run-wide ids, uint64; 0 where the field is < threshold or NaN."""
    # A margin of background, since cc3d 4.1 raises on some tiny masks such as 1 0 1.
    belongs = np.pad(np.asarray(field >= threshold), ((0, 1), (0, 1), (0, 1)))
    labels = cc3d.connected_components(belongs, connectivity=connectivity, out_dtype=np.uint32)[:-1, :-1, :-1]
    parent = list(range(int(labels.max(initial=0)) + 1))

    def root(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    for offset in neighbours(connectivity):
        near = np.roll(labels, [-step for step in offset], axis=(0, 1, 2))
        there = np.ones(labels.shape, bool)
        for axis, step in enumerate(offset):
            if step and not periodic[axis]:
                edge = [slice(None)] * 3
                edge[axis] = slice(-1, None) if step > 0 else slice(0, 1)
                there[tuple(edge)] = False
        met = there & (labels > 0) & (near > 0) & (labels != near)
        for a, b in set(zip(labels[met].tolist(), near[met].tolist(), strict=True)):
            parent[max(root(a), root(b))] = min(root(a), root(b))

    lowest: dict[int, int] = {}
    names = np.zeros(len(parent), np.uint64)
    for index, label in enumerate(labels.ravel().tolist()):
        if label:
            lowest.setdefault(root(label), index + 1)
    for label in range(1, len(parent)):
        names[label] = lowest[root(label)]
    return np.asarray(names[labels], np.uint64)


def object_statistics(
    labels: Ids, field: Field, volume: Volume, periodic: Flags, cell_area_km2: Areas | None = None
) -> dict[int, ObjectStatistics]:
    """Statistics of every id in ``labels`` (z, y, x), in order of id.  ``cell_area_km2`` is (y, x) of the volume."""
    voxels: dict[int, dict[int, list[Triple]]] = {}
    for z, y, x in np.argwhere(labels).tolist():
        voxels.setdefault(int(labels[z, y, x]), {}).setdefault(z, []).append((z, y, x))
    moment_of = _moments(volume, periodic)
    middle, width = volume.shape[2] // 2, volume.shape[2]
    found: dict[int, ObjectStatistics] = {}
    for name in sorted(voxels):
        steps: dict[int, StepStatistics] = {}
        footprint: dict[int, float] = {}
        for step in sorted(voxels[name]):
            here = voxels[name][step]
            areas = [0.0 if cell_area_km2 is None else float(cell_area_km2[y, x]) for _, y, x in here]
            weights = [1.0] * len(here) if cell_area_km2 is None else areas
            parts = [[w * m for m in moment_of(y, x)] for w, (_, y, x) in zip(weights, here, strict=True)]
            a, b, c, d = (math.fsum(column) for column in zip(*parts, strict=True))
            values = [float(field[at]) for at in here]
            ys, xs = [y for _, y, _ in here], [x for _, _, x in here]
            steps[step] = StepStatistics(
                len(here), math.fsum(areas), math.fsum(values), max(values), math.fsum(weights), (a, b, c, d),
                min(ys), max(ys), min(xs), max(xs),
                min((x for x in xs if x >= middle), default=NOWHERE),
                max((x for x in xs if x < middle), default=-1),
            )  # fmt: skip
            footprint |= {y * width + x: area for (_, y, x), area in zip(here, areas, strict=True)}
        found[name] = ObjectStatistics(steps, {} if cell_area_km2 is None else dict(sorted(footprint.items())))
    return found


def _moments(volume: Volume, periodic: Flags) -> Callable[[int, int], list[float]]:
    ys, xs = volume.axes[1].points.tolist(), volume.axes[2].points.tolist()

    def on_sphere(y: int, x: int) -> list[float]:
        lat, lon = math.radians(ys[y]), math.radians(xs[x])
        return [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat), 0.0]

    def along(points: list[float], index: int, wraps: bool) -> list[float]:
        phase = 2 * math.pi * (index + 0.5) / len(points)
        return [math.cos(phase), math.sin(phase)] if wraps else [points[index], 0.0]

    def flat(y: int, x: int) -> list[float]:
        return along(ys, y, periodic[1]) + along(xs, x, periodic[2])

    return on_sphere if volume.on_sphere else flat


def cut_block(field: Field, grid: Grid, chunk: int, halo: Triple = (0, 0, 0)) -> Field:
    """Core, pad and halo of a chunk (z, y, x) from the whole volume: periodic axes wrap, NaN beyond open ends."""
    core, pad = grid.core(chunk), grid.pad(chunk)
    starts = [a - h for a, h in zip(core.start, halo, strict=True)]
    stops = [b + p + h for b, p, h in zip(core.stop, pad, halo, strict=True)]
    block = np.full([b - a for a, b in zip(starts, stops, strict=True)], np.nan, field.dtype)
    for at in product(*(range(a, b) for a, b in zip(starts, stops, strict=True))):
        source = [i % n if wraps else i for i, n, wraps in zip(at, grid.shape, grid.periodic, strict=True)]
        if all(0 <= i < n for i, n in zip(source, grid.shape, strict=True)):
            block[tuple(i - a for i, a in zip(at, starts, strict=True))] = field[tuple(source)]
    return block


def plain_volume(shape: Triple) -> Volume:
    """A volume of no particular kind, with voxels of size 1 whose first centre lies at 0.5."""
    z, y, x = (_axis(name, "other", np.arange(n) + 0.5, np.ones(n)) for name, n in zip("zyx", shape, strict=True))
    return Volume("field", (z, y, x))


def globe_volume(shape: Triple) -> Volume:
    """Three-hourly steps of a whole globe: (time, latitude, longitude), longitude from 0° eastward."""
    nt, ny, nx = shape
    return Volume(
        "ivt",
        (
            _axis("time", "time", np.arange(nt) * 3.0, np.full(nt, 3.0), "hours since 2000-01-01"),
            _axis("lat", "latitude", (np.arange(ny) + 0.5) * 180 / ny - 90, np.full(ny, 180 / ny), "degrees_north"),
            _axis("lon", "longitude", np.arange(nx) * 360 / nx, np.full(nx, 360 / nx), "degrees_east"),
        ),
        "kg m-1 s-1",
    )


def globe_areas_km2(volume: Volume) -> Areas:
    """R²·Δλ·(sin φ₂ − sin φ₁) of every cell (y, x) of a globe."""
    lat, lon = volume.axes[1], volume.axes[2]
    north, south = np.radians(lat.points + lat.widths / 2), np.radians(lat.points - lat.widths / 2)
    band = 6371.0**2 * (np.sin(north) - np.sin(south))
    return np.asarray(band[:, None] * np.radians(lon.widths)[None, :], np.float64)


def _axis(name: str, kind: AxisKind, points: NDArray[Any], widths: NDArray[Any], units: str = "") -> Axis:
    calendar = "proleptic_gregorian" if kind == "time" else ""
    return Axis(name, kind, floats(points), floats(widths), units, calendar)
