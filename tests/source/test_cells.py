"""Edges, widths and areas of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.source import cells

SPHERE = 4 * np.pi * cells.EARTH_RADIUS_KM**2


@given(
    rows=st.integers(2, 400),
    columns=st.integers(2, 600),
    start=st.sampled_from([0.0, -180.0, 0.5]),
    grid=st.sampled_from(["poles", "centres", "gauss"]),
    falling=st.booleans(),
    single=st.booleans(),
)
def test_a_global_grid_has_the_area_of_the_globe(
    rows: int, columns: int, start: float, grid: str, falling: bool, single: bool
) -> None:
    if grid == "poles":
        latitude = np.linspace(-90.0, 90.0, rows)
    elif grid == "centres":
        latitude = -90.0 + 180.0 * (np.arange(rows) + 0.5) / rows
    else:
        latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(max(rows // 4, 4))[0]))
    longitude = start + np.arange(columns) * 360.0 / columns
    if single:
        latitude, longitude = (a.astype(np.float32).astype(float) for a in (latitude, longitude))
    if falling:
        latitude, longitude = latitude[::-1], longitude[::-1]
    assert cells.closes_globe(longitude)
    widths = cells.widths(cells.longitude_edges(longitude, None))
    area = cells.cell_area_km2(cells.latitude_edges(latitude, None), widths)
    assert area.shape == (len(latitude), columns)
    assert (area > 0).all()
    assert abs(area.sum() / SPHERE - 1) < 1e-9


def test_one_cell_on_the_equator_has_the_known_area() -> None:
    area = cells.cell_area_km2(np.array([[-0.5, 0.5]]), np.array([1.0]))
    assert area[0, 0] == pytest.approx(12364.2, abs=0.5)


def test_a_row_cut_off_a_regular_grid_does_not_reach_the_pole() -> None:
    assert cells.latitude_edges(np.arange(45.0, 89.0), None)[-1, 1] == 88.5
    assert cells.latitude_edges(np.arange(-87.5, 88.0, 2.5), None)[0, 0] == -88.75


def test_bounds_of_the_file_come_before_midpoints() -> None:
    bounds = np.array([[-90.0, -20.0], [-20.0, 95.0]])
    assert cells.latitude_edges(np.array([-50.0, 40.0]), bounds).tolist() == [[-90.0, -20.0], [-20.0, 90.0]]


def test_uneven_points_get_uneven_widths() -> None:
    assert cells.widths(cells.midway(np.array([0.0, 1.0, 3.0, 7.0]))).tolist() == [1.0, 1.5, 3.0, 4.0]
    assert cells.widths(cells.midway(np.array([7.0, 3.0, 1.0, 0.0]))).tolist() == [4.0, 3.0, 1.5, 1.0]
    assert cells.widths(cells.midway(np.array([5.0]))).tolist() == [1.0]


def test_a_region_does_not_close_the_globe_even_if_one_column_is_missing() -> None:
    assert not cells.closes_globe(np.arange(0.0, 10.0, 0.25))
    assert not cells.closes_globe(np.arange(359.0))
    assert cells.closes_globe(np.arange(360.0))
    assert not cells.closes_globe(np.array([0.0]))


def test_an_uneven_circle_closes_at_its_seam() -> None:
    longitude = np.array([0.0, 80.0, 170.0, 270.0])
    assert cells.closes_globe(longitude)
    assert cells.widths(cells.longitude_edges(longitude, None)).sum() == pytest.approx(360.0, abs=1e-12)


def test_a_cyclic_point_is_noticed() -> None:
    around = np.array([0.0, 90, 180, 270, 360])
    assert cells.repeats_first(around)
    assert not cells.repeats_first(around[:-1])


def test_longitudes_across_greenwich_are_written_on() -> None:
    assert cells.unwrap(np.array([350.0, 355.0, 0.0, 5.0])).tolist() == [350.0, 355.0, 360.0, 365.0]


def test_bounds_across_the_seam_keep_their_width() -> None:
    bounds = np.array([[337.5, 22.5], [22.5, 67.5]])
    assert cells.widths(cells.longitude_edges(np.array([0.0, 45.0]), bounds)).tolist() == [45.0, 45.0]
    assert cells.usable_bounds(bounds[1:], np.array([45.0]), 360.0)


@pytest.mark.parametrize(
    "bounds", [[[0.0, 0.0], [1.0, 2.0]], [[np.nan, 1.0], [1.0, 2.0]], [[5.0, 6.0], [6.0, 7.0]], [[0.0, 1.0]]]
)
def test_bounds_that_do_not_fit_their_points_are_not_used(bounds: list[list[float]]) -> None:
    assert not cells.usable_bounds(np.array(bounds), np.array([0.5, 1.5]))
