"""Units, calendars and gaps of time."""

from __future__ import annotations

import numpy as np
import pytest

from inference_workers.source import times
from inference_workers.source.records import InputError


@pytest.mark.parametrize(
    ("units", "calendar", "expected"),
    [
        ("hours since 1900-01-01", "", 1.0),
        ("days since 1850-01-01", "noleap", 24.0),
        ("minutes since 1980-01-01 00:30:00", "", 1 / 60),
        ("s", "", 1 / 3600),
        ("h", "", 1.0),
        ("ms since 1970-01-01", "", 1 / 3.6e6),
        ("months since 2000-01-01", "360_day", 720.0),
        ("years since 2000-01-01", "noleap", 8760.0),
        ("months since 2000-01-01", "standard", 365.242198781 * 2),
        ("K", "", None),
        ("", "", None),
    ],
)
def test_units_of_time_in_hours(units: str, calendar: str, expected: float | None) -> None:
    assert times.hours_per_unit(units, calendar) == expected


def test_files_that_count_from_their_own_day_are_brought_to_the_first_ones_epoch() -> None:
    there = times.convert(
        np.array([0.0, 180.0]), "minutes since 1980-01-02 00:30:00", "hours since 1980-01-01", "", "b.nc"
    )
    assert there.tolist() == [24.5, 27.5]


def test_a_leap_day_is_not_counted_in_a_calendar_without_one() -> None:
    for calendar, expected in (("noleap", 24.0), ("standard", 48.0)):
        got = times.convert(np.zeros(1), "hours since 2000-03-01", "hours since 2000-02-28", calendar, "b.nc")
        assert got.tolist() == [expected]


def test_units_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match=r"b\.nc counts time in 'hours'"):
        times.convert(np.zeros(1), "hours", "hours since 2000-01-01", "", "b.nc")


def test_an_unknown_calendar_is_named() -> None:
    with pytest.raises(InputError, match="mayan"):
        times.check("hours since 2000-01-01", "mayan", "a.nc")


def test_gaps_are_counted_and_months_are_none() -> None:
    assert times.gaps(np.array([0.0, 3.0, 6.0, 15.0, 18.0, 24.0])).after == (2, 4)
    assert times.gaps(np.cumsum([0.0, 31, 28, 31, 30, 31, 30])).after == ()
    assert times.gaps(np.array([0.0, 100.0])).after == ()


def test_the_sentence_about_gaps_names_the_widest() -> None:
    points = np.array([0.0, 3.0, 6.0, 15.0, 18.0, 24.0])
    sentence = times.say_gaps(times.gaps(points), points, "hours since 1980-01-01", "")
    assert sentence is not None
    assert "2 gaps, the widest between 1980-01-01 06:00 and 1980-01-01 15:00 (3 steps missing in all)" in sentence


def test_dates_written_as_numbers_become_hours() -> None:
    points, units = times.unpack_dates(np.array([19800131.25, 19800201.0, 19800201.25]))
    assert units == "hours since 1980-01-31 00:00:00"
    assert points.tolist() == [6.0, 24.0, 30.0]


def test_a_date_of_a_climate_calendar_is_said_in_it() -> None:
    assert times.say(59.0, "days since 2001-01-01", "360_day") == "2001-02-30 00:00"


@pytest.mark.parametrize(
    ("a", "b", "same"), [("gregorian", "standard", True), ("", "gregorian", True), ("noleap", "365_day", True),
                         ("noleap", "standard", False)]
)  # fmt: skip
def test_calendars_of_two_names(a: str, b: str, same: bool) -> None:
    assert times.same_calendar(a, b) is same


@pytest.mark.parametrize(
    ("a", "a_units", "b", "b_units", "first", "same"),
    [
        ("", "hours since 2000-01-01", "proleptic_gregorian", "days since 1900-01-01", 0.0, True),
        ("noleap", "hours since 2000-01-01", "365_day", "hours since 2000-01-01", 0.0, True),
        ("standard", "hours since 2000-01-01", "noleap", "hours since 2000-01-01", 0.0, False),
        ("standard", "days since 0001-01-01", "proleptic_gregorian", "days since 1900-01-01", 7e5, False),
        ("standard", "days since 1900-01-01", "proleptic_gregorian", "days since 1900-01-01", -2e5, False),
        ("standard", "days", "proleptic_gregorian", "days", 0.0, False),
    ],
)
def test_two_calendars_that_differ_before_1583_only_are_one_after_it(
    a: str, a_units: str, b: str, b_units: str, first: float, same: bool
) -> None:
    assert times.same_dates(a, a_units, b, b_units, first) is same
