"""Clocks of two sites, and when something is shown at the second one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from renderers.wall.sites import Clock, Exchange, Playout

WAITS = st.floats(0.0005, 0.5)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(WAITS, WAITS, st.floats(0, 0.01)), min_size=1, max_size=30))
def test_the_offset_is_never_further_off_than_it_says(
    offset: float, exchanges: list[tuple[float, float, float]]
) -> None:
    clock, now = Clock(), 100.0
    for there, back, answered in exchanges:
        came = now + there
        left = came + answered
        clock.exchange(Exchange(now, came + offset, left + offset, left + back))
        now = left + back
    assert clock.known
    assert abs(clock.offset_s(now) - offset) <= clock.error_s(now) + 1e-6
    assert clock.error_s(now) <= min((a + b) / 2 for a, b, _ in exchanges) + 0.01


def test_answers_that_contradict_themselves_are_passed_over() -> None:
    clock = Clock()
    clock.exchange(Exchange(1.0, 5.0, 4.0, 2.0))
    clock.exchange(Exchange(2.0, 5.0, 5.0, 1.0))
    assert not clock.known


def test_the_newest_that_is_due_is_shown_a_fixed_while_later() -> None:
    playout = Playout(0.1)
    for number in range(5):
        playout.put(number, 1.1 + 0.01 * number, number, 1.0 + 0.01 * number)
    assert playout.take(1.09) is None
    assert playout.deadline() == 1.1
    assert playout.take(1.1) == 0
    assert playout.take(1.135) == 3
    assert (playout.take(1.136), playout.skipped) == (None, 2)
    playout.put(2, 9.0, "old", 1.2)
    assert playout.take(10.0) == 4
    playout.put(9, 1.0, "late", 11.0)
    assert (playout.take(11.0), playout.late) == ("late", 1)


def test_what_waits_is_bounded() -> None:
    playout = Playout(100.0)
    for number in range(1000):
        playout.put(number, 50.0, number, 1.0)
    assert playout.skipped == 1000 - Playout.MOST
    assert playout.take(50.0) == 999
