"""ParaView's .pvx files: corners in metres, an X display in Environment, a window in Geometry."""

from __future__ import annotations

import pytest

from renderers.wall.check import check
from renderers.wall.complaint import WallError
from renderers.wall.paraview import STEREO, import_pvx
from renderers.wall.records import Node, Place

CAVE = """<?xml version="1.0" ?>
<pvx>
  <Process Type="client" />
  <Process Type="server">
    <EyeSeparation Value="0.065"/>
    <Machine Name="cave1.site.org" Environment="DISPLAY=cave1:0.1" Geometry="1080x1080+5+7" FullScreen="1"
             ShowBorders="0" LowerLeft="-1 -1 -1" LowerRight="1 -1 -1" UpperRight="1 1 -1" />
    <Machine Name="cave1.site.org" Environment="DISPLAY=:1" Geometry="1080x1080"
             LowerLeft="1.0 -1.0 -1.0" LowerRight="1.0 -1.0  1.0" UpperLeft="1.0 1.0 -1.0" />
    <Machine Name="cave2" Geometry="1080x1080+0+0" StereoType="Crystal Eyes"
             LowerLeft="-1 -1 1" LowerRight="-1 -1 -1" UpperRight="-1 1 -1"></Machine>
  </Process>
</pvx>"""


def test_machines_become_screens_outputs_and_nodes() -> None:
    wall = import_pvx("cave.pvx", CAVE).wall
    assert [screen.name for screen in wall.screens] == ["cave1-0", "cave1-1", "cave2-0"]
    assert wall.screens[0].lower_left == (-1000.0, -1000.0, -1000.0)
    assert wall.screens[0].upper_left == (-1000.0, 1000.0, -1000.0)
    assert wall.screens[1].upper_right == (1000.0, 1000.0, 1000.0)
    assert [(t.display, t.place, t.stereo) for t in wall.tiles] == [
        (":0.1", Place(5, 7, 1080, 1080), "mono"),
        (":1.0", Place(0, 0, 1080, 1080), "mono"),
        (":0.0", Place(0, 0, 1080, 1080), "quad-buffer"),
    ]
    assert wall.nodes == (Node("cave1.site.org", "cave1.site.org"), Node("cave2", "cave2"))
    assert wall.eye_separation_mm == 65
    assert check(wall).findings == ()


@pytest.mark.parametrize(
    ("word", "stereo"),
    [
        ("Crystal Eyes", "quad-buffer"),
        ("Red-Blue", "anaglyph"),
        ("SplitViewportHorizontal", "side-by-side"),
        ("Left", "left"),
    ],
)
def test_stereo_types_have_our_names(word: str, stereo: str) -> None:
    assert import_pvx("c", CAVE.replace("Crystal Eyes", word)).wall.tiles[2].stereo == stereo
    assert stereo in STEREO.values()


def test_left_and_right_machines_of_one_screen_are_one_screen() -> None:
    pair = CAVE.replace('Crystal Eyes"', 'Left"').replace(
        "</Process>\n</pvx>",
        """
      <Machine Name="cave3" Geometry="1080x1080+0+0" StereoType="Right"
             LowerLeft="-1 -1 1" LowerRight="-1 -1 -1" UpperRight="-1 1 -1"/></Process></pvx>""",
    )
    wall = import_pvx("c", pair).wall
    assert len(wall.screens) == 3
    assert [(tile.screen, tile.stereo) for tile in wall.tiles[2:]] == [("cave2-0", "left"), ("cave2-0", "right")]


def test_what_is_missing_or_unknown_is_said() -> None:
    found = import_pvx("c", CAVE.replace('Geometry="1080x1080"', "").replace("Crystal Eyes", "Holo")
                       .replace("EyeSeparation", "Eyes").replace('ShowBorders="0"', 'ShowBorders="1"'))  # fmt: skip
    for what in ("no Geometry", "Holo", "no EyeSeparation", "ShowBorders"):
        assert any(what in remark for remark in found.remarks)
    assert found.wall.tiles[1].place == Place(0, 0, 1920, 1080)


def test_forgotten_quotes_and_ends_are_mended() -> None:
    broken = CAVE.replace('Name="cave2"', 'Name="cave2').replace("</Machine>", "").replace("</pvx>", "")
    assert import_pvx("c", broken).wall.nodes[1].host == "cave2"


def test_machines_of_a_client_do_not_draw() -> None:
    client = CAVE.replace('Type="client" />', 'Type="client"><Machine Name="desk" LowerLeft="0 0 0"/></Process>')
    assert len(import_pvx("c", client).wall.nodes) == 2


def test_a_file_without_corners_is_one_sentence() -> None:
    with pytest.raises(WallError, match=r"^c has no Machine with LowerLeft"):
        import_pvx("c", '<pvx><Process Type="server"><Machine Name="a"/></Process></pvx>')
    with pytest.raises(WallError, match="is no ParaView configuration"):
        import_pvx("c", "")


def test_separators_and_types_as_older_files_have_them() -> None:
    text = """<pvx><Process Type="render-server"><EyeSeparation Value="0.065"/>
      <Machine Name="n0" LowerLeft="-1;-1;-1" LowerRight="1, -1,-1" UpperRight="1 1 -1" Geometry="1400x1050-0+0"/>
    </Process><Process Type="data-server"><Machine Name="n9" LowerLeft="0 0 0"/></Process></pvx>"""
    found = import_pvx("old.pvx", text)
    assert [(screen.lower_left, screen.size) for screen in found.wall.screens] == [
        ((-1000, -1000, -1000), (2000, 2000))
    ]
    assert found.wall.eye_separation_mm == 65
    assert any("counts from the right or lower edge" in remark for remark in found.remarks)
