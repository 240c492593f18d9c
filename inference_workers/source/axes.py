"""From coordinates to axes: points, widths, and whether the volume goes on beyond an end.  Pure.

Coordinates are taken as they are, even or not, ascending or not.  What had to be assumed becomes a note.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from inference_workers.source import cells, times
from inference_workers.source.cf import Dimension
from inference_workers.source.records import Header, InputError, Values, VariableFacts
from streamer.wire.volume import Axis, Floats, floats

_KNOWN = frozenset({"units", "calendar", "long_name", "bounds", "climatology", "_FillValue", "coordinates"})
_LONGEST = 2000
"""Characters of an attribute that travels with the axis to every part of the run."""


class Drawn(NamedTuple):
    """An axis and what to say about it."""

    axis: Axis
    notes: tuple[str, ...] = ()


class Wish(NamedTuple):
    """What the user wants of an axis."""

    periodic: bool | None
    """None: by itself, if it closes the globe."""
    spacing: float | None


def points_of(header: Header, values: Values, coordinate: VariableFacts) -> Floats:
    """The points of a coordinate, float64.  Raises InputError if some are missing."""
    points = np.asarray(values(coordinate.name), np.float64).reshape(-1)
    if not np.isfinite(points).all():
        raise InputError(
            f"The coordinate {coordinate.name!r} of {header.where} has missing values: fill them in first."
        )
    return points


def bounds_of(header: Header, values: Values, coordinate: VariableFacts | None) -> Floats | None:
    """The CF bounds of a coordinate, shape (n, 2), or None if the file has none that can be used."""
    if coordinate is None:
        return None
    facts = header.variables.get(coordinate.text("bounds"))
    if facts is None or facts.dtype.kind not in "iuf" or facts.shape != (*coordinate.shape, 2):
        return None
    bounds = np.asarray(values(facts.name), np.float64)
    units = facts.text("units")
    if " since " in units and units != coordinate.text("units"):
        bounds = times.convert(bounds, units, coordinate.text("units"), coordinate.text("calendar"), header.where)
    return bounds


def draw(header: Header, values: Values, d: Dimension, wish: Wish) -> Drawn:
    """The axis of a dimension.  Raises InputError if its coordinate makes no sense."""
    if d.coordinate is None:
        return _bare(d, wish, ())
    points, bounds = points_of(header, values, d.coordinate), bounds_of(header, values, d.coordinate)
    if d.kind == "time":
        return draw_time(header.where, d, points, bounds, wish)
    if d.kind == "longitude":
        return _longitude(header.where, d, points, bounds, wish)
    if not _monotonic(points):
        if d.kind == "latitude":
            raise InputError(
                f"The latitudes {d.coordinate.name!r} of {header.where} neither rise nor fall: sort them first."
            )
        note = (
            f"The values of {d.coordinate.name!r} neither rise nor fall; voxels are counted along {d.name!r} instead."
        )
        return _bare(d, wish, (note,))
    if d.kind == "latitude":
        return _latitude(header.where, d, points, bounds, wish)
    edges = bounds if bounds is not None and cells.usable_bounds(bounds, points) else cells.midway(points)
    notes = () if wish.spacing is None else (f"The file has coordinates along {d.name!r}; its spacing was not used.",)
    return Drawn(_axis(d, points, cells.widths(edges), _ends(bool(wish.periodic))), notes)


def draw_time(where: str, d: Dimension, points: Floats, bounds: Floats | None, wish: Wish) -> Drawn:
    """The axis of time from its points and bounds, in the coordinate's units.  Raises InputError."""
    assert d.coordinate is not None, "time is known by its coordinate"
    units, calendar = d.coordinate.text("units"), d.coordinate.text("calendar")
    notes: list[str] = []
    if wish.periodic:
        raise InputError(f"Time cannot be periodic in {where}: give --periodic auto, none or another axis.")
    refuse_unsorted(where, points, units, calendar)
    if units.lower() == times.PACKED_DATE:
        points, units = times.unpack_dates(points)
        calendar, bounds = "proleptic_gregorian", None
        notes.append(f"Times are written as dates ({d.coordinate.text('units')!r}) and were counted in {units!r}.")
    times.check(units, calendar, where)
    unit_h = times.hours_per_unit(units, calendar)
    if unit_h is None:
        unit_h = 1.0
        notes.append("The time axis has no units; its numbers are taken as hours.")
    if not times.plain_units(units):
        points, bounds = points * unit_h, None if bounds is None else bounds * unit_h
        notes.append(f"Times in {units!r} were counted in hours.")
        units, unit_h = f"hours since {times.epoch_text(units)}", 1.0
    edges = bounds if bounds is not None and cells.usable_bounds(bounds, points) else None
    gaps = times.gaps(points)
    sentence = times.say_gaps(gaps, points, units, calendar)
    if sentence:
        notes.append(sentence)
    if edges is None and len(points) > 1:
        edges = cells.midway(points)
        for i in gaps.after:
            # A step beside a gap stands for a usual step; what is missing must not count as area times hours.
            edges[i, 1], edges[i + 1, 0] = points[i] + gaps.step / 2, points[i + 1] - gaps.step / 2
    hours = np.ones(1) if edges is None else cells.widths(edges) * unit_h
    axis = _axis(d, points, hours, (True, True), units=units, calendar=calendar)
    return Drawn(axis, tuple(notes))


