"""Globe and map in real pictures: what is where on Earth, in whose colour, at which height."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from renderers.camera import eye_of
from renderers.colours import OFFERED, NoSuchColours, colour_table, opacities
from renderers.layout import project
from renderers.vtk_field import Transfer
from renderers.vtk_ground import Earth, on_earth
from renderers.vtk_stage import Stage
from renderers.vtk_window import Reader, open_window
from streamer.wire.block import Ids
from streamer.wire.colour import object_colour
from streamer.wire.view import Camera
from tests.renderers.runs import earth, plain

WIDTH, HEIGHT = 480, 480
VOLUME = earth((3, 18, 36))
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(WIDTH, HEIGHT)
    yield opened
    opened.Finalize()


def colours(ids: Ids) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return np.array([object_colour(int(i)) for i in ids], np.uint8).reshape(-1, 3), (ids != 0) & (ids != 99)


def ids_with(**cells: tuple[int, int]) -> Ids:
    ids = np.zeros((18, 36), np.uint64)
    for name, cell in cells.items():
        ids[cell] = int(name.removeprefix("id"))
    return ids


def shot(
    window: Any, view: Literal["globe", "map"], camera: Camera, ids: Ids, field: NDArray[np.uint8] | None = None
) -> tuple[Pixels, Earth, NDArray[np.float64]]:
    """A picture, what stands in it, and the matrix from the scene to clip space."""
    stage = Stage(window)
    earth = Earth(stage.renderer, VOLUME, view, wraps=True)
    earth.show(ids, colours, field, None if field is None else Transfer(colour_table("thermal"), opacities(())))
    matrix = stage.look(eye_of(camera), WIDTH, HEIGHT)
    window.SetSize(WIDTH, HEIGHT)
    window.Render()
    pixels = Reader().read(window).copy()
    window.RemoveRenderer(stage.renderer)
    return pixels, earth, matrix


def seen_at(earth: Earth, matrix: NDArray[np.float64], lat: float, lon: float, height: float) -> tuple[int, int]:
    """Row and column of a place on Earth."""
    place = earth.ground.points(np.array([lat]), np.array([lon]), np.array([height]))
    x, y = project(place, matrix, WIDTH, HEIGHT)[0]
    return HEIGHT - 1 - int(y), int(x)


def like(pixel: Any, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has a colour's hue, in whatever light."""
    a, b = np.array(pixel, float), np.array(colour, float)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) > 0.99 and float(a.max()) > 60


