"""When a viewer gets which picture."""

from __future__ import annotations

from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from renderers.frames import (
    DATA_INTERVAL_S,
    FOLLOW_SHARE,
    LONGEST_PACE_S,
    PATIENCE_S,
    REST_S,
    RIDE_S,
    Window,
    next_viewer,
)
from renderers.link import MOST_IN_FLIGHT
from streamer.wire.view import Acknowledged, Camera, Input


def state(sequence: int, azimuth: float = 0.0, *, moving: bool = False) -> Input:
    return Input(sequence, 640, 360, moving, Camera(azimuth, 0.5, 4.0, (0.0, 0.0, 0.0)))


def picture(window: Window, now: float, version: int = 0) -> str | None:
    """Draws what is due and has it shown at once."""
    kind = window.due(now)
    if kind is not None:
        assert window.state is not None
        window.acknowledge(Acknowledged(window.pictured(kind, window.state, version, now), 1.0), now)
    return kind


def test_nothing_is_drawn_for_a_viewer_that_has_not_said_how_large() -> None:
    window = Window(0.0)
    window.changed(3, 1.0)
    assert window.due(5.0) is None
    assert window.deadline() == inf


def test_a_move_is_drawn_at_once_and_the_still_follows_after_rest() -> None:
    window = Window(0.0)
    window.input(state(1, moving=True), 1.0)
    assert picture(window, 1.0) == "input"
    window.input(state(2, 0.1, moving=True), 1.01)
    assert picture(window, 1.01) == "input"
    assert picture(window, 3.0) is None  # the button is still down
    window.input(state(3, 0.1), 3.0)
    assert picture(window, 3.0) == "still"
    assert picture(window, 9.0) is None


def test_a_still_waits_for_150_ms_of_rest() -> None:
    window = Window(0.0)
    window.input(state(1), 1.0)
    assert picture(window, 1.0) == "input"
    assert window.deadline() == 1.0 + REST_S
    assert picture(window, 1.0 + REST_S - 0.01) is None
    assert picture(window, 1.0 + REST_S) == "still"


def test_new_data_is_drawn_fifteen_times_a_second_at_most() -> None:
    window = Window(0.0)
    window.input(state(1, moving=True), 0.0)
    picture(window, 0.0)
    drawn = 0
    for ms in range(1, 1001):
        window.changed(ms, ms / 1000)
        drawn += picture(window, ms / 1000, version=ms) == "data"
    assert 13 <= drawn <= 15
    assert DATA_INTERVAL_S >= 1 / 15 - 1e-9


def test_two_pictures_on_their_way_are_the_most_whatever_happens() -> None:
    window = Window(0.0)
    for i in range(10):
        window.input(state(i + 1, 0.1 * i, moving=True), 0.1 * i)
        window.changed(i, 0.1 * i)
        kind = window.due(0.1 * i)
        if kind is not None:
            assert window.state is not None
            window.pictured(kind, window.state, i, 0.1 * i)
    assert window.sent == 2
    window.acknowledge(Acknowledged(2, 1.0), 2.0)
    assert window.due(2.0) == "input"
    assert window.state is not None
    assert window.state.sequence == 10  # the newest, not the next


