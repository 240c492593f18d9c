"""What the table must say of an object, from the plain statistics of the reference: no code of the product."""

from __future__ import annotations

import math
from typing import NamedTuple

from streamer.wire.grid import Flags
from streamer.wire.volume import Axis, Volume
from tests.workers.reference import NOWHERE, ObjectStatistics, StepStatistics


class Centre(NamedTuple):
    y: float
    x: float


def centre(steps: list[StepStatistics], volume: Volume, periodic: Flags) -> Centre:
    """The centroid over some steps, longitudes as the axis counts them."""
    a, b, c, d = (math.fsum(step.moment[i] for step in steps) for i in range(4))
    if volume.on_sphere:
        lon = math.degrees(math.atan2(b, a))
        return Centre(
            math.degrees(math.atan2(c, math.hypot(a, b))), lon % 360 if min(volume.axes[2].points) >= 0 else lon
        )
    weight = math.fsum(step.weight for step in steps)
    return Centre(
        _along(volume.axes[1], periodic[1], a, b, weight),
        _along(volume.axes[2], periodic[2], c, d, weight),
    )


def _along(axis: Axis, wraps: bool, a: float, b: float, weight: float) -> float:
    if not wraps:
        return a / weight
    turn = (math.atan2(b, a) / (2 * math.pi)) % 1
    low = axis.points[0] - axis.widths[0] / 2
    return float(low + turn * math.fsum(axis.widths))


def close(a: float, b: float, period: float = 0.0) -> bool:
    """Whether two numbers agree to 1e-9, on a circle if there is a period."""
    apart = abs(a - b)
    if period:
        apart = min(apart % period, period - apart % period)
    return apart <= 1e-9 * max(1.0, abs(a), abs(b))


def x_range(found: ObjectStatistics, width: int, wraps: bool) -> tuple[int, int]:
    """First and last x; first > last across the seam."""
    steps = found.steps.values()
    first, last = min(s.x_min for s in steps), max(s.x_max for s in steps)
    if wraps and first == 0 and last == width - 1:
        high, low = min(s.x_min_high for s in steps), max(s.x_max_low for s in steps)
        if high != NOWHERE and low >= 0:
            return high, low
    return first, last
