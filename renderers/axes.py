"""What stands along an axis of the box: round numbers in the data's own units, and a title.

Degrees carry their hemisphere (30°N, 150°W) whatever convention the file uses; time is written as dates
of the file's own calendar (``renderers.dates``); everything else as plain numbers with the unit in the title.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from renderers.geometry import Room
from streamer.wire.volume import Axis, Volume

DEGREES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60, 90)
SLACK = 1e-9


class Tick(NamedTuple):
    """A mark on an axis."""

    value: float
    """In the axis' own units."""
    text: str


class Scale(NamedTuple):
    """All that stands along one axis."""

    title: str
    ticks: tuple[Tick, ...]


Dates = Callable[[str, str, float, float, int], "Scale | None"]
"""(units, calendar, low, high, about how many) → dates between two times, or None if they are none."""


def scales_of(volume: Volume, room: Room, dates: Dates, about: int = 6) -> tuple[Scale, Scale, Scale]:
    """The scales along room x, y and z."""
    x, y, z = (scale_of(volume.axes[2 - i], ruler.low, ruler.high, dates, about) for i, ruler in enumerate(room.rulers))
    return x, y, z


def scale_of(axis: Axis, low: float, high: float, dates: Dates, about: int = 6) -> Scale:
    """The scale of one axis between two coordinates."""
    if axis.kind == "time":
        found = dates(axis.units, axis.calendar, low, high, about)
        if found is not None:
            return found
    if axis.kind in ("longitude", "latitude"):
        step = next((s for s in DEGREES if (high - low) / s <= about + 0.5), 90.0)
        write = longitude if axis.kind == "longitude" else latitude
        return Scale(axis.kind, tuple(Tick(v, write(v)) for v in multiples(low, high, step)))
    step = nice_step(high - low, about)
    name = axis.long_name or axis.name
    title = f"{name} ({axis.units})" if axis.units and axis.units != "1" else name
    return Scale(title, tuple(Tick(v, number(v, step)) for v in multiples(low, high, step)))


def nice_step(span: float, about: int) -> float:
    """1, 2 or 5 times a power of ten, so that there are about so many steps in the span."""
    if span <= 0:
        return 1.0
    raw = span / max(about, 1)
    power = 10.0 ** floor(log10(raw))
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw * (1 - SLACK))


def multiples(low: float, high: float, step: float) -> Sequence[float]:
    """The multiples of a step between two numbers, both included."""
    first, last = ceil(low / step - SLACK * 100), floor(high / step + SLACK * 100)
    return [i * step for i in range(first, last + 1)]


def number(value: float, step: float) -> str:
    """A number with as many decimals as its neighbours need."""
    if value != 0 and not 1e-4 <= max(abs(value), step) < 1e6:
        return f"{value:.3g}"
    decimals = max(0, -floor(log10(step) + SLACK)) if step > 0 else 0
    return f"{value:.{decimals}f}".replace("-", "−")


def _plain(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def longitude(value: float) -> str:
    """Degrees east with their hemisphere: 150°W."""
    degrees = (value + 180) % 360 - 180
    if abs(degrees) < SLACK:
        return "0°"
    if abs(abs(degrees) - 180) < SLACK:
        return "180°"
    return f"{_plain(abs(degrees))}°{'E' if degrees > 0 else 'W'}"


def latitude(value: float) -> str:
    """Degrees north with their hemisphere: 30°S."""
    if abs(value) < SLACK:
        return "0°"
    return f"{_plain(abs(value))}°{'N' if value > 0 else 'S'}"
