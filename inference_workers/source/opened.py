"""An inspected volume, open for reading: one box at a time, of one file or of many.

A box may reach beyond the volume.  Of many files only a few are open at any time, the least recently used
goes first.  Memory is what the box takes (twice while it is put in order) and the files' own chunks.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from inference_workers.source import address, axes, cells, cf, joined
from inference_workers.source.pieces import periodic_axes, pieces, spans
from inference_workers.source.records import AnyArray, Header, InputError, OpenFile, VariableFacts
from streamer.wire.grid import Box, triple
from streamer.wire.volume import Floats, Source, Volume

OPEN_FILES = 16


def open_path(path: str, variable: str | None) -> OpenFile:
    """Opens one file by what it is.  ``variable`` may name a group: GROUP/NAME.  Raises InputError."""
    kind = address.format_of(path)
    if kind == "npy":
        from inference_workers.source.engine_array import open_npy

        return open_npy(path)
    if kind == "zarr" and not path.startswith(("http", "s3", "gs")) and _is_zarr_array(path):
        from inference_workers.source.engine_array import open_zarr_array

        return open_zarr_array(path)
    from inference_workers.source.engine_xarray import open_file

    group = variable.rpartition("/")[0].strip("/") if variable else ""
    return open_file(path, kind, group)


def _is_zarr_array(path: str) -> bool:
    if (Path(path) / ".zarray").exists():
        return True
    node = Path(path) / "zarr.json"
    try:
        return node.exists() and json.loads(node.read_bytes()).get("node_type") == "array"
    except (ValueError, AttributeError):
        return False


def float_type(decoded: np.dtype[Any]) -> np.dtype[np.floating]:
    """What voxels are handed out as: float32 where that holds every value exactly, else float64.

    float32 for booleans, integers of 8 and 16 bits and floats up to 32 bits; float64 for all else, such as
    packed data, which xarray unpacks by its float64 scale factor.
    """
    small = decoded.kind == "b" or (decoded.kind in "iu" and decoded.itemsize <= 2)
    return np.dtype(np.float32 if small or (decoded.kind == "f" and decoded.itemsize <= 4) else np.float64)


class Files:
    """The files of a volume, in the order of time, and the few that are open."""

    def __init__(self, plan: joined.Plan, variable: str, first: OpenFile | None = None) -> None:
        self._plan, self._variable = plan, variable
        self._starts = [0, *accumulate(plan.counts)]
        self._open: OrderedDict[int, OpenFile] = OrderedDict()
        if first is not None:
            self._open[0] = first

    def get(self, number: int) -> OpenFile:
        """The file of that number, opened if need be."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        while len(self._open) >= OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        self._open[number] = open_path(self._plan.paths[number], self._variable)
        return self._open[number]

    def along_time(self, start: int, stop: int) -> Sequence[tuple[int, int, int]]:
        """The files that hold these steps: number, first and last (exclusive) step within the file."""
        if len(self._plan.paths) == 1:
            return [(0, start, stop)]
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        found = []
        for number in range(first, len(self._plan.counts)):
            low, high = self._starts[number], self._starts[number + 1]
            if low >= stop:
                break
            found.append((number, max(start, low) - low, min(stop, high) - low))
        return found

    def close(self) -> None:
        """Closes what is open."""
        while self._open:
            self._open.popitem()[1].close()


