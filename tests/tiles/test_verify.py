"""Whole walls tried out: all presets, walls that came from CalVR, every way to pack two eyes; and faults are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from renderers.wall import proof
from renderers.wall.calvr import import_calvr
from renderers.wall.commands import wall as commands
from renderers.wall.pinhole import pixels_of
from renderers.wall.proof import ERROR_PX, Verdict, groups, shrunk
from renderers.wall.records import EYES, Stereo, Tile, Wall
from renderers.wall.shelf import PRESETS, load_wall, read_text
from renderers.wall.stitch import BUDGET, Large
from renderers.wall.verify import Booth, verify
from streamer.wire.viewing import Head
from tests.tiles.scenes import flat, ring


@pytest.fixture(scope="module")
def booth() -> Iterator[Booth]:
    with closing(Booth()) as opened:
        yield opened


SHARED = Path(__file__).parents[2].parent / "shared" / "walls"
PANEL = """<Screen width="1600" height="1200" h="{turn}" p="0" r="{roll}"
   originX="{x}" originY="1200" originZ="0" name="{eye}" />"""
CALVR = f"""<Stereo separation="60" />
<NumPipes value="1" /> <NumWindows value="1" /> <NumScreens value="2" />
<PipeConfig> <Pipe server="0" screen="0" name="0" /> </PipeConfig>
<WindowConfig> <Window width="800" height="300" left="0" bottom="0" pipeIndex="0" name="0" /> </WindowConfig>
<ChannelConfig>
  <Channel left="0" bottom="0" width="400" height="300" stereoMode="LEFT" windowIndex="0" name="0" />
  <Channel left="400" bottom="0" width="400" height="300" stereoMode="RIGHT" windowIndex="0" name="1" />
</ChannelConfig>
<LOCAL host="west"> <ScreenConfig>
  {PANEL.format(turn=30, roll=0, x=-760, eye=0)} {PANEL.format(turn=30, roll=0, x=-760, eye=1)}
</ScreenConfig> </LOCAL>
<LOCAL host="east"> <ScreenConfig>
  {PANEL.format(turn=-30, roll=180, x=760, eye=0)} {PANEL.format(turn=-30, roll=180, x=760, eye=1)}
