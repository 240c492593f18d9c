"""What is wanted of a run, and what the books and the streamer are told of it."""

from __future__ import annotations

import msgspec
import pytest

from streamer.control import booking, runs
from streamer.control.booking import Inspection
from streamer.control.schema import RunRequest
from streamer.wire.volume import Source
from tests.streamer.runs import spec_of


def record(state: runs.State = "running", **more: object) -> runs.Run:
    spec = spec_of()
    found = Inspection(Source("npy", "/data/x.npy"), spec.volume, spec.grid)
    booked = booking.book(RunRequest(input="/data/x.npy"), found, 2, "r-1", "2026-01-01T00:00:00+00:00")
    return msgspec.structs.replace(booking.record(booked), state=state, **more)


def test_each_change_of_what_is_wanted_has_a_number() -> None:
    run = record()
    assert runs.wanted(run, workers=2, paused=False) is run, "it is so already"
    changed = runs.wanted(run, workers=5, paused=True)
    assert (changed.workers, changed.paused, changed.generation) == (5, True, 2)
    ending = runs.wanted(changed, cancelling=True)
    assert (ending.cancelling, ending.generation) == (True, 3)
    with pytest.raises(runs.NotNow, match="r-1 is being cancelled"):
        runs.wanted(ending, paused=False)
    for state in runs.ENDED:
        with pytest.raises(runs.NotNow, match=f"r-1 is {state}: nothing can be changed"):
            runs.wanted(record(state), workers=1)


@pytest.mark.parametrize(("wanted", "stands", "begins", "order"), [
    ({}, "running", False, ""), ({}, "waiting", False, ""), ({}, "waiting", True, "start"),
    ({"paused": True}, "running", False, "pause"), ({"paused": True}, "waiting", True, "pause"),
    ({"paused": True}, "paused", True, ""), ({}, "paused", True, "resume"),
    ({"cancelling": True, "paused": True}, "paused", True, "cancel"), ({"cancelling": True}, "complete", True, ""),
    ({"paused": True}, "starting", True, ""),
])  # fmt: skip
def test_the_streamer_is_told_what_it_does_not_do_yet(
    wanted: dict[str, object], stands: str, begins: bool, order: str
) -> None:
    assert runs.due(record(**wanted), stands, begins=begins) == order  # type: ignore[arg-type]


def test_the_books_hear_at_once_of_what_counts_and_seldom_of_progress() -> None:
    run = record()
    on = msgspec.structs.replace(run, status=msgspec.structs.replace(run.status, committed=1))
    assert runs.worth_writing(None, run, 0)
    assert not runs.worth_writing(run, run, 100)
    assert not runs.worth_writing(run, on, runs.PROGRESS_S - 1)
    assert runs.worth_writing(run, on, runs.PROGRESS_S)
    for change in ({"state": "failed"}, {"error": "x"}, {"remarks": ("x",)}, {"generation": 2}):
        assert runs.worth_writing(run, msgspec.structs.replace(run, **change), 0)


def test_a_page_of_runs_goes_on_where_the_one_before_it_ended() -> None:
    some = [record(run_id=f"r-{n}", created=f"2026-01-0{n // 2 + 1}") for n in range(6)]
    names, before = [], None
    while True:
        page = runs.page(some, (), "", before, 2, more=False)
        names += [run.run_id for run in page.runs]
        if not page.more:
            break
        before = (page.runs[-1].created, page.runs[-1].run_id)
    assert names == ["r-5", "r-4", "r-3", "r-2", "r-1", "r-0"]
