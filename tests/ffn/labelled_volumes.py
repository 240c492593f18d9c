"""Small volumes of labels with what is known about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

SHAPE = (12, 6, 10)


def truth() -> NDArray[np.int32]:
    """Three objects: 1 in steps 0–3, 2 across the seam of longitude in steps 4–11, 3 in one step."""
    labels = np.zeros(SHAPE, np.int32)
    labels[0:4, 1:3, 2:6] = 1
    labels[4:12, 4:6, 8:10], labels[4:12, 4:6, 0:2] = 2, 2
    labels[10, 0, 5] = 3
    return labels


def grid(labels: NDArray[np.generic], name: str = "objects", hours_since: str = "2020-01-01") -> xr.Dataset:
    """The labels with time, latitude and longitude around the globe, 6-hourly."""
    return xr.Dataset(
        {name: (("time", "lat", "lon"), labels)},
        {
            "time": ("time", np.arange(12) * 6.0, {"units": f"hours since {hours_since}", "calendar": "standard"}),
            "lat": ("lat", np.arange(-75, 90, 30.0), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(0, 360, 36.0), {"units": "degrees_east"}),
        },
    )


def write(path: Path, labels: NDArray[np.generic], hours_since: str = "2020-01-01") -> str:
    """A file of labels: .nc with coordinates, or .npy without."""
    if path.suffix == ".npy":
        np.save(path, labels)
    else:
        grid(labels, hours_since=hours_since).to_netcdf(path)
    return str(path)


def write_store(path: Path, labels: NDArray[np.generic], parameters: str, state: str = "complete") -> str:
    """A store with the attributes and the variable ``labels`` of one that CaveCast writes, and one volume more."""
    both = grid(labels.astype(np.int64), "labels").assign(local=(("time", "lat", "lon"), labels.astype(np.uint32)))
    both.attrs |= {
        "cavecast_state": state, "segmenter": "ffn", "parameters": parameters, "source": "sample:rivers",
    }  # fmt: skip
    both.to_zarr(path, zarr_format=3, consolidated=False)
    return str(path)
