"""Times of a volume's steps as text, in whatever calendar the data keeps (cftime knows them)."""

from __future__ import annotations

from collections.abc import Sequence

import cftime

from streamer.wire.volume import Axis


def iso_times(axis: Axis, steps: Sequence[int] | None = None) -> list[str]:
    """ISO 8601 for each voxel of a time axis, or for some; the plain numbers if they cannot be read as times."""
    points = axis.points if steps is None else axis.points[list(steps)]
    try:
        read = cftime.num2date(points, axis.units, axis.calendar or "standard", only_use_cftime_datetimes=True)
    except (ValueError, OverflowError):
        return [repr(point) for point in points.tolist()]
    return [when.isoformat() for when in read]
