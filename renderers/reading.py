"""What a person reads of the thing and the place under the pointer, in numbers and in words.  Pure.

Coordinates are those of the voxel's centre, in the axes' own units.  The field came as one byte a voxel, so its
value is known to half a step of that scale and no better: it is told together with how far it may be off, and with as
many digits as that leaves (docs/decisions/0015).
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf, log10
from typing import NamedTuple

import numpy as np

from renderers.axes import latitude, longitude
from streamer.wire.grid import Triple
from streamer.wire.layers import LEVELS, NOTHING, values
from streamer.wire.volume import Axis, RunSpec

Moment = Callable[[str, str, float], "str | None"]
"""(units, calendar, value) → the time as people write it, or None if it is none."""


class Value(NamedTuple):
    """What the field is at a voxel."""

    value: float
    """In the field's units."""
    within: float
    """The true value is no further from it than this."""
    beyond: int = 0
    """The run's range ends here, and what lies beyond was clipped: 1, it may be more; −1, it may be less."""


class Place(NamedTuple):
    """A voxel, and what is known of it."""

    voxel: Triple
    """(z, y, x)."""
    coordinates: tuple[float, float, float]
    """Of its centre along (z, y, x), in the axes' own units."""
    words: tuple[str, str, str]
    """The same for people: a date, 30°N, 12.5 um."""
    value: Value | None
    """None where the run carries no field, where none has come, and where there is nothing."""


class Found(NamedTuple):
    """An object that somebody points at, as far as it has come, and the place where."""

    object_id: int
    voxels: int
    first: int
    """The first step of axis 0 in which it is, and the last."""
    last: int
    lifetime: str
    """From when to when, and for how long: in words."""
    variable: str
    """What the field is called, and its units."""
    units: str
    place: Place


def place_of(spec: RunSpec, voxel: Triple, byte: int | None, moment: Moment) -> Place:
    """A voxel of a run.  ``byte``: of the layer ``field`` there; None if it is not known."""
    axes = spec.volume.axes
    z, y, x = (float(axis.points[at]) for axis, at in zip(axes, voxel, strict=True))
    words = tuple(_words(axis, at, moment) for axis, at in zip(axes, (z, y, x), strict=True))
    return Place(voxel, (z, y, x), (words[0], words[1], words[2]), _value(spec, byte))


def lifetime_of(spec: RunSpec, first: int, last: int, moment: Moment) -> str:
    """When an object that is in these steps begins and ends."""
    axis = spec.volume.axes[0]
    one, other = (_words(axis, float(axis.points[at]), moment) for at in (first, last))
    if axis.kind != "time":
        return one if first == last else f"{one} to {other}"
    # From the beginning of the first step to the end of the last one, as in the table of objects.
    hours = f"{float(axis.widths[first : last + 1].sum()):g} h"
    return f"{one}, {hours}" if first == last else f"{one} to {other}, {hours}"


def written(value: Value, units: str) -> str:
    """A value with as many digits as are known, and how far it may be off: ``312 ± 1.2 kg m-1 s-1``."""
    if not (0 < value.within < inf):
        return f"{value.value:.6g} {units}".rstrip()
    decimals = max(0, 1 - floor(log10(value.within)))
    off = f"{value.within:.2g}" if decimals else f"{value.within:.0f}"
    # A field in tiny or huge units is written with a power of ten.
    number = f"{value.value:.{decimals}f}" if decimals <= 6 and abs(value.value) < 1e9 else f"{value.value:.4g}"
    unit = f" {units}" if units and units != "1" else ""
    sign = {1: "at least ", -1: "at most "}.get(value.beyond, "")
    return f"{sign}{number}{unit}" if sign else f"{number} ± {off}{unit}"


def _value(spec: RunSpec, byte: int | None) -> Value | None:
    if byte is None or byte == NOTHING or spec.field_range is None:
        return None
    low, high = spec.field_range
    within = (high - low) / LEVELS / 2
    middle = float(values(np.array([byte], np.uint8), (low, high))[0])
    if byte == LEVELS + 1:
        return Value(middle - within, within, 1)
    return Value(middle + within, within, -1) if byte == NOTHING + 1 else Value(middle, within)


def _words(axis: Axis, at: float, moment: Moment) -> str:
    if axis.kind == "latitude":
        return latitude(at)
    if axis.kind == "longitude":
        return longitude(at)
    if axis.kind == "time" and (found := moment(axis.units, axis.calendar, at)) is not None:
        return found
    name = axis.long_name or axis.name
    unit = f" {axis.units}" if axis.units and axis.units != "1" else ""
    return f"{name} {at:.6g}{unit}"
