"""Real pictures of tiles: together they are one, each point is where the straight line says, both eyes are right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkRenderingCore import vtkRenderer

from renderers.vtk_tile import TileWindow, look_with_both
from renderers.vtk_window import open_window
from renderers.wall.pinhole import pixels_of
from renderers.wall.projection import eye_position, placement_matrix
from renderers.wall.records import Place, Stereo, Wall
from renderers.wall.sight import CLOSEST_MM, sights
from renderers.wall.stereo import of_second
from renderers.wall.stitch import BUDGET, Sized, differing, larges
from streamer.wire.viewing import Head, Placement
from tests.tiles.scenes import HEAD, PLACEMENT, add, flat, ring, stage

APART = 64.0
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def window() -> Iterator[Any]:
    opened = open_window(160, 90)
    yield opened
    opened.Finalize()


def picture(
    window: Any, renderer: vtkRenderer, wall: Wall, name: str, placement: Placement = PLACEMENT, head: Head = HEAD
) -> Pixels:
    """What a tile shows."""
    tile = wall.tile(name)
    window.SetSize(tile.place.width, tile.place.height)
    window.AddRenderer(renderer)
    view = TileWindow(window, renderer, tile.stereo, (tile.place.x, tile.place.y))
    view.draw(sights(wall, tile, placement, head, APART))
    view.show()
    shown = view.pixels().copy()
    window.RemoveRenderer(renderer)
    return shown


def one_eyed(wall: Wall, eye: Stereo) -> Wall:
    """The same wall with outputs for one eye."""
    tiles = tuple(type(t)(t.name, t.screen, t.node, eye, t.place, t.display) for t in wall.tiles)
    return type(wall)(wall.name, wall.screens, tiles, wall.nodes, head=wall.head)


def whole(window: Any, renderer: vtkRenderer, wall: Wall, eye: Stereo, head: Head) -> tuple[int, int]:
    """(differing, all) pixels between the tiles of a wall and the large renders that they are parts of."""
    wall = one_eyed(wall, eye)
    sized = [Sized(wall.screen(t.screen), t.place.width, t.place.height) for t in wall.tiles]
    apart = total = 0
    for large in larges(sized):
        tile = wall.tiles[0]
        frame = type(tile)("large", "large", "here", eye, Place(0, 0, large.width, large.height), "")
        around = type(wall)("large", (large.screen,), (frame,), wall.nodes, head=wall.head)
        expected = picture(window, renderer, around, "large", head=head)
        for part in large.parts:
            shown = picture(window, renderer, wall, part.name, head=head)
            x, y, wide, high = part.place.x, part.place.y, part.place.width, part.place.height
            apart += differing(shown, expected[y : y + high, x : x + wide])
            total += wide * high
    return apart, total


@pytest.mark.parametrize("eye", ["left", "right"])
@pytest.mark.parametrize("gap", [0.0, 4.0, 5.3])
def test_the_tiles_of_a_flat_wall_are_one_picture(window: Any, eye: Stereo, gap: float) -> None:
    apart, total = whole(window, stage(), flat(4, 3, gap=gap), eye, HEAD)
    assert total == 12 * 160 * 90
    assert apart <= BUDGET * total


@pytest.mark.parametrize("eye", ["left", "right"])
def test_each_panel_of_a_closed_ring_is_part_of_what_lies_behind_it(window: Any, eye: Stereo) -> None:
    wall = ring(7)
    apart, total = whole(window, stage(), wall, eye, wall.head)
    assert apart <= BUDGET * total


def test_a_tile_that_is_shifted_by_half_a_pixel_is_noticed(window: Any) -> None:
    wall, renderer = flat(2, 1), stage()
    shown = picture(window, renderer, wall, "0-0")
    screen = wall.screens[0]
    half = 640 / 160 / 2
    moved = type(screen)(
        screen.name, *((c[0] + half, c[1], c[2]) for c in (screen.lower_left, screen.lower_right, screen.upper_left))
    )
    askew = type(wall)(wall.name, (moved, wall.screens[1]), wall.tiles, wall.nodes, head=wall.head)
    assert differing(picture(window, renderer, askew, "0-0"), shown) > 10 * BUDGET * shown[..., 0].size


@pytest.mark.parametrize("wall", [flat(2, 2, pixels=(320, 180)), ring(6), ring(3, 900.0)], ids=["flat", "six", "three"])
def test_a_point_appears_where_the_straight_line_from_the_eye_meets_the_screen(window: Any, wall: Wall) -> None:
    rng = np.random.default_rng(7)
    matrix = placement_matrix(PLACEMENT)
    seen = 0
    for eye in ("left", "right"):
        eyed = one_eyed(wall, "left" if eye == "left" else "right")
        at = eye_position(wall.head, APART, eye)
        for tile in eyed.tiles:
            width, height = tile.place.width, tile.place.height
            screen = wall.screen(tile.screen)
            corner = np.array(screen.lower_left)
            across, up = np.array(screen.lower_right) - corner, np.array(screen.upper_left) - corner
            share = rng.uniform(0.15, 0.85, 2)
            through = corner + share[0] * across + share[1] * up
            point = np.array(at) + (through - np.array(at)) * float(rng.uniform(0.8, 2.5))
            in_scene = np.linalg.solve(matrix, np.array([*point, 1.0]))[:3]
            renderer = vtkRenderer()
            ball = vtkSphereSource()
            ball.SetRadius(0.014 * float(np.linalg.norm(point - np.array(at))) / PLACEMENT.size)
            ball.SetThetaResolution(24)
            ball.SetPhiResolution(24)
            x, y, z = in_scene.tolist()
            add(renderer, ball, (x, y, z), (1.0, 1.0, 1.0), lit=False)
            shown = picture(window, renderer, eyed, tile.name, head=wall.head)
            rows, columns = np.nonzero(shown.sum(axis=-1) > 300)
            assert len(rows) >= 3, f"{tile.name}: nothing is seen"
            expected = pixels_of(point[None], at, screen, width, height)[0]
            assert abs(columns.mean() + 0.5 - expected[0]) <= 0.5
            assert abs(rows.mean() + 0.5 - expected[1]) <= 0.5
            seen += 1
    assert seen == 2 * len(wall.tiles)


def test_halves_hold_both_eyes_each_with_the_whole_screen(window: Any) -> None:
    renderer = stage()
    for stereo, part in (("side-by-side", (80, 90)), ("top-bottom", (160, 45))):
        packed = picture(window, renderer, flat(1, 1, stereo), "0-0")  # type: ignore[arg-type]  # one of Stereo
        left = picture(window, renderer, one_eyed(flat(1, 1, pixels=part), "left"), "0-0")
        right = picture(window, renderer, one_eyed(flat(1, 1, pixels=part), "right"), "0-0")
        across = 1 if stereo == "side-by-side" else 0
        assert differing(packed, np.concatenate([left, right], axis=across)) == 0
        assert differing(left, right) > 100


@pytest.mark.parametrize("stereo", ["interlaced", "interlaced-columns", "checkerboard", "anaglyph"])
def test_rows_squares_and_colours_are_taken_from_two_whole_pictures(window: Any, stereo: Stereo) -> None:
    renderer = stage()
    left, right = (picture(window, renderer, one_eyed(flat(1, 1), eye), "0-0") for eye in ("left", "right"))
    mixed = picture(window, renderer, flat(1, 1, stereo), "0-0")
    second = of_second(stereo, 160, 90)
    assert np.array_equal(mixed[second], right[second])
    assert np.array_equal(mixed[~second], left[~second])


def test_vtks_own_off_axis_camera_draws_the_same_for_both_buffers(window: Any) -> None:
    renderer, wall = stage(), flat(1, 1, "quad-buffer")
    turned = Head(HEAD.position, (0.1, 0.3, 0.2, 0.9))
    left, right = (
        picture(window, renderer, one_eyed(flat(1, 1), eye), "0-0", head=turned) for eye in ("left", "right")
    )
    window.AddRenderer(renderer)
    view = TileWindow(window, renderer, "mono")
    both = sights(wall, wall.tiles[0], PLACEMENT, turned, APART)
    view.draw(both[:1])
    look_with_both(renderer.GetActiveCamera(), *both)
    for kind, expected in (("Left", left), ("Right", right)):
        getattr(window, f"SetStereoTypeTo{kind}")()
        window.StereoRenderOn()
        window.Render()
        shown = view.pixels().copy()
        window.StereoRenderOff()
        assert differing(shown, expected) <= 0.002 * shown[..., 0].size
    window.RemoveRenderer(renderer)


def test_a_panel_on_its_head_shows_the_same_picture_turned_by_half(window: Any) -> None:
    renderer, wall = stage(), flat(1, 1, "top-bottom")
    upright = picture(window, renderer, wall, "0-0")
    hanging = replace(wall, tiles=(replace(wall.tiles[0], upside_down=True),))
    turned = picture(window, renderer, hanging, "0-0")
    # Each eye's picture is turned; which half is whose stays, for the panel unpacks them as they come.
    halves = [half[::-1, ::-1] for half in (upright[:45], upright[45:])]
    assert differing(turned, np.concatenate(halves)) <= 0.002 * turned[..., 0].size
    assert differing(turned, upright) > 100


def test_a_negative_eye_separation_and_swapped_eyes_are_the_same(window: Any) -> None:
    renderer, wall = stage(), flat(1, 1, "side-by-side")
    swapped = picture(window, renderer, replace(wall, tiles=(replace(wall.tiles[0], swap_eyes=True),)), "0-0")
    plain = picture(window, renderer, wall, "0-0")
    other_way = np.concatenate([plain[:, 80:], plain[:, :80]], axis=1)
    assert differing(swapped, other_way) <= 0.002 * plain[..., 0].size
    assert differing(swapped, plain) > 100
    tile = wall.tiles[0]
    negative, other = sights(wall, tile, PLACEMENT, HEAD, -APART), sights(wall, tile, PLACEMENT, HEAD, APART)
    assert [s.position for s in negative] == [s.position for s in other][::-1]


@pytest.mark.parametrize("z", [0.0, -0.001, -3000.0])
def test_an_eye_that_is_not_in_front_of_a_screen_is_held_before_it(z: float) -> None:
    wall = flat(1, 1)
    (sight,) = sights(wall, wall.tiles[0], Placement(size=1.0), Head((30.0, 20.0, z)), APART)
    assert sight.held
    assert sight.position == pytest.approx((30.0, 20.0, CLOSEST_MM))
    (free,) = sights(wall, wall.tiles[0], Placement(size=1.0), Head((30.0, 20.0, CLOSEST_MM)), APART)
    assert not free.held
