"""The field in real pictures: a slice's cells at their places in their colours, a volume where there is something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from renderers.camera import eye_of, fit
from renderers.colours import colour_table, opacities
from renderers.geometry import room_of
from renderers.layout import project
from renderers.vtk_field import MOST_VOXELS, FieldSlice, FieldVolume, Transfer, stride
from renderers.vtk_stage import Stage
from renderers.vtk_window import Reader, open_window
from streamer.wire.grid import Grid
from streamer.wire.volume import Volume
from tests.renderers.runs import axis, earth, plain

SIDE = 300
TABLE = colour_table("viridis")
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(SIDE, SIDE)
    yield opened
    opened.Finalize()


def picture(window: Any, stage: Stage) -> tuple[Pixels, NDArray[np.float64]]:
    matrix = stage.look(eye_of(fit(SIDE, SIDE, (0.3, 0.9))), SIDE, SIDE)
    window.Render()
    pixels = Reader().read(window).copy()
    window.RemoveRenderer(stage.renderer)
    return pixels, matrix


def uneven() -> Volume:
    """Latitudes from north to south, with steps that grow."""
    lat = [80.0, 70.0, 50.0, 20.0, -30.0, -60.0]
    return Volume(
        "q", (axis("time", [0.0, 3.0]), axis("latitude", lat), axis("longitude", [0.0, 20.0, 40.0, 60.0])), "kg"
    )


@pytest.mark.parametrize("volume", [earth((4, 12, 24)), plain((5, 6, 7)), uneven()], ids=["earth", "plain", "uneven"])
def test_a_cell_of_the_slice_has_its_colour_at_its_place(window: Any, volume: Volume) -> None:
    room, shape = room_of(volume), volume.shape
    rng = np.random.default_rng(2)
    field = rng.integers(1, 256, shape[1:]).astype(np.uint8)
    field[1, 1] = 0
    stage = Stage(window)
    stage.renderer.GradientBackgroundOff()
    transfer = Transfer(TABLE, opacities(()))
    FieldSlice(stage.renderer, room, shape).show(field, 1, transfer, 1.0)
    pixels, matrix = picture(window, stage)
    for y in range(shape[1]):
        for x in range(shape[2]):
            place = room.points(np.array([[1.0, y, x]])).astype(float)
            column, row = project(place, matrix, SIDE, SIDE)[0]
            seen = pixels[SIDE - 1 - int(row), int(column)].astype(int)
            expected = transfer.colours[field[y, x]] if field[y, x] else np.round(255 * np.array([0.012, 0.017, 0.03]))
            assert np.abs(seen - expected).max() <= 2, (y, x)


def test_a_transfer_function_runs_between_its_ends_and_hides_what_is_missing() -> None:
    transfer = Transfer(TABLE, opacities(((0.0, 0.5), (1.0, 1.0))), 0.25, 0.75)
    assert transfer.opacity[0] == 0
    assert transfer.opacity[1] == transfer.opacity[60] == pytest.approx(0.5)
    assert transfer.opacity[255] == pytest.approx(1.0)
    assert (transfer.colours[1] == TABLE[0]).all()
    assert (transfer.colours[200] == TABLE[255]).all()


@pytest.mark.parametrize("volume", [earth((8, 12, 24)), plain((8, 12, 24))], ids=["earth", "plain"])
def test_a_volume_glows_where_the_field_is_and_nowhere_else(window: Any, volume: Volume) -> None:
    grid, room = Grid(volume.shape, (4, 5, 9)), room_of(volume)
    field = np.zeros(volume.shape, np.uint8)
    field[2:5, 8:11, 15:20] = 255
    stage = Stage(window)
    stage.renderer.GradientBackgroundOff()
    body = FieldVolume(stage.renderer, room, grid)
    for chunk in range(grid.size):
        body.put(chunk, field[grid.core(chunk).slices])
    body.show(Transfer(TABLE, opacities(())), 1.0)
    pixels, matrix = picture(window, stage)
    column, row = project(room.points(np.array([[3.0, 9.0, 17.0]])).astype(float), matrix, SIDE, SIDE)[0]
    assert pixels[SIDE - 1 - int(row), int(column)].max() > 100
    column, row = project(room.points(np.array([[3.0, 3.0, 4.0]])).astype(float), matrix, SIDE, SIDE)[0]
    assert pixels[SIDE - 1 - int(row), int(column)].max() < 12


def test_a_chunk_that_comes_later_is_shown_then(window: Any) -> None:
    volume = plain((4, 8, 8))
    grid = Grid(volume.shape, (4, 8, 4))
    stage = Stage(window)
    body = FieldVolume(stage.renderer, room_of(volume), grid)
    transfer = Transfer(TABLE, opacities(()))
    bright = []
    for chunk in range(2):
        body.put(chunk, np.full(grid.core(chunk).shape, 255, np.uint8))
        body.show(transfer, 1.0)
        stage.look(eye_of(fit(SIDE, SIDE)), SIDE, SIDE)
        window.Render()
        bright.append(int((Reader().read(window).max(axis=-1) > 100).sum()))
    window.RemoveRenderer(stage.renderer)
    assert bright[1] > 1.5 * bright[0]


def test_a_huge_volume_is_taken_sparsely_and_evenly() -> None:
    assert stride((100, 200, 300)) == (1, 1, 1)
    every = stride((4000, 3000, 2000))
    assert np.prod([-(-n // e) for n, e in zip((4000, 3000, 2000), every, strict=True)]) <= MOST_VOXELS
    assert max(every) <= min(every) + 5


def test_every_second_voxel_comes_from_the_right_chunk(monkeypatch: pytest.MonkeyPatch, window: Any) -> None:
    monkeypatch.setattr("renderers.vtk_field.MOST_VOXELS", 300)
    volume = plain((9, 11, 13))
    grid = Grid(volume.shape, (4, 5, 3))
    every = stride(grid.shape)
    assert max(every) > 1
    stage = Stage(window)
    body = FieldVolume(stage.renderer, room_of(volume), grid)
    field = np.random.default_rng(5).integers(1, 255, grid.shape).astype(np.uint8)
    for chunk in range(grid.size):
        body.put(chunk, field[grid.core(chunk).slices])
    window.RemoveRenderer(stage.renderer)
    assert np.array_equal(body._bytes, field[:: every[0], :: every[1], :: every[2]])
