"""CalVR's configurations, as sites have them: not well-formed, in several files, each host with its own view."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.wall.axes import CALVR_AXES, FROM_CALVR
from renderers.wall.calvr import STEREO, Imported, import_calvr
from renderers.wall.calvr_lookup import Lookup, number, read_document
from renderers.wall.check import check
from renderers.wall.complaint import WallError
from renderers.wall.file import read_wall
from renderers.wall.records import Node, Place, Stereo
from renderers.wall.tagsoup import TagSoupError, parse, unescape
from renderers.wall.write import to_toml
from tests.wall.test_file import calvr_rotation
from tests.wall.walls import turns

SITES = Path(__file__).parents[2].parent / "shared" / "walls"


def carry(text: str, **files: str) -> Imported:
    """Imports a text; other files by name, with _ for the dot before xml."""
    named = {name.replace("_xml", ".xml"): content for name, content in files.items()}

    def include(path: str, of: str) -> tuple[str, str] | None:
        return (path, named[path]) if path in named else None

    return import_calvr("main.xml", text, include)


def alone(path: str, of: str) -> tuple[str, str] | None:
    """No other files."""
    return None


def one_screen(screen: str = "", channel: str = "", window: str = "", rest: str = "", host: str = "a") -> str:
    return f"""
    <LOCAL host="{host}">
      <PipeConfig><Pipe server="0" screen="1" name="0"/></PipeConfig>
      <WindowConfig><Window width="1920" height="1080" name="0" {window}/></WindowConfig>
      <ChannelConfig><Channel width="1920" height="1080" stereoMode="MONO" name="0" {channel}/></ChannelConfig>
      <ScreenConfig><Screen width="1600" height="900" originY="2000" name="0" {screen}/></ScreenConfig>
      {rest}
    </LOCAL>"""


SPLIT_SITE = """<?xml version="1.0"?>
<!-- Main file -- with two dashes in its comment -->
<GLOBAL>
  <Stereo separation="-62.5" />
  <Near value="50" /> <Far value="20000"/>
  <ViewerPosition x="100" y="-500" z="250" h="90" />
  <SceneSize value='1500'>
  </SceneSize>
  <Plugin><PanoView360 value="on"><ScreenConfig value="/x/y.xml"/></PanoView360></Plugin>
</GLOBAL>
<INCLUDE>screens.xml</INCLUDE>
<WindowConfig>
  <Window name="0" width="1280" height="720" left="0" bottom="0" pipeIndex="0" />
  <Window name="1" width="1280" height="720" left="0" bottom="0" pipeIndex="1" />
</WindowConfig>
"""
SCREENS = """<?xml version="1.0"?>
<Stereo separation="99" />
<PipeConfig><Pipe server="0" screen="0" name="0" /><Pipe server="1" screen="2" name="1" /></PipeConfig>
<ChannelConfig>
  <Channel name="0" windowIndex="0" width="1280" height="720" left="0" bottom="0" stereoMode="LEFT" />
  <Channel name="1" windowIndex="1" width="1280" height="720" left="0" bottom="0" stereoMode="RIGHT" />
</ChannelConfig>
<LOCAL host="left.site.org, right.site.org">
  <NumScreens value="2" />
</LOCAL>
<LOCAL host="left.site.org">
  <ScreenConfig>
    <Screen name="0" width="1600" height="900" originX="-900" originY="2000" originZ="0" h="15" p="0" r="0" />
    <Screen name="1" width="1600" height="900" originX="-900" originY="2000" originZ="0" h="15" p="0" r="0" />
    <Screen name="2" width="10" height="10" originX="0" originY="2000" originZ="0" />
  </ScreenConfig>
</LOCAL>
<LOCAL host="right.site.org">
  <ScreenConfig>
    <Screen name="0" width="1600" height="900" originX="900" originY="2000" originZ="0" h="-15" p="0" r="0" />
    <Screen name="1" width="1600" height="900" originX="900" originY="2000" originZ="0" h="-15" p="0" r="0" />
  </ScreenConfig>
