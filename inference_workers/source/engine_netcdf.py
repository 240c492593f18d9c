"""The header of one file of many, read by netCDF4 alone: about twice as fast as a whole xarray data set.

An archive has 100,000 files, and each of them is asked the same: are your time and your grid what they
should be?  Only the variables that answer this are looked at; voxels are read by ``engine_xarray``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import netCDF4
import numpy as np

from inference_workers.source.records import AnyArray, Header, VariableFacts


class HeaderFile:
    """Some variables of a NetCDF or HDF5 file, and the bounds of those that have them.  Raises OSError."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        self._dataset = netCDF4.Dataset(path)
        found = {name: _facts(self._dataset[name]) for name in names if name in self._dataset.variables}
        for bounds in [facts.text("bounds") for facts in found.values()]:
            if bounds in self._dataset.variables:
                found[bounds] = _facts(self._dataset[bounds])
        self.header = Header(PurePath(path).name, found, {})

    def values(self, name: str) -> AnyArray:
        """The whole of a small variable, float64, NaN where it is missing."""
        return np.ma.filled(np.ma.asarray(self._dataset[name][...]).astype(np.float64), np.nan)

    def close(self) -> None:
        """Closes the file."""
        self._dataset.close()


def _facts(v: netCDF4.Variable[Any]) -> VariableFacts:
    dtype = np.dtype(v.dtype) if isinstance(v.dtype, np.dtype) else np.dtype(object)
    attributes = {name: v.getncattr(name) for name in v.ncattrs()}
    return VariableFacts(v.name, tuple(v.dimensions), tuple(v.shape), dtype, dtype, attributes)
