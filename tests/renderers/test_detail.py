"""Which level a moving camera sees, from what pictures have cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.detail import (
    BUDGET_S,
    COARSE,
    FULL,
    LEAVES,
    LONGEST_PATIENCE,
    PATIENCE,
    SHARES,
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


def coarse(detail: Detail, seconds: float, *, count: int = 1) -> None:
    """Pictures of coarse surfaces that took so long."""
    for _ in range(count):
        detail.drew(COARSE, seconds, 1000, share=detail.share)


def lowered(detail: Detail, *, rungs: int) -> Detail:
    """After coarse pictures that were slow at each share."""
    for rung in range(rungs):
        for _ in range(3):
            assert detail.share == SHARES[rung]
            coarse(detail, 2 * SLOW_S[rung])
    assert detail.share == SHARES[rungs]
    return detail


def until_tried(detail: Detail, seconds: float) -> int:
    """How many pictures there are before one of the share before is tried."""
    count, share = 0, detail.share
    while detail.share == share:
        coarse(detail, seconds)
        count += 1
        assert count < 10_000
    return count


@pytest.mark.parametrize("rung", [1, 2])
def test_fewer_pixels_end_when_more_have_become_quick_again(rung: int) -> None:
    detail = lowered(Detail(), rungs=rung)
    limit = SLOW_S[rung - 1]
    assert until_tried(detail, 0.9 * limit) == PATIENCE
    coarse(detail, 0.5 * limit)
    for _ in range(20):
        assert detail.share == SHARES[rung - 1]
        coarse(detail, 0.4 * limit)


@pytest.mark.parametrize("rung", [1, 2])
def test_where_more_pixels_stay_slow_they_are_tried_ever_more_seldom(rung: int) -> None:
    detail, tried = lowered(Detail(), rungs=rung), []
    limit = SLOW_S[rung - 1]
    for _ in range(7):
        tried.append(until_tried(detail, 0.9 * limit))
        coarse(detail, 2 * limit)
        assert detail.share == SHARES[rung]
    assert tried == [min(PATIENCE * 2**i, LONGEST_PATIENCE) for i in range(7)]


@pytest.mark.parametrize("rung", [1, 2])
def test_where_even_so_many_more_pixels_would_be_quick_they_are_tried_sooner(rung: int) -> None:
    assert until_tried(lowered(Detail(), rungs=rung), 0.1 * SLOW_S[rung - 1]) == PATIENCE // SOONER


def test_a_slow_picture_now_and_then_takes_no_pixels_away() -> None:
    detail = Detail()
    for _ in range(30):
        coarse(detail, 3 * SLOW_S[0], count=2)
        coarse(detail, 0.5 * SLOW_S[0])
        assert detail.share == 1


def test_pictures_that_a_thin_link_wanted_smaller_say_nothing() -> None:
    detail = lowered(Detail(), rungs=1)
    for _ in range(10):
        detail.drew(COARSE, 10 * SLOW_S[1], 1000, share=0.5)
    assert detail.share == SHARES[1]
    assert until_tried(detail, 0.9 * SLOW_S[0]) == PATIENCE
