"""What events of a connection mean, without a connection: time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.line import CRYPTOGRAPHIC, EVENTS, MISMATCH, Gate, Line

FAILED = "HANDSHAKE_FAILED_"


def line(keys: int = 1) -> Line:
    return Line("worker", "streamer", "tcp://s:1", keys)


def test_a_line_that_zeromq_mends_is_not_dialled_again() -> None:
    one = line()
    one.event("HANDSHAKE_SUCCEEDED", 0, 0)
    one.event("DISCONNECTED", 5, 10)
    one.event("CONNECT_RETRIED", 100, 10)
    assert not one.redial(1000)


def test_a_line_that_zeromq_gives_up_is_dialled_again_until_it_holds() -> None:
    one = line()
    for start in (0, 100):
        assert "does not know this worker's key: make keys with cavecast keys" in one.event(FAILED + "AUTH", 400, start)
        one.event("DISCONNECTED", 5, start)
        assert not one.redial(start + 0.5)
        assert one.redial(start + 1)
        assert not one.redial(start + 50)
    one.event("HANDSHAKE_SUCCEEDED", 0, 200)
    assert (one.said, one.redial(1000)) == ("", False)


def test_the_same_is_not_said_again_for_a_while() -> None:
    one = line()
    assert one.event(FAILED + "AUTH", 400, 0)
    assert not one.event(FAILED + "AUTH", 400, 9)
    assert one.said
    assert one.event(FAILED + "PROTOCOL", MISMATCH, 9), "something else is news"
    assert one.event(FAILED + "AUTH", 400, 20)


def test_each_of_a_servers_keys_is_tried_before_anything_is_said() -> None:
    one = line(keys=2)
    tried = [one.key]
    said = []
    for now in range(3):
        said.append(one.event(FAILED + "NO_DETAIL", 32, now))
        one.event("DISCONNECTED", 5, now)
        one.event("CONNECT_RETRIED", 100, now)
        assert one.redial(now)
        tried.append(one.key)
    assert tried == [0, 1, 0, 1]
    assert said[:2] == ["", ""]
    assert "its key is another than the one known here" in said[2]


@pytest.mark.parametrize(("keys", "guess", "known"), [
    (0, "or it asks for keys, and this worker has none", "asks for keys, and this worker has none"),
    (1, "or it uses no keys", "uses no keys, and this worker does"),
])  # fmt: skip
def test_a_server_that_sees_first_that_one_side_has_no_keys_is_told_of_until_more_is_known(
    keys: int, guess: str, known: str
) -> None:
    one = line(keys)
    assert not one.event(FAILED + "NO_DETAIL", 0, 0), "it may have been stopped just then"
    assert guess in one.event(FAILED + "NO_DETAIL", 0, 1)
    assert known in one.event(FAILED + "PROTOCOL", MISMATCH, 2)
    assert not one.event(FAILED + "NO_DETAIL", 0, 30)
    assert known in one.said, "what is known is not replaced by a guess"


def test_a_message_that_was_damaged_on_its_way_is_no_wrong_key() -> None:
    one = line()
    one.event("HANDSHAKE_SUCCEEDED", 0, 0)
    assert "damaged on its way" in one.event(FAILED + "PROTOCOL", CRYPTOGRAPHIC, 5)
    assert one.redial(5)


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 1 << 30), st.floats(0, 100))))
def test_whatever_happens_a_sentence_is_a_sentence(events: list[tuple[str, int, float]]) -> None:
    one = line()
    for name, value, now in events:
        said = one.event(name, value, now)
        assert not said or "tcp://s:1" in said
        one.redial(now)


def test_a_gate_counts_and_tells_those_that_were_not_let_in() -> None:
    gate = Gate("ingest", locked=True)
    for fd in (7, 8, 9):
        gate.event("ACCEPTED", fd, 0)
    gate.event("HANDSHAKE_SUCCEEDED", 0, 0)
    assert "it has no keys, or took this side" in gate.event("DISCONNECTED", 8, 0)
    assert gate.event("DISCONNECTED", 7, 1) == "", "the same was said just now"
    gate.event("DISCONNECTED", 9, 500)
    assert gate.refused == 2, "9 was the one that was let in"
    gate.event("ACCEPTED", 5, 600)
    assert gate.event("DISCONNECTED", 5, 600).endswith("(1 more times since)")


def test_a_gate_says_nothing_of_peers_that_only_left_or_that_the_judge_has_explained() -> None:
    gate = Gate("feed", locked=True)
    for fd, how, counted in ((5, "NO_DETAIL", 0), (6, "AUTH", 1)):
        gate.event("ACCEPTED", fd, 0)
        gate.event(FAILED + how, 400, 0)
        assert gate.event("DISCONNECTED", fd, 0) == ""
        assert gate.refused == counted


@pytest.mark.parametrize(("locked", "why"), [(True, "it has no keys"), (False, "it uses keys and this side does not")])
def test_a_gate_tells_of_peers_that_leave_again_and_again(locked: bool, why: str) -> None:
    gate = Gate("feed", locked=locked)

    def leave(fd: int, now: float) -> str:
        gate.event("ACCEPTED", fd, now)
        gate.event(FAILED + "NO_DETAIL", 32, now)
        return gate.event("DISCONNECTED", fd, now)

    assert [leave(9, now) for now in (0.0, 10.0, 20.0)] == ["", "", ""], "somebody who asks whether the port is open"
    assert why in leave(9, 21.0)
    assert gate.refused == 1


@given(st.lists(st.tuples(st.sampled_from(Gate.EVENTS), st.integers(0, 200), st.floats(0, 100)), max_size=300))
def test_a_gate_remembers_a_bounded_number(events: list[tuple[str, int, float]]) -> None:
    gate = Gate("ingest", locked=False)
    for name, value, now in events:
        gate.event(name, value, now)
        assert len(gate._young) <= Gate.MOST
        assert gate.refused >= 0
