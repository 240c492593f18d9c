"""The drawing of a wall: to scale, with every tile's name, readable."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from renderers.wall.axes import corners
from renderers.wall.file import read_wall
from renderers.wall.ink import Box
from renderers.wall.plan import draw
from renderers.wall.raster import png
from renderers.wall.records import Screen
from renderers.wall.shelf import PRESETS, load_wall
from renderers.wall.unroll import columns, extent, is_flat, unrolled
from tests.wall.walls import changed, four

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314


@pytest.mark.parametrize("name", PRESETS)
def test_a_drawing_is_svg_and_names_every_tile(name: str) -> None:
    wall = load_wall(name)
    said = texts(draw(wall))
    for tile in wall.tiles:
        assert tile.name in said
    assert wall.title in said
    assert {"x right", "z back", "y up"} <= set(said)


@pytest.mark.parametrize("name", ["2x2", "suncave"])
def test_the_scale_bar_is_as_long_as_it_says(name: str) -> None:
    """A panel's drawn width and the bar agree on what a metre is."""
    svg = draw(load_wall(name))
    bars = re.findall(
        r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="\2" stroke="#1d2733" stroke-width="2.5"/>', svg
    )
    said = [float(found[1]) for text in texts(svg) if (found := re.match(r"([\d.]+) m ", text))]
    scales = [(float(x2) - float(x1)) / (metres * 1000) for (x1, _, x2), metres in zip(bars, said, strict=True)]
    if name == "2x2":
        found = re.findall(r'<polygon points="([^"]*)"', svg)[-1]
        xs = [float(point.split(",")[0]) for point in found.split()]
        assert (max(xs) - min(xs)) / scales[1] == pytest.approx(1018, rel=0.01)
    else:
        widths = {float(width) for width in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', svg)}
        assert any(width / scales[2] == pytest.approx(1210, rel=0.01) for width in widths)


def test_columns_of_the_suncave_are_fourteen_of_five() -> None:
    found = columns(load_wall("suncave"))
    assert [len(column.screens) for column in found] == [5] * 14
    headings = [column.heading for column in found]
    assert headings == sorted(headings)


def test_columns_of_a_wide_flat_wall_are_its_own() -> None:
    wall = read_wall(
        'name = "f"\n[[grids]]\nname = "p"\nrows = 3\ncolumns = 12\nsize = [1018, 573]\npixels = [16, 9]\n', "f"
    )
    assert [len(column.screens) for column in columns(wall)] == [3] * 12


@pytest.mark.parametrize("name", ["curved5", "cave4", "suncave"])
def test_unrolled_screens_keep_their_size_and_do_not_lie_on_each_other(name: str) -> None:
    wall = load_wall(name)
    laid = unrolled(wall)
    assert {one.screen.name for one in laid} == {screen.name for screen in wall.screens}
    for i, a in enumerate(laid):
        assert (a.width, a.height) == pytest.approx(extent(a.screen))
        for b in laid[i + 1 :]:
            apart = (abs(a.x - b.x) - (a.width + b.width) / 2, abs(a.y - b.y) - (a.height + b.height) / 2)
            assert max(apart) > -1e-6


@pytest.mark.parametrize(("roll", "wide"), [(0, 1000), (180, 1000), (-90, 600), (90, 600)])
def test_a_panel_on_its_side_is_as_wide_from_above_as_it_hangs(roll: float, wide: float) -> None:
    screen = Screen("s", *corners((0, 0, -2000), (1000, 600), (30, 0, roll)))
    svg = draw(changed(four(), screens=(screen,), bezels={}))
    x1, y1, x2, y2 = (float(n) for n in re.findall(r'="([-\d.]+)"', re.findall(r'<line [^>]*width="4.5"', svg)[0])[:4])
    bar = re.search(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="\2" stroke="#1d2733" stroke-width="2.5"', svg)
    said = next(float(found[1]) for text in texts(svg) if (found := re.match(r"([\d.]+) m ", text)))
    assert bar is not None
    scale = (float(bar[3]) - float(bar[1])) / (said * 1000)
    assert np.hypot(x2 - x1, y2 - y1) / scale == pytest.approx(wide, rel=0.01)


def test_flat_walls_need_no_unrolling() -> None:
    assert is_flat(load_wall("2x2"))
    assert not is_flat(load_wall("curved5"))
    assert "Unrolled" not in draw(load_wall("2x2"))


def test_a_wall_with_errors_can_be_drawn_and_says_so() -> None:
    wall = four()
    broken = changed(wall, screens=(*wall.screens[1:], Screen("flat", (0, 0, 0), (0, 0, 0), (0, 0, 0))))
    assert any("errors: see cavecast wall check" in text for text in texts(draw(broken)))
    assert "no outputs" in " ".join(texts(draw(changed(wall, screens=(), tiles=()))))


def test_names_cannot_break_the_drawing() -> None:
    wall = changed(four(), title='<script>alert("&")</script>')
    assert wall.title in texts(draw(wall))


def test_a_box_shows_all_of_its_bounds() -> None:
    box = Box(10, 20, 300, 100, (0, 0), (1000, 1000))
    assert box.scale == pytest.approx(0.1)
    assert box.at(500, 500) == pytest.approx((160, 70))
    assert box.at(500, 1000)[1] == pytest.approx(20)


def test_the_png_is_the_svg_in_pixels() -> None:
    svg = draw(load_wall("2x2"))
    picture = Image.open(io.BytesIO(png(svg))).convert("RGB")
    size = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert size is not None
    assert picture.size == (int(size[1]), int(size[2]))
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    panel = 0.75 * np.array([0x56, 0xB4, 0xE9]) + 0.25 * np.array([0xFA, 0xFB, 0xFC])
    assert (np.abs(pixels - panel).max(axis=1) < 6).sum() > 10_000, "panels have their node's colour"
    title = np.asarray(picture)[25:52, 40:400]
    assert (title.min(axis=2) < 80).sum() > 300, "letters are drawn"
