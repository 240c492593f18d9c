"""Which dimension is what, by the CF conventions: units first, then standard_name, axis, and names last.  Pure.

A dimension's coordinate is the variable of its name, or a one-dimensional auxiliary coordinate that says
more.  Time goes to axis 0, latitude to axis 1, longitude to axis 2; what is left fills the other places
in the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inference_workers.source.records import Header, InputError, VariableFacts
from inference_workers.source.times import PACKED_DATE, hours_per_unit
from streamer.wire.volume import AxisKind

_NORTH = frozenset({"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"})
_EAST = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
_DEGREES = frozenset({"", "degrees", "degree", "deg", "°"})
_NAMES: dict[str, AxisKind] = {
    "latitude": "latitude", "lat": "latitude", "lats": "latitude", "nav_lat": "latitude",
    "longitude": "longitude", "lon": "longitude", "lons": "longitude", "long": "longitude", "nav_lon": "longitude",
    "time": "time", "valid_time": "time",
}  # fmt: skip
_STANDARD: dict[str, AxisKind] = {"latitude": "latitude", "longitude": "longitude", "time": "time"}
_PLACE: dict[AxisKind, int] = {"time": 0, "latitude": 1, "longitude": 2}
_AXIS_PLACE = {"T": 0, "Z": 0, "Y": 1, "X": 2}


class Dimension(NamedTuple):
    """A dimension of the volume and the variable that says where its voxels lie."""

    name: str
    size: int
    kind: AxisKind
    coordinate: VariableFacts | None


def kind_of(variable: VariableFacts) -> AxisKind:
    """What a coordinate counts."""
    units, standard = variable.text("units").lower(), variable.text("standard_name").lower()
    axis, name = variable.text("axis").upper(), variable.name.rpartition("/")[2].lower()
    calendar = variable.text("calendar")
    if units in _NORTH and not standard.startswith("grid_"):
        return "latitude"
    if units in _EAST and not standard.startswith("grid_"):
        return "longitude"
    is_time = hours_per_unit(units, calendar) is not None or units == PACKED_DATE
    if " since " in units and is_time and standard in ("", "time"):
        return "time"
    if standard:
        return _STANDARD.get(standard, "other")
    if axis == "T" and (is_time or not units):
        return "time"
    if axis in ("X", "Y") and units in _DEGREES and units:
        return "latitude" if axis == "Y" else "longitude"
    kind = _NAMES.get(name, "other")
    if kind == "time":
        return kind if is_time or not units else "other"
    return kind if units in _DEGREES else "other"


def coordinate_of(header: Header, dim: str, variable: VariableFacts) -> VariableFacts | None:
    """The one-dimensional numeric coordinate along a dimension, or None."""
    own = header.variables.get(dim)
    named = [header.variables.get(name) for name in variable.text("coordinates").split()]
    others = [v for name, v in header.variables.items() if name != dim and kind_of(v) != "other"]
    found = [
        v
        for v in (own, *named, *others)
        if v is not None and v.dims == (dim,) and v.name != variable.name and _counts(v)
    ]
    telling = [v for v in found if kind_of(v) != "other"]
    return next(iter(telling or found), None)


def _counts(variable: VariableFacts) -> bool:
    return variable.dtype.kind in "iuf"


def dimensions(header: Header, variable: VariableFacts) -> list[Dimension]:
    """The dimensions of a variable, in the order of the file."""
    found = []
    for name, size in zip(variable.dims, variable.shape, strict=True):
        coordinate = coordinate_of(header, name, variable)
        kind: AxisKind = "other"
        if coordinate is not None:
            kind = kind_of(coordinate)
        elif name.lower() == "time":
            kind = "other"  # steps without any coordinate cannot be counted in hours
        found.append(Dimension(name, size, kind, coordinate))
    return found


def refuse_curvilinear(header: Header, variable: VariableFacts, dims: Sequence[Dimension]) -> None:
    """Raises InputError if latitude and longitude are given as two-dimensional arrays."""
    kinds = {d.kind for d in dims}
    if {"latitude", "longitude"} <= kinds:
        return
    names = {d.name for d in dims}
    for v in header.variables.values():
        if len(v.dims) == 2 and set(v.dims) <= names and kind_of(v) in ("latitude", "longitude"):
            raise InputError(
                f"{variable.name!r} in {header.where} lies on a curvilinear grid ({v.name!r} has the two dimensions "
                f"{', '.join(v.dims)}): regrid it to one-dimensional latitude and longitude first, "
                "for example with `cdo remapbil` or xESMF."
            )


def keep_three(header: Header, variable: VariableFacts) -> tuple[list[Dimension], list[str]] | None:
    """The three dimensions that make the volume and those of size 1 that are dropped; None if that leaves not three.

    What is dropped first is what is neither time, nor latitude, nor longitude.
    """
    dims = dimensions(header, variable)
    surplus = len(dims) - 3
    single = sorted((d for d in dims if d.size == 1), key=lambda d: d.kind in _PLACE)
    dropped = [d.name for d in single[: max(surplus, 0)]]
    kept = [d for d in dims if d.name not in dropped]
    return (kept, dropped) if len(kept) == 3 else None


def in_order(dims: Sequence[Dimension], where: str) -> tuple[Dimension, Dimension, Dimension]:
    """Three dimensions as (z, y, x): time first, latitude second, longitude last.  Raises InputError."""
    places: list[Dimension | None] = [None, None, None]
    for wanted in (lambda d: _PLACE.get(d.kind), _by_attribute):
        for d in dims:
            place = wanted(d)
            if place is None or d in places:
                continue
            taken = places[place]
            if taken is None:
                places[place] = d
            elif wanted is not _by_attribute:
                raise InputError(
                    f"Both dimensions {taken.name!r} and {d.name!r} of {where} are {d.kind}: "
                    "CaveCast needs one of each; correct their units or standard_name."
                )
    rest = iter([d for d in dims if d not in places])
    z, y, x = (d if d is not None else next(rest) for d in places)
    return z, y, x


def _by_attribute(d: Dimension) -> int | None:
    if d.coordinate is None:
        return None
    if d.coordinate.text("positive"):
        return 0
    return _AXIS_PLACE.get(d.coordinate.text("axis").upper())
