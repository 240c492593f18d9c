"""Which level a moving camera sees, from what pictures have cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from renderers.detail import BUDGET_S, COARSE, FULL, LEAVES, Detail


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
