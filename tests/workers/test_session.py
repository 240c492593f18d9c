"""The worker's side of the ingest door, told facts and times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_workers.session import End, Manners, Out, Session
from streamer.wire.grid import Grid
from streamer.wire.header import VERSION, encode
from streamer.wire.messages import (
    Ack,
    Again,
    Ask,
    Beat,
    Commit,
    Drain,
    Fail,
    Goodbye,
    Hello,
    Lease,
    Pulse,
    Refuse,
    Welcome,
)
from streamer.wire.volume import RunSpec, Source, encode_spec
from tests.workers.reference import plain_volume

SPEC = RunSpec(
    "run-1",
    Source("/data.npy", "field"),
    plain_volume((4, 4, 4)),
    Grid((4, 4, 4), (2, 2, 2)),
    "connect",
    {"threshold": 1},
)
WELCOME = Welcome(VERSION, "epoch-1", 0, 0)
MANNERS = Manners(leases=2, pulse_s=5, patience_s=60, resends=3, resend_s=30)


def commit(chunk: int, lease: int) -> Commit:
    return Commit(chunk, lease, (), 0, 0, 0, 0, 0)


def greeted(now: float = 0.0, manners: Manners = MANNERS) -> Session:
    session = Session("w", "ipc://here", manners, now)
    assert session.hello(now) == [Out(Hello(VERSION, "worker", "w"))]
    assert session.hear(WELCOME, [encode_spec(SPEC)], now) == [Out(Ask(2))]
    return session


def messages(outs: list[Out]) -> list[Any]:
    return [out.message for out in outs]


def test_a_worker_asks_for_leases_once_it_is_welcome_and_works_on_them_in_order() -> None:
    session = greeted()
    assert session.spec == SPEC
    assert session.next_work(0) is None
    for lease in (Lease(5, 1, 30), Lease(2, 2, 30)):
        assert session.hear(lease, [], 1) == []
    assert session.next_work(1) == Lease(5, 1, 30)
    assert session.finished(commit(5, 1), [b"x"], 2) == [Out(commit(5, 1), [b"x"])]
    assert session.next_work(2) == Lease(2, 2, 30)
    assert session.failed(Lease(2, 2, 30), "bad", 3) == [Out(Fail(2, 2, "bad"))]
    assert session.next_work(3) is None
    assert session.acknowledged == 0
    session.hear(Ack(5, 0), [], 4)
    assert session.acknowledged == 1


def test_a_commit_is_kept_until_it_is_acknowledged_and_sent_again_after_a_new_welcome() -> None:
    session = greeted()
    for chunk in (5, 2):
        session.hear(Lease(chunk, chunk, 30), [], 0)
        session.finished(commit(chunk, chunk), [b"%d" % chunk], 1)
    session.hear(Ack(5, 0), [], 2)
    assert session.hello(3) == [Out(Hello(VERSION, "worker", "w", "epoch-1"))]
    again = session.hear(Welcome(VERSION, "epoch-2", 0, 0), [encode_spec(SPEC)], 3)
    assert again == [Out(Ask(2)), Out(commit(2, 2), [b"2"])]
    session.hear(Ack(2, 1), [], 4)
    assert session.hear(WELCOME, [encode_spec(SPEC)], 5) == [Out(Ask(2))]


def test_a_refused_commit_is_sent_three_times_more_and_then_given_up() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    session.finished(commit(5, 1), [b"x"], 1)
    for _ in range(3):
        assert session.hear(Refuse("damaged", 5), [], 2) == [Out(commit(5, 1), [b"x"])]
    assert session.hear(Refuse("damaged", 5), [], 2) == [Out(Fail(5, 1, "refused 4 times: damaged"))]
    assert session.end is None
    assert session.hear(WELCOME, [encode_spec(SPEC)], 3) == [Out(Ask(2))]


def test_a_commit_that_a_full_disk_kept_out_is_sent_again_as_often_as_it_takes() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    session.finished(commit(5, 1), [b"x"], 1)
    for now in range(2, 50):
        assert session.hear(Again(5), [], now) == [Out(commit(5, 1), [b"x"])]
    session.hear(Ack(5, 0), [], 50)
    assert session.hear(Again(5), [], 51) == []
    assert session.end is None


def test_a_lease_for_a_chunk_that_is_finished_already_is_answered_with_the_commit() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    session.finished(commit(5, 1), [b"x"], 1)
    assert session.hear(Lease(5, 9, 30), [], 2) == [Out(commit(5, 9), [b"x"])]
    assert session.next_work(2) is None


def test_a_second_lease_for_the_chunk_at_work_is_the_one_that_its_commit_names() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    assert session.next_work(0) == Lease(5, 1, 30)
    session.hear(Lease(5, 9, 30), [], 1)
    assert session.finished(commit(5, 1), [], 2) == [Out(commit(5, 9), [])]


def test_beats_name_all_leases_at_work_waiting_or_not_acknowledged() -> None:
    session = greeted()
    for chunk in (5, 2, 7):
        session.hear(Lease(chunk, chunk * 10, 8), [], 0)
    session.finished(commit(5, 50), [], 1)
    assert session.tick(1.9) == []
    assert session.deadline() == 2
    assert session.tick(2) == [Out(Beat((20, 70, 50)))]
    assert session.deadline() == 4
    session.hear(Ack(5, 0), [], 3)
    assert session.tick(4) == [Out(Beat((20, 70)))]


def test_a_worker_that_did_not_beat_in_time_does_not_begin_what_it_has_lost() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 8), [], 0)
    session.hear(Lease(2, 2, 100), [], 0)
    assert session.next_work(9) == Lease(2, 2, 100)
    session = greeted()
    session.hear(Lease(5, 1, 8), [], 0)
    session.tick(7)
    assert session.next_work(9) == Lease(5, 1, 8)


def test_an_idle_worker_gives_a_sign_of_life_and_says_again_how_many_leases_it_wants() -> None:
    session = greeted()
    assert session.deadline() == 5
    assert session.tick(4.9) == []
    assert session.tick(5) == [Out(Pulse()), Out(Ask(2))]
    assert session.tick(5) == []


def test_two_sides_do_not_answer_each_others_pulses_for_ever() -> None:
    session = greeted()
    assert session.hear(Pulse(), [], 2) == [Out(Pulse())]
    assert session.hear(Pulse(), [], 2.1) == []


def test_a_streamer_that_does_not_answer_is_greeted_again_and_given_up_after_a_minute() -> None:
    session = Session("w", "ipc://here", MANNERS, 0)
    session.hello(0)
    now, hellos = 0.0, 0
    while session.end is None:
        now = session.deadline()
        hellos += messages(session.tick(now)) == [Hello(VERSION, "worker", "w")]
    assert now == 60
    assert hellos == 11
    assert session.end == End(
        75,
        "nothing was heard from the streamer at ipc://here for 60 s: see whether it runs, and whether this address is"
        " its --ingest",
    )


def test_a_streamer_that_falls_silent_is_greeted_again_and_given_up_a_minute_after_its_last_word() -> None:
    session = greeted(100)
    said = []
    while session.end is None:
        now = session.deadline()
        said += [(now, message) for message in messages(session.tick(now))]
    assert now == 160
    greetings = [at for at, message in said if message == Hello(VERSION, "worker", "w", "epoch-1")]
    assert greetings[0] == 110
    assert len(greetings) == 10


def test_a_streamer_that_owes_an_acknowledgement_for_long_is_greeted_again() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    session.finished(commit(5, 1), [b"x"], 1)
    now, hellos = 1.0, []
    while now < 100:
        now = session.deadline()
        out = session.tick(now)
        session.hear(Pulse(), [], now)
        if any(isinstance(message, Hello) for message in messages(out)):
            hellos.append(now)
            assert Out(commit(5, 1), [b"x"]) in session.hear(WELCOME, [encode_spec(SPEC)], now)
    assert hellos == [31, 61, 91, 121][: len(hellos)]
    assert len(hellos) >= 3


@pytest.mark.parametrize("message", [Drain("the run is complete"), Drain("the run is cancelled")])
def test_a_worker_leaves_when_there_is_nothing_left_to_do(message: Drain) -> None:
    session = greeted()
    assert session.hear(message, [], 1) == [Out(Goodbye())]
    assert session.end == End(0, message.reason)
    assert session.tick(1000) == []


def test_a_worker_that_is_refused_at_the_door_ends_with_the_reason() -> None:
    session = Session("w", "ipc://here", MANNERS, 0)
    session.hello(0)
    assert session.hear(Refuse("update CaveCast on this side"), [], 1) == [Out(Goodbye())]
    assert session.end == End(1, "the streamer at ipc://here refuses: update CaveCast on this side")


def test_a_newer_streamer_or_another_program_at_the_address_is_said_in_a_sentence() -> None:
    session = Session("w", "ipc://here", MANNERS, 0)
    session.hello(0)
    session.garbled("the peer speaks protocol 2, this side 1: update CaveCast on this side")
    assert session.end == End(
        1,
        "the streamer at ipc://here cannot be understood: the peer speaks protocol 2, this side 1: update CaveCast on"
        " this side",
    )


def test_three_refusals_in_a_row_end_a_session_and_fewer_do_not() -> None:
    session = greeted()
    for _ in range(2):
        assert session.hear(Refuse("no"), [], 1) == []
    session.hear(Pulse(), [], 1)
    for _ in range(2):
        assert session.hear(Refuse("no"), [], 1) == []
    assert session.end is None
    assert session.hear(Refuse("no"), [], 1) == [Out(Goodbye())]
    assert session.end == End(1, "the streamer at ipc://here refuses: no")


def test_a_streamer_that_serves_another_run_now_is_left() -> None:
    session = greeted()
    other = RunSpec("run-2", SPEC.source, SPEC.volume, SPEC.grid, "connect")
    assert session.hear(WELCOME, [encode_spec(other)], 1) == [Out(Goodbye())]
    assert session.end is not None
    assert session.end.code == 1
    assert "serves another run now (run-2, was run-1)" in session.end.reason


@pytest.mark.parametrize("payloads", [[], [b""], [b"\xc1"], [b"\x80"]])
def test_a_welcome_without_a_run_ends_the_worker(payloads: list[bytes]) -> None:
    session = Session("w", "ipc://here", MANNERS, 0)
    session.hear(WELCOME, payloads, 0)
    assert session.end is not None
    assert session.end.reason.startswith("the streamer at ipc://here describes no run: ")


def test_leaving_hands_the_leases_back() -> None:
    session = greeted()
    session.hear(Lease(5, 1, 30), [], 0)
    assert session.leave("ended by SIGTERM") == [Out(Goodbye())]
    assert session.end == End(0, "ended by SIGTERM")


FACTS = st.one_of(
    st.builds(Lease, st.integers(0, 7), st.integers(1, 99), st.sampled_from([0.5, 8.0, 30.0])),
    st.builds(Ack, st.integers(0, 7), st.just(0)),
    st.builds(Refuse, st.just("…" * 300), st.integers(-1, 7)),
    st.just(Pulse()),
    st.just(WELCOME),
    st.sampled_from(["work", "raise", "tick", "hello"]),
)


@given(st.lists(st.tuples(FACTS, st.floats(0, 9))))
def test_whatever_happens_what_is_finished_is_kept_until_acknowledged_or_given_up(
    history: list[tuple[Any, float]],
) -> None:
    session, now = greeted(), 0.0
    owed: dict[int, list[bytes]] = {}
    for fact, later in history:
        now += later
        if fact == "work" or fact == "raise":
            lease = session.next_work(now)
            if lease is None:
                continue
            if fact == "raise":
                outs = session.failed(lease, "…" * 500, now)
            else:
                owed[lease.chunk] = [b"%d" % lease.chunk]
                outs = session.finished(commit(lease.chunk, lease.lease), owed[lease.chunk], now)
        elif fact == "tick":
            outs = session.tick(now)
        elif fact == "hello":
            outs = session.hello(now)
        else:
            outs = session.hear(fact, [encode_spec(SPEC)] if fact is WELCOME else [], now)
        if isinstance(fact, Ack):
            owed.pop(fact.chunk, None)
        for message, payloads in outs:
            assert len(encode(message)) <= 512
            if isinstance(message, Commit):
                assert payloads == owed[message.chunk]
            if isinstance(message, Fail) and isinstance(fact, Refuse):
                del owed[message.chunk]
        if session.end is not None:
            assert session.tick(now) == []
            return
        if fact is WELCOME:
            assert {message.chunk for message in messages(outs) if isinstance(message, Commit)} == set(owed)
        assert session.deadline() <= now + 60
        lease = session.next_work(now)
        assert lease is None or lease.chunk not in owed
    assert np.isfinite(session.deadline())
