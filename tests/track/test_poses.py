"""From records to the head and the wand: calibration, smoothing, prediction, and what happens without a tracker."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from renderers.wall.axes import turn_matrix
from renderers.wall.projection import eye_position, frustum, rotation
from renderers.wall.records import Screen, TrackerSource
from renderers.wall.track import turns
from renderers.wall.track.body import Tuning
from renderers.wall.track.calibrate import Calibration
from renderers.wall.track.poses import Trackers
from renderers.wall.track.sensed import Axis, Button, Gone, Key, Lost, Pointer, Pose
from renderers.wall.track.smooth import Smoothing
from streamer.wire.viewing import NO_TURN, Head, Quaternion, Vec3

PLAIN = TrackerSource("osc", "udp://127.0.0.1:5000")
STANDING = Head((0.0, 1700.0, 0.0))
numbers = st.floats(-3000, 3000)
places = st.tuples(numbers, numbers, numbers)
degrees = st.tuples(*[st.floats(-180, 180)] * 3)
facing = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda t: math.hypot(*t) > 0.1)
    .map(lambda t: turns.unit((t[0], t[1], t[2], t[3])))
)


def at(x: float, y: float = 0.0, z: float = 0.0, body: int = 0, turn: Quaternion = NO_TURN, source: int = 0) -> Pose:
    return Pose(source, body, (x, y, z), turn)


def test_with_everything_off_the_device_numbers_come_through_bit_for_bit() -> None:
    trackers = Trackers([PLAIN])
    for i in range(20):
        pose = at(1 / 3 + i, 0.1, -7.7)
        trackers.feed(pose, now=i / 60)
        assert trackers.head(i / 60) == Head(pose.position, NO_TURN)
        assert trackers.head(i / 60 + 0.01) == Head(pose.position, NO_TURN)


def test_axes_and_units_of_a_device_become_the_walls() -> None:
    # DTrack behind VRPN: metres, x right, y forward, z up; a head that looks 90 degrees to the left (about up).
    source = replace(PLAIN, axes="x right, y forward, z up", unit="m", offset=(10, 20, 30), scale=2.0)
    half = math.sqrt(0.5)
    trackers = Trackers([source])
    trackers.feed(Pose(0, 0, (1.0, 2.0, 3.0), (0, 0, half, half)), 0.0)
    head = trackers.head(0.0)
    assert head.position == pytest.approx((2010, 6020, -3970))
    assert turns.apply(head.turn, (0, 0, -1)) == pytest.approx((-1, 0, 0))


def test_a_left_handed_device_turns_the_right_way() -> None:
    # Unity's axes: x right, y up, z forward.  There a positive angle about y turns to the right.
    trackers = Trackers([replace(PLAIN, axes="x right, y up, z forward", unit="m")])
    half = math.sqrt(0.5)
    trackers.feed(Pose(0, 0, (0.0, 1.0, 2.0), (0, half, 0, half)), 0.0)
    head = trackers.head(0.0)
    assert head.position == pytest.approx((0, 1000, -2000))
    assert turns.apply(head.turn, (0, 0, -1)) == pytest.approx((1, 0, 0))


def test_the_eyes_are_away_from_the_target_in_the_heads_own_axes() -> None:
    # The target sits above the eyes (the eyes are 80 mm lower, 50 mm forward), mounted turned by 180 degrees.
    source = replace(PLAIN, head_offset=(0, -80, -50), head_turn=(180, 0, 0))
    trackers = Trackers([source])
    trackers.feed(Pose(0, 0, (0, 1700, 0), (0, 1, 0, 0)), 0.0)  # so the head looks straight ahead
    head = trackers.head(0.0)
    assert turns.apply(head.turn, (0, 0, -1)) == pytest.approx((0, 0, -1))
    assert head.position == pytest.approx((0, 1620, -50))


def test_heading_pitch_and_roll_turn_left_up_and_clockwise() -> None:
    assert turns.apply(turns.hpr((90, 0, 0)), (0, 0, -1)) == pytest.approx((-1, 0, 0))
    assert turns.apply(turns.hpr((0, 90, 0)), (0, 0, -1)) == pytest.approx((0, 1, 0))
    assert turns.apply(turns.hpr((0, 0, 90)), (0, 1, 0)) == pytest.approx((1, 0, 0))
    both = turns.apply(turns.hpr((90, 0, 90)), (0, 1, 0))
    assert both == pytest.approx((0, 0, -1))  # rolled to the right first, then turned to the left


@pytest.mark.parametrize(
    "axes", ["x right, y up", "x right, y left, z up", "x right, y up, z north", "", "x right; x up; y back"]
)
def test_axes_that_make_no_room_are_refused_with_an_example(axes: str) -> None:
    with pytest.raises(ValueError, match=r"axes"):
        Calibration(replace(PLAIN, axes=axes))


@given(
    place=places, turn=facing, offset=places, own=degrees, mount=degrees, eyes=places, scale=st.floats(0.1, 10),
    axes=st.sampled_from(["x right, y up, z back", "x left, y forward, z up", "x right, y up, z forward"]),
    part=st.sampled_from(["head", "wand"]),
)  # fmt: skip
def test_calibration_goes_there_and_back(
    place: Vec3, turn: Quaternion, offset: Vec3, own: Vec3, mount: Vec3, eyes: Vec3, scale: float, axes: str, part: str
) -> None:
    source = replace(
        PLAIN,
        offset=offset,
        turn=own,
        scale=scale,
        axes=axes,
        head_offset=eyes,
        head_turn=mount,
        wand_offset=eyes,
        head_shift=offset,
        wand_shift=own,
    )
    calibration = Calibration(source)
    position, facing_there = calibration.device(part, calibration.part(part, place, turn))
    assert position == pytest.approx(place, abs=1e-6)
    assert turns.angle(facing_there, turn) < 1e-6


@given(turn=facing)
def test_turns_and_matrices_mean_the_same(turn: Quaternion) -> None:
    matrix = rotation(turn)
    assert turns.angle(turns.of_rows(matrix.tolist()), turn) < 1e-6
    assert turns.apply(turn, (1, 2, 3)) == pytest.approx((matrix @ [1, 2, 3]).tolist())


@given(turn=degrees)
def test_heading_pitch_and_roll_mean_for_trackers_what_they_mean_for_screens(turn: Vec3) -> None:
    assert rotation(turns.hpr(turn)) == pytest.approx(turn_matrix(turn), abs=1e-9)


@given(a=facing, b=facing, share=st.floats(0, 1))
def test_between_two_turns_lie_turns_of_the_same_axis(a: Quaternion, b: Quaternion, share: float) -> None:
    between = turns.between(a, b, share)
    assert turns.angle(a, between) == pytest.approx(share * turns.angle(a, b), abs=1e-6)
    assert math.hypot(*between) == pytest.approx(1)


def test_prediction_makes_up_for_latency_when_a_head_moves_and_turns_evenly() -> None:
    trackers = Trackers([replace(PLAIN, latency_ms=40)])

    def real(t: float) -> Pose:
        return at(800 * t, 1700, -200 * t, turn=turns.about((0, 1, 0), 0.9 * t))

    for i in range(30):
        now = i / 60
        trackers.feed(real(now - 0.04), now)  # what arrives is 40 ms old
    for later in (0.0, 0.005, 0.01):
        head, truth = trackers.head(29 / 60 + later), real(29 / 60 + later)
        assert head.position == pytest.approx(truth.position, abs=1e-6)
        assert turns.angle(head.turn, truth.turn) < 1e-6


def test_nothing_is_predicted_far_ahead_nor_when_it_is_switched_off() -> None:
    source = replace(PLAIN, latency_ms=40)
    on, off = Trackers([source]), Trackers([source], tuning=Tuning(predict=False))
    for trackers in (on, off):
        for i in range(30):
            trackers.feed(at(10.0 * i), i / 60)
    assert on.head(29 / 60 + 1).position[0] == pytest.approx(290 + 600 * 0.1)
    assert off.head(29 / 60 + 1).position == (290, 0, 0)


def test_the_devices_clock_is_preferred_since_the_network_shakes_arrival() -> None:
    trackers = Trackers([replace(PLAIN, latency_ms=20)])
    rng = np.random.default_rng(1)
    arrival = 0.0
    for i in range(60):
        arrival = i / 60 + float(rng.uniform(0, 0.012))
        trackers.feed(replace(at(10.0 * i), stamp=1000 + i / 60), arrival)
    assert trackers.head(arrival).position[0] == pytest.approx(590 + 600 * 0.02, abs=1e-6)


def test_smoothing_calms_a_still_head_and_follows_a_moving_one() -> None:
    rng = np.random.default_rng(2)
    trackers = Trackers([PLAIN], tuning=Tuning(smoothing=Smoothing()))
    still = []
    for i in range(300):
        x, y, z = rng.normal(0, 1, 3).tolist()
        trackers.feed(at(x, 1700 + y, z), i / 60)
        still.append(trackers.head(i / 60).position[0])
    assert np.std(still[60:]) < 0.5  # of 1 mm noise
    lag = 0.0
    for i in range(300, 420):
        x = 1500 * (i - 300) / 60
        trackers.feed(at(x, 1700, 0), i / 60)
        lag = x - trackers.head(i / 60).position[0]
    assert lag < 40  # mm at 1.5 m/s: 27 ms


def test_a_lost_head_is_held_then_eased_to_the_default_head() -> None:
    tuning = Tuning(hold_s=2.0, ease_s=1.0)
    trackers = Trackers([PLAIN], STANDING, tuning=tuning)
    assert trackers.head(0.0) == STANDING
    half = math.sqrt(0.5)
    trackers.feed(at(1000, 1700, turn=(0, half, 0, half)), 10.0)
    seen = trackers.head(10.0)
    trackers.feed(Lost(0, 0), 10.1)
    assert trackers.head(11.99) == trackers.head(12.0) == seen
    way = [trackers.head(12 + i / 100) for i in range(101)]
    xs = [head.position[0] for head in way]
    assert xs == sorted(xs, reverse=True)
    assert max(abs(a - b) for a, b in pairwise(xs)) < 16  # mm per 10 ms: no jump
    assert way[50].position[0] == pytest.approx(500)
    assert turns.angle(way[50].turn, NO_TURN) == pytest.approx(math.pi / 4)
    assert way[100] == trackers.head(1000) == STANDING


def test_a_head_that_comes_back_is_eased_to_and_then_followed_exactly() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(1000, 1700), 0.0)
    trackers.feed(at(900, 1700), 100.0)
    before, soon, then = (trackers.head(100 + dt) for dt in (0.0, 0.1, 0.3))
    assert before == STANDING
    assert 0 < soon.position[0] < 900
    assert then == Head((900, 1700, 0))


def test_a_short_loss_is_not_seen_at_all() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(100, 1700), 0.0)
    trackers.feed(Lost(0, 0), 0.1)
    trackers.feed(at(110, 1700), 1.0)
    assert trackers.head(1.0) == Head((110, 1700, 0))


def test_a_frozen_head_stays_and_a_thawed_one_is_eased_to() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(100, 1700), 0.0)
    trackers.freeze(0.01)
    trackers.feed(at(300, 1700), 0.02)
    assert trackers.head(50.0) == Head((100, 1700, 0))
    assert trackers.figures(50.0).frozen
    trackers.feed(at(300, 1700), 50.0)
    trackers.thaw(50.0)
    assert trackers.head(50.0) == Head((100, 1700, 0))
    trackers.feed(at(300, 1700), 50.3)
    assert trackers.head(50.3) == Head((300, 1700, 0))


def test_reset_forgets_all() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(100, 1700), 0.0)
    trackers.feed(Button(0, 1, True), 0.0)
    trackers.freeze(0.0)
    trackers.reset()
    assert trackers.head(0.1) == STANDING
    assert trackers.wand(0.1).buttons == frozenset()
    trackers.feed(at(-2000, 1700), 0.2)
    assert trackers.head(0.2) == Head((-2000, 1700, 0))


def test_a_jump_is_rejected_unless_the_device_insists() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(0), 0.0)
    trackers.feed(at(5000), 0.016)
    assert trackers.head(0.016).position == (0, 0, 0)
    trackers.feed(at(10), 0.033)
    assert trackers.head(0.033).position == (10, 0, 0)
    for i in range(5):
        trackers.feed(at(2000 + i), 0.05 + i / 1000)
    assert trackers.head(0.06).position == (2004, 0, 0)
    assert trackers.rejected == {"jump": 5}


def test_a_pose_that_was_overtaken_on_its_way_is_left_out() -> None:
    trackers = Trackers([PLAIN])
    for i, stamp in enumerate([10.0, 10.032, 10.016, 10.048]):
        trackers.feed(replace(at(i), stamp=stamp), i / 60)
        assert trackers.head(i / 60).position[0] == (0, 1, 1, 3)[i]
    assert trackers.rejected == {"late": 1}
    for i in range(6):  # the device's clock was set back by half a second
        trackers.feed(replace(at(10 + i), stamp=9.5 + i / 60), 0.1 + i / 60)
    assert trackers.head(1.0).position[0] == 15


def test_bodies_that_nobody_wears_and_sources_that_nobody_named_are_counted() -> None:
    trackers = Trackers([PLAIN], STANDING)
    trackers.feed(at(5, body=7), 0.0)
    trackers.feed(at(5, source=3), 0.0)
    assert trackers.head(0.0) == STANDING
    assert trackers.rejected == {"other body": 1, "unknown source": 1}


def test_the_first_source_that_sees_the_head_gives_it() -> None:
    trackers = Trackers([PLAIN, PLAIN], STANDING)
    trackers.feed(at(1, source=1), 0.0)
    assert trackers.head(0.0).position == (1, 0, 0)
    trackers.feed(at(2, source=0), 0.1)
    assert trackers.head(0.5).position == (2, 0, 0)
    trackers.feed(at(9, source=1), 0.5)
    assert trackers.head(0.5).position == (2, 0, 0)
    trackers.feed(Lost(0, 0), 0.6)
    # Two systems never agree to the millimetre: the head goes from one to the other without a jump.
    assert trackers.head(0.6).position == (2, 0, 0)
    assert 2 < trackers.head(0.7).position[0] < 9
    assert trackers.head(0.9).position == (9, 0, 0)


def test_the_wand_has_pose_buttons_axes_and_keys_of_all_devices() -> None:
    trackers = Trackers([PLAIN, replace(PLAIN, kind="gamepad")], STANDING)
    trackers.feed(at(100, 1000, body=1), 0.0)
    for record in (Button(0, 2, True), Button(1, 0, True), Axis(0, 1, -0.2), Axis(1, 1, 0.8), Key(1, "r", True)):
        trackers.feed(record, 0.0)
    trackers.feed(Pointer(1, "front", 0.5, 0.5), 0.0)
    wand = trackers.wand(0.1)
    assert wand.tracked
    assert wand.pose == Head((100, 1000, 0))
    assert wand.buttons == {0, 2}
    assert wand.axes == (0.0, 0.8)
    assert wand.keys == {"r"}
    assert wand.pointer == Pointer(1, "front", 0.5, 0.5)
    assert wand.axis(1, 0.5) == pytest.approx(0.6)
    assert wand.axis(1, 0.9) == wand.axis(7) == 0


def test_a_press_and_its_release_that_are_read_in_one_go_are_not_lost() -> None:
    trackers = Trackers([PLAIN], STANDING)
    for record in (Button(0, 2, True), Button(0, 2, False), Key(0, "r", True), Key(0, "r", False)):
        trackers.feed(record, 1.0)
    assert trackers.wand(1.0).buttons == {2}
    assert trackers.wand(1.0).keys == {"r"}
    assert not trackers.wand(1.016).buttons
    assert not trackers.wand(1.016).keys


def test_a_device_that_is_gone_holds_no_button() -> None:
    trackers = Trackers([PLAIN, PLAIN], STANDING)
    for source in (0, 1):
        trackers.feed(Button(source, source, True), 0.0)
        trackers.feed(Axis(source, 0, 1.0), 0.0)
    trackers.feed(Gone(0), 0.1)
    assert trackers.wand(0.1).buttons == {1}
    trackers.feed(at(0, body=1, source=1), 0.1)
    assert trackers.wand(2.0).buttons == {1}
    # This one sent poses and fell silent: nobody can say that its button is still held.
    assert trackers.wand(60.0).buttons == frozenset()
    assert trackers.wand(60.0).axes == ()


def test_without_a_wand_the_head_points() -> None:
    trackers = Trackers([PLAIN], STANDING)
    assert not trackers.wand(0.0).tracked
    assert trackers.wand(0.0).pose == STANDING


def test_figures_tell_of_records_age_and_loss() -> None:
    trackers = Trackers([PLAIN], STANDING)
    assert trackers.figures(5.0).head_age_s is None
    trackers.feed(at(1), 10.0)
    figures = trackers.figures(10.25)
    assert (figures.records, figures.head_age_s, figures.lost_s) == ({"pose": 1}, 0.25, 0.0)
    trackers.feed(Lost(0, 0), 10.5)
    assert trackers.figures(12.0).lost_s == 1.5
    trackers.feed(at(1), 12.0)
    assert trackers.figures(14.0).lost_s == 1.5  # silent since 12, which counts from 12.5


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 3),
            st.one_of(
                st.builds(Pose, st.integers(0, 2), st.integers(0, 2), places, facing, st.none() | st.floats(0, 5)),
                st.builds(Lost, st.integers(0, 1), st.integers(0, 1)),
                st.builds(Gone, st.integers(0, 1)),
                st.sampled_from(["freeze", "thaw", "reset"]),
            ),
        ),
        max_size=30,
    ),
    smooth=st.booleans(),
)
def test_whatever_comes_there_is_a_head_and_in_the_end_it_is_the_default_one(
    steps: list[tuple[float, Pose | Lost | Gone | str]], smooth: bool
) -> None:
    tuning = Tuning(smoothing=Smoothing() if smooth else None)
    trackers = Trackers([replace(PLAIN, latency_ms=30), PLAIN], STANDING, tuning=tuning)
    now = 0.0
    for pause, what in steps:
        now += pause
        match what:
            case "freeze":
                trackers.freeze(now)
            case "thaw":
                trackers.thaw(now)
            case "reset":
                trackers.reset()
            case Pose() | Lost() | Gone():
                trackers.feed(what, now)
        for head in (trackers.head(now), trackers.wand(now).pose):
            assert all(map(math.isfinite, head.position))
            assert math.hypot(*head.turn) == pytest.approx(1)
    trackers.thaw(now)
    assert trackers.head(now + 10) == STANDING


def test_the_projection_follows_the_head() -> None:
    screen = Screen("front", (-1000, 0, -1500), (1000, 0, -1500), (-1000, 2000, -1500))
    trackers = Trackers([replace(PLAIN, unit="m")], STANDING)
    corner = np.array([-1000, 0, -1500, 1.0])
    for i, (x, y, z) in enumerate([(0, 1.7, 0), (0.3, 1.6, 0.2), (-0.2, 1.2, -0.5)]):
        trackers.feed(at(x, y, z), i / 4)
        eye = eye_position(trackers.head(i / 4), trackers.separation, "left")
        assert eye == pytest.approx((1000 * x - 32, 1000 * y, 1000 * z))
        clip = frustum(screen, eye, 100, 10_000).matrix @ corner
        assert clip[:2] / clip[3] == pytest.approx([-1, -1])  # the screen's corner stays the picture's corner
        behind = frustum(screen, eye, 100, 10_000).matrix @ [0, 1000, -3000, 1.0]
        share = (-1500 - eye[2]) / (-3000 - eye[2])
        drawn = eye[0] + share * (0 - eye[0])
        assert behind[0] / behind[3] == pytest.approx(drawn / 1000)
