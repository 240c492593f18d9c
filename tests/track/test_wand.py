"""What the wand makes of the view."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from renderers.wall.projection import placement_matrix
from renderers.wall.track import turns
from renderers.wall.track.poses import WandState
from renderers.wall.track.wand import (
    ACTIONS,
    KEYS,
    Bindings,
    Hand,
    carried,
    flown,
    picked,
    ray,
    scaled,
    scrubbed,
    section,
    to_scene,
    turned,
)
from streamer.wire.viewing import Head, Placement, Plane, Quaternion, Vec3, View

numbers = st.floats(-2000, 2000)
places = st.tuples(numbers, numbers, numbers)
facing = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda t: math.hypot(*t) > 0.1)
    .map(lambda t: turns.unit((t[0], t[1], t[2], t[3])))
)
placements = st.builds(Placement, centre=places, turn=facing, size=st.floats(10, 5000))
wands = st.builds(Head, position=places, turn=facing)
ORIGIN = Head()


def held(pose: Head = ORIGIN, *buttons: int, axes: tuple[float, ...] = (), keys: tuple[str, ...] = ()) -> WandState:
    return WandState(pose, True, frozenset(buttons), axes, frozenset(keys))


@given(placement=placements, point=places)
def test_to_scene_undoes_the_placement(placement: Placement, point: Vec3) -> None:
    back = placement_matrix(placement) @ [*to_scene(placement, point), 1.0]
    assert back[:3] == pytest.approx(point, abs=1e-6)


@given(placement=placements, wand=wands)
def test_the_ray_in_the_scene_is_the_wands_line_in_the_room(placement: Placement, wand: Head) -> None:
    origin, direction = ray(placement, wand)
    assert math.hypot(*direction) == pytest.approx(1)
    ahead = tuple(o + 0.5 * d for o, d in zip(origin, direction, strict=True))
    in_room = (placement_matrix(placement) @ [*ahead, 1.0])[:3]
    way = np.array(turns.apply(wand.turn, (0, 0, -1))) * 0.5 * placement.size
    assert in_room == pytest.approx(np.array(wand.position) + way, abs=1e-6)


@given(placement=placements, before=wands, after=wands)
def test_what_is_grabbed_keeps_its_place_on_the_wand(placement: Placement, before: Head, after: Head) -> None:
    then = carried(placement, before, after)
    assert then.size == placement.size
    for point in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0.2, 0.3, 0.4)):
        seen = []
        for where, wand in ((placement, before), (then, after)):
            x, y, z = (placement_matrix(where) @ [*point, 1.0])[:3] - np.array(wand.position)
            seen.append(turns.apply(turns.back(wand.turn), (x, y, z)))
        assert seen[0] == pytest.approx(seen[1], abs=1e-5)


@given(placement=placements, pivot=places, factor=st.floats(0.1, 10))
def test_scaling_leaves_the_pivot_where_it_is(placement: Placement, pivot: Vec3, factor: float) -> None:
    then = scaled(placement, pivot, factor)
    assert then.size == pytest.approx(placement.size * factor)
    assert to_scene(then, pivot) == pytest.approx(to_scene(placement, pivot), abs=1e-6)


def test_sizes_stay_within_reason() -> None:
    assert scaled(Placement(), (0, 0, 0), 1e-9).size == 1
    assert scaled(Placement(), (0, 0, 0), 1e9).size == 1e6


def test_flying_brings_nearer_what_the_wand_points_at() -> None:
    assert flown(Placement((0, 0, -3000)), ORIGIN, 500).centre == (0, 0, -2500)


def test_turning_to_the_right_brings_to_the_middle_what_is_at_the_right() -> None:
    then = turned(Placement((1000, 0, 0)), (0, 0, 0), 90)
    assert then.centre == pytest.approx((0, 0, -1000))


def test_time_is_moved_from_the_newest_step_and_stays_within_the_volume() -> None:
    assert scrubbed(View(), -2.5, 10).time == 7.5
    assert scrubbed(View(time=1), -5, 10).time == 0
    assert scrubbed(View(time=9), 5, 10).time == 10


def test_a_pick_marks_an_object_and_a_second_one_lets_it_go() -> None:
    marked = picked(View(), 17)
    assert marked.selected == (17,)
    assert picked(marked, 17).selected == ()
    assert picked(marked, 0).selected == ()
    assert picked(marked, 18).selected == (18,)


def run(hand: Hand, view: View, states: list[tuple[float, WandState]], last: float = 0.0) -> View:
    for now, state in states:
        view = hand.step(view, state, now, last).view
    return view


def test_a_grabbed_scene_follows_the_wand_until_it_is_let_go() -> None:
    moved, turn = Head((100, 0, 0)), Head((100, 0, 0), turns.about((0, 1, 0), 0.5))
    view = run(Hand(), View(), [(0, held()), (0.1, held(moved)), (0.2, held(moved, 0)), (0.3, held(turn, 0))])
    assert view.placement == carried(Placement(), moved, turn)
    hand = Hand()
    view = run(hand, View(), [(0, held()), (0.1, held(ORIGIN, 0)), (0.2, held(moved)), (0.3, held(turn))])
    assert view == View()  # let go in the very step in which it moved


def test_a_wand_that_is_lost_drops_what_it_holds() -> None:
    away = WandState(Head((0, 1700, 500)), False, frozenset({0}))
    view = run(Hand(), View(), [(0, held()), (0.1, held(ORIGIN, 0)), (0.2, away), (0.3, held(Head((9, 9, 9)), 0))])
    assert view == View()


def test_the_stick_flies_and_turns_by_time_not_by_frames() -> None:
    bindings = Bindings(dead_zone=0.0, fly_mm_s=1000, turn_deg_s=90)
    fast: list[float] = []
    slow: list[float] = []
    for rate, out in ((100, fast), (20, slow)):
        states = [(i / rate, held(axes=(0.5, 1.0))) for i in range(rate + 1)]
        placement = run(Hand(bindings), View(placement=Placement((0, 0, -5000))), states).placement
        out.append(turns.angle(placement.turn, (0, 0, 0, 1)))
        out.append(math.hypot(*placement.centre))
    assert fast == pytest.approx([math.radians(45), 4000], rel=0.03)
    assert slow == pytest.approx(fast, rel=0.05)


def test_after_a_stall_nothing_leaps() -> None:
    view = run(Hand(Bindings(dead_zone=0)), View(), [(0, held(axes=(0, 1.0))), (30, held(axes=(0, 1.0)))])
    assert view.placement.centre[2] == pytest.approx(150)  # a tenth of a second, not thirty


def test_while_grabbing_the_stick_scales() -> None:
    bindings = Bindings(dead_zone=0.0)
    states = [(i / 10, held(ORIGIN, *((0,) if i else ()), axes=(0.0, 1.0 if i else 0.0))) for i in range(11)]
    placement = run(Hand(bindings), View(), states).placement
    assert placement.size == pytest.approx(2000)
    assert placement.centre == (0, 0, 0)


def test_time_is_scrubbed_by_the_hands_way_to_the_right() -> None:
    view = View(time=10)
    states = [(0, held()), (0.1, held(ORIGIN, 3)), (0.2, held(Head((250, 0, 0)), 3)), (0.3, held(Head((900, 0, 0))))]
    assert run(Hand(), view, states, last=40).time == 20


def test_the_section_plane_follows_the_wand_while_held_and_a_tap_takes_it_away() -> None:
    other = Plane((0, 0, 0), (0, 1, 0))
    view = View(planes=(other,), placement=Placement((0, 0, -1000), size=500))
    hand = Hand()
    first, then = Head((0, 0, 0)), Head((0, 0, -900), turns.about((0, 1, 0), 0.3))
    view = run(hand, view, [(0, held()), (0.1, held(first, 2)), (0.5, held(first, 2))])
    assert view.planes == (other, section(view.placement, first))
    assert view.planes[1].point == pytest.approx((0, 0, 2))
    assert view.planes[1].normal == pytest.approx((0, 0, -1))
    view = run(hand, view, [(0.6, held(then, 2)), (0.7, held(first))])
    assert view.planes == (other, section(view.placement, then))
    view = run(hand, view, [(1.0, held(first, 2)), (1.1, held(first))])
    assert view.planes == (other,)


def test_no_more_planes_are_made_than_a_view_may_have() -> None:
    full = tuple(Plane((i, 0, 0), (1, 0, 0)) for i in range(6))
    assert run(Hand(), View(planes=full), [(0, held()), (0.1, held(ORIGIN, 2)), (1, held(ORIGIN, 2))]).planes == full


def test_a_press_picks_once_and_gives_the_ray() -> None:
    hand = Hand()
    hand.step(View(), held(), 0)
    first, second = (hand.step(View(), held(ORIGIN, 1), now).pick for now in (0.1, 0.2))
    assert first == ray(Placement(), ORIGIN)
    assert second is None


def test_freeze_and_reset_are_told_once() -> None:
    home = View(placement=Placement(size=777), time=3.0)
    hand = Hand(home=home)
    hand.step(View(), held(), 0)
    assert hand.step(View(), held(ORIGIN, 4), 0.1).freeze
    assert not hand.step(View(), held(ORIGIN, 4), 0.2).freeze
    step = hand.step(View(selected=(5,), time=9), held(ORIGIN, 5), 0.3)
    assert step.reset
    assert step.view == replace(home, selected=(5,))


def test_a_button_that_was_down_before_the_hand_came_in_does_nothing() -> None:
    step = Hand().step(View(), held(ORIGIN, 1, 4, 5), 0)
    assert (step.pick, step.freeze, step.reset) == (None, False, False)


def test_keys_do_what_buttons_and_sticks_do() -> None:
    assert set(KEYS.values()) <= set(ACTIONS)
    hand = Hand()
    hand.step(View(), held(), 0)
    assert hand.step(View(), held(keys=("Up",)), 0.1).view.placement.centre[2] == pytest.approx(150)
    assert hand.step(View(), held(keys=("Prior",)), 0.2).view.placement.size > 1000
    assert hand.step(View(time=5), held(keys=("period",)), 0.3, last=100).view.time == pytest.approx(6)
    assert hand.step(View(), held(keys=("Return",)), 0.4).pick is not None


def test_bindings_can_be_set() -> None:
    hand = Hand(Bindings(pick=9, grab=-1))
    hand.step(View(), held(), 0)
    assert hand.step(View(), held(ORIGIN, 9), 0.1).pick is not None


@given(states=st.lists(st.tuples(wands, st.sets(st.integers(0, 6)), st.tuples(st.floats(-1, 1), st.floats(-1, 1)))))
def test_whatever_the_wand_does_the_view_stays_one_that_can_be_drawn(
    states: list[tuple[Head, set[int], tuple[float, float]]],
) -> None:
    hand, view = Hand(), View()
    for i, (wand, buttons, axes) in enumerate(states):
        view = hand.step(view, held(wand, *buttons, axes=axes), i / 10, last=20).view
        turn: Quaternion = view.placement.turn
        assert math.hypot(*turn) == pytest.approx(1)
        assert all(map(math.isfinite, view.placement.centre))
        assert 1 <= view.placement.size <= 1e6
        assert len(view.planes) <= 6
        assert view.time is None or 0 <= view.time <= 20
