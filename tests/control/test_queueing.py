"""Who begins next: decided from who waits and who is at work."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control import runs
from streamer.control.queueing import LATEST_S, SOONEST_S, UNKNOWN_S, Claim, Limits, again_s, due
from tests.control.test_runs import record

claims = st.lists(
    st.builds(Claim, st.uuids().map(str), st.integers(1, 9), st.booleans(), st.sampled_from("abc"), st.integers(0, 3)),
    max_size=12,
)


def waiting(*names: str) -> list[Claim]:
    return [Claim(name, 1) for name in names]


def test_runs_begin_in_their_order_as_far_as_there_is_room() -> None:
    assert due(waiting("a", "b", "c"), waiting("x"), Limits(3)) == ["a", "b"]
    assert due(waiting("a"), waiting("x", "y", "z"), Limits(3)) == []
    assert due(waiting("a"), waiting("x", "y", "z"), Limits(2)) == [], "the limit may have been lowered"


def test_a_run_that_is_paused_lets_others_pass_and_keeps_its_place() -> None:
    a, b, c = waiting("a", "b", "c")
    assert due([a._replace(paused=True), b, c], [], Limits(1)) == ["b"]
    assert due([a, b, c], [], Limits(1)) == ["a"]


def test_who_is_kept_back_by_a_quota_of_its_own_keeps_nobody_else_back() -> None:
    def two_gpus_each(claim: Claim, at_work: Sequence[Claim]) -> bool:
        return claim.gpus + sum(one.gpus for one in at_work if one.project == claim.project) <= 2

    mine, limits = Claim("a", 1, project="p", gpus=2), Limits(9, two_gpus_each)
    others = [Claim("b", 1, project="p", gpus=1), Claim("c", 1, project="q", gpus=1)]
    assert due([mine, *others], [], limits) == ["a", "c"]
    assert due(others, [mine], limits) == ["c"]
    assert due(others, [], limits) == ["b", "c"]


@given(claims, claims, st.integers(1, 9))
def test_there_are_never_more_than_may_be_and_none_is_overtaken(
    queue: list[Claim], at_work: list[Claim], most: int
) -> None:
    began = due(queue, at_work, Limits(most))
    ready = [claim.run_id for claim in queue if not claim.paused]
    assert began == ready[: max(0, most - len(at_work))]


def test_a_run_that_waits_is_over_as_soon_as_nobody_wants_it() -> None:
    queued = record("queued")
    assert runs.wanted(queued, cancelling=True).state == "cancelled"
    assert runs.wanted(queued, workers=7).state == "queued"
    assert runs.wanted(record("starting"), cancelling=True).state == "starting", "its parts are to be ended first"


@pytest.mark.parametrize(("more", "words"), [
    ({"runs_before": 0}, "waits for room, as the next"), ({"runs_before": 1}, "waits for 1 run before it"),
    ({"runs_before": 1200}, "waits for 1,200 runs before it"), ({"paused": True}, "is paused before it has begun"),
])  # fmt: skip
def test_what_a_run_waits_for_is_said(more: dict[str, object], words: str) -> None:
    assert runs.waits(record("queued", **more)) == words
    assert runs.waits(record("running", **more)) == ""


def test_a_run_takes_its_room_until_its_work_has_ended() -> None:
    def parts(worker: str) -> tuple[runs.Standing, ...]:
        return (
            runs.Standing("streamer", "streamer", "running"),
            runs.Standing("worker-1", "worker", worker),  # type: ignore[arg-type]
        )

    assert runs.needs_room(record("running", parts=parts("ended")))
    assert runs.needs_room(record("complete", parts=parts("running")))
    assert not runs.needs_room(record("complete", parts=parts("ended"))), "its streamer may serve it still"


def test_who_is_refused_comes_again_when_the_first_run_at_work_will_have_ended() -> None:
    assert again_s([None, 61.2, 40.1]) == 41
    assert again_s([0.0]) == SOONEST_S, "it has to be put away as well"
    assert again_s([1e12, 4000.0]) == LATEST_S, "a figure of a run that has hardly begun is a guess"
    assert again_s([None, float("inf"), float("nan")]) == again_s([]) == UNKNOWN_S
