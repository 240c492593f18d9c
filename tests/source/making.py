"""Makes the files that the tests of the input read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from inference_workers.source import Inspection, InspectRequest, inspect, open_source
from inference_workers.source.records import Header, VariableFacts
from streamer.wire.grid import Box

NORTH = {"units": "degrees_north"}
EAST = {"units": "degrees_east"}


def hours(since: str = "2000-01-01", **more: str) -> dict[str, str]:
    """Attributes of a time coordinate in hours."""
    return {"units": f"hours since {since}", **more}


def noise(shape: Sequence[int] = (6, 7, 8)) -> NDArray[np.float32]:
    """A field that differs everywhere."""
    return np.random.default_rng(7).random(tuple(shape)).astype(np.float32)


def globe(field: NDArray[Any] | None = None, times: Sequence[float] | None = None, **changes: Any) -> xr.Dataset:
    """A field on a global 30° × 45° grid, six-hourly, as one variable ``v``."""
    field = noise() if field is None else field
    points = np.arange(len(field)) * 6.0 if times is None else np.asarray(times, float)
    coords = {
        "time": ("time", points, hours()),
        "lat": ("lat", np.linspace(-90.0, 90.0, field.shape[1]), NORTH),
        "lon": ("lon", np.arange(field.shape[2]) * 360.0 / field.shape[2], EAST),
        **changes,
    }
    return xr.Dataset({"v": (("time", "lat", "lon"), field)}, coords)


def write(dataset: xr.Dataset, path: Path) -> str:
    """Saves a data set as NetCDF; the path as text."""
    dataset.to_netcdf(path, engine="netcdf4")
    return str(path)


def look(path: Path | str, **wishes: Any) -> Inspection:
    """Inspects an input."""
    return inspect(InspectRequest(str(path), **wishes))


def everything(found: Inspection, box: Box | None = None) -> NDArray[Any]:
    """The voxels of an inspected input, all of them unless a box is given."""
    with open_source(found.source, found.volume) as volume:
        return volume.read(box or Box((0, 0, 0), found.volume.shape))


def facts(
    name: str, dims: str | Sequence[str] = (), shape: Sequence[int] = (), dtype: str = "f8", **attributes: Any
) -> VariableFacts:
    """A variable's facts, without a file."""
    names = tuple(dims.split()) if isinstance(dims, str) else tuple(dims)
    kind = np.dtype(dtype)
    return VariableFacts(name, names, tuple(shape) or (4,) * len(names), kind, kind, attributes)


def header(*variables: VariableFacts, attributes: Mapping[str, Any] | None = None) -> Header:
    """A file's facts, without a file."""
    return Header("it.nc", {v.name: v for v in variables}, attributes or {})
