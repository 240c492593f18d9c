"""What changes a wall's view: keys, wand, mouse, time that runs, a run that becomes known, and how much is drawn."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from renderers.wall.fitting import noted_screen, placed
from renderers.wall.gait import STILL_S, Gait
from renderers.wall.messages import Input, Picked, Scene
from renderers.wall.picking import PATIENCE_S, Picking
from renderers.wall.records import Fit, TrackerSource
from renderers.wall.reel import Reel, live, stepped
from renderers.wall.scenery import Asked, Scenery
from renderers.wall.shelf import load_wall
from renderers.wall.track.poses import Trackers
from renderers.wall.track.sensed import Key, Pointer
from renderers.wall.track.wand import Ray
from renderers.wall.windows import Windows
from streamer.wire.viewing import Head, Placement, View
from tests.barrier.house import same_screen

MOUSE = (TrackerSource("mouse", ""),)


def desk(rate_hz: float = 60.0) -> Scenery:
    wall = same_screen(["a"])
    scenery = Scenery(wall, Trackers(MOUSE, wall.head, 64.0), rate_hz)
    scenery.run_is(10, (0.6, 0.6, 0.5), 0.0)
    return scenery


def press(scenery: Scenery, key: str, now: float) -> Scene:
    scenery.sense([Key(0, key, True), Key(0, key, False)], now)
    return scenery.scene


# ---------------------------------------------------------------- keys and time


def test_keys_choose_the_view_step_through_time_and_show_the_pattern() -> None:
    scenery = desk()
    assert press(scenery, "2", 1.0).view.mode == "globe"
    assert press(scenery, "3", 1.1).view.mode == "map"
    assert press(scenery, "1", 1.2).view.mode == "cube"
    assert press(scenery, "Left", 1.3).view.time == 8  # the newest was 9
    assert press(scenery, "Left", 1.4).view.time == 7
    assert press(scenery, "Right", 1.5).view.time == 8
    assert press(scenery, "Home", 1.6).view.time == 0
    assert press(scenery, "End", 1.7).view.time is None
    assert press(scenery, "p", 1.8).view.pattern
    assert not press(scenery, "p", 1.9).view.pattern
    before = scenery.look
    press(scenery, "Escape", 2.0)
    assert scenery.look == before


def test_space_runs_time_in_a_loop_and_stops_it() -> None:
    scenery = desk()
    assert press(scenery, "space", 1.0).view.time == 0
    seen = []
    now = 1.0
    while now < 4.0:
        now = scenery.deadline()
        if scenery.tick(now):
            seen.append(scenery.scene.view.time)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    press(scenery, "space", 4.05)
    stands = scenery.scene.view.time
    scenery.tick(9.0)
    assert scenery.scene.view.time == stands
    assert scenery.deadline() == math.inf


def test_time_that_runs_goes_on_from_where_somebody_sets_it_and_ends_without_a_loop() -> None:
    reel = Reel()
    reel.loop = False
    view = reel.play(View(), 0.0, 20)
    view = reel.run(View(time=17.0), 0.3, 20)
    assert view.time == 17
    view = reel.run(view, 0.56, 20)
    assert view.time == 18
    view = reel.run(view, 2.0, 20)
    assert (view.time, reel.playing) == (20, False)
    assert reel.deadline() == math.inf
    reel.pace(1000, view, 0)
    assert reel.steps_per_s == 64


def test_steps_by_hand_stay_within_the_volume() -> None:
    assert stepped(View(), -1, 5).time == 4
    assert stepped(View(time=0.2), -1, 5).time == 0
    assert stepped(View(time=4.6), 1, 5).time == 5
    assert live(View(time=3)).time is None


def test_freeze_keeps_the_head_and_reset_brings_all_back() -> None:
    scenery = desk()
    home = scenery.scene.view.placement
    press(scenery, "f", 1.0)
    scenery.set_view(msgspec.structs.replace(scenery.scene.view, placement=Placement((9.0, 9.0, 9.0)), time=3.0), 1.5)
    reset = press(scenery, "r", 2.0)
    assert (reset.view.placement, reset.view.time) == (home, None)


# ---------------------------------------------------------------- what the run says


def test_the_longest_side_of_the_box_is_as_long_as_the_wall_says() -> None:
    fit = Fit(1200.0, (0.0, 0.0, -5.0))
    assert placed(fit, (0.3, 0.9, 0.2)).size * 2 * 0.9 == pytest.approx(1200)
    steps = Fit(1200.0, mm_per_step=25.0)
    assert placed(steps, (0.3, 0.9, 0.2), 40).size * 2 * 0.2 == pytest.approx(1000)
    assert placed(fit).size == 600


def test_a_run_that_becomes_known_is_laid_into_the_room_unless_somebody_has_moved_it() -> None:
    scenery = desk()
    assert scenery.last_step == 9
    assert scenery.scene.view.placement.size == pytest.approx(1000)
    scenery.set_view(View(placement=Placement(size=77.0)), 1.0)
    assert not scenery.run_is(12, (0.9, 0.1, 0.1), 2.0)
    assert scenery.scene.view.placement.size == 77


# ---------------------------------------------------------------- mouse and picks


def test_a_drag_turns_the_scene_and_a_click_picks_what_is_under_it() -> None:
    scenery = desk()
    windows = Windows(same_screen(["a"]), MOUSE)

    def at(kind: str, x: float, code: str = "", pressed: bool = False, now: float = 1.0) -> None:
        scenery.sense(windows.records(Input("a", kind, code, pressed, x, 18.0)), now)

    before = scenery.scene.view.placement.turn
    at("motion", 10.0)
    at("button", 10.0, "1", True)
    at("motion", 30.0)
    at("button", 30.0, "1", False)
    assert scenery.scene.view.placement.turn != before
    assert scenery.asked() == []
    at("button", 32.0, "1", True, 2.0)
    at("button", 32.0, "1", False, 2.1)
    (asked,) = scenery.asked()
    assert asked.screen == "middle"
    assert asked.ray.direction == pytest.approx(asked.ray.direction)
    assert math.hypot(*asked.ray.direction) == pytest.approx(1)
    assert scenery.asked() == []


def test_what_was_picked_is_marked_and_described_and_let_go_by_picking_it_again() -> None:
    scenery, asked = desk(), Asked(Ray((0.0, 0.0, 2.0), (0.0, 0.0, -1.0)), "middle")
    assert scenery.found(asked, Picked(1, 77, 12345, 3, 9), 1.0)
    assert scenery.scene.view.selected == (77,)
    assert scenery.scene.note == "object 77\n12,345 voxels\nsteps 3 to 9"
    assert scenery.scene.noted == "middle"
    scenery.found(asked, Picked(2, 77, 12345, 3, 9), 2.0)
    after = scenery.scene
    assert (len(after.view.selected), after.note) == (0, "")
    assert not scenery.found(asked, Picked(3), 3.0)


def test_a_pick_is_asked_of_another_tile_where_the_first_is_silent() -> None:
    picking, asked = Picking(), Asked(Ray((0.0, 0.0, 2.0), (0.0, 0.0, -1.0)), "middle")
    first = picking.ask(asked, ["a", "b"], 1.0)
    assert first is not None
    assert first.seat == "a"
    assert picking.tick(["a", "b"], 1.1) is None
    assert picking.deadline() == 1.0 + PATIENCE_S
    second = picking.tick(["a", "b"], 1.0 + PATIENCE_S)
    assert second is not None
    assert second.seat == "b"
    assert picking.answered(Picked(first.pick.request, 5)) is None  # too late
    assert picking.answered(Picked(second.pick.request, 5)) == asked
    assert picking.deadline() == math.inf
    assert picking.ask(asked, [], 2.0) is None


def test_a_note_stands_on_the_screen_that_the_ray_goes_through() -> None:
    cave = load_wall("cave4")
    placement = Placement((0.0, 0.0, 0.0), size=1000.0)
    eye = np.array(cave.head.position)
    stands = (float(eye[0]) / 1000, float(eye[1]) / 1000, float(eye[2]) / 1000)
    assert len(cave.screens) == 4
    for screen in cave.screens:
        middle = (np.array(screen.lower_left) + np.array(screen.upper_right)) / 2
        way = middle - eye
        x, y, z = (way / np.linalg.norm(way)).tolist()
        assert noted_screen(cave.screens, placement, Ray(stands, (x, y, z))) == screen.name
    # Where it goes out behind the viewer, through no screen, it is said all the same.
    assert noted_screen(cave.screens, placement, Ray(stands, (0.0, 0.0, 1.0))) == cave.screens[0].name


# ---------------------------------------------------------------- how much is drawn


def test_a_slow_wall_draws_coarse_while_it_moves_and_all_of_it_when_it_stands() -> None:
    gait = Gait(60.0)
    home, head = Placement(), Head()
    gait.see(home, head, 0.0)
    assert gait.level(0.0) == 0
    gait.drawn(1, 0)
    gait.took(1, 0.2)
    gait.see(Placement((1.0, 0.0, 0.0)), head, 1.0)
    assert gait.level(1.0) == 1
    assert gait.deadline(1) == 1.0 + STILL_S
    assert gait.level(1.0 + STILL_S) == 0


def test_a_quick_wall_draws_all_of_it_always() -> None:
    gait = Gait(60.0)
    for frame in range(50):
        gait.see(Placement((float(frame), 0.0, 0.0)), Head(), frame / 60)
        assert gait.level(frame / 60) == 0
        gait.drawn(frame, 0)
        gait.took(frame, 0.004)


def test_a_head_that_sways_a_little_stands_still() -> None:
    gait = Gait(60.0)
    gait.see(Placement(), Head(), 0.0)
    gait.drawn(1, 0)
    gait.took(1, 0.2)
    for n in range(100):
        gait.see(Placement(), Head((0.02 * n % 2, 0.0, 0.0)), n / 60)
        assert gait.level(n / 60) == 0
    gait.see(Placement(), Head((30.0, 0.0, 0.0)), 2.0)
    assert gait.level(2.0) == 1


def test_the_level_travels_with_the_scene_and_comes_back_by_itself() -> None:
    scenery = desk()
    scenery.gait.drawn(1, 0)
    scenery.gait.took(1, 0.5)
    scenery.set_view(View(placement=Placement((5.0, 0.0, 0.0))), 1.0)
    assert scenery.scene.level == 1
    number = scenery.look.number
    assert scenery.tick(scenery.deadline())
    assert (scenery.scene.level, scenery.look.number) == (0, number + 1)


def test_a_pointer_of_another_wall_is_passed_over() -> None:
    scenery = desk()
    assert not scenery.sense([Pointer(0, "elsewhere", 0.5, 0.5, 1), Pointer(0, "elsewhere", 0.9, 0.5, 1)], 1.0)
