"""Which level a moving camera sees, from what pictures have cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from renderers.detail import (
    BUDGET_S,
    COARSE,
    FULL,
    LEAVES,
    LONGEST_PATIENCE,
    PATIENCE,
    SLOW_S,
    SOONER,
    Detail,
)


def moved(detail: Detail, triangles: int = 1000) -> int:
    return detail.of(moving=True, triangles=triangles)


def test_a_quick_scene_is_drawn_whole_and_a_slow_one_coarse_while_it_moves() -> None:
    quick, slow = Detail(), Detail()
    quick.drew(FULL, 0.5 * BUDGET_S, 1000)
    slow.drew(FULL, 2 * BUDGET_S, 1000)
    assert moved(quick) == FULL
    assert moved(slow) == COARSE
    assert slow.of(moving=False, triangles=1000) == FULL, "a still camera sees all of it"


def test_the_first_picture_is_whole() -> None:
    assert moved(Detail()) == FULL


def test_one_long_picture_among_quick_ones_changes_nothing() -> None:
    detail = Detail()
    for _ in range(5):
        detail.drew(FULL, 0.3 * BUDGET_S, 1000)
    detail.drew(FULL, 1.5 * BUDGET_S, 1000)
    assert moved(detail) == FULL


def test_a_scene_that_grows_counts_for_more_before_it_was_drawn() -> None:
    detail = Detail()
    detail.drew(FULL, 0.6 * BUDGET_S, 1000)
    assert moved(detail, 1000) == FULL
    assert moved(detail, 3000) == COARSE


def test_coarse_pictures_say_nothing_of_what_whole_ones_cost() -> None:
    detail = Detail()
    detail.drew(FULL, 2 * BUDGET_S, 1000)
    for _ in range(50):
        detail.drew(COARSE, 0.1 * BUDGET_S, 1000)
    assert moved(detail) == COARSE


@given(st.floats(LEAVES * BUDGET_S * 1.01, BUDGET_S * 0.99), st.booleans())
def test_between_the_two_limits_the_level_stays_as_it_is(cost_s: float, coarse: bool) -> None:
    detail = Detail()
    detail.drew(FULL, 10 * BUDGET_S if coarse else 0.1 * BUDGET_S, 1000)
    before = moved(detail)
    for _ in range(60):
        detail.drew(FULL, cost_s, 1000)
        assert moved(detail) == before


def halved(detail: Detail) -> Detail:
    """After coarse pictures that were slow."""
    for _ in range(3):
        assert not detail.half
        detail.drew(COARSE, 2 * SLOW_S, 1000)
    assert detail.half
    return detail


def halves_until_whole(detail: Detail, seconds: float) -> int:
    """How many pictures of half the resolution there are before one of the whole is tried."""
    count = 0
    while detail.half:
        detail.drew(COARSE, seconds, 1000, half=True)
        count += 1
        assert count < 10_000
    return count


def test_half_the_resolution_ends_when_the_whole_has_become_quick_again() -> None:
    detail = halved(Detail())
    assert halves_until_whole(detail, SLOW_S) == PATIENCE
    detail.drew(COARSE, 0.5 * SLOW_S, 1000)
    assert not detail.half
    for _ in range(20):
        detail.drew(COARSE, 0.5 * SLOW_S, 1000)
        assert not detail.half


def test_where_the_whole_stays_slow_it_is_tried_ever_more_seldom() -> None:
    detail, tried = halved(Detail()), []
    for _ in range(7):
        tried.append(halves_until_whole(detail, SLOW_S))
        detail.drew(COARSE, 2 * SLOW_S, 1000)
        assert detail.half
    assert tried == [min(PATIENCE * 2**i, LONGEST_PATIENCE) for i in range(7)]


def test_where_even_four_times_as_much_would_be_quick_the_whole_is_tried_sooner() -> None:
    assert halves_until_whole(halved(Detail()), 0.1 * SLOW_S) == PATIENCE // SOONER
