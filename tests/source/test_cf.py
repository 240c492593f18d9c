"""Which dimension is what."""

from __future__ import annotations

from itertools import permutations

import pytest

from inference_workers.source import cf
from inference_workers.source.records import InputError, VariableFacts
from tests.source.making import facts, header


@pytest.mark.parametrize(
    ("coordinate", "kind"),
    [
        (facts("j", "j", units="degrees_north"), "latitude"),
        (facts("j", "j", units="degree_N"), "latitude"),
        (facts("i", "i", units="degreesE"), "longitude"),
        (facts("i", "i", standard_name="longitude", units="degrees"), "longitude"),
        (facts("y", "y", axis="Y", units="degrees"), "latitude"),
        (facts("Latitude", "Latitude"), "latitude"),
        (facts("LON", "LON", units="degrees"), "longitude"),
        (facts("t", "t", units="days since 1850-01-01", calendar="noleap"), "time"),
        (facts("time", "time", units="hours"), "time"),
        (facts("time", "time", units="day as %Y%m%d.%f"), "time"),
        (facts("t", "t", axis="T"), "time"),
        (facts("rlat", "rlat", units="degrees", standard_name="grid_latitude", axis="Y"), "other"),
        (facts("lat", "lat", units="m"), "other"),
        (facts("time", "time", units="K"), "other"),
        (facts("y", "y", units="m", axis="Y", standard_name="projection_y_coordinate"), "other"),
        (facts("ref", "time", units="hours since 2000-01-01", standard_name="forecast_reference_time"), "other"),
        (facts("rate", "rate", units="mm since breakfast"), "other"),
    ],
)
def test_units_and_standard_names_speak_before_names(coordinate: VariableFacts, kind: str) -> None:
    assert cf.kind_of(coordinate) == kind


def test_any_order_of_the_file_is_read_as_time_latitude_longitude() -> None:
    coordinates = (
        facts("when", "when", units="days since 1850-01-01"),
        facts("j", "j", units="degrees_north"),
        facts("i", "i", units="degrees_east"),
    )
    for order in permutations(("when", "j", "i")):
        v = facts("v", order)
        dims = cf.in_order(cf.dimensions(header(*coordinates, v), v), "it.nc")
        assert [d.name for d in dims] == ["when", "j", "i"]


def test_a_vertical_axis_comes_first_when_there_is_no_time() -> None:
    level = facts("level", "level", units="hPa", positive="down")
    lat, lon = facts("lat", "lat"), facts("lon", "lon")
    v = facts("v", "lat lon level")
    dims = cf.in_order(cf.dimensions(header(level, lat, lon, v), v), "it.nc")
    assert [d.name for d in dims] == ["level", "lat", "lon"]


def test_dimensions_that_say_nothing_keep_the_order_of_the_file() -> None:
    v = facts("v", "c a b")
    assert [d.name for d in cf.in_order(cf.dimensions(header(v), v), "it.nc")] == ["c", "a", "b"]


def test_an_auxiliary_coordinate_says_what_a_bare_dimension_is() -> None:
    v = facts("v", "time y x", coordinates="clat clon")
    rows, columns = facts("clat", "y", units="degrees_north"), facts("clon", "x", units="degrees_east")
    dims = cf.dimensions(header(facts("time", "time"), rows, columns, v), v)
    assert [(d.kind, d.coordinate.name if d.coordinate else None) for d in dims] == [
        ("time", "time"),
        ("latitude", "clat"),
        ("longitude", "clon"),
    ]


def test_two_axes_of_one_kind_are_refused() -> None:
    v = facts("v", "a b lon")
    lats = facts("a", "a", units="degrees_north"), facts("b", "b", units="degrees_north")
    with pytest.raises(InputError, match="Both dimensions 'a' and 'b'"):
        cf.in_order(cf.dimensions(header(*lats, facts("lon", "lon"), v), v), "it.nc")


def test_a_curvilinear_grid_is_refused() -> None:
    v = facts("v", "time y x", coordinates="lat lon")
    grid = facts("lat", "y x", units="degrees_north"), facts("lon", "y x", units="degrees_east")
    there = header(facts("time", "time", units="days since 2000-01-01"), *grid, v)
    with pytest.raises(InputError, match=r"curvilinear grid .*regrid"):
        cf.refuse_curvilinear(there, v, cf.dimensions(there, v))


def test_two_dimensional_latitudes_beside_proper_axes_do_no_harm() -> None:
    v = facts("v", "time lat lon")
    there = header(facts("lat", "lat"), facts("lon", "lon"), facts("lat2", "lat lon", units="degrees_north"), v)
    cf.refuse_curvilinear(there, v, cf.dimensions(there, v))


@pytest.mark.parametrize(
    ("dims", "shape", "kept"),
    [
        ("time level lat lon", (5, 1, 4, 4), ["time", "lat", "lon"]),
        ("time level lat lon", (1, 1, 4, 4), ["time", "lat", "lon"]),
        ("time level lat lon", (1, 5, 4, 4), ["level", "lat", "lon"]),
        ("time lat lon", (1, 4, 4), ["time", "lat", "lon"]),
        ("time level lat lon", (5, 5, 4, 4), None),
        ("lat lon", (4, 4), None),
    ],
)
def test_dimensions_of_size_one_are_dropped_only_down_to_three(
    dims: str, shape: tuple[int, ...], kept: list[str] | None
) -> None:
    v = facts("v", dims, shape)
    found = cf.keep_three(header(facts("time", "time"), facts("lat", "lat"), facts("lon", "lon"), v), v)
    assert (None if found is None else [d.name for d in found[0]]) == kept
