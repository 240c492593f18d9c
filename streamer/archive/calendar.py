"""Times of a volume's steps as text, in whatever calendar the data keeps (cftime knows them)."""

from __future__ import annotations

import cftime

from streamer.wire.volume import Axis


def iso_times(axis: Axis) -> list[str]:
    """ISO 8601 for each voxel of a time axis; the plain numbers if they cannot be read as times."""
    try:
        read = cftime.num2date(axis.points, axis.units, axis.calendar or "standard", only_use_cftime_datetimes=True)
    except (ValueError, OverflowError):
        return [repr(point) for point in axis.points.tolist()]
    return [when.isoformat() for when in read]
