"""Wall files: what is read, what is refused and in which words, and that writing and reading are inverse."""

from __future__ import annotations

import itertools
import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from renderers.wall.axes import (
    CALVR_AXES,
    DIRECTIONS,
    WALL_AXES,
    AxesError,
    axes_matrix,
    corners,
    quaternion,
    turn_matrix,
    turn_of,
)
from renderers.wall.complaint import WallError
from renderers.wall.file import read_wall
from renderers.wall.projection import EyeBehind, frustum, rotation
from renderers.wall.records import Bezel, Fit, Node, Place, Screen, Selector, Tile, TrackerSource, Wall
from renderers.wall.schema import json_schema
from renderers.wall.write import to_toml, toml_value
from streamer.wire.viewing import Head
from tests.wall.walls import FOUR, angles, changed, four, places, sizes, turns

RIGHT_HANDED = [
    f"x {a}, y {b}, z {c}"
    for a, b, c in itertools.permutations(DIRECTIONS, 3)
    if round(float(np.linalg.det(np.array([DIRECTIONS[a], DIRECTIONS[b], DIRECTIONS[c]], dtype=float)))) == 1
]


def calvr_rotation(h: float, p: float, r: float) -> np.ndarray:
    """Rz(h)·Rx(p)·Ry(r) in x right, y forward, z up: CalVR's own words."""
    h, p, r = np.radians([h, p, r])
    z = np.array([[np.cos(h), -np.sin(h), 0], [np.sin(h), np.cos(h), 0], [0, 0, 1]])
    x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    y = np.array([[np.cos(r), 0, np.sin(r)], [0, 1, 0], [-np.sin(r), 0, np.cos(r)]])
    found: np.ndarray = z @ x @ y
    return found


def test_there_are_twenty_four_right_handed_ways_to_name_the_axes() -> None:
    assert len(RIGHT_HANDED) == 24


@given(turns)
def test_a_turn_is_calvrs_rotation_in_the_walls_axes(turn: tuple[float, float, float]) -> None:
    to_wall = axes_matrix(CALVR_AXES)
    assert np.allclose(turn_matrix(turn), to_wall @ calvr_rotation(*turn) @ to_wall.T)


@given(turns)
def test_the_angles_of_a_rotation_are_found_again(turn: tuple[float, float, float]) -> None:
    assert np.allclose(turn_matrix(turn_of(turn_matrix(turn))), turn_matrix(turn), atol=1e-9)


@pytest.mark.parametrize("pitch", [90.0, -90.0])
@given(heading=angles, roll=angles)
def test_looking_straight_up_or_down_is_a_turn_too(pitch: float, heading: float, roll: float) -> None:
    matrix = turn_matrix((heading, pitch, roll))
    assert np.allclose(turn_matrix(turn_of(matrix)), matrix, atol=1e-6)


@given(turns)
def test_quaternion_and_matrix_are_the_same_rotation(turn: tuple[float, float, float]) -> None:
    assert np.allclose(rotation(quaternion(turn_matrix(turn))), turn_matrix(turn), atol=1e-9)


@given(places, sizes, turns)
def test_corners_follow_from_centre_size_and_turn(
    centre: tuple[float, float, float], size: tuple[float, float], turn: tuple[float, float, float]
) -> None:
    screen = Screen("s", *corners(centre, size, turn))
    assert np.allclose(screen.size, size)
    assert np.allclose((np.array(screen.lower_left) + screen.upper_right) / 2, centre)
    assert np.allclose(np.stack(screen.axes, axis=1), turn_matrix(turn))


@pytest.mark.parametrize("axes", RIGHT_HANDED)
def test_a_wall_is_the_same_in_all_axes_and_units(axes: str) -> None:
    wall = full_wall()
    again = read_wall(to_toml(wall, axes), "again.toml")
    assert same(wall, again)
    metres = read_wall(in_metres(to_toml(wall, axes)), "metres.toml")
    assert same(wall, metres)


def in_metres(text: str) -> str:
    """The same wall file with its lengths in metres."""
    raw = tomllib.loads(text)
    raw["units"] = "m"
    shrunk = {"position", "centre", "lower_left", "lower_right", "upper_left", "offset", "head_shift", "wand_shift"}
    shrunk |= {"head_offset", "wand_offset"}

    def metres(value: object) -> object:
        if isinstance(value, dict):
            return {k: shrink(v) if k in shrunk | {"size", "bezel"} else metres(v) for k, v in value.items()}
        return [metres(one) for one in value] if isinstance(value, list) else value

    def shrink(value: object) -> object:
        if isinstance(value, dict):
            return {k: shrink(v) for k, v in value.items()}
        return [shrink(one) for one in value] if isinstance(value, list) else value / 1000.0  # type: ignore[operator]

    whole = metres(raw)
    assert isinstance(whole, dict)
    return "\n".join(f"{key} = {toml_value(value)}" for key, value in whole.items())


