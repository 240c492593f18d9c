"""Arrays without coordinates: NumPy's ``.npy`` files, memory-mapped, and single Zarr arrays.

Such a file has one variable, called by the file's name, with the dimensions z, y, x; ``x.npy`` holds ``x_values``.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from inference_workers.source.records import AnyArray, Header, InputError, VariableFacts

_DIMS = {3: ("z", "y", "x"), 4: ("frame", "z", "y", "x"), 2: ("y", "x"), 1: ("x",), 0: ()}


class ArrayFile:
    """One array, read by slices."""

    def __init__(self, path: str, array: Any, attributes: dict[str, Any]) -> None:
        name = PurePath(path).stem
        shape = tuple(int(n) for n in array.shape)
        dims = _DIMS.get(len(shape), tuple(f"axis{n}" for n in range(len(shape))))
        dtype = np.dtype(array.dtype)
        if name in dims:
            name += "_values"  # a variable that is called like its dimension would be its coordinate
        self._array = array
        self.header = Header(
            PurePath(path).name, {name: VariableFacts(name, dims, shape, dtype, dtype, attributes)}, {}
        )

    def values(self, name: str) -> AnyArray:
        """The whole array."""
        return self.read(name, ())

    def read(self, name: str, index: tuple[slice | int, ...]) -> AnyArray:  # noqa: ARG002  (a file of one)
        """A box of the array."""
        return np.array(self._array[index])  # a copy, so that no mapping outlives the file

    def close(self) -> None:
        """Lets go of the mapping."""
        self._array = None


def open_npy(path: str) -> ArrayFile:
    """A ``.npy`` file, mapped: only what is read is loaded.  Raises InputError."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as why:
        raise InputError(
            f"{path} is no .npy file that can be mapped ({why}): save a plain array of numbers with numpy.save."
        ) from None
    return ArrayFile(path, array, {})


def open_zarr_array(path: str) -> ArrayFile:
    """A single Zarr array.  Raises InputError."""
    import zarr

    try:
        array = zarr.open_array(path, mode="r")
    except Exception as why:  # Zarr raises errors of its stores and codecs, which have no common class.
        raise InputError(f"{path} is no Zarr array that can be read: {_first_line(why)}.") from None
    return ArrayFile(path, array, {k: v for k, v in array.attrs.items() if isinstance(v, str | int | float)})


def _first_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0].rstrip(".")
