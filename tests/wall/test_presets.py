"""The walls that ship with CaveCast: sound, and as large as they say."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from renderers.wall.axes import FROM_CALVR
from renderers.wall.check import check
from renderers.wall.complaint import NoSuchWall, WallError
from renderers.wall.projection import eye_position, frustum
from renderers.wall.shelf import PRESETS, load_wall, preset_text, schema_text
from streamer.wire.viewing import Head

SITE = Path(__file__).parents[2].parent / "shared" / "walls" / "suncave_screens.csv"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_no_errors(name: str) -> None:
    report = check(load_wall(name))
    assert report.sound
    if name != "suncave":  # a real one: its panels stand in front of each other, as they do in San Diego
        assert report.findings == ()


@pytest.mark.parametrize(("name", "figures"), [
    ("desk", (1, 2, 2, 7.373)),
    ("2x2", (2, 4, 4, 8.294)),
    ("curved5", (5, 15, 15, 31.104)),
    ("cave4", (4, 8, 4, 37.325)),
    ("suncave", (35, 70, 70, 580.608)),
])  # fmt: skip
def test_presets_are_as_large_as_they_say(name: str, figures: tuple[int, int, int, float]) -> None:
    report = check(load_wall(name))
    assert (report.nodes, report.tiles, report.screens, report.megapixels) == figures


@pytest.mark.parametrize("name", PRESETS)
def test_both_eyes_see_every_screen_from_its_front(name: str) -> None:
    wall = load_wall(name)
    for screen in wall.screens:
        for eye in ("left", "right"):
            at = eye_position(wall.head, wall.eye_separation_mm, eye)
            assert np.isfinite(frustum(screen, at, wall.near_mm, wall.far_mm).matrix).all()


def test_the_suncave_is_the_sites() -> None:
    wall = load_wall("suncave")
    assert wall.selector.labels == {"topology.kubernetes.io/zone": "ucsd-suncave"}
    assert wall.selector.tolerations == ("nautilus.io/reservation=suncave",)
    assert wall.selector.expected_nodes == 35
    assert {tile.stereo for tile in wall.tiles} == {"top-bottom"}
    assert {(tile.place.width, tile.place.height) for tile in wall.tiles} == {(3840, 2160)}
    assert {tile.display for tile in wall.tiles} == {":0.0", ":0.1"}
    assert (wall.near_mm, wall.eye_separation_mm, wall.fit.size_mm) == (100, 64, 2000)
    (tracker,) = wall.trackers
    assert (tracker.kind, tracker.address, tracker.head, tracker.wand) == ("vrpn", "DTrack@localhost", 0, 1)


def test_a_picture_on_a_panel_that_hangs_upside_down_is_the_right_way_up_in_the_room() -> None:
    """What is higher in the room is lower in the panel's own picture, so that it is seen higher."""
    wall = load_wall("suncave")
    screen = wall.screen("panel-12-0")
    assert screen.axes[1][1] < -0.9
    centre = (np.array(screen.lower_right) + screen.upper_left) / 2
    seen = frustum(screen, wall.head.position, wall.near_mm, wall.far_mm).matrix
    clip = seen @ np.array([*(centre + np.array([100.0, 50.0, 0.0])), 1.0])
    assert clip[0] < 0
    assert clip[1] < 0


def test_the_suncave_has_the_sites_own_figures() -> None:
    if not SITE.exists():
        pytest.skip(f"{SITE} is not here; the figures above are tested without it")
    wall = load_wall("suncave")
    rows = list(csv.DictReader(SITE.read_text().splitlines()))
    assert len(rows) == len(wall.screens)
    for row, screen, tile in zip(rows, wall.screens, wall.tiles, strict=True):
        centre = (np.array(screen.lower_right) + screen.upper_left) / 2
        site = FROM_CALVR @ np.array([float(row[f"center_{axis}_mm"]) for axis in "xyz"])
        assert np.allclose(centre, site)
        assert np.allclose(screen.size, (float(row["width_mm"]), float(row["height_mm"])))
        assert (tile.node, tile.display) == (row["node"], f":0.{row['x_screen']}")
        h, p, r = np.radians([float(row[f"{angle}_deg"]) for angle in "hpr"])
        right = FROM_CALVR @ np.array([
            np.cos(h) * np.cos(r) - np.sin(h) * np.sin(p) * np.sin(r),
            np.sin(h) * np.cos(r) + np.cos(h) * np.sin(p) * np.sin(r),
            -np.cos(p) * np.sin(r),
        ])  # fmt: skip
        assert np.allclose(screen.axes[0], right)


def test_the_schema_beside_the_presets_is_up_to_date() -> None:
    shipped = resources.files("renderers.wall.presets").joinpath("wall.schema.json").read_text("utf-8")
    assert shipped == schema_text(), "run: cavecast wall schema > renderers/wall/presets/wall.schema.json"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_point_editors_to_the_schema(name: str) -> None:
    assert preset_text(name).startswith("#:schema wall.schema.json\n")


def test_a_file_is_a_wall_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(preset_text("2x2"))
    assert load_wall(path) == load_wall("2x2")
    assert load_wall(str(path)).head == Head()


def test_what_is_no_wall_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoSuchWall, match="did you mean “suncave”"):
        load_wall("suncav")
    with pytest.raises(NoSuchWall, match="no such file"):
        load_wall(tmp_path / "no.toml")
    (tmp_path / "site.xml").write_text("<Near value='1'/>")
    with pytest.raises(WallError, match=r"first cavecast wall import .*site\.xml -o site\.toml"):
        load_wall(tmp_path / "site.xml")
    path = tmp_path / "bad.toml"
    path.write_text("name = 1")
    with pytest.raises(WallError, match=r"bad\.toml: the file: “name” is 1"):
        load_wall(path)
