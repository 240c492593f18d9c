"""How pictures and films to take away are cut into steps, and what stands at their foot."""

from __future__ import annotations

import os
from io import BytesIO
from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from renderers.legend import Facts
from renderers.picture import Png
from renderers.shots import MOST_LINES, RATE, TILE, Provenance, even, foot, pictures, strips, words
from streamer.wire.header import Refused
from streamer.wire.taking import MOST_PIXELS, MOST_SIDE, Kind, Wish, decode_taking, encode_taking, flaw
from streamer.wire.view import MAX_UP, of_relay
from tests.renderers.runs import plain, spec_of

CAMERA = (0.25, 0.5, 4.0, 0.0, 0.0, 0.0)
FACTS = Facts("A title", 1, 1, 3, "complete", (), moment="1959-01-04 06:00")


def wished(kind: Kind = "turn", **more: object) -> Wish:
    return Wish(kind, 640, 360, CAMERA, **more)  # type: ignore[arg-type]


@given(width=st.integers(64, MOST_SIDE), height=st.integers(64, MOST_SIDE))
def test_tiles_cover_a_picture_once_from_the_top_to_the_bottom(width: int, height: int) -> None:
    plan = strips(width, height)
    covered, top = 0, height
    for strip in plan:
        left = 0
        for tile in strip:
            assert tile.whole == (width, height)
            assert (tile.left, tile.bottom + tile.height) == (left, top)
            assert 0 < tile.width <= TILE[0]
            assert 0 < tile.height <= TILE[1]
            left += tile.width
            covered += tile.width * tile.height
        assert left == width
        top = strip[0].bottom
    assert top == 0
    assert covered == width * height


def test_a_turn_goes_once_around_and_ends_a_step_before_it_began() -> None:
    plan = pictures(wished(seconds=4.0), 10)
    assert len(plan) == 4 * RATE
    angles = [camera.azimuth for camera, _ in plan]
    assert angles[0] == 0.25
    assert np.allclose(np.diff(angles), 2 * pi / len(plan))
    assert len({view for _, view in plan}) == 1


@pytest.mark.parametrize(("steps", "window", "first", "last"), [
    (240, None, 0, 239), (3, None, 0, 2), (1, None, 0, 0), (240, [10, 20], 10, 20), (5, [2, 400], 2, 4),
])  # fmt: skip
def test_a_film_of_the_time_shows_the_whole_axis_or_what_the_look_does(
    steps: int, window: list[int] | None, first: int, last: int
) -> None:
    look = {"mode": "map"} | ({} if window is None else {"window": window})
    plan = pictures(wished("time", seconds=2.0, look=look), steps)
    shown = [view.time for _, view in plan]
    assert len(plan) == 2 * RATE
    assert shown == sorted(shown, key=lambda at: at or 0.0)
    assert shown[0] == first
    assert last - 6 <= (shown[-1] or 0) <= last
    assert {view.mode for _, view in plan} == {"map"}


def test_a_films_size_is_even() -> None:
    assert even((641, 360)) == (640, 360)


def test_what_a_picture_was_made_of_stands_at_its_foot() -> None:
    spec = spec_of(plain((16, 24, 32)), (8, 12, 16))
    head, parts = words(FACTS, Provenance(spec, "1.2.3", "2026-01-02 03:04 UTC"), 77)
    assert head == "A title · 1959-01-04 06:00"
    for part in (f"run {spec.run_id}", "log position 77", "CaveCast 1.2.3", "2026-01-02 03:04 UTC"):
        assert part in parts
    assert any(spec.segmenter in part for part in parts)
    assert any(spec.source.address[-20:] in part and spec.source.variable in part for part in parts)


