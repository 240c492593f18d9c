"""Dates along a time axis, in whatever calendar the file uses (cftime knows them all)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import cftime

from renderers.axes import Scale, Tick

HOURS = (0.25, 0.5, 1, 2, 3, 6, 12)
DAYS = (1, 2, 5, 10)
MONTHS = (1, 2, 3, 6)
YEARS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def dates(units: str, calendar: str, low: float, high: float, about: int) -> Scale | None:
    """About so many dates between two times in ``units`` of ``calendar``; None if they cannot be read as dates."""
    calendar = calendar or "standard"
    try:
        first, last = (cftime.num2date(value, units, calendar) for value in (low, high))
    except (ValueError, OverflowError):
        return None
    days = (last - first).total_seconds() / 86400
    for step in HOURS:
        if days * 24 / step <= about + 0.5:
            return _hours(units, calendar, first, last, step)
    for step in DAYS:
        if days / step <= about + 0.5:
            return Scale("date", _ticks(_days(first, last, step), units, calendar, "%Y-%m-%d"))
    for step in MONTHS:
        if days / 30 / step <= about + 0.5:
            return Scale("date", _ticks(_months(first, last, step), units, calendar, "%Y-%m"))
    step = next((s for s in YEARS if days / 365 / s <= about + 0.5), YEARS[-1])
    return Scale("year", _ticks(_months(first, last, 12 * step), units, calendar, "%Y"))


def moment(units: str, calendar: str, value: float) -> str | None:
    """A time as people write it, such as ``1959-01-17 12:00``; None if it cannot be read as a date."""
    try:
        found = cftime.num2date(value, units, calendar or "standard")
    except (ValueError, OverflowError):
        return None
    return str(found.strftime("%Y-%m-%d %H:%M")).lstrip()


def _hours(units: str, calendar: str, first: cftime.datetime, last: cftime.datetime, step: float) -> Scale:
    found = []
    moment = _midnight(first)
    while moment <= last:
        if moment >= first:
            found.append(moment)
        moment += timedelta(hours=step)
    # Half a voxel of the neighbouring day belongs to the box but not to the title.
    middle = first + (last - first) / 2
    if (last - first).total_seconds() <= 86400 * 1.1:
        return Scale(f"time on {middle.strftime('%Y-%m-%d')}", _ticks(iter(found), units, calendar, "%H:%M"))
    return Scale("time", _ticks(iter(found), units, calendar, "%m-%d %H:%M"))


def _midnight(moment: cftime.datetime) -> cftime.datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _days(first: cftime.datetime, last: cftime.datetime, step: int) -> Iterator[cftime.datetime]:
    """Days 1, 1 + step, … of every month, without the odd ones at a month's end."""
    moment = _midnight(first)
    while moment <= last:
        if moment >= first and (moment.day - 1) % step == 0 and (step < 5 or moment.day + step // 2 <= 31):
            yield moment
        moment += timedelta(days=1)


def _months(first: cftime.datetime, last: cftime.datetime, step: int) -> Iterator[cftime.datetime]:
    """The first day of every so many months, counted from the year 0."""
    month = -(-(first.year * 12 + first.month - 1) // step) * step
    while month <= last.year * 12 + last.month - 1:
        moment = _midnight(first).replace(year=month // 12, month=month % 12 + 1, day=1)
        if first <= moment <= last:
            yield moment
        month += step


def _ticks(moments: Iterator[cftime.datetime], units: str, calendar: str, pattern: str) -> tuple[Tick, ...]:
    return tuple(
        Tick(float(cftime.date2num(moment, units, calendar)), moment.strftime(pattern).lstrip()) for moment in moments
    )
