"""Time as files write it: a number of units since an epoch, in a calendar.  Pure.

Points stay as they are in the (first) file, with its units and its calendar, cftime's calendars included;
only widths are hours.  Files that count from epochs of their own are brought to the first one's.
"""

from __future__ import annotations

from typing import NamedTuple

import cftime
import numpy as np

from inference_workers.source.records import InputError
from streamer.wire.volume import Floats

_HOURS = {
    "microsecond": 1 / 3.6e9,
    "millisecond": 1 / 3.6e6,
    "second": 1 / 3600,
    "minute": 1 / 60,
    "hour": 1.0,
    "day": 24.0,
    "week": 168.0,
    # As UDUNITS defines them; the climate calendars below are better.
    "month": 365.242198781 * 2.0,
    "year": 365.242198781 * 24.0,
    "common_year": 365.0 * 24.0,
}
_SHORT = {
    "us": "microsecond", "microsec": "microsecond", "ms": "millisecond", "msec": "millisecond", "s": "second",
    "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "d": "day", "yr": "year",
}  # fmt: skip
_YEAR_DAYS = {"360_day": 360, "noleap": 365, "365_day": 365, "all_leap": 366, "366_day": 366}
_SAME_CALENDAR = {"gregorian": "standard", "": "standard", "365_day": "noleap", "366_day": "all_leap"}
PACKED_DATE = "day as %y%m%d.%f"
"""Units, in lower case, of times written as one number such as 19800101.25."""


def hours_per_unit(units: str, calendar: str) -> float | None:
    """Hours in one unit of "hours since …" or "hours"; None if it is no unit of time."""
    word = units.strip().lower().partition(" since ")[0].strip()
    word = _SHORT.get(word, _SHORT.get(word.rstrip("s"), word.rstrip("s")))
    days = _YEAR_DAYS.get(calendar.lower())
    if days and word in ("year", "month"):
        return 24.0 * days / (12 if word == "month" else 1)
    return _HOURS.get(word)


def plain_units(units: str) -> bool:
    """Whether whoever opens a file reads these units: xarray reads no weeks, months or abbreviations."""
    word = units.strip().lower().partition(" since ")[0].strip()
    read = ("microsecond", "millisecond", "second", "minute", "hour", "day")
    return not epoch_text(units) or word.removesuffix("s") in read


def same_calendar(a: str, b: str) -> bool:
    """Whether two names mean the same calendar; no name means the standard one."""
    return _plain(a) == _plain(b)


def _plain(calendar: str) -> str:
    calendar = calendar.strip().lower()
    return _SAME_CALENDAR.get(calendar, calendar)


def same_dates(a: str, a_units: str, b: str, b_units: str, first: float) -> bool:
    """Whether times in two calendars and units are of the same days; ``first`` is the earliest, in ``a_units``.

    The standard calendar and the proleptic Gregorian one differ before October 1582 only; which of them a file
    names depends on what wrote it.
    """
    if same_calendar(a, b):
        return True
    if not {_plain(a), _plain(b)} <= {"standard", "proleptic_gregorian"}:
        return False
    epochs = [say(0.0, units, calendar) for units, calendar in ((a_units, a), (b_units, b)) if epoch_text(units)]
    return len(epochs) == 2 and min(*epochs, say(first, a_units, a)) >= "1583"


def epoch_text(units: str) -> str:
    """What stands behind "since", or nothing."""
    head, _, epoch = units.partition(" since ")
    return epoch.strip() if head else ""


def convert(points: Floats, units: str, to_units: str, calendar: str, where: str) -> Floats:
    """Points of time in the units of another file; both in the same calendar.  Raises InputError."""
    if units == to_units:
        return points
    ours, theirs = hours_per_unit(units, calendar), hours_per_unit(to_units, calendar)
    if ours is None or theirs is None or bool(epoch_text(units)) != bool(epoch_text(to_units)):
        raise InputError(
            f"{where} counts time in {units!r}, the files before it in {to_units!r}: bring them to one unit."
        )
    shift_s = 0.0
    if epoch_text(units):
        start = _date(0.0, f"seconds since {epoch_text(units)}", calendar, where)
        shift_s = float(cftime.date2num(start, f"seconds since {epoch_text(to_units)}", calendar or "standard"))
    return (points * (ours * 3600) + shift_s) / (theirs * 3600)


def _date(point: float, units: str, calendar: str, where: str) -> cftime.datetime:
    try:
        return cftime.num2date(point, units, calendar or "standard")
    except (ValueError, OverflowError) as why:
        raise InputError(
            f"{where} has times that cannot be read: {why} (units {units!r}, calendar {calendar or 'standard'!r})."
        ) from None


def check(units: str, calendar: str, where: str) -> None:
    """Raises InputError unless the units' epoch and the calendar can be read."""
    if epoch_text(units):
        _date(0.0, f"seconds since {epoch_text(units)}", calendar, where)


def unpack_dates(points: Floats) -> tuple[Floats, str]:
    """Times written as YYYYMMDD.fraction, in hours since the first one, and those units."""
    days = np.floor(points + 1e-9).astype(np.int64)
    dates = [
        cftime.datetime(d // 10000, d // 100 % 100, d % 100, calendar="proleptic_gregorian") for d in days.tolist()
    ]
    first = dates[0]
    units = f"hours since {first.year:04d}-{first.month:02d}-{first.day:02d} 00:00:00"
    whole = np.asarray(cftime.date2num(dates, units, "proleptic_gregorian"), np.float64)
    # A fraction of a day has five decimals or so left beside eight digits; minutes are what is meant.
    return whole + np.round((points - days) * 1440) / 60, units


def say(point: float, units: str, calendar: str) -> str:
    """A point of time in words."""
    epoch, unit_h = epoch_text(units), hours_per_unit(units, calendar)
    if not epoch or unit_h is None:
        return f"{point:g} {units}".strip()
    date = _date(round(float(point) * unit_h * 3600), f"seconds since {epoch}", calendar, "the time axis")
    return str(date.strftime("%Y-%m-%d %H:%M"))


class Gaps(NamedTuple):
    """Where steps are missing."""

    after: tuple[int, ...]
    """Indices of the steps after which there is a gap."""
    step: float
    """The usual step, in the units of the points."""


def gaps(points: Floats) -> Gaps:
    """Places where the next step is more than 1½ usual (median) steps away.  ``points`` ascend."""
    if len(points) < 3:
        return Gaps((), float(points[1] - points[0]) if len(points) == 2 else 0.0)
    steps = np.diff(points)
    usual = float(np.median(steps))
    return Gaps(tuple(np.flatnonzero(steps > 1.5 * usual).tolist()), usual)


def say_gaps(found: Gaps, points: Floats, units: str, calendar: str) -> str | None:
    """A sentence about the gaps, or None if there is none."""
    if not found.after:
        return None
    widest = max(found.after, key=lambda i: float(points[i + 1] - points[i]))
    between = f"between {say(points[widest], units, calendar)} and {say(points[widest + 1], units, calendar)}"
    missing = sum(round(float(points[i + 1] - points[i]) / found.step) - 1 for i in found.after)
    what = "a gap" if len(found.after) == 1 else f"{len(found.after)} gaps, the widest"
    return (
        f"Time has {what} {between} ({missing} {'step' if missing == 1 else 'steps'} missing in all); "
        "objects are joined across it."
    )
