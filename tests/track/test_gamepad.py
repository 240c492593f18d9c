"""Gamepads, keyboards and mice: events byte for byte, and the ray of a pointer."""

from __future__ import annotations

import struct

import pytest

from renderers.wall.projection import frustum, placement_matrix
from renderers.wall.records import Screen
from renderers.wall.track import turns
from renderers.wall.track.drag import Drag
from renderers.wall.track.gamepad import Evdev, Joystick
from renderers.wall.track.mouse import Mouse, pointing, screen_point
from renderers.wall.track.sensed import Axis, Button, Key, Pointer
from renderers.wall.track.wand import ray
from streamer.wire.viewing import Head, Placement, View

SCREEN = Screen("front", (-800, -450, -1000), (800, -450, -1000), (-800, 450, -1000))


def test_joystick_events_are_decoded_also_those_of_the_state_at_first() -> None:
    joystick = Joystick(source=1)
    events = [(10, 1, 0x81, 3), (11, -32767, 0x82, 0), (12, 16384, 2, 1), (13, 0, 1, 3)]
    data = b"".join(struct.pack("=IhBB", *event) for event in events)
    assert joystick.feed(data[:13]) == [Button(1, 3, True)]
    assert joystick.feed(data[13:]) == [Axis(1, 0, -1.0), Axis(1, 1, 16384 / 32767), Button(1, 3, False)]
    assert joystick.packets == 4


def test_a_joystick_event_that_cannot_be_is_counted() -> None:
    joystick = Joystick()
    assert joystick.feed(struct.pack("=IhBB", 0, 0, 7, 0) + struct.pack("=IhBB", 0, 0, 2, 200)) == []
    assert dict(joystick.garbage) == {"event": 2}


def test_events_of_event_devices_are_buttons_axes_and_keys() -> None:
    evdev = Evdev(0, {0: (0, 255)})
    events = [(1, 0x131, 1), (3, 0, 255), (3, 1, -32768), (1, 105, 1), (1, 105, 2), (1, 240, 1), (0, 0, 0), (2, 0, 5)]
    data = b"".join(struct.pack("@llHHi", 0, 0, *event) for event in events)
    assert evdev.feed(data) == [
        Button(0, 1, True), Axis(0, 0, 1.0), Axis(0, 1, -1.0), Key(0, "Left", True), Key(0, "key:240", True),
    ]  # fmt: skip
    assert not evdev.garbage


def test_a_window_tells_shares_and_held_buttons() -> None:
    mouse = Mouse(2, "front", 1600, 900)
    assert mouse.moved(400, 450) == [Pointer(2, "front", 0.25, 0.5, 0)]
    assert mouse.pressed(3, True, 0, 0) == [Pointer(2, "front", 0, 0, 4)]
    assert mouse.pressed(3, False, 1600, 900) == [Pointer(2, "front", 1, 1, 0)]
    assert mouse.key("r", True) == [Key(2, "r", True)]
    assert mouse.moved(-5, 0) == mouse.pressed(9, True, 0, 0) == mouse.key("", True) == []
    assert mouse.garbage.total() == 3


@pytest.mark.parametrize(("x", "y"), [(0.5, 0.5), (0, 0), (1, 0.25), (0.1, 1)])
def test_a_pointer_points_at_what_is_drawn_under_it(x: float, y: float) -> None:
    eye = (100.0, 50.0, 600.0)
    wand = pointing(SCREEN, eye, x, y)
    # Go along the ray to well behind the screen, and look where that point is drawn.
    far = tuple(e + 3000 * d for e, d in zip(eye, turns.apply(wand.turn, (0, 0, -1)), strict=True))
    clip = frustum(SCREEN, eye, 100, 10_000).matrix @ (*far, 1.0)
    assert clip[:2] / clip[3] == pytest.approx([2 * x - 1, 1 - 2 * y], abs=1e-9)
    assert turns.apply(wand.turn, (1, 0, 0))[1] == pytest.approx(0, abs=1e-9)


def test_the_corners_of_a_screen_are_the_ends_of_its_shares() -> None:
    assert screen_point(SCREEN, 0, 1) == SCREEN.lower_left
    assert screen_point(SCREEN, 1, 0) == SCREEN.upper_right


HEAD = Head((0.0, 0.0, 600.0))
SCENE = View(placement=Placement((100.0, 0.0, -1500.0)))


def dragged(*events: tuple[float, float, int]) -> tuple[View, int]:
    """The view after the pointer was at these shares with these buttons, and how often something was picked."""
    drag, view, picks = Drag(), SCENE, 0
    for x, y, buttons in events:
        step = drag.step(view, Pointer(0, "front", x, y, buttons), HEAD, {"front": SCREEN})
        view, picks = step.view, picks + (step.pick is not None)
    return view, picks


def test_dragging_turns_the_scene_about_its_own_middle() -> None:
    view, picks = dragged((0.5, 0.5, 0), (0.5, 0.5, 1), (0.7, 0.5, 1), (0.75, 0.5, 1), (0.75, 0.5, 0))
    assert view.placement.centre == SCENE.placement.centre
    # A quarter of the screen to the right is 45 degrees: the front follows the pointer.
    assert turns.apply(view.placement.turn, (0, 0, 1)) == pytest.approx((0.5**0.5, 0, 0.5**0.5))
    assert picks == 0


def test_dragging_with_the_middle_button_keeps_the_scene_under_the_pointer() -> None:
    view, _ = dragged((0.5, 0.5, 2), (0.6, 0.4, 2))
    before, after = (
        frustum(SCREEN, HEAD.position, 100, 9000).matrix @ placement_matrix(each.placement) @ [0, 0, 0, 1.0]
        for each in (SCENE, view)
    )
    moved = (after / after[3] - before / before[3])[:2]
    assert moved == pytest.approx([0.2, 0.2])


def test_a_click_picks_what_is_under_the_pointer_and_a_drag_does_not() -> None:
    drag = Drag()
    drag.step(SCENE, Pointer(0, "front", 0.3, 0.4, 1), HEAD, {"front": SCREEN})
    step = drag.step(SCENE, Pointer(0, "front", 0.3, 0.4, 0), HEAD, {"front": SCREEN})
    assert step.pick == ray(SCENE.placement, pointing(SCREEN, HEAD.position, 0.3, 0.4))
    assert step.view == SCENE


def test_a_pointer_over_no_screen_that_is_known_does_nothing() -> None:
    drag = Drag()
    for pointer in (None, Pointer(0, "elsewhere", 0.1, 0.1, 1), Pointer(0, "elsewhere", 0.9, 0.9, 1)):
        assert drag.step(SCENE, pointer, HEAD, {"front": SCREEN}) == (SCENE, None, False, False)