def full_wall() -> Wall:
    """One with everything that a file can say."""
    return Wall(
        name="full",
        title='A "full" wall\twith \\ in it',
        screens=(
            Screen("a", (-1000.5, 0.25, -1500), (0, 0.25, -1500), (-1000.5, 700, -1500)),
            Screen("b", *corners((300, 20, -900), (1210, 680), (12.5, -20, 180))),
        ),
        tiles=(
            Tile("a-left", "a", "n0", "left", Place(0, 0, 1920, 1080)),
            Tile("a-right", "a", "n0", "right", Place(1920, 10, 1920, 1080), ":1.0", swap_eyes=True),
            Tile("b", "b", "n1", "top-bottom", Place(0, 0, 3840, 2160), "", upside_down=True),
        ),
        nodes=(Node("n0", "left.example.org"), Node("n1")),
        head=Head((10, 1600, 50), quaternion(turn_matrix((10, 20, 30)))),
        eye_separation_mm=-63.5,
        near_mm=50,
        far_mm=2e6,
        bezels={"a": Bezel(1, 2, 3, 4), "b": Bezel(5, 5, 5, 5)},
        selector=Selector({"example.org/wall": "full", "zone": "x"}, ("key=value",), 2),
        fit=Fit(1500, (1, 2, 3), "y", 12.5),
        trackers=(
            TrackerSource("vrpn", "T@host", 3, -1, CALVR_AXES, "m", (1, 2, 3), (4, 5, 6), 1.5, 12, (0, 1, 2),
                          (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)),
            TrackerSource("mouse", ""),
        ),
    )  # fmt: skip


def same(a: Wall, b: Wall) -> bool:
    """Whether two walls agree up to rounding."""
    plain = changed(a, screens=(), head=Head(), fit=Fit(), trackers=(), bezels={})
    assert plain == changed(b, screens=(), head=Head(), fit=Fit(), trackers=(), bezels={})
    for p, q in zip(a.screens, b.screens, strict=True):
        assert p.name == q.name
        assert np.allclose([p.lower_left, p.lower_right, p.upper_left], [q.lower_left, q.lower_right, q.upper_left])
    assert np.allclose(a.head.position, b.head.position)
    assert np.allclose(rotation(a.head.turn), rotation(b.head.turn))
    assert np.allclose(a.fit.centre, b.fit.centre)
    for s, t in zip(a.trackers, b.trackers, strict=True):
        assert np.allclose([s.offset, s.head_shift, s.wand_shift], [t.offset, t.head_shift, t.wand_shift])
        assert np.allclose(s.head_offset, t.head_offset)
        assert (s.turn, s.axes, s.unit) == (t.turn, t.axes, t.unit)
    for name, bezel in a.bezels.items():
        other = b.bezels[name]
        for side in bezel.__struct_fields__:
            assert getattr(bezel, side) == pytest.approx(getattr(other, side))
    return set(a.bezels) == set(b.bezels)


def test_written_by_corners_a_wall_is_read_back_exactly() -> None:
    wall = changed(full_wall(), head=Head((10, 1600, 50)))
    assert read_wall(to_toml(wall), "w") == wall


@settings(max_examples=50)
@given(places, sizes, turns)
def test_written_by_centre_and_turn_corners_are_kept_to_a_thousandth_of_a_millimetre(
    centre: tuple[float, float, float], size: tuple[float, float], turn: tuple[float, float, float]
) -> None:
    wall = changed(four(), screens=(Screen("s", *corners(centre, size, turn)),), bezels={}, tiles=(), nodes=())
    again = read_wall(to_toml(wall, CALVR_AXES, by_corners=False), "w").screens[0]
    first = wall.screens[0]
    for p, q in ((first.lower_left, again.lower_left), (first.upper_right, again.upper_right)):
        assert np.allclose(p, q, atol=1e-3)


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_any_text_survives(title: str, name: str) -> None:
    wall = changed(four(), title=title, name=name)
    assert read_wall(to_toml(wall), "w") == wall


