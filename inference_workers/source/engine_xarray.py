"""Files that xarray opens: NetCDF 3 and 4, HDF5, Zarr groups, OPeNDAP addresses, and what its plug-ins add.

xarray scales and fills (``scale_factor``, ``_FillValue``) and reads lazily; times and coordinates stay as
they are written, because this package makes its own mind up about them.  Nothing is cached by xarray.

An OPeNDAP server is asked for its description first, with a deadline: the C library behind netCDF4
would wait for ever and say no more than "NetCDF: file not found".
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, TypeVar

import netCDF4
import numpy as np
import xarray as xr

from inference_workers.source.address import Format
from inference_workers.source.records import AnyArray, Header, InputError, VariableFacts

_T = TypeVar("_T")

CONNECT_S = 20.0
"""How long a server may take to describe its data set."""
READ_S = 120.0
"""How long a server may take to answer one request for data."""
CLOSE_S = 5.0


class XarrayFile:
    """A data set held open."""

    def __init__(self, where: str, dataset: xr.Dataset, prefix: str, remote: bool) -> None:
        self._dataset, self._prefix, self._remote = dataset, prefix, remote
        self.header = Header(
            where, {prefix + str(n): _facts(prefix, n, v) for n, v in dataset.variables.items()}, dataset.attrs
        )

    def values(self, name: str) -> AnyArray:
        """The whole of a variable."""
        return self.read(name, ())

    def read(self, name: str, index: tuple[slice | int, ...]) -> AnyArray:
        """A box of a variable.  Raises InputError if the file or the server does not give it."""
        variable = self._dataset.variables[name.removeprefix(self._prefix)]

        def load() -> AnyArray:
            return np.asarray(variable[index or ...].values)

        try:
            return _within(READ_S, load, self.header.where) if self._remote else load()
        except (OSError, RuntimeError, ValueError, IndexError) as why:
            if isinstance(why, InputError):
                raise
            raise InputError(f"Reading {name!r} from {self.header.where} failed: {_line(why)}.") from why

    def close(self) -> None:
        """Closes the file; a server that has fallen silent is not waited for."""
        if not self._remote:
            self._dataset.close()
            return
        with suppress(InputError):
            _within(CLOSE_S, self._dataset.close, self.header.where)


def open_file(path: str, kind: Format, group: str = "") -> XarrayFile:
    """Opens a file, a store or an address, or a group of it.  Raises InputError."""
    where = path if kind == "dap" else PurePath(path).name
    if kind == "dap":
        _ask(path)
        netCDF4.rc_set("HTTP.TIMEOUT", str(int(READ_S)))
    engines: dict[Format, tuple[tuple[str | None, dict[str, Any]], ...]] = {
        "netcdf": (("netcdf4", {}),),
        "hdf5": (("netcdf4", {}), ("h5netcdf", {"phony_dims": "sort"})),
        "dap": (("netcdf4", {}),),
        "zarr": (("zarr", {"consolidated": False}),),
        "other": ((None, {}),),
    }
    why: Exception | None = None
    for engine, options in engines.get(kind, ()):
        extra = {**options, **({"group": group} if group else {})}

        def load(engine: str | None = engine, extra: dict[str, Any] = extra) -> xr.Dataset:
            return _open(path, engine, extra)

        try:
            dataset = _within(READ_S, load, where) if kind == "dap" else load()
        except InputError:
            raise
        except Exception as error:  # Each engine has its own errors; all of them mean the same to the user.
            why = why or error
            continue
        if kind == "netcdf" and not _whole(path, dataset):
            dataset.close()
            raise InputError(
                f"{path} is shorter than its header says, so its end is missing: copy or download it again."
            )
        return XarrayFile(where, dataset, f"{group}/" if group else "", kind == "dap")
    assert why is not None, "every format has an engine"
    raise InputError(_sentence(path, kind, group, why)) from why


def groups_with_arrays(path: str, kind: Format) -> list[str]:
    """Variables with three or more dimensions in the groups of a file, as GROUP/NAME."""
    engine = {"zarr": "zarr", "dap": None, "other": None}.get(kind, "netcdf4")
    if engine is None:
        return []
    try:
        groups = xr.open_groups(path, engine=engine, chunks=None, **_AS_WRITTEN)
    except Exception:  # Only to help with another error's sentence.
        return []
    found = []
    for name, dataset in groups.items():
        found += [
            f"{name.strip('/')}/{v}" for v, facts in dataset.variables.items() if len(facts.dims) >= 3 and name != "/"
        ]
        dataset.close()
    return found


_AS_WRITTEN: dict[str, Any] = {
    "decode_times": False,
    "decode_timedelta": False,
    "decode_coords": False,
    "mask_and_scale": True,
    "create_default_indexes": False,
}


def _open(path: str, engine: str | None, extra: dict[str, Any]) -> xr.Dataset:
    with warnings.catch_warnings():
        # Of a variable that is not the volume this need not be said, of the volume it is said by ``choose``.
        warnings.filterwarnings("ignore", "Duplicate dimension names", UserWarning)
        # The tables beside the arrays of our own stores are no arrays, which we know.
        warnings.filterwarnings("ignore", "Object at .* is not recognized as a component of a Zarr", UserWarning)
        return xr.open_dataset(path, engine=engine, chunks=None, cache=False, **_AS_WRITTEN, **extra)


def _whole(path: str, dataset: xr.Dataset) -> bool:
    """Whether a NetCDF-3 file can hold all that it announces; its library reads what is missing as zeros."""
    least = 0
    for v in dataset.variables.values():
        stored = v.encoding.get("dtype", v.dtype)
        least += v.size * (np.dtype(stored).itemsize if isinstance(stored, np.dtype) else 1)
    return Path(path).stat().st_size >= least


def _facts(prefix: str, name: object, variable: xr.Variable) -> VariableFacts:
    stored = variable.encoding.get("dtype", variable.dtype)
    return VariableFacts(
        prefix + str(name),
        tuple(str(d) for d in variable.dims),
        tuple(variable.shape),
        np.dtype(variable.dtype),
        np.dtype(stored) if stored is not str else np.dtype(object),
        variable.attrs,
    )


def _within(seconds: float, work: Callable[[], _T], where: str) -> _T:
    """The result of a call that cannot be interrupted, or InputError when its time is up (the thread stays)."""
    done: list[_T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as why:  # Raised again where it can be dealt with.
            failed.append(why)

    thread = threading.Thread(target=run, name=f"reading {where}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise InputError(f"{where} did not answer within {seconds:g} s: try again, or ask for smaller chunks.")
    return done[0]


def _ask(url: str) -> None:
    """Raises InputError, soon, unless a server answers at the address and speaks OPeNDAP."""
    if "#" in url:
        return  # "#mode=bytes" and the like choose other protocols of the C library.
    base, _, query = url.partition("?")
    try:
        with urllib.request.urlopen(f"{base}.dds{'?' if query else ''}{query}", timeout=CONNECT_S) as answer:  # noqa: S310
            start = answer.read(256).lstrip()
    except urllib.error.HTTPError as why:
        if why.code in (401, 403, 407):
            return  # The C library can log in (~/.netrc, ~/.dodsrc); urllib cannot.
        raise InputError(
            f"The server answers {why.code} ({why.reason}) for {url}: give the OPeNDAP address, without .html or .dds."
        ) from None
    except (urllib.error.URLError, TimeoutError, OSError) as why:
        reason = getattr(why, "reason", why)
        raise InputError(f"{url} cannot be reached ({reason}): check the address and the network.") from None
    if not start.startswith(b"Dataset"):
        raise InputError(f"{url} is no OPeNDAP address: what it sends does not describe a data set.")


def _sentence(path: str, kind: Format, group: str, why: Exception) -> str:
    if group:
        return f"{path} has no group {group!r} that can be read: {_line(why)}."
    if isinstance(why, ImportError):
        return f"{path} needs a package that is not installed: {_line(why)}."
    if kind == "zarr" and "dimension" in str(why):
        return (
            f"The arrays of {path} carry no names of dimensions, so xarray cannot open the store: "
            f"give one array's path ({path}/NAME) with --spacing."
        )
    if kind == "other":
        return (
            f"{path} is no file that CaveCast can read: it takes NetCDF, HDF5, Zarr, .npy, OPeNDAP addresses, "
            "and whatever else xarray has a plug-in for (cfgrib for GRIB)."
        )
    return f"{path} cannot be opened; it may be damaged or incomplete ({_line(why)})."


def _line(why: BaseException) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0].rstrip(".")
