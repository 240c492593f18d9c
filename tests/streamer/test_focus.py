"""Where people look decides what is computed first, but not whether."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from streamer.focus import LASTS_S, SORT_S, Foci, Order, nearness
from streamer.leases import BLIND, Leases
from streamer.wire.grid import Grid
from streamer.wire.messages import Ask, Command, Focus
from tests.streamer.runs import MemoryLog, hub_of, leases, spec_of, subscriber_hello, worker_hello

GRID = Grid((64, 64, 64), (8, 8, 8), (False, False, True))
A, B, R = b"a", b"b", b"r"


def run_of(grid: Grid = GRID) -> tuple[Leases, Foci]:
    foci = Foci()
    run = Leases(grid.size, lease_s=10.0, per_worker=grid.size, order=Order(grid, foci))
    run.join(A)
    run.ask(A, grid.size)
    return run, foci


def taken(run: Leases, count: int, now: float = 0.0, worker: bytes = A) -> list[int]:
    grants = [run.grant(worker, now) for _ in range(count)]
    return [grant.chunk for grant in grants if grant is not None]


def test_with_nobody_looking_leases_go_along_axis_0() -> None:
    assert taken(run_of()[0], 20) == list(range(20))


def test_the_nearest_chunk_goes_first_and_one_lease_in_eight_ignores_the_focus() -> None:
    run, foci = run_of()
    foci.say(A, Focus(40, 20, 60), 0.0)
    order = taken(run, 64)
    near = [chunk for i, chunk in enumerate(order) if (i + 1) % BLIND]
    far = nearness(GRID, [Focus(40, 20, 60)])
    assert [far[c] for c in near] == sorted(far[c] for c in near)
    assert max(far[c] for c in near) <= sorted(far)[len(order)]
    assert order[BLIND - 1 :: BLIND] == list(range(8)), "so that nothing starves"
    assert sorted(order + taken(run, GRID.size)) == list(range(GRID.size)), "each once"


def test_distance_goes_the_shorter_way_around_a_periodic_axis() -> None:
    far = nearness(GRID, [Focus(4, 4, 63)]).reshape(GRID.counts)
    assert far[0, 0].argsort(kind="stable")[:3].tolist() in ([7, 0, 6], [7, 6, 0])
    assert far[0, 0, 0] == pytest.approx((5 / 8) ** 2)
    assert far[0, 7, 7] > far[0, 6, 7], "not around one that ends"


def test_a_focus_that_moves_is_followed_a_few_times_a_second() -> None:
    run, foci = run_of()
    foci.say(A, Focus(0, 0, 0), 0.0)
    first = taken(run, 2, 0.0)
    foci.say(A, Focus(63, 63, 35), 0.1)
    still = taken(run, 2, 0.1)
    moved = taken(run, 2, SORT_S)
    z = [GRID.index(chunk)[0] for chunk in (*first, *still, *moved)]
    assert z[:4] == [0, 0, z[2], z[3]]
    assert max(z[:4]) <= 1
    assert z[4:] == [7, 7]


def test_two_views_share_the_workers_and_a_weight_of_zero_ends_one() -> None:
    run, foci = run_of()
    assert foci.say(A, Focus(0, 0, 4, 1.0, 0), 0.0)
    assert foci.say(A, Focus(63, 63, 36, 1.0, 1), 0.0)
    assert not foci.say(A, Focus(63, 63, 36, 1.0, 1), 1.0), "said again"
    ends = {GRID.index(chunk)[0] // 4 for chunk in taken(run, 6)}
    assert ends == {0, 1}
    assert foci.say(A, Focus(0, 0, 4, 0.0, 0), 1.0)
    assert {GRID.index(chunk)[0] // 4 for chunk in taken(run, 1, 2.0)} == {1}


def test_a_focus_lapses_with_its_sender_and_after_a_while() -> None:
    _, foci = run_of()
    foci.say(A, Focus(1, 1, 1), 0.0)
    foci.say(B, Focus(2, 2, 2), 50.0)
    foci.lapse(LASTS_S)
    assert [focus.z for focus in foci.points] == [2]
    foci.forget(B)
    assert foci.points == []


@pytest.mark.parametrize(
    "focus", [Focus(float("nan"), 0, 0), Focus(0, float("inf"), 0), Focus(0, 0, 0, 1.0, 64), Focus(0, 0, 0, 1.0, -1)]
)
def test_what_is_no_place_is_passed_over(focus: Focus) -> None:
    assert not Foci().say(A, focus, 0.0)


def test_foci_are_bounded_whoever_sends_them() -> None:
    foci = Foci(most=10)
    for peer in range(100):
        foci.say(b"%d" % peer, Focus(peer, 0, 0), 0.0)
    assert [focus.z for focus in foci.points] == list(range(90, 100))


def test_a_chunk_that_failed_goes_to_another_worker_also_where_people_look() -> None:
    run, foci = run_of()
    run.join(B)
    run.ask(B, GRID.size)
    foci.say(A, Focus(40, 20, 60), 0.0)
    grant = run.grant(A, 0.0)
    assert grant is not None
    run.fail(A, grant.chunk, grant.lease)
    assert grant.chunk not in taken(run, 100, 0.0, A)
    assert taken(run, 1, 0.0, B) == [grant.chunk], "the nearest there is"


def test_a_chunk_that_comes_back_is_the_nearest_again() -> None:
    run, foci = run_of()
    foci.say(A, Focus(40, 20, 60), 0.0)
    first = taken(run, 5)
    run.free(A)
    assert taken(run, 2) == first[:2]


def test_whatever_comes_and_goes_each_chunk_is_leased_to_one_and_all_get_done() -> None:
    rng = np.random.default_rng(5)
    run, foci = run_of()
    run.join(B)
    run.ask(B, GRID.size)
    held: dict[int, tuple[bytes, int]] = {}
    now = 0.0
    for _ in range(20_000):
        now += 0.01
        what = rng.integers(10)
        if what == 0:
            z, y, x = (rng.random(3) * 64).tolist()
            foci.say(A, Focus(z, y, x, float(rng.integers(2))), now)
        elif what < 6:
            worker = (A, B)[rng.integers(2)]
            grant = run.grant(worker, now)
            if grant is not None:
                assert grant.chunk not in held
                held[grant.chunk] = worker, grant.lease
        elif held:
            chunk = list(held)[rng.integers(len(held))]
            worker, lease = held.pop(chunk)
            if what == 6:
                run.fail(worker, chunk, lease)
            elif what == 7:
                for one in run.free(worker):
                    held.pop(one, None)
            else:
                run.commit(chunk)
    for worker in (A, B):
        run.free(worker)
    for chunk in taken(run, GRID.size, now):
        run.commit(chunk)
    assert run.done


def test_a_lease_costs_the_same_in_a_hundred_thousand_chunks_while_the_focus_moves() -> None:
    def cost(grid: Grid) -> float:
        run, foci = run_of(grid)
        best = 1e9
        now = 0.0
        for _ in range(5):
            begun = process_time()
            for lease in range(1000):
                if lease % 100 == 0:
                    now += 1.0
                    foci.say(A, Focus(now, 0, 0), now)
                grant = run.grant(A, now)
                assert grant is not None
                run.commit(grant.chunk)
            best = min(best, process_time() - begun)
        return best / 1000

    large = Grid((400, 400, 400), (8, 8, 10))
    assert large.size == 100_000
    assert cost(large) < 200e-6, "at 10 sorts for 1,000 leases"


def test_the_streamer_hears_where_its_subscribers_look() -> None:
    spec = spec_of((64, 6, 6), (4, 3, 3))
    hub = hub_of(spec, MemoryLog(), hold=True, leases_per_worker=7)
    hub.ingest(A, worker_hello(), [], 0)
    hub.ingest(A, worker_hello(), [], 0)
    hub.feed(R, Focus(30, 3, 3), [], 0)
    hub.feed(R, subscriber_hello(), [], 0)
    hub.feed(R, Focus(62, 5, 5), [], 0)
    hub.feed(b"stranger", Focus(0, 0, 0), [], 0)
    hub.ingest(A, Ask(7), [], 0)
    got = leases(hub.feed(b"c", Command("start"), [], 0))
    assert got[0][1].chunk == spec.grid.size - 1
    assert {spec.grid.index(lease.chunk)[0] for _, lease in got} <= {14, 15}
    hub.forget("feed", R)
    assert hub._foci.points == []