def refuse_unsorted(where: str, points: Floats, units: str, calendar: str) -> None:
    """Raises InputError unless times ascend."""
    steps = np.diff(points)
    if len(steps) and steps.min() <= 0:
        i = int(np.argmax(steps <= 0))
        then, now = (times.say(float(points[k]), units, calendar) for k in (i, i + 1))
        what = "comes twice" if then == now else f"comes after {then}"
        raise InputError(
            f"The times in {where} do not ascend: {now} {what} (step {i + 1}): sort the file along time first."
        )


def _latitude(where: str, d: Dimension, points: Floats, bounds: Floats | None, wish: Wish) -> Drawn:
    if wish.periodic:
        raise InputError(f"Latitude cannot be periodic in {where}: give --periodic auto, none or another axis.")
    if np.abs(points).max() > 90.001:
        raise InputError(
            f"The latitudes {d.name!r} of {where} go from {points[0]:g} to {points[-1]:g}; the poles are at ±90."
        )
    edges = cells.latitude_edges(points, bounds if bounds is not None and cells.usable_bounds(bounds, points) else None)
    low, high = (not cells.at_pole(e) for e in _outer(edges))
    return Drawn(_axis(d, points, cells.widths(edges), (low, high)))


def _longitude(where: str, d: Dimension, raw: Floats, bounds: Floats | None, wish: Wish) -> Drawn:
    points = cells.unwrap(raw)
    notes: list[str] = []
    if not np.array_equal(points, raw):
        notes.append(f"Longitudes were written on without the jump in the middle: {points[0]:g} to {points[-1]:g}.")
    if not _monotonic(points):
        raise InputError(f"The longitudes {d.name!r} of {where} neither rise nor fall: sort them first.")
    if wish.periodic is not False and cells.repeats_first(points):
        points, bounds = points[:-1], None if bounds is None else bounds[:-1]
        notes.append("The last longitude is the first one again and was left out, so that the globe closes.")
    good = bounds if bounds is not None and cells.usable_bounds(bounds, points, 360.0) else None
    edges = cells.longitude_edges(points, good)
    widths = cells.widths(edges)
    closes = cells.closes_globe(points) or abs(float(widths.sum()) - 360.0) <= 0.05 * float(widths.mean())
    if wish.periodic and not closes:
        notes.append(f"Longitude is taken as periodic as asked, but its columns cover {widths.sum():g}° of 360°.")
    periodic = closes if wish.periodic is None else wish.periodic
    return Drawn(_axis(d, points, widths, _ends(periodic)), tuple(notes))


def _bare(d: Dimension, wish: Wish, notes: tuple[str, ...]) -> Drawn:
    """An axis that is only counted."""
    spacing = 1.0 if wish.spacing is None else wish.spacing
    axis = Axis(
        d.name, "other", floats(np.arange(d.size) * spacing), floats(np.full(d.size, spacing)),
        open_ends=_ends(bool(wish.periodic)),
    )  # fmt: skip
    return Drawn(axis, notes)


def _axis(
    d: Dimension, points: Floats, widths: Floats, ends: tuple[bool, bool], units: str | None = None, calendar: str = ""
) -> Axis:
    facts = d.coordinate
    assert facts is not None, "an axis with points has a coordinate"
    return Axis(
        name=d.name,
        kind=d.kind,
        raw_points=floats(points),
        raw_widths=floats(widths),
        units=facts.text("units") if units is None else units,
        calendar=calendar,
        long_name=facts.text("long_name") or facts.text("standard_name"),
        attributes={
            k: v for k, v in facts.attributes.items() if isinstance(v, str) and k not in _KNOWN and len(v) <= _LONGEST
        },
        open_ends=ends,
    )


def _ends(periodic: bool) -> tuple[bool, bool]:
    return (not periodic, not periodic)


def _outer(edges: Floats) -> tuple[float, float]:
    """The outermost edges at the low and at the high index, whichever way the bounds are written."""
    centre = float(edges.mean())
    low, high = (float(row[np.argmax(np.abs(row - centre))]) for row in (edges[0], edges[-1]))
    return low, high


def _monotonic(points: Floats) -> bool:
    steps = np.diff(points)
    return bool((steps > 0).all() or (steps < 0).all())
