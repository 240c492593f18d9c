"""Every finding has a wall that shows it, and the sound wall beside it has none."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderers.wall.axes import corners, quaternion, turn_matrix, vec
from renderers.wall.check import Report, check
from renderers.wall.coverage import fov_deg
from renderers.wall.file import read_wall
from renderers.wall.records import Node, Place, Screen, Selector, TrackerSource, Wall
from renderers.wall.shelf import load_wall
from streamer.wire.viewing import Head
from tests.wall.walls import changed, four, moved, with_screen, with_tile


def codes(report: Report) -> dict[str, str]:
    return {finding.code: finding.level for finding in report.findings}


def mirrored(screen: Screen) -> Screen:
    x, y, z = screen.upper_right
    return Screen(screen.name, screen.lower_right, screen.lower_left, (x, y, z))


def scaled(wall: Wall, factor: float) -> Wall:
    def times(point: tuple[float, float, float]) -> tuple[float, float, float]:
        return point[0] * factor, point[1] * factor, point[2] * factor

    screens = tuple(
        Screen(s.name, times(s.lower_left), times(s.lower_right), times(s.upper_left)) for s in wall.screens
    )
    return changed(wall, screens=screens, head=Head(times(wall.head.position)), bezels={})


def test_a_sound_wall_has_no_findings_and_its_figures_are_right() -> None:
    report = check(four())
    assert report.findings == ()
    assert report.sound
    assert (report.nodes, report.tiles, report.screens) == (2, 4, 4)
    assert report.megapixels == pytest.approx(4 * 1920 * 1080 / 1e6, abs=1e-3)


def four_with(change: Callable[[Wall], Wall]) -> Callable[[], Wall]:
    return lambda: change(four())


def add_screen(screen: Screen) -> Callable[[], Wall]:
    return four_with(lambda wall: changed(wall, screens=(*wall.screens, screen)))


def first(wall: Wall) -> Screen:
    return wall.screens[0]


WRONG: list[tuple[str, str, Callable[[], Wall]]] = [
    ("no-screens", "error", four_with(lambda w: changed(w, screens=(), tiles=(), nodes=()))),
    ("no-area", "error", add_screen(Screen("x", (0, 0, 0), (0, 0, 0), (0, 1, 0)))),
    ("same-name", "error", four_with(lambda w: changed(w, nodes=(*w.nodes, w.nodes[0])))),
    ("unknown-screen", "error", four_with(lambda w: with_tile(w, 0, screen="nowhere"))),
    ("unknown-node", "error", four_with(lambda w: with_tile(w, 0, node="nobody"))),
    ("no-tile", "warning", four_with(lambda w: changed(w, tiles=w.tiles[1:]))),
    ("idle-node", "warning", four_with(lambda w: changed(w, nodes=(*w.nodes, Node("idle"))))),
    ("too-few-nodes", "error", four_with(lambda w: changed(w, selector=Selector({}, (), 1)))),
    ("eye-separation", "warning", four_with(lambda w: changed(w, eye_separation_mm=650))),
    ("eyes-swapped", "note", four_with(lambda w: changed(w, eye_separation_mm=-64))),
    ("near-far", "error", four_with(lambda w: changed(w, near_mm=100, far_mm=100))),
    ("near-plane", "warning", four_with(lambda w: changed(w, near_mm=2500))),
    ("far-plane", "warning", four_with(lambda w: changed(w, far_mm=2100))),
    ("mirrored", "error", four_with(lambda w: with_screen(w, 0, mirrored(first(w))))),
    ("mirrored", "error", four_with(lambda w: changed(w, screens=tuple(mirrored(s) for s in w.screens)))),
    ("eye-behind", "error", four_with(lambda w: changed(w, head=Head((0, 0, -3000))))),
    ("eye-behind", "error", four_with(lambda w: changed(w, head=Head((0, 0, -2000))))),
    ("units", "error", four_with(lambda w: scaled(w, 0.001))),
    ("units", "error", four_with(lambda w: scaled(w, 1000))),
    ("units", "warning", four_with(lambda w: changed(w, head=Head((0, 0, 900_000))))),
    ("not-rectangular", "error", four_with(
        lambda w: with_screen(w, 0, Screen("panel-0-0", first(w).lower_left, (-3, 63, -2000), first(w).upper_left)))),
    ("same-place", "error", four_with(lambda w: changed(w, screens=(*w.screens, moved(first(w), name="again"))))),
    ("overlap", "warning", four_with(lambda w: with_screen(w, 0, moved(first(w), x=60)))),
    ("overlap", "error", four_with(lambda w: with_screen(w, 0, moved(first(w), x=400)))),
    ("gap", "warning", four_with(lambda w: with_screen(w, 0, moved(first(w), x=-15)))),
    ("gap", "warning", four_with(lambda w: with_screen(w, 0, moved(first(w), x=-700)))),
    ("gap", "warning", four_with(lambda w: with_screen(w, 0, moved(first(w), z=-300)))),
    ("gap", "warning", four_with(lambda w: changed(with_screen(w, 0, moved(first(w), x=-90)), bezels={}))),
    ("no-bezel", "note", four_with(lambda w: changed(w, bezels={}))),
    ("window", "error", four_with(lambda w: with_tile(w, 0, place=Place(0, 0, 0, 1080)))),
    ("odd-row", "warning", four_with(lambda w: with_tile(w, 0, stereo="interlaced", place=Place(0, 1, 1920, 1080)))),
    ("same-output", "error", four_with(lambda w: with_tile(w, 1, display=":0.0"))),
    ("tracker", "error", four_with(lambda w: changed(w, trackers=(TrackerSource("dtrack", "udp://127.0.0.1:x"),)))),
    ("one-eye", "error", four_with(lambda w: with_tile(w, 0, stereo="left"))),
    ("mixed-stereo", "warning", four_with(
        lambda w: with_tile(with_tile(w, 0, stereo="left"), 1, stereo="mono", screen="panel-0-0"))),
    ("eye-sizes", "warning", four_with(
        lambda w: with_tile(with_tile(w, 0, stereo="left", place=Place(0, 0, 960, 540)), 1, stereo="right",
                            screen="panel-0-0"))),
    ("pixel-aspect", "warning", four_with(lambda w: with_tile(w, 0, place=Place(0, 0, 1280, 1080)))),
    ("pixel-density", "warning", four_with(lambda w: with_tile(w, 0, place=Place(0, 0, 16, 9)))),
    ("upside-down", "note", four_with(
        lambda w: with_screen(w, 0, Screen("panel-0-0", first(w).upper_right, first(w).upper_left,
                                           first(w).lower_right)))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "level", "made"), WRONG, ids=[f"{c}-{i}" for i, (c, _, _) in enumerate(WRONG)])
def test_what_is_wrong_is_found(code: str, level: str, made: Callable[[], Wall]) -> None:
    report = check(made())
    assert codes(report).get(code) == level
    assert report.sound == all(finding.level != "error" for finding in report.findings)
    for finding in report.findings:
        assert re.fullmatch(r"[A-Z0-9].*(?:[.?]|more like this\))", finding.sentence)
        assert "\n" not in finding.sentence


def test_a_mirrored_screen_is_told_from_an_eye_behind_it() -> None:
    one = changed(four(), screens=(Screen("s", (-500, -300, -1000), (500, -300, -1000), (-500, 300, -1000)),),
                  tiles=(), nodes=(), bezels={})  # fmt: skip
    assert "mirrored" in codes(check(with_screen(one, 0, mirrored(one.screens[0]))))
    behind = codes(check(changed(one, head=Head((0, 0, -2000)))))
    assert "eye-behind" in behind
    assert "mirrored" not in behind


def test_mirrored_screens_of_a_cave_are_named() -> None:
    cave = load_wall("cave4")
    for index, screen in enumerate(cave.screens):
        report = check(with_screen(cave, index, mirrored(screen)))
        assert [f.where for f in report.findings if f.code == "mirrored"] == [screen.name]


def test_many_findings_of_one_kind_are_one_sentence() -> None:
    suncave = load_wall("suncave")
    wall = changed(suncave, screens=tuple(mirrored(screen) for screen in suncave.screens))
    found = [finding for finding in check(wall).findings if finding.code == "mirrored"]
    assert len(found) == 1
    assert "69 more" in found[0].sentence
    assert found[0].where.count(",") == 69


def test_two_nodes_on_one_host_share_its_outputs() -> None:
    wall = four()
    host = changed(wall, nodes=tuple(Node(node.name, "same") for node in wall.nodes))
    assert "same-output" in codes(check(host))
    assert check(host).nodes == 1


def test_windows_side_by_side_on_one_display_do_not_collide() -> None:
    assert "same-output" not in codes(check(load_wall("desk")))


def test_tiles_without_a_window_do_not_collide() -> None:
    wall = four()
    for index in range(4):
        wall = with_tile(wall, index, display="")
    assert "same-output" not in codes(check(wall))


@given(st.floats(200, 5000), st.floats(100, 5000), st.floats(300, 10_000))
def test_a_flat_wall_is_seen_under_its_angle(width: float, height: float, away: float) -> None:
    wall = changed(four(), screens=(Screen("s", *corners((0, 0, -away), (width, height), (0, 0, 0))),), bezels={})
    across, up = fov_deg(wall)
    assert across == pytest.approx(np.degrees(2 * np.arctan(width / 2 / away)), abs=1e-4)
    assert up == pytest.approx(np.degrees(2 * np.arctan(height / 2 / away)), abs=1e-4)


@pytest.mark.parametrize(("columns", "expected"), [(12, 360.0), (9, 270.0), (3, 90.0)])
def test_a_ring_is_seen_under_360_degrees_and_an_arc_under_its_own(columns: int, expected: float) -> None:
    wall = read_wall(
        f'name = "r"\n[[grids]]\nname = "p"\nrows = 2\ncolumns = {columns}\nsize = [1000, 600]\nbezel = 20\n'
        "radius = 1940.64\nangle = 30\npixels = [100, 60]\ncentre = [0, 0, -1940.64]\n",
        "r.toml",
    )
    assert fov_deg(wall)[0] == pytest.approx(expected, abs=2.0 if columns < 12 else 0)


def test_a_cave_counts_its_three_walls_across_and_its_floor_downwards() -> None:
    across, up = fov_deg(load_wall("cave4"))
    assert across == pytest.approx(270)
    assert up == pytest.approx(90 + np.degrees(np.arctan2(1300, 1500)), abs=0.01)


@settings(max_examples=20)
@given(st.floats(-180, 180), st.floats(-3000, 3000), st.floats(-3000, 3000))
def test_where_a_wall_stands_and_faces_changes_nothing(heading: float, x: float, z: float) -> None:
    matrix = turn_matrix((heading, 0, 0))
    here = np.array([x, 0.0, z])
    wall = load_wall("curved5")

    def place(point: tuple[float, float, float]) -> tuple[float, float, float]:
        return vec(matrix @ np.array(point) + here)

    screens = tuple(
        Screen(s.name, place(s.lower_left), place(s.lower_right), place(s.upper_left)) for s in wall.screens
    )
    turned = changed(wall, screens=screens, head=Head(place(wall.head.position), quaternion(matrix)))
    before, after = check(wall), check(turned)
    assert codes(before) == codes(after) == {}
    assert np.allclose(before.fov_deg, after.fov_deg, atol=1e-3)


def test_screens_by_corners_may_be_given_in_any_order_of_files() -> None:
    wall = four()
    assert check(changed(wall, screens=wall.screens[::-1])).findings == ()