def test_ten_lines_make_two_by_two_panels_with_bezels() -> None:
    assert len(FOUR.strip().splitlines()) <= 10
    wall = four()
    assert [screen.name for screen in wall.screens] == ["panel-0-0", "panel-0-1", "panel-1-0", "panel-1-1"]
    assert wall.screens[0].upper_left == (-1021.0, 576.0, -2000.0)
    assert wall.screens[0].lower_right[0] + 6 == wall.screens[1].lower_left[0]
    assert [node.name for node in wall.nodes] == ["panel-row-0", "panel-row-1"]
    assert [(tile.node, tile.display) for tile in wall.tiles] == [
        ("panel-row-0", ":0.0"), ("panel-row-0", ":0.1"), ("panel-row-1", ":0.0"), ("panel-row-1", ":0.1"),
    ]  # fmt: skip


def test_on_a_cylinder_frames_touch_and_all_columns_face_its_axis() -> None:
    wall = read_wall(
        'name = "c"\n[[grids]]\nname = "p"\nrows = 1\ncolumns = 7\nsize = [500, 300]\nbezel = 10\nradius = 2000\n'
        "pixels = [100, 60]\ncentre = [0, 0, -2000]\n",
        "c.toml",
    )
    for screen in wall.screens:
        centre = (np.array(screen.lower_right) + screen.upper_left) / 2
        assert np.isclose(np.linalg.norm(centre), 2000)
        assert np.allclose(screen.axes[2], -centre / 2000)
    for a, b in itertools.pairwise(wall.screens):
        assert np.allclose(np.array(a.lower_right) + a.axes[0] * 10, np.array(b.lower_left) - b.axes[0] * 10)


def test_one_display_for_a_node_puts_its_windows_side_by_side() -> None:
    wall = read_wall(FOUR.replace(":0.{n}", ":0.0").replace('"row"', '"one"'), "w")
    places = [(tile.place.x, tile.place.y) for tile in wall.tiles]
    assert places == [(0, 0), (1920, 0), (0, 1080), (1920, 1080)]


def test_left_right_makes_two_outputs_of_each_panel() -> None:
    wall = read_wall(FOUR + 'stereo = "left-right"\n', "w")
    assert [tile.stereo for tile in wall.tiles[:2]] == ["left", "right"]
    assert {tile.screen for tile in wall.tiles[:2]} == {"panel-0-0"}
    assert [tile.display for tile in wall.tiles[:4]] == [":0.0", ":0.1", ":0.2", ":0.3"]


def test_hosts_name_the_nodes_of_a_grid() -> None:
    wall = read_wall(FOUR + 'hosts = ["top", "bottom"]\n', "w")
    assert wall.nodes == (Node("top", "top"), Node("bottom", "bottom"))


