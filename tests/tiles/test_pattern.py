"""The test pattern: what stands on each tile, where, and for which eye."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from renderers.vtk_pattern import IN_THE_ROOM, PatternStage
from renderers.vtk_tile import TileWindow
from renderers.vtk_window import open_window
from renderers.wall.pattern import BARS, COARSE_MM, FINE_MM, pattern
from renderers.wall.records import Stereo, Wall
from renderers.wall.sight import sights
from tests.tiles.scenes import flat, ring

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(160, 90)
    yield opened
    opened.Finalize()


def shown(window: Any, wall: Wall, name: str) -> Pixels:
    tile = wall.tile(name)
    stage = PatternStage(wall, tile)
    window.SetSize(tile.place.width, tile.place.height)
    window.AddRenderer(stage.renderer)
    view = TileWindow(window, stage.renderer, tile.stereo)
    view.draw(sights(wall, tile, IN_THE_ROOM, wall.head, 64.0), stage.before)
    view.show()
    pixels = view.pixels().copy()
    window.RemoveRenderer(stage.renderer)
    return pixels


def test_the_bars_have_the_colours_that_were_meant_and_the_frame_is_the_outermost_pixels(window: Any) -> None:
    pixels = shown(window, flat(1, 1, pixels=(640, 360)), "0-0")
    row = 359 - round(0.14 * 360)
    for i, colour in enumerate(BARS):
        seen = pixels[row, round((0.15 + 0.1 * i) * 640)]
        assert np.abs(seen.astype(int) - np.round(255 * np.array(colour)).astype(int)).max() <= 1
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge > 200).all()


def test_each_eye_sees_its_own_letter_and_not_the_others(window: Any) -> None:
    def red_and_blue(stereo: Stereo) -> tuple[bool, bool]:
        part = shown(window, flat(1, 1, stereo, pixels=(640, 360)), "0-0")[225:285].astype(int)
        red, blue = part[..., 0] - part[..., 2], part[..., 2] - part[..., 0]
        return bool((red > 150).any()), bool((blue > 150).any())

    assert red_and_blue("left") == (True, False)
    assert red_and_blue("right") == (False, True)
    assert red_and_blue("mono") == (True, True)


@pytest.mark.parametrize("wall", [flat(3, 2, gap=7.0), ring(6), ring(5, 900.0)], ids=["flat", "six", "five"])
def test_the_grid_runs_on_from_screen_to_screen(wall: Wall) -> None:
    """Each line that reaches a screen's side comes out of the neighbour's side at the same height of the room."""
    for tile in wall.tiles:
        wide, high = wall.screen(tile.screen).size
        for patch in pattern(wall, tile).patches:
            if len(patch.corners) != 4 or patch.eye:
                continue
            middle = (patch.corners[0] + patch.corners[3]) / 2, (patch.corners[1] + patch.corners[2]) / 2
            if np.linalg.norm(middle[1] - middle[0]) < 0.9 * min(wide, high) or not _thin(patch.corners):
                continue
            on_plane = [
                axis
                for axis in range(3)
                if all(abs(end[axis] - FINE_MM * round(end[axis] / FINE_MM)) < 0.5 for end in middle)
                and abs(middle[0][axis] - middle[1][axis]) < 0.5
            ]
            corner = np.array(wall.screen(tile.screen).lower_left)
            frame = _on_edge(middle, corner, wall, tile.screen)
            assert on_plane or frame


def _thin(corners: NDArray[np.float64]) -> bool:
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(sides.min()) < 0.05 * float(sides.max())


def _on_edge(ends: tuple[Any, Any], corner: NDArray[np.float64], wall: Wall, name: str) -> bool:
    """Whether a line is one of the frame's sides."""
    right, up, _ = wall.screen(name).axes
    wide, high = wall.screen(name).size
    u, v = [(end - corner) @ right / wide for end in ends], [(end - corner) @ up / high for end in ends]
    return any(all(abs(n - side) < 0.03 for n in along) for along in (u, v) for side in (0, 1))


def test_whole_metres_have_thicker_lines() -> None:
    wall = flat(4, 4)
    widths: dict[bool, set[float]] = {True: set(), False: set()}
    for tile in wall.tiles:
        for patch in pattern(wall, tile).patches:
            if len(patch.corners) == 4 and _thin(patch.corners) and not patch.eye:
                x = patch.corners[:, 0]
                at = round(float(x.mean()), 3)
                if np.ptp(x) < 20 and np.ptp(patch.corners[:, 1]) > 350 and at % FINE_MM == 0:
                    widths[at % COARSE_MM == 0].add(round(float(np.ptp(x)), 3))
    assert min(widths[True]) > max(widths[False])
