"""Leases, pace and credit: plain arithmetic with the time passed in."""

from __future__ import annotations

from copy import copy
from math import inf
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from streamer.cursor import Cursor
from streamer.leases import Grant, Leases
from streamer.pace import Pace
from streamer.wire.status import COMMITTED, FAILED, LEASED, PENDING

A, B = b"a", b"b"


def leases_of(chunks: int, *workers: bytes, wants: int = 2) -> Leases:
    leases = Leases(chunks, lease_s=10.0, per_worker=2)
    for worker in workers:
        leases.join(worker)
        leases.ask(worker, wants)
    return leases


def take(leases: Leases, worker: bytes, now: float = 0.0) -> Grant:
    grant = leases.grant(worker, now)
    assert grant is not None
    return grant


def test_chunks_go_out_in_c_order_and_never_more_than_a_worker_wants_or_may_hold() -> None:
    leases = leases_of(9, A, B, wants=5)
    assert [take(leases, worker).chunk for worker in (A, B, A, B)] == [0, 1, 2, 3]
    assert leases.grant(A, 0) is None
    leases.ask(B, 1)
    leases.commit(1)
    assert leases.grant(B, 0) is None, "it holds the one that it wants"
    leases.commit(3)
    assert take(leases, B).chunk == 4
    assert leases.states == bytes([LEASED, COMMITTED, LEASED, COMMITTED, LEASED, *[PENDING] * 4])


def test_a_lease_lapses_unless_its_worker_beats() -> None:
    leases = leases_of(5, A, B)
    first, second = take(leases, A, 0), take(leases, A, 0)
    leases.beat(A, [second.lease], 9)
    leases.beat(B, [first.lease], 9)
    assert leases.expire(9.9) == []
    assert leases.expire(10) == [(first.chunk, A)], "another worker's beat does not help"
    assert leases.next_expiry() == 19
    assert take(leases, B, 10).chunk == first.chunk, "what comes back goes out first"


def test_a_worker_that_let_a_lease_lapse_gets_none_until_it_is_heard() -> None:
    leases = leases_of(5, A)
    take(leases, A)
    leases.expire(10)
    assert leases.grant(A, 10) is None
    leases.wake(A)
    assert take(leases, A, 10).chunk == 0


def test_a_chunk_that_failed_goes_to_another_worker_and_is_given_up_after_three_tries() -> None:
    leases = leases_of(2, A, B)
    grant = take(leases, A)
    assert leases.fail(A, grant.chunk, grant.lease) == "again"
    assert take(leases, A).chunk == 1, "not the one it failed on"
    grant = take(leases, B)
    assert grant.chunk == 0
    assert leases.fail(A, 0, grant.lease) == "not held"
    assert leases.fail(B, 0, grant.lease) == "again"
    assert leases.states[0] == PENDING
    grant = take(leases, A)
    assert grant.chunk == 0, "all have failed on it once: it is anybody's"
    assert leases.fail(A, 0, grant.lease) == "failed"
    assert leases.states[0] == FAILED
    assert (leases.failed, leases.leased, leases.done) == (1, 1, False)


def test_the_only_worker_may_try_again_also_if_another_one_is_there_but_asleep() -> None:
    leases = leases_of(2, A, B)
    take(leases, B)
    grant = take(leases, A)
    leases.expire(10)
    leases.wake(A)
    assert leases.fail(A, grant.chunk, grant.lease) == "not held"
    for expected in (0, 0, 0):
        grant = take(leases, A, 10)
        assert grant.chunk == expected
        verdict = leases.fail(A, grant.chunk, grant.lease)
    assert verdict == "failed"


def test_the_chunks_of_a_worker_that_leaves_are_free_at_once() -> None:
    leases = leases_of(4, A, B)
    take(leases, A), take(leases, A)
    assert leases.leave(A) == [0, 1]
    assert [take(leases, B).chunk, take(leases, B).chunk] == [0, 1]
    assert leases.leave(b"never seen") == []


