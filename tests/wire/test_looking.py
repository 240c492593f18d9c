"""What a viewer wants to see and points at, as bytes: what is sent is what comes, and nothing else is taken."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.header import Refused
from streamer.wire.looking import MAX_LOOK, Looking, Pointing, encode_looking, encode_pointing, plain
from streamer.wire.view import MAX_UP, VERSION, decode_up
from streamer.wire.viewing import (
    MOST_PLANES,
    MOST_POINTS,
    MOST_SELECTED,
    FieldLook,
    ObjectLook,
    Placement,
    Plane,
    View,
    view_flaw,
)

RICH = View(
    "map", time=3.5, window=(0.0, 12.25), selected=(7, (1 << 63) - 1), isolate=True,
    planes=(Plane((0.5, 0.0, 0.0), (-1.0, 0.0, 0.0)),), labels=False, opacity=0.25,
    field=FieldLook("slice", "batlow", 100.0, 900.5, 0.75, ((0.0, 0.0), (0.4, 0.1), (1.0, 1.0))),
    objects=ObjectLook("one", "#56b4e9"),
)  # fmt: skip


def message(text: bytes, sequence: int = 1) -> bytes:
    return struct.pack("<BBHI", 16, VERSION, len(text), sequence) + text


@pytest.mark.parametrize("view", [View(), RICH])
def test_a_look_comes_as_it_was_sent(view: View) -> None:
    assert decode_up(encode_looking(Looking(9, view), VERSION)) == Looking(9, view)


def test_what_is_left_out_is_as_usual_and_whole_numbers_are_numbers() -> None:
    looking = decode_up(message(b'{"time": 3, "field": {"draw": "slice"}, "window": [0, 4]}', 77))
    assert looking == Looking(77, View(time=3.0, window=(0.0, 4.0), field=FieldLook("slice")))


def test_the_largest_look_fits_into_a_message() -> None:
    long = 0.12345678901234567
    view = View(
        selected=tuple((1 << 53) - 1 - i for i in range(MOST_SELECTED)),
        planes=(Plane((long, long, long), (long, long, long)),) * MOST_PLANES,
        field=FieldLook("volume", "x" * 64, opacity_points=((long, long),) * MOST_POINTS),
        objects=ObjectLook("one", "#56b4e9"),
    )
    raw = encode_looking(Looking(1, view), VERSION)
    assert len(raw) <= MAX_UP
    assert decode_up(raw) == Looking(1, view)


@pytest.mark.parametrize(("text", "words"), [
    (b"", "no JSON"),
    (b"nonsense", "no JSON"),
    (b"[" * 4000, "no JSON"),
    (b"\xff\xfe", "no JSON"),
    (b"[]", "give an object"),
    (b'{"colour": "red"}', "no 'colour'"),
    (b'{"mode": "sphere"}', "mode"),
    (b'{"time": 1e999}', "none|no JSON"),
    (b'{"time": NaN}', "no JSON"),
    (b'{"time": 1e30}', "no number"),
    (b'{"opacity": 2}', "from 0 to 1"),
    (b'{"selected": [0]}', "id is none"),
    (b'{"selected": [-4]}', "id is none"),
    (b'{"selected": [18446744073709551616]}', "none"),
    (json.dumps({"selected": list(range(1, 70))}).encode(), "more than 64"),
    (b'{"planes": [{"point": [0, 0, 0], "normal": [0, 0, 0]}]}', "plane that is none"),
    (b'{"objects": {"colour_by": "size"}}', "objects.colour_by: invalid enum value 'size'"),
    (b'{"objects": {"colour": 7}}', "objects.colour: expected `str`"),
    (b'{"objects": {"colour": "red"}}', "the objects' colour is 'red', and is written #rrggbb"),
    (b'{"objects": {"colour": "#56b4e9\\n"}}', "is written #rrggbb"),
    (json.dumps({"objects": {"colour": "#" + 999 * "5"}}).encode(), "colour is '#5{22}, and is written #rrggbb"),
    (b'{"objects": "one"}', "give an object with some of colour_by, colour"),
    (b'{"pattern": true}', "a wall's"),
    (b'{"placement": {"size": 5}}', "a wall's"),
    (b'{"field": {"opacity_points": [[0, 1, 2]]}}', "none"),
    (b" " * (MAX_LOOK + 1), "said to have 4097 bytes"),
])  # fmt: skip
def test_a_look_that_cannot_be_drawn_is_refused_with_what_is_wrong(text: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        decode_up(message(text))


def test_a_look_of_another_length_than_it_says_is_refused() -> None:
    with pytest.raises(Refused, match="said to have 2 bytes and has 3"):
        decode_up(struct.pack("<BBHI", 16, VERSION, 2, 1) + b"{ }")
    with pytest.raises(Refused, match="header alone"):
        decode_up(bytes((16, VERSION, 0)))


NAMES = [field for kind in (View, FieldLook, ObjectLook, Plane) for field in kind.__struct_fields__]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(NAMES), inner, max_size=4
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_json_is_a_look_that_can_be_drawn_or_refused(given: object) -> None:
    text = json.dumps(given).encode()
    try:
        looking = decode_up(message(text[:65535]))
    except Refused:
        return
    assert isinstance(looking, Looking)
    assert view_flaw(looking.view) == ""
    assert looking.view.placement == Placement()


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_question_comes_as_it_was_sent(number: int, x: float, y: float) -> None:
    got = decode_up(encode_pointing(Pointing(number, x, y), VERSION))
    assert isinstance(got, Pointing)
    assert got.number == number
    assert (got.x, got.y) == pytest.approx((x, y), abs=1e-5)


def test_a_question_beside_the_picture_or_of_another_length_is_refused() -> None:
    raw = encode_pointing(Pointing(1, 0.5, 0.5), VERSION)
    with pytest.raises(Refused, match="beside the picture"):
        decode_up(raw[:-2] + b"\xff\xff")
    with pytest.raises(Refused, match="it has 12"):
        decode_up(raw + b"\x00")


def test_a_look_in_words_has_nothing_of_a_wall() -> None:
    assert set(plain(RICH)) == set(View.__struct_fields__) - {"placement", "pattern"}
