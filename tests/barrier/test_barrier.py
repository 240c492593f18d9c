"""The barrier by itself: what it says to whom, and when.  Time is given; nobody waits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from renderers.wall.barrier import Barrier, Draw, Evict, Full, Look, Rules, Show, Span
from renderers.wall.messages import Draw as Drawn
from renderers.wall.messages import Show as Shown
from renderers.wall.messages import Welcome
from renderers.wall.seat import Miss, Seat

HERE = (Span("e", 0, 0),)


def at(reached: int, floor: int = 0, epoch: str = "e") -> tuple[Span, ...]:
    return (Span(epoch, floor, reached),)


def wall(*seats: str, reached: int = 0, rules: Rules | None = None) -> Barrier:
    """A wall whose seats have all shown the first frame by time 1."""
    barrier = Barrier(rules or Rules(), Look(1, "home"))
    for seat in seats:
        barrier.join(seat, at(reached), 0.0)
    now = 0.0
    while barrier.in_flight or any(state != "live" for state in barrier.states().values()):
        now += 0.02
        barrier.tick(now)
        for seat in seats:
            barrier.ready(seat, barrier.in_flight, now)
        assert now < 0.5
    for seat in seats:
        barrier.beat(seat, 0, at(reached), 1.0)
    return barrier


def test_all_seats_draw_and_show_together() -> None:
    barrier = wall("a", "b")
    draw = barrier.want(Look(2, "aside"), 1.1)
    assert draw == [Draw(("a", "b"), barrier.frame, Look(2, "aside"), "e", 0)]
    assert barrier.ready("a", barrier.frame, 1.105) == []
    assert barrier.ready("a", barrier.frame, 1.106) == []
    assert barrier.ready("b", barrier.frame, 1.11) == [Show(("a", "b"), barrier.frame)]
    assert barrier.spread_s == pytest.approx(0.005)
    assert barrier.tick(1.2) == []


def test_a_dead_seat_does_not_freeze_the_wall() -> None:
    barrier = wall("a", "b")
    barrier.want(Look(2, ""), 1.1)
    frame = barrier.frame
    barrier.ready("a", frame, 1.11)
    assert barrier.deadline() == pytest.approx(1.35)
    out, show = barrier.tick(1.35)
    assert out == Evict("b", 1, False, "it was not ready within 0.25 s")
    assert show == Show(("a",), frame)
    # From now on nobody waits for it.
    barrier.want(Look(3, ""), 1.4)
    assert barrier.ready("a", frame + 1, 1.41) == [Show(("a",), frame + 1)]


def test_one_that_was_out_draws_as_a_guest_before_anybody_waits_for_it() -> None:
    barrier = wall("a", "b")
    barrier.want(Look(2, ""), 1.1)
    barrier.ready("a", barrier.frame, 1.11)
    barrier.tick(1.35)
    # A beat that was on its way before it knew: it is told once more.
    assert barrier.beat("b", 0, HERE, 1.36) == [Evict("b", 1, False, "it was not ready within 0.25 s")]
    assert barrier.beat("b", 1, HERE, 1.37) == []
    assert barrier.states()["b"] == "waiting"
    (draw,) = barrier.tick(barrier.deadline())
    assert isinstance(draw, Draw)
    assert draw.seats == ("a", "b")
    assert barrier.ready("a", draw.frame, 1.6) == [Show(("a",), draw.frame)]
    # Too late for that frame, in time to be admitted: its back buffer is never shown, so there is another one.
    (draw,) = barrier.ready("b", draw.frame, 1.65)
    assert isinstance(draw, Draw)
    assert barrier.states()["b"] == "live"
    assert barrier.ready("a", draw.frame, 1.71) == []
    assert barrier.ready("b", draw.frame, 1.72) == [Show(("a", "b"), draw.frame)]


def test_one_that_came_too_late_to_show_a_frame_draws_anew_although_nothing_changes() -> None:
    barrier = wall("a", "b")
    barrier.want(Look(2, ""), 1.1)
    frame = barrier.frame
    barrier.ready("a", frame, 1.11)
    assert barrier.ready("b", frame, 1.12) == [Show(("a", "b"), frame)]
    # b was stopped before it could, and says so.
    seat = Seat(0.0)
    seat.receive([(Welcome(1, 0.25, ""), b""), (Drawn(frame, 2, "e", 0), b"")], 1.1, 1.1)
    seat.painted(Drawn(frame, 2, "e", 0))
    assert Miss(frame) in seat.receive([(Shown(frame, 1.12), b"")], 1.5, 1.5)
    assert barrier.missed("b", frame, 1.5) == [Evict("b", 1, False, f"it came too late to show frame {frame}")]
    assert barrier.missed("b", frame, 1.5) == barrier.missed("nobody", frame, 1.5) == []
    assert barrier.beat("b", 1, HERE, 1.51) == []
    (draw,) = barrier.tick(barrier.deadline())
    assert isinstance(draw, Draw)
    assert draw.seats == ("a", "b")
    assert draw.look == Look(2, "")


def test_a_slow_seat_is_asked_ever_more_seldom() -> None:
    barrier, now, begun, frames = wall("a", "b"), 1.0, list[float](), 0
    turn = 0
    while now < 30:
        now += 0.01
        for act in [*barrier.want(Look(int(100 * now), ""), now), *barrier.tick(now)]:
            if isinstance(act, Evict):
                turn = act.turn
            if isinstance(act, Draw) and "b" in act.seats:
                begun.append(now)
            frames += isinstance(act, Draw)
        barrier.ready("a", barrier.in_flight, now)
        barrier.beat("b", turn, HERE, now)
    gaps = [later - sooner for sooner, later in pairwise(begun)]
    assert len(begun) < 14
    assert gaps[-1] > 4
    assert frames > 1300  # guests cost the wall nothing


def test_the_position_is_the_newest_that_all_have() -> None:
    barrier = wall("a", "b", reached=3)
    assert barrier.position == 3
    assert barrier.beat("a", 0, at(9), 1.2) == []
    (draw,) = barrier.beat("b", 0, at(5), 1.21)
    assert isinstance(draw, Draw)
    assert draw.position == 5


def test_one_frame_is_not_further_ahead_than_can_be_drawn_in_time() -> None:
    barrier = wall("a", reached=0)
    positions, now = [], 1.2
    barrier.beat("a", 0, at(1000), now)
    while barrier.position < 1000:
        positions.append(barrier.position)
        barrier.ready("a", barrier.in_flight, now + 0.2)  # of 0.25
        now += 0.21
        barrier.beat("a", 0, at(1000), now)
        if len(positions) > 20:
            break
    assert positions[0] <= 16
    assert positions[-1] - positions[-2] == 1


def test_one_that_is_behind_for_long_holds_nobody_back() -> None:
    barrier = wall("a", "b", reached=3)
    barrier.beat("a", 0, at(9), 2.0)
    now, acts = 2.0, []
    while now < 4.1:
        now += 0.1
        acts += barrier.beat("a", 0, at(9), now)
        acts += barrier.beat("b", 0, at(3), now)
        acts += barrier.tick(now)
        acts += barrier.ready("a", barrier.in_flight, now)
    out = next(act for act in acts if isinstance(act, Evict))
    assert (out.seat, out.stale) == ("b", True)
    assert barrier.position == 9
    # It knows, and is still behind: no frame for it.  As soon as it has what is shown, it may come in.
    assert not [act for act in barrier.beat("b", 1, at(5), 4.2) if isinstance(act, Draw)]
    acts = [*barrier.beat("b", 1, at(9), 4.5), *barrier.tick(4.6)]
    assert [act.seats for act in acts if isinstance(act, Draw)] == [("a", "b")]


def test_one_that_cannot_go_back_waits_until_the_wall_has_come_to_it() -> None:
    barrier = wall("a", reached=3)
    barrier.join("b", at(7, floor=7), 1.1)
    assert barrier.states()["b"] == "waiting"
    assert barrier.deadline() > 1.2
    (draw,) = barrier.beat("a", 0, at(7), 1.2)
    assert isinstance(draw, Draw)
    assert (draw.position, draw.seats) == (7, ("a", "b"))


def test_all_go_over_to_another_log_together() -> None:
    barrier = wall("a", "b", reached=9)
    old = Span("e", 9, 9)
    assert barrier.beat("a", 0, (old, Span("f", 0, 2)), 1.2) == []
    assert barrier.epoch == "e"
    (draw,) = barrier.beat("b", 0, (old, Span("f", 0, 1)), 1.3)
    assert isinstance(draw, Draw)
    assert (draw.epoch, draw.position) == ("f", 0)


def test_a_seat_whose_process_comes_anew_takes_its_own_place() -> None:
    barrier = wall("a", "b")
    barrier.want(Look(2, ""), 1.1)
    frame = barrier.frame
    barrier.ready("a", frame, 1.11)
    assert barrier.join("b", HERE, 1.12)[0] == Show(("a",), frame)
    assert barrier.states() == {"a": "live", "b": "guest" if barrier.in_flight else "waiting"}


def test_numbers_that_a_seat_has_shown_before_are_not_used_again() -> None:
    barrier = Barrier(Rules(), Look(1, ""))
    (draw,) = barrier.join("a", HERE, 0.0, shown=41)
    assert isinstance(draw, Draw)
    assert draw.frame == 42


def test_a_silent_seat_is_dead_and_comes_back_by_itself() -> None:
    barrier = wall("a", "b")
    for tenth in range(11, 60):
        barrier.beat("a", 0, HERE, tenth / 10)
    assert barrier.states() == {"a": "live", "b": "dead"}
    (out,) = barrier.beat("b", 0, HERE, 6.0)
    assert isinstance(out, Evict)
    barrier.beat("b", out.turn, HERE, 6.1)
    acts = [*barrier.beat("a", 0, HERE, 8.0), *barrier.tick(8.0)]
    assert barrier.ready("b", barrier.in_flight, 8.01) or acts


def test_nothing_is_drawn_while_nothing_changes_and_no_faster_than_the_rate() -> None:
    barrier = wall("a", rules=Rules(rate_hz=50))
    assert barrier.tick(1.5) == []
    assert [type(act) for act in barrier.redraw(1.6)] == [Draw]
    barrier.ready("a", barrier.frame, 1.601)
    assert barrier.want(Look(2, ""), 1.605) == []
    assert barrier.deadline() == pytest.approx(1.61)
    assert [type(act) for act in barrier.tick(barrier.deadline())] == [Draw]
    now, begun = 1.61, 0
    while now < 2.61:
        now += 0.001
        acts = barrier.want(Look(3, ""), now) + barrier.ready("a", barrier.in_flight, now)
        begun += sum(isinstance(act, Draw) for act in acts)
    assert 48 <= begun <= 51


def test_seats_are_bounded() -> None:
    barrier = Barrier(Rules(most_seats=2), Look(1, ""))
    barrier.join("a", HERE, 0)
    barrier.join("b", HERE, 0)
    with pytest.raises(Full, match="2 seats"):
        barrier.join("c", HERE, 0)
    barrier.leave("a", 0)
    barrier.join("c", HERE, 0)