@given(places, sizes, turns, st.floats(100, 4000), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
def test_through_any_screen_its_corners_are_the_corners_of_the_picture(
    centre: tuple[float, float, float],
    size: tuple[float, float],
    turn: tuple[float, float, float],
    away: float,
    right: float,
    up: float,
) -> None:
    screen = Screen("s", *corners(centre, size, turn))
    x, y, out = screen.axes
    at = np.array(centre) + out * away + x * right * size[0] + y * up * size[1]
    seen = frustum(screen, (float(at[0]), float(at[1]), float(at[2])), 1.0, 100_000.0).matrix
    for corner, expected in (
        (screen.lower_left, (-1, -1)), (screen.lower_right, (1, -1)),
        (screen.upper_left, (-1, 1)), (screen.upper_right, (1, 1)),
    ):  # fmt: skip
        clip = seen @ np.array([*corner, 1.0])
        assert np.allclose(clip[:2] / clip[3], expected, atol=1e-6)
    behind = np.array(centre) - out * away
    with pytest.raises(EyeBehind):
        frustum(screen, (float(behind[0]), float(behind[1]), float(behind[2])), 1.0, 100_000.0)


def grid(line: str) -> str:
    return f'name = "w"\n[[grids]]\nname = "g"\nrows = 1\ncolumns = 1\nsize = [10, 10]\npixels = [9, 9]\n{line}\n'


def screen(lines: str) -> str:
    return f'name = "w"\n[[screens]]\nname = "s"\n{lines}\n'


@pytest.mark.parametrize(("text", "said"), [
    ("x = ", "my.toml is not TOML"),
    ('nam = "w"', "the file has no key “nam” (did you mean “name”?)"),
    ('title = "w"', "the file lacks the key “name”, which is a text"),
    ("name = 3", "“name” is 3, but a text is expected"),
    ('name = ""', "“name” is “”, but a text of at least 1 letter is expected"),
    ('name = "w"\nunits = "cm"', "“units” is “cm”, but it is one of m, mm"),
    ('name = "w"\naxes = "x right, y up, z forward"', "are left-handed, and every picture would be mirrored"),
    ('name = "w"\naxes = "x right, y left, z up"', "two of them lie along the same line"),
    ('name = "w"\naxes = "x east, y up, z back"', "“east” is no direction"),
    ('name = "w"\naxes = "right-handed"', "are not understood: say where x, y and z point"),
    ('name = "w"\nnear_mm = -1', "“near_mm” is -1, but a number above 0 is expected"),
    ("x = " + 5000 * "[", "its lists lie in each other too deep"),
    ("x = " + 5000 * "1", "my.toml is not TOML"),
    ('name = "w"\nfar_mm = 0x' + 5000 * "f", "no wall is so large"),
    ('name = "w"\nunits = "m"\n[head]\nposition = [1e306, 0, 0]', "no wall is so large"),
    ('name = "w"\n[[grids]]\nname = "g"\nrows = 1000\ncolumns = 1000\nsize = [1, 1]\npixels = [1, 1]',
     "4096 panels are the most"),
    ('name = "w"\nfar_mm = inf', "far_mm: inf is no number that a wall can use"),
    ('name = "w"\n[head]\npos = [1, 2, 3]', "[head] has no key “pos”"),
    ('name = "w"\n[head]\nposition = [1, 2]', "[head]: “position” is [1, 2], but a list of 3 is expected"),
    ('name = "w"\n[screens]\nname = "s"', "write [[screens]] with two brackets"),
    ('name = "w"\nscreens = [1]', "[[screens]] number 1 is 1, but a table is expected"),
    (grid("row = 2"), "[[grids]] number 1 (“g”) has no key “row” (did you mean “rows”?)"),
    (grid("bezel = { lef = 1 }"), "“bezel” has no key “lef” (did you mean “left”?)"),
    (grid('bezel = "thin"'), "“bezel” is “thin”, but a number or a table is expected"),
    (grid('stereo = "passive"'), "“stereo” is “passive”, but it is one of anaglyph, checkerboard"),
    (grid('hosts = ["a", "b"]'), "hosts names 2 machines, but nodes = “panel” makes 1"),
    (screen("centre = [0, 0, 0]"), "[[screens]] number 1 (“s”) lacks the key “size”"),
    (screen(""), "lacks the key “lower_left” (or centre and size"),
    (screen("centre = [0, 0, 0]\nlower_left = [0, 0, 0]"), "gives both “lower_left” and “centre”"),
    (screen("centre = [0, 0, 0]\nsize = [9, 9]\nnode = 'n'"), "lacks the key “pixels”"),
    (screen("centre = [0, 0, 0]\nsize = [9, 9]\nstereo = 'mono'"), "gives “stereo” but no “node”"),
    (screen("lower_left=[0,0,0]\nlower_right=[9,0,0]\nupper_left=[0,9,0]\nupper_right=[9,19,0]"), "lies 10 mm"),
    ('name = "w"\n[[tiles]]\nname = "t"\nscreen = "s"\nnode = "n"', "lacks the key “pixels”, which is a list of 2"),
    ('name = "w"\n[[trackers]]\nkind = "vrpm"\naddress = ""', "“kind” is “vrpm”, but it is one of dtrack"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(WallError) as caught:
        read_wall(text, "my.toml")
    sentence = str(caught.value)
    assert said in sentence
    assert sentence.startswith("my.toml")
    assert "\n" not in sentence


def test_corners_that_form_a_rectangle_may_all_be_given() -> None:
    text = screen("lower_left=[0,0,0]\nlower_right=[9,0,0]\nupper_left=[0,9,0]\nupper_right=[9,9,0]")
    assert read_wall(text, "w").screens[0].size == (9, 9)


def test_the_schema_is_one_and_takes_what_is_read() -> None:
    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json.loads(json.dumps(json_schema())))
    validator.validate(tomllib.loads(to_toml(full_wall())))
    validator.validate(tomllib.loads(FOUR))
    assert not validator.is_valid(tomllib.loads(FOUR.replace("rows", "row")))


def test_left_handed_axes_have_their_own_words() -> None:
    with pytest.raises(AxesError, match="left-handed"):
        axes_matrix("x right, y forward, z down")
    assert np.array_equal(axes_matrix(WALL_AXES), np.eye(3))