</LOCAL>
"""


def test_a_site_in_two_files_becomes_a_wall() -> None:
    found = carry(SPLIT_SITE, screens_xml=SCREENS)
    wall = found.wall
    assert wall.nodes == (Node("left", "left.site.org"), Node("right", "right.site.org"))
    assert len(wall.screens) == 2
    assert [(t.name, t.screen, t.stereo, t.display) for t in wall.tiles] == [
        ("left-0", "left-0", "left", ":0.0"), ("left-1", "left-0", "right", ":1.2"),
        ("right-0", "right-0", "left", ":0.0"), ("right-1", "right-0", "right", ":1.2"),
    ]  # fmt: skip
    assert wall.eye_separation_mm == -62.5, "the main file comes before what it includes"
    assert (wall.near_mm, wall.far_mm, wall.fit.size_mm) == (50, 20_000, 1500)
    assert wall.head.position == (100.0, 250.0, 500.0)
    assert check(wall).sound
    assert any("Plugin" in remark for remark in found.remarks)


@given(turns, st.tuples(*[st.floats(-3000, 3000).map(lambda x: round(x, 2))] * 3))
def test_corners_are_origin_plus_rotation_of_half_the_size(
    turn: tuple[float, float, float], origin: tuple[float, float, float]
) -> None:
    h, p, r = turn
    x, y, z = origin
    attributes = f'h="{h}" p="{p}" r="{r}" originX="{x}" originZ="{z}"'
    text = one_screen(attributes).replace('originY="2000"', f'originY="{y}"')
    screen = carry(text).wall.screens[0]
    for corner, (across, up) in (
        (screen.lower_left, (-1, -1)), (screen.lower_right, (1, -1)), (screen.upper_left, (-1, 1)),
    ):  # fmt: skip
        expected = np.array(origin) + calvr_rotation(*turn) @ np.array([across * 800, 0, up * 450])
        assert np.allclose(FROM_CALVR.T @ np.array(corner), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "counts", "separation", "stereo"), [
    ("xpol-17screen.xml", (9, 17, 17), -64, "interlaced"),
    ("dwall-screens-1920.xml", (12, 24, 24), 64, "mono"),
    ("tourcaveLG-screens-2level.xml", (7, 14, 14), 64, "top-bottom"),
])  # fmt: skip
def test_real_walls_come_out_whole(name: str, counts: tuple[int, int, int], separation: float, stereo: str) -> None:
    if not (SITES / name).exists():
        pytest.skip(f"{SITES / name} is not here; the examples in this file are tested without it")
    wall = import_calvr(name, (SITES / name).read_text(), alone).wall
    report = check(wall)
    assert (report.nodes, report.tiles, report.screens) == counts
    assert wall.eye_separation_mm == separation
    assert {tile.stereo for tile in wall.tiles} == {stereo}
    assert report.sound
    again = read_wall(to_toml(wall, CALVR_AXES, by_corners=False), "again")
    for a, b in zip(wall.screens, again.screens, strict=True):
        assert np.allclose([a.lower_left, a.upper_right], [b.lower_left, b.upper_right], atol=1e-5)


@pytest.mark.parametrize(("what", "text"), [
    ("a root around all", f"<CALVR>{one_screen()}</CALVR>"),
    ("a declaration, a doctype and a byte order mark", f"\ufeff<?xml version='1.0'?><!DOCTYPE x>{one_screen()}"),
    ("a comment with dashes", one_screen(rest="<!-- a -- b --->")),
    ("a comment in a comment", one_screen(rest="<!-- <!-- a --> -->")),
    ("a disabled element", one_screen(rest='<!--ScreenConfig><Screen name="0" width="5"/></ScreenConfig-->')),
    ("a comment that never ends", one_screen() + "<!-- to be done"),
    ("a bare ampersand and sign", one_screen(rest='<Startup value="ssh a > /tmp/x & 2>&1"/> a < b & c')),
    ("a stray end tag", one_screen(rest="</Foo>") + "</LOCAL></GLOBAL>"),
    ("an unclosed plugin", one_screen(rest="<Plugin><Foo value='on'>")),
    ("an unclosed screen", one_screen().replace('name="0" /></ScreenConfig>', 'name="0"></ScreenConfig>')),
    ("a tag without its end", one_screen().replace('originY="2000" name="0" />', 'originY="2000" name="0"')),
    ("values without quotes", one_screen().replace('"2000"', "2000").replace('"1600"', "1600")),
    ("a missing closing quote", one_screen().replace('width="1600"', 'width="1600')),
    ("a missing closing quote at the end", one_screen().replace('originY="2000" name="0"', 'name="0" originY="2000')),
    ("a missing opening quote", one_screen().replace('originY="2000"', 'originY=2000"')),
    ("single quotes", one_screen().replace('"', "'")),
    ("spaces around signs", one_screen().replace('originY="2000"', 'originY = "2000"')),
    ("other case", one_screen().replace("Screen", "SCREEN").replace("<LOCAL", "<Local").replace("originY", "ORIGINY")),
    ("the same attribute twice", one_screen('originY="1"')),
    ("blocks in a block", f'<LOCAL host="b,a"><GLOBAL>{one_screen()}</GLOBAL></LOCAL>'),
    ("a unit", one_screen().replace('"2000"', '"2 m"')),
    ("a decimal comma", one_screen().replace('"2000"', '"2000,0"')),
    ("arithmetic", one_screen().replace('"2000"', '"4000/2"')),
    ("a line break in a tag", one_screen().replace(" originY", "\n\toriginY")),
])  # fmt: skip
def test_what_people_write_is_read_as_it_was_meant(what: str, text: str) -> None:
    wall = carry(text).wall
    assert len(wall.screens) == 1
    assert wall.screens[0].lower_left == (-800.0, -450.0, -2000.0)
    assert wall.screens[0].size == (1600.0, 900.0)
    assert wall.tiles[0].place == Place(0, 0, 1920, 1080)


def test_what_was_mended_is_said() -> None:
    found = carry(one_screen(rest="</Foo><Bar>").replace('width="1600"', 'width="1600'))
    assert any("not well-formed" in r and "a quote is missing in <Screen>" in r for r in found.remarks)
    assert any("“2 m” was read as 2000" in r for r in carry(one_screen().replace('"2000"', '"2 m"')).remarks)
    assert any("reads only the first number" in r for r in carry(one_screen().replace('"2000"', '"4000/2"')).remarks)


def test_an_unclosed_block_ends_where_the_next_begins() -> None:
    text = one_screen(host="a").replace("</LOCAL>", "") + one_screen('originX="3000"', host="b")
    assert [node.host for node in carry(text).wall.nodes] == ["a", "b"]


def test_a_block_is_for_hosts_that_it_names_exactly() -> None:
    wall = carry(one_screen(host="node-1") + one_screen('originX="3000"', host="node-10")).wall
    assert [tile.node for tile in wall.tiles] == ["node-1", "node-10"]
    assert [round(screen.lower_left[0]) for screen in wall.screens] == [-800, 2200]


def test_the_first_of_equal_entries_wins() -> None:
    wall = carry(one_screen(rest='<Stereo separation="60"/>') + '<Stereo separation="70"/>').wall
    assert wall.eye_separation_mm == 60
    assert (
        carry('<Stereo separation="70"/>' + one_screen(rest='<Stereo separation="60"/>')).wall.eye_separation_mm == 70
    )


def test_entries_of_one_name_complete_each_other() -> None:
    """A host's block says where its screens stand, the file what all of them are."""
    text = one_screen() + '<ScreenConfig><Screen name="0" p="30" width="5"/></ScreenConfig>'
    screen = carry(text).wall.screens[0]
    assert screen.size == pytest.approx((1600, 900))
    assert screen.axes[2][1] == pytest.approx(-np.sin(np.radians(30)))


