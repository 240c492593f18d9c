"""The words between conductor and tiles, byte for byte, and what becomes of garbage."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.wall.burn import Burned, blocks, read_blocks
from renderers.wall.framing import decode, decode_scene, decode_view, encode, encode_scene, encode_view, few, fitting
from renderers.wall.messages import Beat, Draw, Join, Reach, Run, Scene, Show, Shown, Tile
from renderers.wall.shelf import PRESETS, load_wall
from renderers.wall.sight import sights
from streamer.wire.header import Refused
from streamer.wire.viewing import LARGEST, SMALLEST, FieldLook, Head, ObjectLook, Placement, Plane, View


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


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("view", [
    View(placement=Placement((NAN, 0.0, 0.0))),
    View(placement=Placement(size=0.0)),
    View(placement=Placement(size=1e12)),
    View(placement=Placement(turn=(0.0, 0.0, 0.0, 0.0))),
    View(objects=ObjectLook("one", "red")),
    View(objects=ObjectLook("one", "#56b4e9" * 999)),
    View(time=INF),
    View(window=(0.0, NAN)),
    View(selected=tuple(range(7000))),
    View(planes=(Plane((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),)),
    View(planes=(Plane((0.0, NAN, 0.0), (0.0, 0.0, 1.0)),)),
    View(opacity=NAN),
    View(field=FieldLook("slice", low=-INF)),
    View(field=FieldLook("slice", colours="x" * 65)),
    View(field=FieldLook("slice", opacity_points=((0.0, NAN),))),
])  # fmt: skip
def test_a_view_that_nobody_can_draw_is_refused_before_it_reaches_a_tile(view: View) -> None:
    with pytest.raises(Refused, match="a view with "):
        decode_view(encode_view(view))
    with pytest.raises(Refused, match="a scene with "):
        decode_scene(encode_scene(Scene(view)))


@pytest.mark.parametrize("scene", [
    Scene(head=Head((INF, 0.0, 0.0))),
    Scene(head=Head(turn=(NAN, 0.0, 0.0, 1.0))),
    Scene(separation_mm=NAN),
    Scene(level=2),
    Scene(note="x" * 501),
])  # fmt: skip
def test_a_scene_that_nobody_can_draw_is_refused(scene: Scene) -> None:
    with pytest.raises(Refused, match="a scene with "):
        decode_scene(encode_scene(scene))


@pytest.mark.parametrize("scene", [
    Scene(View(placement=Placement(size=LARGEST)), Head((0.0, 0.0, 1e9))),
    Scene(View(placement=Placement(size=SMALLEST)), Head((0.0, 0.0, -1e9))),
    Scene(View(placement=Placement((1e9, 0.0, 0.0), size=LARGEST)), Head((1e9, 1e9, -5e3))),
])  # fmt: skip
def test_whatever_is_let_in_can_be_drawn_on_every_tile(scene: Scene) -> None:
    let_in = decode_scene(encode_scene(scene))
    for name in PRESETS:
        wall = load_wall(name)
        for tile in wall.tiles:
            for look in sights(wall, tile, let_in.view.placement, let_in.head, let_in.separation_mm):
                assert np.isfinite(look.frustum.matrix).all()


def test_numbers_and_names_that_would_not_fit_into_an_answer_are_refused() -> None:
    for said in (
        Join(1, "a", ("a",), "w", shown=1 << 63),
        Beat(0, (Reach("e" * 65, 0, 0),)),
        Beat(0, (Reach("e", 0, 1 << 60),)),
        Run("e", -1, (1.0, 1.0, 1.0)),
    ):
        with pytest.raises(Refused):
            decode([encode(said)])


@pytest.mark.parametrize("letters", [9, 120])
def test_a_node_may_have_any_number_of_tiles(letters: int) -> None:
    names = tuple(f"{i}".rjust(letters, "é") for i in range(70))
    reach = (Reach("e" * 64, 1 << 53, 1 << 53),)
    said = encode(Join(1, "node".rjust(60, "é"), fitting(names), "12345678", reach, 1 << 53, "h" * 70))
    assert isinstance(decode([said]).message, Join)
    tiles = [Tile(name, 1.5, (1 << 31, 1 << 31, 1 << 31)) for name in names]
    portions = few(tiles)
    assert [tile for some in portions for tile in some] == tiles
    for some in portions:
        assert encode(Shown(1 << 53, 1 << 53, "e" * 64, 1 << 53, some, 0.5, 0.5))
    assert fitting(("a", "b")) == ("a", "b")
    assert fitting(names) == ()
    assert few(()) == []
