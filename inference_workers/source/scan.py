"""The headers of many files, one after another: each file's share of time, and whether its grid is the first one's.

At most one file is open.  The first file by name sets the standard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from inference_workers.source import axes, cf, joined, times
from inference_workers.source.address import Address, format_of
from inference_workers.source.opened import open_path
from inference_workers.source.records import AnyArray, Described, InputError, VariableFacts

Progress = Callable[[int, int], None]
Dimensions = tuple[cf.Dimension, cf.Dimension, cf.Dimension]


def join_files(address: Address, facts: VariableFacts, dims: Dimensions, progress: Progress | None) -> joined.Joined:
    """All files of a glob as one, along time.  Raises InputError naming the file that does not fit."""
    time = dims[0]
    if time.kind != "time" or time.coordinate is None:
        raise InputError(
            f"The files of {address.text} would be joined along time, but {facts.name!r} is read over "
            f"{', '.join(d.name for d in dims)}: give one file, or files with a time coordinate."
        )
    units, calendar = time.coordinate.text("units"), time.coordinate.text("calendar")
    names = (facts.name, *(d.coordinate.name for d in dims if d.coordinate is not None))
    places: list[AnyArray | None] = []
    parts = []
    for done, path in enumerate(address.files, 1):
        file = _describe(path, names)
        try:
            if done == 1:
                places = [file.values(d.coordinate.name) if d.coordinate is not None else None for d in dims[1:]]
            parts.append(_part(path, file, facts, dims, places, units, calendar))
        finally:
            file.close()
        if progress is not None:
            progress(done, len(address.files))
    return joined.join(parts, units, calendar)


def _describe(path: str, names: Sequence[str]) -> Described:
    """The header of a file, by the fastest way there is."""
    if "/" not in names[0] and format_of(path) in ("netcdf", "hdf5"):
        from inference_workers.source.engine_netcdf import HeaderFile

        try:
            return HeaderFile(path, names)
        except OSError:
            pass  # The usual way says what is wrong with it.
    return open_path(path, names[0])


def _part(
    path: str,
    file: Described,
    facts: VariableFacts,
    dims: Dimensions,
    places: Sequence[AnyArray | None],
    units: str,
    calendar: str,
) -> joined.Part:
    header, time = file.header, dims[0].coordinate
    assert time is not None, "join_files has looked"
    here, there = header.variables.get(facts.name), header.variables.get(time.name)
    if here is None or there is None:
        missing = facts.name if here is None else time.name
        raise InputError(f"{path} has no variable {missing!r}, unlike the first file of the glob: leave it out.")
    for d, first in zip(dims[1:], places, strict=True):
        same = d.name in here.dims and here.shape[here.dims.index(d.name)] == d.size
        if same and first is not None and d.coordinate is not None:
            same = d.coordinate.name in header.variables and np.array_equal(file.values(d.coordinate.name), first)
        if not same:
            raise InputError(f"{path} has another grid along {d.name!r} than the first file of the glob: leave it out.")
    if set(here.dims) != set(facts.dims) or here.dtype.kind not in "iufb":
        raise InputError(
            f"{facts.name!r} in {path} has the dimensions {here.dims}, in the first file {facts.dims}: leave it out."
        )
    if not times.same_calendar(there.text("calendar"), calendar):
        raise InputError(
            f"{path} uses the calendar {there.text('calendar') or 'standard'!r}, "
            f"the files before it {calendar or 'standard'!r}: leave it out."
        )
    own_units = there.text("units")
    points = axes.points_of(header, file.values, there)
    if not len(points):
        raise InputError(f"{path} holds no time step: leave it out.")
    bounds = axes.bounds_of(header, file.values, there)
    if bounds is not None:
        bounds = times.convert(bounds, own_units, units, calendar, path)
    points = times.convert(points, own_units, units, calendar, path)
    axes.refuse_unsorted(path, points, units, calendar)
    return joined.Part(path, points, bounds)