def test_lists_stop_at_the_first_gap_and_at_the_number_given() -> None:
    row = "".join(f'<Screen width="100" height="100" originX="{200 * i}" originY="900" channelIndex="0" name="{i}"/>'
                  for i in (0, 1, 2, 4))  # fmt: skip
    text = one_screen().replace("<ScreenConfig>", f"<ScreenConfig>{row}")
    assert len(carry(text).wall.screens) == 3
    assert len(carry(text.replace("<PipeConfig>", '<NumScreens value="2"/><PipeConfig>')).wall.screens) == 2


def test_several_channels_share_a_window() -> None:
    text = """<LOCAL host="a">
      <WindowConfig><Window name="0" width="2000" height="1000" left="10" bottom="20"/></WindowConfig>
      <ChannelConfig><Channel name="0" left="0" bottom="0" width="1000" height="600"/>
        <Channel name="1" left="1000" bottom="400" width="1000" height="600"/></ChannelConfig>
      <ScreenConfig><Screen name="0" originX="-500" originY="900" width="900" height="540" channelIndex="1"/>
        <Screen name="1" originX="500" originY="900" width="900" height="540" channelIndex="0"/>
      </ScreenConfig></LOCAL>"""
    wall = carry(text).wall
    assert [tile.place for tile in wall.tiles] == [Place(1010, 20, 1000, 600), Place(10, 420, 1000, 600)]


@pytest.mark.parametrize(
    ("word", "stereo"),
    [
        *STEREO.items(),
        ("quad-buffer", "quad-buffer"),
        ("Horizontal_Split", "side-by-side"),
        ("MULTI_VIEWER_2_RIGHT", "right"),
    ],
)
def test_stereo_modes_have_our_names(word: str, stereo: Stereo) -> None:
    wall = carry(one_screen().replace('"MONO"', f'"{word}"')).wall
    assert wall.tiles[0].stereo == stereo