class OpenVolume:
    """A volume to read from; see ``open_source``."""

    def __init__(self, volume: Volume, files: Files, variable: str, area: Floats | None) -> None:
        facts = files.get(0).header.variables[variable]
        self._files, self._variable, self._area = files, variable, area
        self._names = tuple(axis.name for axis in volume.axes)
        self._shape, self._periodic = volume.shape, periodic_axes(volume)
        self.dtype = float_type(facts.dtype)
        """float32 or float64: what ``read`` returns."""

    def read(self, box: Box) -> NDArray[np.floating]:
        """Voxels of a box, shape ``box.shape`` (z, y, x), ``dtype``; NaN where there is nothing.

        The box may begin below 0 and end beyond the volume: periodic axes wrap, others give NaN.
        Raises InputError if a file does not give its data any more.
        """
        found = list(pieces(box, self._shape, self._periodic))
        if len(found) == 1 and found[0].box.shape == box.shape:
            return self._inside(found[0].box)
        out = np.full(box.shape, np.nan, self.dtype)
        for piece in found:
            out[piece.target] = self._inside(piece.box)
        return out

    def cell_area_km2(self, y: slice, x: slice) -> Floats | None:
        """Areas of cells in km², float64, shape (y, x), or None if the volume does not lie on the sphere.

        Slices of voxels that may reach beyond the volume as ``read`` may; NaN where there is no cell.
        """
        if self._area is None:
            return None
        _, ny, nx = self._shape
        out = np.full((y.stop - y.start, x.stop - x.start), np.nan)
        for row in spans(y.start, y.stop, ny, self._periodic[1]):
            for column in spans(x.start, x.stop, nx, self._periodic[2]):
                area = self._area[row.start : row.stop, column.start : column.stop]
                out[row.at : row.at + area.shape[0], column.at : column.at + area.shape[1]] = area
        return out

    def close(self) -> None:
        """Closes the files."""
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _inside(self, box: Box) -> NDArray[np.floating]:
        (z, y, x), (z_stop, y_stop, x_stop) = box
        parts = [
            self._of_file(self._files.get(number), Box((start, y, x), (stop, y_stop, x_stop)))
            for number, start, stop in self._files.along_time(z, z_stop)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _of_file(self, file: OpenFile, box: Box) -> NDArray[np.floating]:
        facts = file.header.variables.get(self._variable)
        if facts is None:
            raise InputError(f"{file.header.where} has no variable {self._variable!r} any more: start the run again.")
        slices = dict(zip(self._names, box.slices, strict=True))
        raw = file.read(self._variable, tuple(slices.get(d, 0) for d in facts.dims))
        kept = [d for d in facts.dims if d in slices]
        data = raw.transpose([kept.index(name) for name in self._names])
        if data.shape != box.shape:
            raise InputError(f"{file.header.where} has become shorter since it was inspected: start the run again.")
        return np.require(data, self.dtype, ["C", "W"])  # the caller may write into what it got


def open_source(source: Source, volume: Volume) -> OpenVolume:
    """See ``inference_workers.source.open_source``."""
    found = address.resolve(source.address)
    if found.joined:
        plan = joined.recall(found.files, source.coordinates, source.address)
    else:
        plan = joined.Plan(found.files, (volume.shape[0],))
    first = open_path(plan.paths[0], source.variable)
    try:
        return open_volume(volume, source.variable, plan, first)
    except BaseException:
        first.close()
        raise


def open_volume(volume: Volume, variable: str, plan: joined.Plan, first: OpenFile) -> OpenVolume:
    """A volume of which the first file is open already.  Raises InputError if that is not what was inspected."""
    header = first.header
    facts = header.variables.get(variable)
    names = [axis.name for axis in volume.axes]
    if facts is None or not set(names) <= set(facts.dims):
        raise InputError(f"{header.where} has no variable {variable!r} over {', '.join(names)}: inspect it again.")
    there = triple(tuple(facts.shape[facts.dims.index(name)] for name in names))
    least = (plan.counts[0], *volume.shape[1:])
    if any(have < need for have, need in zip(there, least, strict=True)):
        raise InputError(
            f"{header.where} holds {there} voxels now and {least} when it was inspected: start the run again."
        )
    return OpenVolume(volume, Files(plan, variable, first), variable, _area(header, first, facts, volume))


def _area(header: Header, file: OpenFile, facts: VariableFacts, volume: Volume) -> Floats | None:
    """Areas of all cells in km², shape (y, x); the file's own where it has them."""
    if not volume.on_sphere:
        return None
    _, rows, columns = volume.axes
    latitude = cf.coordinate_of(header, rows.name, facts)
    bounds = axes.bounds_of(header, file.values, latitude)
    if bounds is not None and not cells.usable_bounds(bounds, rows.points):
        bounds = None
    counted = cells.cell_area_km2(cells.latitude_edges(rows.points, bounds), columns.widths)
    own = measured_area(header, facts, (rows.name, columns.name))
    if own is not None:
        to_km2 = area_unit_km2(own)
        assert to_km2 is not None, "measured_area has looked at the units"
        raw: AnyArray = file.read(own.name, tuple(slice(None) if n > 1 or d in (rows.name, columns.name) else 0
                                                  for d, n in zip(own.dims, own.shape, strict=True)))  # fmt: skip
        kept = [d for d in own.dims if d in (rows.name, columns.name)]
        area = raw.T if kept[0] == columns.name else raw
        told = np.asarray(area[: len(rows), : len(columns)], np.float64) * to_km2
        # Such a file leaves out the cells that do not concern it, land for instance; an object may still lie there.
        return np.where(np.isfinite(told) & (told >= 0), told, counted)
    return counted


def measured_area(header: Header, facts: VariableFacts, yx: tuple[str, str]) -> VariableFacts | None:
    """The variable that ``cell_measures`` names as the cells' area, if the file has it over (y, x) in m² or km²."""
    words = facts.text("cell_measures").split()
    for key, name in pairwise(words):
        area = header.variables.get(name)
        if key != "area:" or area is None or area.dtype.kind not in "iuf" or area_unit_km2(area) is None:
            continue
        if set(yx) <= set(area.dims) and all(n == 1 or d in yx for d, n in zip(area.dims, area.shape, strict=True)):
            return area
    return None


def area_unit_km2(area: VariableFacts) -> float | None:
    """km² in one unit of an area variable; None if the unit is none of area."""
    unit = area.text("units").lower().replace("^", "").replace("**", "").replace(" ", "")
    return {"m2": 1e-6, "metre2": 1e-6, "meter2": 1e-6, "km2": 1.0}.get(unit)
