"""What becomes of a run when its parts come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control import lives, runs
from streamer.control.lives import Life, Restart, cancelled, exited, failed, told

PARTS: dict[str, runs.Role] = {
    "streamer": "streamer",
    "worker-1": "worker",
    "worker-2": "worker",
    "renderer": "renderer",
    "archive": "archive",
}


def running() -> Life:
    return told(lives.new(PARTS, archive=True), "running")


def given_up(life: Life, name: str, code: int = -9, words: str = "") -> Life:
    for _ in range(lives.RESTARTS):
        life, verdict = exited(life, name, code, words, now=1.0)
        assert isinstance(verdict, Restart)
    life, verdict = exited(life, name, code, words, now=1.0)
    assert verdict is None
    return life


def test_a_run_goes_through_the_states_that_its_streamer_tells() -> None:
    life = lives.new(PARTS, archive=False)
    assert life.state == "starting"
    life = told(life, "waiting")
    assert life.state == "waiting"
    life = told(life, "running")
    assert life.state == "running"
    assert told(life, "complete").state == "complete"


def test_a_run_with_a_store_is_complete_only_when_the_store_is_written() -> None:
    life = told(running(), "complete")
    assert life.state == "running"
    life, verdict = exited(life, "archive", 0, "", now=5.0)
    assert verdict is None
    assert life.state == "complete"


def test_an_archive_that_finishes_before_the_streamer_was_asked_again_completes_the_run_then() -> None:
    life, _ = exited(running(), "archive", 0, "", now=5.0)
    assert life.state == "running"
    assert told(life, "complete").state == "complete"


def test_a_killed_worker_is_started_again_later_each_time() -> None:
    life, waits = running(), []
    for n in range(lives.RESTARTS):
        life, verdict = exited(life, "worker-1", -9, "", now=float(n))
        assert verdict is not None
        waits.append(verdict.after_s)
    assert waits == sorted(waits)
    assert waits[0] == lives.FIRST_WAIT_S
    assert waits[-1] <= lives.LONGEST_WAIT_S
    assert life.restarted == {"worker-1": lives.RESTARTS}


def test_restarts_of_long_ago_are_forgiven() -> None:
    life = running()
    for n in range(3 * lives.RESTARTS):
        life, verdict = exited(life, "streamer", 1, "", now=n * lives.WINDOW_S)
        assert verdict == Restart(lives.FIRST_WAIT_S)


def test_a_worker_that_keeps_dying_is_left_out_while_another_works() -> None:
    life = given_up(running(), "worker-1")
    assert life.state == "running"
    assert "worker-1 was ended by SIGKILL again, after 5 restarts" in life.remarks[0]
    assert "the other workers go on" in life.remarks[0]


def test_a_run_without_any_worker_left_fails() -> None:
    life = given_up(given_up(running(), "worker-1"), "worker-2", code=1, words="cavecast: the disk burns.")
    assert life.state == "failed"
    assert life.error == "worker-2 ended with exit code 1 again, after 5 restarts within a minute: the disk burns"


def test_a_part_that_was_refused_for_wrong_use_is_not_tried_again() -> None:
    life, verdict = exited(running(), "worker-1", 2, "cavecast: there is no file x.nc.", now=0.0)
    assert verdict is None
    assert life.state == "failed"
    assert life.error == "worker-1 could not start: there is no file x.nc"


def test_a_lost_renderer_leaves_the_run_running_but_not_a_run_that_waits_for_a_viewer() -> None:
    life = given_up(running(), "renderer")
    assert life.state == "running"
    assert "without a view" in life.remarks[0]
    waiting = told(lives.new(PARTS, archive=False), "waiting")
    assert given_up(waiting, "renderer").state == "failed"


def test_a_relay_is_started_again_and_one_that_is_lost_does_not_stop_the_run() -> None:
    life = told(lives.new({**PARTS, "relay-a": "relay"}, archive=False), "complete")
    assert exited(life, "relay-a", -9, "", now=0.0)[1] == Restart(lives.FIRST_WAIT_S), "people read it after the end"
    lost = given_up(told(lives.new({**PARTS, "relay-a": "relay"}, archive=True), "waiting"), "relay-a")
    assert lost.state == "waiting"
    assert lost.remarks[0].startswith("relay-a was ended by SIGKILL again")
    assert (lost.parts["relay-a"].state, lost.parts["streamer"].state) == ("ended", "starting")
    assert lives.greeted(lost, "streamer").parts["streamer"].state == "running"


def test_a_renderer_is_restarted_after_the_end_since_people_still_look() -> None:
    life = told(told(lives.new(PARTS, archive=False), "running"), "complete")
    assert exited(life, "renderer", -11, "", now=0.0)[1] == Restart(lives.FIRST_WAIT_S)
    assert exited(life, "worker-1", -11, "", now=0.0)[1] is None


def test_workers_that_leave_when_all_is_done_are_not_started_again() -> None:
    life = told(running(), "complete")
    assert exited(life, "worker-1", 0, "", now=0.0)[1] is None


def test_a_worker_that_leaves_before_the_end_is_started_again() -> None:
    assert exited(running(), "worker-1", 0, "", now=0.0)[1] is not None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("told"), st.sampled_from(("waiting", "running", "complete", "cancelled", "nonsense"))),
            st.tuples(st.just("exit"), st.sampled_from(sorted(PARTS)), st.sampled_from((0, 1, 2, -9))),
            st.tuples(st.just("cancel")),
            st.tuples(st.just("fail")),
        ),
        max_size=60,
    )
)
def test_whatever_happens_an_end_is_an_end(events: list[tuple[str, ...]]) -> None:
    life, now = lives.new(PARTS, archive=True), 0.0
    for event in events:
        before, now = life, now + 1.0
        match event:
            case ("told", state):
                life = told(life, state)
            case ("exit", name, code):
                life, verdict = exited(life, name, int(code), "", now)
                assert verdict is None or 0 < verdict.after_s <= lives.LONGEST_WAIT_S
                assert verdict is None or life.parts[name].alive
            case ("cancel",):
                life = cancelled(life)
            case _:
                life = failed(life, "a sentence")
        if before.over:
            assert (life.state, life.error) == (before.state, before.error)
        assert (life.state == "failed") == (life.error is not None)
        assert life.state != "complete" or life.archived


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (-9, "", "worker-1 was ended by SIGKILL"),
        (-40, "", "worker-1 was ended by signal 40"),
        (1, "cavecast: no.", "worker-1 ended with exit code 1: no"),
        (2, "", "worker-1 ended with exit code 2"),
    ],
)
def test_a_parts_end_is_said_in_a_sentence(code: int, words: str, sentence: str) -> None:
    assert lives.gone("worker-1", code, words) == sentence


@given(st.lists(st.integers(1, 9), max_size=12), st.data())
def test_there_are_as_many_workers_as_wanted_however_they_come_and_go(wishes: list[int], data: st.DataObject) -> None:
    life = running()
    for wanted in wishes:
        come, go = lives.staffing(life, wanted)
        assert not set(come) & set(life.parts)
        for name in come:
            life = lives.joined(life, name)
        for name in go:
            life = lives.dismissed(life, name)
        here = [part for part in life.parts.values() if part.role == "worker" and not part.dismissed]
        assert len(here) == wanted
        leaving = [name for name, part in life.parts.items() if part.dismissed]
        for name in data.draw(st.lists(st.sampled_from(leaving), unique=True)) if leaving else []:
            life, verdict = exited(life, name, data.draw(st.sampled_from((0, -15, 1))), "", now=0.0)
            assert verdict is None
            assert name not in life.parts
    assert life.state == "running"
    assert not life.remarks


def test_a_run_that_is_over_is_served_again_and_stays_what_it_was() -> None:
    for state in runs.ENDED:
        life = lives.opened({"streamer": "streamer", "renderer": "renderer"}, state)
        assert told(life, "running") == life
        life, _ = exited(life, "streamer", -9, "", now=0.0)
        assert life.state == state