@pytest.mark.parametrize("word", ["LENTICULAR", "OCULUS", "FIXED_VIEWER", "MONNO"])
def test_what_cannot_be_drawn_is_said_and_drawn_as_mono(word: str) -> None:
    found = carry(one_screen().replace('"MONO"', f'"{word}"'))
    assert found.wall.tiles[0].stereo == "mono"
    assert any(word in remark for remark in found.remarks)


def test_eyes_are_64_mm_apart_where_the_attribute_is_misspelt() -> None:
    found = carry(one_screen(rest='<Stereo seperation="70"/>'))
    assert found.wall.eye_separation_mm == 64
    assert any("seperation" in remark for remark in found.remarks)


def test_swapped_eyes_of_a_channel_stay_swapped() -> None:
    assert carry(one_screen(channel='swapStereoEyes="true"')).wall.tiles[0].swap_eyes


def test_left_and_right_on_two_machines_are_one_screen() -> None:
    left = one_screen(host="l").replace("MONO", "LEFT")
    right = one_screen('originX="1.5"', host="r").replace("MONO", "RIGHT")
    found = carry(left + right)
    assert len(found.wall.screens) == 1
    assert [(tile.node, tile.stereo) for tile in found.wall.tiles] == [("l", "left"), ("r", "right")]
    assert any("differ by 1.5 mm between the eyes" in remark for remark in found.remarks)


def test_missing_and_circular_includes_are_named() -> None:
    found = carry(one_screen() + "<INCLUDE>gone.xml</INCLUDE><INCLUDE> ring.xml </INCLUDE>",
                  ring_xml="<Near value='7'/><INCLUDE>ring.xml</INCLUDE>")  # fmt: skip
    assert found.wall.near_mm == 7
    assert any("gone.xml, which was not found" in remark for remark in found.remarks)
    assert any("ring.xml includes ring.xml, which includes it in turn" in remark for remark in found.remarks)


def test_files_are_included_in_depth_first_order() -> None:
    found = carry(one_screen() + "<INCLUDE>b.xml</INCLUDE><INCLUDE>d.xml</INCLUDE>",
                  b_xml="<INCLUDE>c.xml</INCLUDE>", c_xml="<Near value='3'/>", d_xml="<Near value='4'/>")  # fmt: skip
    assert found.wall.near_mm == 3


def test_an_include_in_a_block_is_for_its_hosts_only() -> None:
    text = one_screen(host="a", rest="<INCLUDE>a.xml</INCLUDE>") + one_screen('originX="3000"', host="b")
    extra = '<ScreenConfig><Screen name="0" p="30"/></ScreenConfig>'
    first, second = carry(text, a_xml=extra).wall.screens
    assert first.axes[2][1] == pytest.approx(-0.5)
    assert second.axes[2][1] == 0


def test_without_blocks_there_is_one_node() -> None:
    inside = one_screen().split(">", 1)[1].rsplit("<", 1)[0]
    wall = carry(inside).wall
    assert wall.nodes == (Node("localhost", "localhost"),)


def test_an_operators_window_is_pointed_out_and_may_be_left_out() -> None:
    text = one_screen(host="head", window='decoration="true"') + one_screen('originX="3000"', host="a")
    assert any("decoration" in remark for remark in carry(text).remarks)
    wall = import_calvr("main.xml", text, alone, ("head",)).wall
    assert [node.name for node in wall.nodes] == ["a"]


@pytest.mark.parametrize(("text", "said"), [
    (one_screen(rest='<Near value="0"/>'), "Near is 0, which no picture can be drawn with: 100 is used"),
    (one_screen(rest='<Far value="-3"/>'), "Far is -3, which no picture can be drawn with"),
    (one_screen(rest='<ScreenConfig><SphericalScreen radius="2000" name="0"/></ScreenConfig>'),
     "ScreenConfig has SphericalScreen, which are no flat screens: left behind"),
    (one_screen(host="n1 n2"), "LOCAL host “n1 n2” has blanks in it"),
    (one_screen(rest="<Projector/>"), "Not carried over, since they are CalVR's own: Projector"),
])  # fmt: skip
def test_what_no_wall_can_have_is_said_and_the_rest_is_carried_over(text: str, said: str) -> None:
    found = carry(text)
    assert len(found.wall.tiles) == 1
    assert any(remark.startswith(said) for remark in found.remarks), found.remarks
    assert 0 < found.wall.near_mm < found.wall.far_mm
    assert read_wall(to_toml(found.wall), "again").screens == found.wall.screens


