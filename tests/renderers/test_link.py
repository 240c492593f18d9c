"""What a link's pictures take decides how fine they are and how many are on their way."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from renderers.link import LONG_S, MOST_IN_FLIGHT, RUNGS, SHORT_S, STEADY, Fineness, Link

BYTES = {Fineness(75, False): 35e3, Fineness(55, False): 26e3, Fineness(40, False): 20e3}
HALF = {Fineness(50, True): 8e3, Fineness(35, True): 6e3}


def carried(link: Link, pictures: int, way_s: float, bytes_per_s: float, start: float = 0.0, frame: int = 0) -> float:
    """Sends pictures over a link, as many at once as may be on their way; the time when the last was shown."""
    now, free = start, start
    queue: list[tuple[int, float]] = []
    for number in range(frame + 1, frame + pictures + 1):
        if len(queue) >= link.in_flight:
            one, at = queue.pop(0)
            now = max(now, at)
            link.acknowledged(one, at)
        size = {**BYTES, **HALF}[link.fineness]
        link.sent(number, now)
        free = max(free, now) + size / bytes_per_s
        queue.append((number, free + 2 * way_s))
        now += 1 / 30
    for one, at in queue:
        link.acknowledged(one, at)
        now = max(now, at)
    return now


def test_a_quick_link_keeps_the_finest_pictures() -> None:
    link = Link()
    carried(link, 300, 0.002, 100e6)
    assert link.fineness == RUNGS[0]
    assert link.in_flight == 2


def test_a_thin_link_gets_less_quality_first_then_less_resolution_and_then_is_quick_enough() -> None:
    link, seen, now = Link(), [], 0.0
    for frame in range(0, 120, 2):
        now = carried(link, 2, 0.025, 0.5e6, now, frame)
        seen.append(RUNGS.index(link.fineness))
    assert seen[0] == 0
    assert max(b - a for a, b in pairwise(seen)) == 1, "one step at a time"
    assert seen[-1] > 0
    assert link.trip_s is not None
    assert link.trip_s <= LONG_S


def test_a_long_but_wide_link_loses_nothing_and_is_filled() -> None:
    link, now = Link(), 0.0
    now = carried(link, 60, 0.150, 100e6, now)
    assert RUNGS.index(link.fineness) <= 1
    carried(link, 200, 0.150, 100e6, now, 60)
    assert link.fineness == RUNGS[0]
    assert link.in_flight == MOST_IN_FLIGHT


def test_a_link_that_widens_gets_finer_pictures_again() -> None:
    link, now = Link(), 0.0
    now = carried(link, 100, 0.025, 0.4e6, now)
    assert link.fineness != RUNGS[0]
    now = carried(link, 3000, 0.005, 100e6, now, 100)
    assert link.fineness == RUNGS[0]


def test_stills_say_nothing_about_pictures_that_move() -> None:
    link = Link()
    for frame in range(1, 40):
        link.sent(frame, float(frame))
        link.acknowledged(frame, frame + 0.9, still=True)
    assert link.fineness == RUNGS[0]
    assert link.trip_s is None


def test_a_step_down_that_once_was_of_no_use_is_tried_again_after_a_while() -> None:
    link, now = Link(), 0.0
    for frame in range(1, 401):
        noisy = frame <= 12  # something else holds up the first pictures
        took_s = 0.4 if noisy else 0.1 + {**BYTES, **HALF}[link.fineness] / 0.2e6
        link.sent(frame, now)
        now += took_s
        link.acknowledged(frame, now)
        if frame == 12:
            assert link.fineness == RUNGS[0]
    assert link.fineness.half


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=200))
def test_whatever_pictures_take_one_to_four_are_on_their_way_and_rungs_are_stepped_singly(
    took: list[tuple[float, bool]],
) -> None:
    link, now = Link(), 0.0
    for frame, (seconds, still) in enumerate(took, 1):
        before = RUNGS.index(link.fineness)
        link.sent(frame, now)
        now += seconds
        link.acknowledged(frame, now, still=still)
        assert 1 <= link.in_flight <= MOST_IN_FLIGHT
        assert abs(RUNGS.index(link.fineness) - before) <= 1


def test_a_picture_that_was_never_sent_is_not_judged() -> None:
    link = Link()
    for frame in range(10 * STEADY):
        link.acknowledged(frame, 9.0)
    assert link.trip_s is None
    assert SHORT_S < LONG_S


def test_a_picture_takes_no_less_than_no_time_whatever_a_viewer_says() -> None:
    link = Link()
    for frame in range(1, 9):
        link.sent(frame, frame / 10)
        link.flow.left(frame, 40_000, frame / 10)
        link.acknowledged(frame, frame / 10 - 6.5)
    assert link.last_s == 0.0
    assert link.trip_s == 0.0
    assert 0 <= link.flow.carries < 1e6