</ScreenConfig> </LOCAL>"""
"""A wall of two panels, one of them on its head, each listed once for each eye: small, but as sites write it."""


def sound(verdict: Verdict, *eyes: str) -> None:
    assert {one.eye for one in verdict.trials} == set(eyes)
    assert {one.trial.partition("-")[0] for one in verdict.trials} == {"cube", "globe"}
    assert all(one.differing <= BUDGET * one.pixels for one in verdict.trials), verdict
    assert verdict.error_px <= ERROR_PX
    assert all(one.seen > 0.05 for one in verdict.trials)
    assert verdict.within


@pytest.mark.parametrize(("name", "scale"), [(name, 0.03 if name == "suncave" else 0.08) for name in PRESETS])
def test_all_tiles_of_a_preset_are_one_picture(booth: Booth, name: str, scale: float) -> None:
    """All seventy panels of the SunCAVE too: each holds four views of both eyes against a large render."""
    wall = load_wall(name)
    verdict = verify(booth, wall, scale)
    eyes = {"desk": ("middle",), "2x2": ("middle",)}.get(name, EYES)
    sound(verdict, *eyes)
    assert sum(row.tiles for row in verdict.groups) == verdict.tiles == len(wall.tiles)


def test_a_wall_from_calvr_is_one_picture(booth: Booth) -> None:
    wall = import_calvr("two.xml", CALVR, lambda *_: None).wall
    assert (len(wall.screens), len(wall.tiles)) == (2, 4)
    sound(verify(booth, wall, 0.5), *EYES)


@pytest.mark.parametrize("name", ["dwall-screens-1920", "tourcaveLG-screens-2level", "xpol-17screen"])
def test_a_sites_own_wall_from_calvr_is_one_picture(booth: Booth, name: str) -> None:
    file = SHARED / f"{name}.xml"
    if not file.is_file():
        pytest.skip(f"{file} is not there; a wall of our own is tried in test_a_wall_from_calvr_is_one_picture")
    wall = import_calvr(file.name, read_text(file), lambda *_: None).wall
    verdict = verify(booth, wall, 0.06)
    sound(verdict, *({"dwall": ("middle",)}.get(name[:5], EYES)))
    assert sum(row.tiles for row in verdict.groups) == len(wall.tiles)


@pytest.mark.parametrize(
    "stereo",
    ["side-by-side", "top-bottom", "interlaced", "interlaced-columns", "checkerboard", "anaglyph", "quad-buffer"],
)
def test_each_way_to_pack_two_eyes_holds_both_whole_pictures(booth: Booth, stereo: Stereo) -> None:
    wall = flat(2, 1, stereo, gap=3.0)
    odd = msgspec.structs.replace(wall.tiles[0].place, x=7, width=161)
    tiles = (msgspec.structs.replace(wall.tiles[0], place=odd), msgspec.structs.replace(wall.tiles[1], swap_eyes=True))
    sound(verify(booth, msgspec.structs.replace(wall, tiles=tiles), 1.0), *EYES)


def test_a_panel_on_its_head_and_eyes_that_are_swapped_are_where_they_belong(booth: Booth) -> None:
    wall = ring(5)
    tiles = tuple(
        msgspec.structs.replace(t, stereo="left", upside_down=i % 2 == 0, swap_eyes=i < 2)
        for i, t in enumerate(wall.tiles)
    )
    sound(verify(booth, msgspec.structs.replace(wall, tiles=tiles, eye_separation_mm=-70.0), 0.4), *EYES)


def test_who_stands_in_a_screen_or_behind_it_gets_a_whole_picture(booth: Booth) -> None:
    wall = flat(2, 1, pixels=(320, 180))
    for z in (0.0, -1.0, -4000.0):
        assert verify(booth, msgspec.structs.replace(wall, head=Head((30.0, 20.0, z))), 1.0).within


def test_a_picture_of_another_view_is_above_the_budget(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that are drawn for a head elsewhere are found out, by the comparison and by the known points."""
    real = proof.large_wall

    def shifted(wall: Wall, large: Large, eye: str) -> tuple[Wall, Tile]:
        moved = msgspec.structs.replace(wall, eye_separation_mm=wall.eye_separation_mm + 2.0)
        return real(moved, large, eye)

    monkeypatch.setattr("renderers.wall.verify.large_wall", shifted)
    verdict = verify(booth, flat(1, 1, "side-by-side"), 1.0)
    assert not verdict.within
    assert verdict.share > 10 * BUDGET


def test_a_point_elsewhere_is_noticed(booth: Booth, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pixels_of
    monkeypatch.setattr(proof, "pixels_of", lambda *given: np.add(real(*given), (0.0, 0.9)))
    verdict = verify(booth, flat(1, 1), 1.0)
    assert not verdict.within
    assert verdict.error_px == pytest.approx(0.9, abs=0.3)


def test_tiles_of_one_plane_share_a_large_picture_that_reaches_over_all_of_it() -> None:
    found = groups(shrunk(flat(3, 2), 1.0))
    assert len(found) == 1
    assert len(found[0].tiles) == 6
    apart = groups(shrunk(flat(3, 2, gap=5.3), 1.0))
    assert sum(len(group.tiles) for group in apart) == 6
    assert all(large.width >= 3 * 160 for group in apart for _, some in group.eyes for large in some)


def test_the_command_says_how_it_went_and_saves_what_it_saw(tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["verify", "desk", "--scale", "0.03", "--json", "--pictures", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["within"]
    assert found["tiles"] == 2
    assert {one["trial"] for one in found["trials"]} == {"cube", "cube-around", "globe", "globe-around"}
    assert "pictures compared" in done.stderr
    for trial in ("cube", "globe"):
        assert (tmp_path / f"{trial}-monitor-0-0.png").read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.glob("cube-*-stitched.png"))
    table = CliRunner().invoke(commands, ["verify", "desk", "--scale", "0.03"])
    assert table.exit_code == 0
    assert "within the budget" in table.stdout
    assert CliRunner().invoke(commands, ["verify", "nowhere.toml"]).exit_code == 2