def test_a_window_beyond_all_bounds_is_left_out_and_named() -> None:
    huge = one_screen().replace('<Window width="1920"', '<Window width="1e9"')
    with pytest.raises(WallError, match=r"no screen that can be shown: Window 0 of \S+ is 1000000000 × \d+ pixels"):
        carry(huge)


TRACKING = """<Input>
  <NumHeads value="1"/><NumHands value="1"/>
  <TrackingSystem0 value="VRPN">
    <VRPN><Server value="DTrack@tracker"/></VRPN>
    <NumBodies value="3"/>
    <Offset x="1" y="2" z="3"/> <Orientation h="90" p="10" r="-5"/>
    <Body2><Offset x="7" y="8" z="9"/><Orientation h="0" p="-90" r="0"/></Body2>
  </TrackingSystem0>
  <TrackingSystem1 value="SHMEM"/>
  <Head0Address system="0" body="2"/>
  <Hand0><Address system="0" body="1"/></Hand0>
</Input>"""


def test_tracking_is_carried_over_with_its_calibration() -> None:
    found = carry(one_screen(rest=TRACKING))
    (tracker,) = found.wall.trackers
    assert (tracker.kind, tracker.address, tracker.head, tracker.wand) == ("vrpn", "DTrack@tracker", 2, 1)
    assert (tracker.axes, tracker.unit) == (CALVR_AXES, "m")
    assert (tracker.offset, tracker.turn) == ((1, 3, -2), (90, 10, -5))
    assert (tracker.head_shift, tracker.head_turn) == ((7, 9, -8), (0, -90, 0))
    assert tracker.wand_shift == (0.0, 0.0, 0.0)
    assert any("SHMEM" in remark for remark in found.remarks)


def test_nothing_to_import_is_one_sentence() -> None:
    with pytest.raises(WallError, match=r"^main.xml is no CalVR configuration: there is no element in it$"):
        carry("hello")
    with pytest.raises(WallError, match=r"^main.xml places no screens: it has no ScreenConfig"):
        carry("<Near value='1'/>")
    with pytest.raises(WallError, match="in a file that was not found"):
        carry("<INCLUDE>screens.xml</INCLUDE>")
    with pytest.raises(WallError, match="deep"):
        carry("<a>" * 200)


@given(st.text(alphabet="<>/=\"' ab!-&;?\n", max_size=60))
def test_no_text_makes_the_reader_fail_in_other_words(text: str) -> None:
    with suppress(TagSoupError):
        assert parse(text).children


@pytest.mark.parametrize(("text", "value"), [
    ("12", 12), ("-12.5", -12.5), (" 1e3 ", 1000), ("12,5", 12.5), ("1,018", 1018), ("1,018.5", 1018.5), ("10 mm", 10),
    ("1.2m", 1200), ("2 in", 50.8), ("45°", 45), ("90 deg", 90), ("2*(3+4)-1", 13), ("-1390+10", -1380),
    ("nan", None), ("inf", None), ("", None), ("wide", None), ("2**9999", None), ("1/0", None), ("().__class__", None),
    ("1e400 mm", None), ("9e9*9e9", None),
])  # fmt: skip
def test_numbers_as_people_write_them(text: str, value: float | None) -> None:
    found, remark = number(text)
    assert found == (None if value is None else pytest.approx(value))
    assert bool(remark) == (text.strip() not in ("12", "-12.5", "1e3"))


def test_half_of_a_pair_of_surrogates_is_no_letter_and_many_elements_are_read_in_one_go() -> None:
    assert unescape("&#xD800;&#233;") == "&#xD800;é"
    last = parse("<a/>\n" * 200_000).children[-1]
    assert last.line == 200_000


def test_files_that_include_each_other_in_many_ways_are_read_once_each() -> None:
    last = 60
    files = {f"{i}.xml": f"<A/><INCLUDE>{i + 1}.xml</INCLUDE><INCLUDE>./{i + 1}.xml</INCLUDE>" for i in range(last)}
    files[f"{last}.xml"] = '<Stereo separation="61"/>'

    def include(path: str, _: str) -> tuple[str, str]:
        return path.removeprefix("./"), files[path.removeprefix("./")]

    lookup = Lookup(read_document("0.xml", files["0.xml"], include), "localhost", {})
    assert lookup.number("Stereo", "separation", 64.0) == 61
