"""A volume of time, latitude and longitude with a few warm bodies that drift, small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

SHAPE = (24, 20, 32)
THRESHOLD = 5.0


def warm_bodies(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Three bodies that drift east; one crosses the seam of longitude, one lives for two steps only."""
    z, y, x = np.indices(shape).astype(np.float64)
    field = np.random.default_rng(3).normal(0, 0.4, shape)
    for first, last, lat, lon, speed in ((0, 24, 5, 4, 0.5), (0, 24, 14, 24, 0.7), (10, 12, 9, 20, 0)):
        east = (x - lon - speed * z + shape[2] / 2) % shape[2] - shape[2] / 2
        body = 9 * np.exp(-((y - lat) ** 2 + east**2) / 12)
        field += np.where((z >= first) & (z < last), body, 0)
    return field.astype(np.float32)


def write(folder: Path, steps: int = SHAPE[0]) -> Path:
    """The volume as a NetCDF file, three-hourly, on the whole globe."""
    field = warm_bodies()[:steps]
    nz, ny, nx = field.shape
    coordinates = {
        "time": ("time", 3.0 * np.arange(nz), {"units": "hours since 2000-01-01", "standard_name": "time"}),
        "lat": ("lat", -90 + 180 / ny * (np.arange(ny) + 0.5), {"units": "degrees_north"}),
        "lon": ("lon", 360 / nx * np.arange(nx), {"units": "degrees_east"}),
    }
    path = folder / "warm.nc"
    data = xr.Dataset({"heat": (("time", "lat", "lon"), field, {"units": "K"})}, coordinates)
    data.to_netcdf(path, engine="h5netcdf")
    return path
