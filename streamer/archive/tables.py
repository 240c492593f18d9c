"""The object tables as named columns: the same for the Zarr store and for the CSV files.

Names follow the volume's axes (``centroid_lat``, ``step_lon``, ``y_first``).  A column that holds times
carries numbers in the time axis' own units here; the CSV writes them as ISO 8601 in the axis' calendar.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.measures import Columns, Steps
from streamer.wire.volume import Axis, Volume

RESERVED = (
    "labels", "local", "chunk_state", "object", "object_step", "object_id", "first_time", "last_time", "first_step",
    "last_step", "lifetime_h", "voxels", "mean", "max", "footprint_km2", "area_time_km2_h", "touches_edge", "final",
    "step_object_id", "step_time", "step", "step_voxels", "step_area_km2", "step_mean", "step_max",
)  # fmt: skip
"""What the store calls its own variables and dimensions."""
_OWN_ENDS = ("_chunk", "_first", "_last")
_UNITS_IN_NAME = ("_h", "_km2")


class Column(NamedTuple):
    """One variable of a table, shape (rows,)."""

    name: str
    values: NDArray[Any]
    attributes: Mapping[str, str]
    steps: NDArray[np.int64] | None = None
    """For times: the steps that ``values`` are the times of."""

    @property
    def heading(self) -> str:
        """The name with its unit, as the CSV's header has it."""
        units = self.attributes.get("units", "")
        plain = not units or self.steps is not None or self.name.endswith(_UNITS_IN_NAME)
        return self.name if plain else f"{self.name} ({units})"


def axis_names(volume: Volume) -> tuple[str, str, str]:
    """The names of the store's dimensions: the axes' own, unless the store means something else by one."""
    names: list[str] = []
    for axis in volume.axes:
        name = axis.name + "_axis" if axis.name in RESERVED or axis.name.endswith(_OWN_ENDS) else axis.name
        while name in names:
            name += "_axis"
        names.append(name)
    return names[0], names[1], names[2]


def time_attributes(axis: Axis) -> dict[str, str]:
    """What makes numbers times for xarray."""
    told = {"units": axis.units, "calendar": axis.calendar}
    return {name: text for name, text in told.items() if text}


def time_values(axis: Axis, steps: NDArray[np.int64]) -> NDArray[Any]:
    """The times of steps; whole numbers where all the axis' points are whole, so that nothing is rounded."""
    points = axis.points
    whole = bool(np.isfinite(points).all() and (points == np.round(points)).all() and (np.abs(points) < 2**53).all())
    return points[steps].astype(np.int64) if whole else points[steps]


def object_columns(volume: Volume, found: Columns) -> list[Column]:
    """The objects, one row each, in the order of their ids."""
    (_, y, x), (_, y_axis, x_axis) = axis_names(volume), volume.axes
    field = volume.long_name or volume.variable
    made = [
        _column("object_id", found.object_id.astype(np.int64), "run-wide id, as in labels"),
        *_when(volume, "first", found.first_step, "first step of the object"),
        *_when(volume, "last", found.last_step, "last step of the object"),
        _column("lifetime_h", found.lifetime_h, "first to last time step, both included", "h"),
        _column("voxels", found.voxels, "voxels over all steps"),
        _column("mean", found.mean, f"mean of {field} over the voxels", volume.units),
        _column("max", found.max, f"maximum of {field}", volume.units),
        _column("footprint_km2", found.footprint_km2, "area of all cells covered at any step", "km2"),
        _column("area_time_km2_h", found.area_time_km2_h, "sum over the steps of area times duration", "km2 h"),
        _column(f"centroid_{y}", found.y, f"{y} of the centroid over all steps", y_axis.units),
        _column(f"centroid_{x}", found.x, f"{x} of the centroid over all steps", x_axis.units),
        _column(f"{y}_first", y_axis.points[found.y_first], f"first voxel along {y}", y_axis.units),
        _column(f"{y}_last", y_axis.points[found.y_last], f"last voxel along {y}", y_axis.units),
        _column(f"{x}_first", x_axis.points[found.x_first], f"first voxel along {x}; an object may cross the seam",
                x_axis.units),
        _column(f"{x}_last", x_axis.points[found.x_last], f"last voxel along {x}; an object may cross the seam",
                x_axis.units),
        _column("touches_edge", found.touches_edge, "reaches an end where the volume was cut off"),
        _column("final", found.final, "no chunk that was not segmented could touch it"),
    ]  # fmt: skip
    return [column for column in made if column is not None]


def step_columns(volume: Volume, life: Steps) -> list[Column]:
    """The lives of the objects, one row for each object and step."""
    (_, y, x), (_, y_axis, x_axis) = axis_names(volume), volume.axes
    field = volume.long_name or volume.variable
    made = [
        _column("step_object_id", life.object_id.astype(np.int64), "the object's run-wide id"),
        *_when(volume, "step", life.step, "the step"),
        _column("step_voxels", life.voxels, "voxels at the step"),
        _column("step_area_km2", life.area_km2, "area at the step", "km2"),
        _column("step_mean", life.mean, f"mean of {field} at the step", volume.units),
        _column("step_max", life.max, f"maximum of {field} at the step", volume.units),
        _column(f"step_{y}", life.y, f"{y} of the centroid at the step", y_axis.units),
        _column(f"step_{x}", life.x, f"{x} of the centroid at the step", x_axis.units),
    ]
    return [column for column in made if column is not None]


def csv_text(columns: Sequence[Column], times: Sequence[str]) -> str:
    """A table as CSV with a header; ``times`` are the ISO times of all steps of the volume."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow([column.heading for column in columns])
    out.writerows(zip(*(_plain(column, times) for column in columns), strict=True))
    return text.getvalue()


def _plain(column: Column, times: Sequence[str]) -> list[Any]:
    if column.steps is not None:
        return [times[step] for step in column.steps.tolist()]
    flags = column.values.dtype == np.bool_
    values: list[Any] = (column.values.astype(np.uint8) if flags else column.values).tolist()
    return values


def _column(name: str, values: NDArray[Any] | None, long_name: str, units: str = "") -> Column | None:
    if values is None:
        return None
    return Column(name, values, {"long_name": long_name} | ({"units": units} if units else {}))


def _when(volume: Volume, name: str, steps: NDArray[np.int64], long_name: str) -> list[Column]:
    """Times where axis 0 is time, else indices along it together with its coordinate."""
    axis = volume.axes[0]
    if volume.has_time:
        attributes = {"long_name": f"time of the {long_name}".replace("the the", "the"), **time_attributes(axis)}
        return [Column(f"{name}_time", time_values(axis, steps), attributes, steps)]
    index = Column(f"{name}_step" if name != "step" else "step", steps, {"long_name": f"{long_name}, from 0"})
    return [index]