def facing(lat: float, lon: float) -> Camera:
    """A camera over a place on the globe.  At azimuth 0 it stands at −y, over 90° W."""
    return Camera(np.radians(lon + 90), np.radians(lat), 4.0, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(("row", "column"), [(9, 9), (13, 0), (4, 35), (2, 20)])
def test_a_cell_of_the_globe_has_its_objects_colour_at_its_place(window: Any, row: int, column: int) -> None:
    lat, lon = -90 + 10 * row + 5.0, 10.0 * column
    pixels, earth, matrix = shot(window, "globe", facing(lat, lon), ids_with(id7=(row, column)))
    assert like(pixels[seen_at(earth, matrix, lat, lon, 0.05)], object_colour(7))
    assert not like(pixels[seen_at(earth, matrix, lat + 12, lon, 0.0)], object_colour(7))


def test_the_map_shows_the_same_cell_at_its_longitude_and_latitude(window: Any) -> None:
    pixels, earth, matrix = shot(
        window, "map", Camera(0, np.pi / 2, 3.0, (0, 0, 0)), ids_with(id7=(12, 20), id8=(3, 5))
    )
    assert like(pixels[seen_at(earth, matrix, 35, 200, 0.04)], object_colour(7))
    assert like(pixels[seen_at(earth, matrix, -55, 50, 0.04)], object_colour(8))
    assert seen_at(earth, matrix, 35, 200, 0)[0] < seen_at(earth, matrix, -55, 50, 0)[0], "north is up"


def test_an_object_that_is_not_to_be_seen_is_not_drawn(window: Any) -> None:
    _, earth, _ = shot(window, "globe", facing(5, 0), ids_with(id99=(9, 0)))
    assert earth.triangles == 0


def test_a_stronger_field_stands_higher(window: Any) -> None:
    def top(value: int) -> float:
        _, earth, _ = shot(window, "globe", facing(5, 0), ids_with(id7=(9, 0)), np.full((18, 36), value, np.uint8))
        easternmost = earth._sheet.GetBounds()[1]  # a corner on the equator, 5 degrees from the middle
        return float(easternmost / np.cos(np.radians(5)))

    assert top(1) == pytest.approx(0.812, abs=0.002)
    assert top(255) == pytest.approx(0.94, abs=0.002)


def test_the_field_colours_the_ground_under_it_and_nothing_where_it_is_missing(window: Any) -> None:
    field = np.zeros((18, 36), np.uint8)
    field[9:12, 3:6] = 255
    bare, earth, matrix = shot(window, "globe", facing(15, 40), ids_with())
    pixels, _, _ = shot(window, "globe", facing(15, 40), ids_with(), field)
    hot = tuple(int(n) for n in colour_table("thermal")[255])
    # Between the graticule's lines and away from coasts.
    found = [seen_at(earth, matrix, lat, lon, 0.0) for lat in (4, 8, 24) for lon in (33, 42, 50)]
    assert sum(like(pixels[at], (hot[0], hot[1], hot[2])) for at in found) >= 7
    away = [seen_at(earth, matrix, lat, lon, 0.0) for lat in (-25, 40) for lon in (20, 65)]
    assert all(np.array_equal(pixels[at], bare[at]) for at in away)


def test_the_fields_colours_run_on_across_the_seam_of_the_longitudes(window: Any) -> None:
    field = np.full((18, 36), 1, np.uint8)
    field[:, 0] = 255
    pixels, earth, matrix = shot(window, "globe", facing(5, 0), ids_with(), field)
    # The first column's middle is at 0°: what is as far to its west, across the seam, looks as what is to its east.
    east, west = (
        np.array([pixels[seen_at(earth, matrix, lat, sign * 7, 0.0)] for lat in (3, 5, 7)]).astype(int)
        for sign in (1, -1)
    )
    there = pixels[seen_at(earth, matrix, 5, 0, 0.0)].astype(int)
    assert np.abs(east - west).max() < 12
    assert np.abs(there - west).max() > 60


def test_a_picture_of_the_whole_earth_has_coasts_and_no_hole(window: Any) -> None:
    pixels, _, matrix = shot(window, "globe", facing(20, 10), ids_with())
    assert matrix.shape == (4, 4)
    rows, columns = np.nonzero(np.abs(pixels.astype(int) - (127, 158, 184)).max(axis=-1) < 12)
    assert len(rows) > 300, "coastlines are drawn"
    assert 0.2 < np.mean(rows) / HEIGHT < 0.8
    assert 0.2 < np.mean(columns) / WIDTH < 0.8


def test_only_latitude_and_longitude_go_onto_the_earth() -> None:
    assert on_earth(VOLUME.axes)
    assert not on_earth(plain((3, 4, 5)).axes)


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_each_colour_map_has_256_colours_that_differ(name: str) -> None:
    table = colour_table(name)
    assert table.shape == (256, 3)
    assert len(np.unique(table, axis=0)) > 128


def test_an_unknown_colour_map_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(NoSuchColours, match=r"'thermall': did you mean thermal"):
        colour_table("thermall")
    with pytest.raises(NoSuchColours, match="there are amp, balance"):
        colour_table("zzzzzz")


def test_opacity_follows_its_points() -> None:
    assert opacities(()).tolist() == np.linspace(0, 1, 256).tolist()
    curve = opacities(((0.5, 1.0), (0.0, 0.2)))
    assert curve[0] == pytest.approx(0.2)
    assert curve[128:].min() == pytest.approx(1.0)