@given(acks=st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_acknowledgements_never_make_more_credit_than_there_is(acks: list[int]) -> None:
    window = Window(0.0)
    window.input(state(1), 0.0)
    for ack in acks:
        window.acknowledge(Acknowledged(ack, 0.0), 0.0)
        assert 0 <= window.credit <= MOST_IN_FLIGHT
        if window.due(0.0):
            window.pictured("input", state(1), 0, 0.0)


def test_an_input_that_was_overtaken_is_ignored() -> None:
    window = Window(0.0)
    window.input(state(5, 0.5), 0.0)
    assert not window.input(state(4, 0.4), 0.1)
    assert window.state == state(5, 0.5)


def test_stills_are_lossless_only_where_the_link_is_quick() -> None:
    for trip_s, lossless in ((0.02, True), (0.4, False)):
        window = Window(0.0)
        window.input(state(1), 0.0)
        window.acknowledge(Acknowledged(window.pictured("input", state(1), 0, 1.0), 1.0), 1.0 + trip_s)
        assert window.lossless is lossless


def test_a_still_that_is_kept_is_lossless_over_any_link_and_made_anew() -> None:
    window = Window(0.0)
    window.input(state(1), 0.0)
    window.acknowledge(Acknowledged(window.pictured("still", state(1), 0, 1.0), 1.0), 1.4)
    assert window.due(2.0) is None
    window.input(state(2)._replace(exact=True), 2.0)
    assert (window.due(2.0), window.lossless) == ("still", True), "at once: it has been at rest"
    window.acknowledge(Acknowledged(window.pictured("still", window.state or state(2), 0, 2.1), 1.0), 2.5)
    assert window.due(9.0) is None
    window.input(state(3), 9.0)
    assert not window.lossless


def test_viewers_take_turns_and_stills_come_last_but_not_never() -> None:
    one, two, three = Window(0.0), Window(0.0), Window(0.0)
    windows = {b"1": one, b"2": two, b"3": three}
    for window in windows.values():
        window.input(state(1, moving=window is not three), 0.0)
    order = []
    for i in range(6):
        now = 0.01 * i
        for window in (one, two):
            window.input(state(2 + i, i + 1.0, moving=True), now)
        found = next_viewer(windows.items(), now)
        assert found is not None
        order.append(found[0])
        picture(windows[found[0]], now)
    assert sorted(order[:3]) == [b"1", b"2", b"3"]
    assert order[3:] in ([b"1", b"2", b"1"], [b"2", b"1", b"2"])
    one.input(state(99, 9.0, moving=True), 0.3)
    found = next_viewer(windows.items(), 0.3)
    assert found is not None
    assert found[1] == "input"
    assert next_viewer(windows.items(), 1.0) == (b"3", "still")


def test_who_follows_waits_a_moment_for_a_picture_that_the_leader_gets_too() -> None:
    window = Window(0.0)
    window.input(state(1), 0.0)
    picture(window, 0.0)
    window.input(state(1, 0.1, moving=True), 1.0)
    window.rides(1.0 + RIDE_S)
    assert window.due(1.0) is None
    assert window.deadline() == 1.0 + RIDE_S
    assert window.due(1.0, riding=True) == "input", "it is drawn for the leader anyhow"
    assert window.due(1.0 + RIDE_S) == "input", "the leader rests, so it is drawn for him alone"
    picture(window, 1.0 + RIDE_S)
    window.input(state(1, 0.2, moving=True), 1.1)
    assert window.due(1.1) == "input"


def test_who_follows_gets_no_more_of_the_pictures_than_encoding_them_has_a_share_of_the_time() -> None:
    window = Window(0.0)
    window.input(state(1, moving=True), 0.0)
    picture(window, 0.0)
    window.left(1, 5000, 0.0, encode_s=0.04)
    pace_s = 0.04 / FOLLOW_SHARE
    window.input(state(1, 0.1, moving=True), 0.01)
    window.rides(0.01 + RIDE_S)
    assert window.due(pace_s - 0.001, riding=True) is None
    assert window.deadline() == pace_s + RIDE_S, "then it waits for the leader's next one"
    assert window.due(pace_s, riding=True) == "input"
    for number in range(2, 40):
        window.left(number, 5000, 1.0, encode_s=0.001)
    assert window.due(0.01, riding=True) == "input", "a picture that costs little goes to everybody"
    window.left(40, 5000, 1.0, encode_s=100.0)
    assert window.due(LONGEST_PACE_S, riding=True) == "input", "but some he gets in any case"


def test_who_moves_a_view_is_not_held_to_what_his_pictures_cost() -> None:
    window = Window(0.0)
    window.input(state(1, moving=True), 0.0)
    picture(window, 0.0)
    window.left(1, 5000, 0.0, encode_s=1.0)
    window.input(state(2, 0.1, moving=True), 0.01)
    assert window.due(0.01) == "input"


def test_an_overdue_still_does_not_hold_up_a_drag_and_is_finished_before_the_next_one_begins() -> None:
    drag, rests, also = Window(0.0), Window(0.0), Window(0.0)
    windows = {b"d": drag, b"r": rests, b"a": also}
    for window in windows.values():
        window.input(state(1), 0.0)
        picture(window, 0.0)
    assert rests.overdue(REST_S + PATIENCE_S)
    steps, begun = [], None
    for i in range(200):
        now = 1.0 + i / 30
        drag.input(state(2 + i, i + 1.0, moving=True), now)
        found = next_viewer(windows.items(), now, begun=begun)
        assert found is not None
        if found[1] == "still":
            begun = found[0]
            steps.append((now, begun))
            windows[begun].refined(now)
        else:
            picture(drag, now)
    assert {peer for _, peer in steps} == {steps[0][1]}, "one still after the other"
    times = [at for at, _ in steps]
    assert all(later - before > PATIENCE_S - 1e-9 for before, later in pairwise(times))
    assert len(steps) >= 10


def test_a_note_is_sent_when_it_is_news_and_not_more_often_than_five_times_a_second() -> None:
    window = Window(0.0)
    assert window.wants({"n": 1}, 0.0)
    window.noted({"n": 1}, 0.0)
    assert not window.wants({"n": 1}, 9.0)
    assert not window.wants({"n": 2}, 0.1)
    assert window.note_deadline({"n": 2}) == 0.2
    assert window.wants({"n": 2}, 0.2)