@given(width=st.integers(64, 4000), height=st.integers(64, 4000), ratio=st.sampled_from([1.0, 2.0, 4.0]))
def test_the_foot_lies_in_the_picture_whatever_its_size(width: int, height: int, ratio: float) -> None:
    made = foot("A title", ["run rivers", "/data/" + 90 * "x", "connect", "log position 7", "date", "CaveCast"],
                width, height, ratio)  # fmt: skip
    assert 2 <= len(made.lines) <= 1 + MOST_LINES
    assert made.lines[0].bold
    assert made.panel.left >= 0
    assert made.panel.left + made.panel.width <= width
    middles = [line.middle for line in made.lines]
    assert middles == sorted(middles, reverse=True)
    assert made.panel.bottom < middles[-1]
    assert middles[0] < made.panel.bottom + made.panel.height


def test_an_address_with_a_secret_in_it_is_shown_without() -> None:
    spec = spec_of(plain((16, 24, 32)), (8, 12, 16))
    source = type(spec.source)("https://me:secret@host/data.nc?token=hidden", "ivt")
    made = type(spec)(**{**{name: getattr(spec, name) for name in spec.__struct_fields__}, "source": source})
    _, parts = words(FACTS, Provenance(made, "1", ""), 0)
    assert not any("secret" in part or "hidden" in part for part in parts)
    assert any("host/data.nc" in part for part in parts)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 60))
def test_a_png_may_be_written_in_strips_of_any_height(heights: list[int], width: int) -> None:
    pixels = np.random.default_rng(sum(heights)).integers(0, 256, (sum(heights), width, 3)).astype(np.uint8)
    made, top = Png(width, len(pixels)), 0
    raw = made.begin()
    for height in heights:
        raw += made.add(pixels[top : top + height])
        top += height
    raw += made.end()
    with Image.open(BytesIO(raw)) as read:
        assert np.array_equal(np.asarray(read), pixels)


def test_a_wish_comes_through_as_it_was_and_no_browser_may_send_one() -> None:
    wish = wished("time", look={"mode": "map", "time": 3}, seconds=5.5)
    raw = encode_taking(wish)
    assert decode_taking(raw) == wish
    assert of_relay(raw)


@pytest.mark.parametrize(("wish", "words_"), [
    (Wish("picture", 63, 100, CAMERA), "63x100"),
    (Wish("picture", 640, 360, CAMERA, 5), "5 times"),
    (Wish("picture", 640, 360, CAMERA, 0), "0 times"),
    (Wish("picture", 4000, 4000, CAMERA, 3), "12000x12000"),
    (Wish("turn", 1921, 1000, CAMERA), "1921x1000"),
    (Wish("turn", 640, 360, CAMERA, 2), "film"),
    (Wish("turn", 640, 360, CAMERA, 1, 31.0), "31 s"),
    (Wish("turn", 640, 360, CAMERA, 1, float("nan")), "nan s"),
    (Wish("turn", 640, 360, (0.0, 0.0, -1.0, 0.0, 0.0, 0.0)), "camera"),
    (Wish("turn", 640, 360, (float("inf"), 0.0, 1.0, 0.0, 0.0, 0.0)), "camera"),
    (Wish("turn", 640, 360, CAMERA, look={"mode": "torus"}), "mode"),
    (Wish("turn", 640, 360, CAMERA, look={"pattern": True}), "wall"),
])  # fmt: skip
def test_a_wish_that_cannot_be_fulfilled_is_refused_with_a_sentence(wish: Wish, words_: str) -> None:
    assert words_ in flaw(wish)
    if "nan" not in words_ and "inf" not in str(wish):
        with pytest.raises(Refused, match=words_):
            decode_taking(encode_taking(wish))


@given(st.binary(max_size=200))
def test_garbage_is_refused_as_a_wish(raw: bytes) -> None:
    for one in (raw, b"\x08\x02" + len(raw).to_bytes(2, "little") + raw, os.urandom(0)):
        with pytest.raises(Refused):
            decode_taking(one)


def test_a_wish_has_a_bound() -> None:
    with pytest.raises(Refused, match="bytes"):
        encode_taking(wished(look={"x": "y" * MAX_UP}))
    assert MOST_PIXELS >= 7680 * 4320
