"""The words between conductor and tiles, byte for byte, and what becomes of garbage."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.wall.burn import Burned, blocks, read_blocks
from renderers.wall.messages import (
    Beat,
    Draw,
    Join,
    Reach,
    Scene,
    Show,
    decode,
    decode_scene,
    encode,
    encode_scene,
)
from streamer.wire.header import Refused
from streamer.wire.viewing import Head, View


def test_a_message_comes_out_as_it_went_in() -> None:
    said = Beat(3, (Reach("e", 4, 9),), 1.5)
    assert decode([encode(said)]) == (said, b"")
    assert msgspec.msgpack.decode(encode(Show(7, 2.5))) == ["Show", 7, 2.5]
    scene = Scene(View(selected=(5,)), Head((1.0, 2.0, 3.0)), -64.0, 12.5)
    message, payload = decode([encode(Draw(1, 2, "e", 3)), encode_scene(scene)])
    assert isinstance(message, Draw)
    assert decode_scene(payload) == scene


def test_what_a_later_version_says_is_passed_over_and_a_later_version_is_refused() -> None:
    assert decode([msgspec.msgpack.encode(["Later", 1, 2])]) == (None, b"")
    assert decode([msgspec.msgpack.encode(["Show", 7, 2.5, "more"])]).message == Show(7, 2.5)
    with pytest.raises(Refused, match="update CaveCast on this side"):
        decode([encode(Join(2, "a", ("a",), "w"))])


@given(st.lists(st.binary(max_size=600), max_size=4))
def test_garbage_is_refused_and_nothing_else_happens(frames: list[bytes]) -> None:
    try:
        message, _ = decode(frames)
    except Refused:
        return
    assert message is None or encode(message)


@given(st.tuples(*[st.integers(0, (1 << 32) - 1)] * 3))
def test_burned_numbers_are_read_back(numbers: tuple[int, int, int]) -> None:
    picture = blocks(Burned(*numbers))
    assert read_blocks(picture) == numbers
    picture[20, 20] = 255 - picture[20, 20]
    picture[19, 19] = 255 - picture[19, 19]
    assert read_blocks(picture) in (numbers, None)
    assert read_blocks(picture[:5]) is None