def test_a_chunk_done_by_one_who_did_not_hold_it_frees_the_one_who_did() -> None:
    leases = leases_of(4, A)
    take(leases, A)
    assert leases.commit(0) == A
    assert leases.commit(1) is None
    assert leases.holds(A) == 0
    assert take(leases, A).chunk == 2


@given(st.lists(st.tuples(st.sampled_from("gcfelb"), st.integers(0, 5)), max_size=200))
def test_no_chunk_is_held_twice_or_lost(steps: list[tuple[str, int]]) -> None:
    leases, now, workers = leases_of(6, A, B), 0.0, (A, B)
    held: dict[int, tuple[bytes, int]] = {}
    for step, n in steps:
        worker = workers[n % 2]
        now += 1
        mine = [(chunk, lease) for chunk, (who, lease) in held.items() if who == worker]
        if step == "g":
            leases.wake(worker)
            grant = leases.grant(worker, now)
            if grant:
                assert grant.chunk not in held
                held[grant.chunk] = worker, grant.lease
        elif step == "c" and leases.states[n] in (PENDING, LEASED):
            leases.commit(n)
            held.pop(n, None)
        elif step == "f" and mine:
            leases.fail(worker, *mine[0])
            del held[mine[0][0]]
        elif step == "e":
            now += 6
            for lapsed in leases.expire(now):
                del held[lapsed.chunk]
        elif step == "l":
            for chunk in leases.leave(worker):
                del held[chunk]
            leases.join(worker)
            leases.ask(worker, 2)
        elif step == "b":
            leases.beat(worker, [lease for _, lease in mine], now)
        assert {c for c, state in enumerate(leases.states) if state == LEASED} == set(held)
        assert leases.pending == leases.states.count(PENDING)
    leases.leave(B)
    for _ in range(30):
        leases.wake(A)
        leases.expire(now := now + 11)
        leases.wake(A)
        while (grant := leases.grant(A, now)) is not None:
            leases.commit(grant.chunk)
    assert leases.done


def cost_s(chunks: int) -> float:
    """Processor seconds for 1,000 leases and commits near the end of a run."""
    leases = leases_of(chunks, A)
    leases.resume(range(chunks - 1001), ())
    leases.commit(take(leases, A).chunk)  # the first one passes over all that the log had, once
    begin = process_time()
    for now in range(1000):
        grant = take(leases, A, float(now))
        leases.beat(A, [grant.lease], float(now))
        leases.expire(float(now))
        leases.commit(grant.chunk)
    return process_time() - begin


def test_a_lease_costs_no_more_among_a_hundred_thousand_chunks() -> None:
    # Interleaved, and the best of several, for a busy machine.
    pairs = [(cost_s(1_001), cost_s(100_000)) for _ in range(7)]
    few, many = (min(costs) for costs in zip(*pairs, strict=True))
    assert many < 2 * few


def test_the_pace_opens_one_lease_after_the_other() -> None:
    pace = Pace(chunks=10, pace_s=30.0, start=100.0)
    assert [pace.opens(n) for n in (0, 1, 9)] == [100.0, 103.0, 127.0]
    assert Pace(10, 0.0, 100.0).opens(9) == -inf
    assert Pace.resumed(10, 30.0, 500.0, 5).opens(5) == 500.0


def test_credit_is_cumulative_and_saying_it_twice_changes_nothing() -> None:
    cursor = Cursor.at(7)
    assert (cursor.prev, cursor.may_send(9)) == (6, False)
    for _ in range(2):
        cursor.credit(100, 2, 7)
    cursor.needs = 60
    assert cursor.may_send(8)
    assert not cursor.may_send(7), "there is nothing yet"
    before = copy(cursor)
    cursor.sent(60)
    cursor.needs = 60
    assert (cursor.next, cursor.prev, cursor.room) == (8, 7, 40)
    assert not cursor.may_send(9)
    cursor.credit(50, 1, 7)
    assert cursor.room == 40, "credit is never taken back"
    cursor.unsent(before)
    assert (cursor.next, cursor.prev, cursor.room) == (7, 6, 100)
