"""Whose picture or film is made, when it is its turn, and which piece of the file leaves, whatever askers do."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderers.orders import (
    HOLD_S,
    LOOK_S,
    MOST_ON_THE_WAY,
    MOST_WAITING,
    PATIENT_S,
    PIECE,
    SILENT_S,
    TURN_S,
    WARM_S,
    Order,
    Orders,
    Piece,
    Refusal,
    Sight,
)
from streamer.wire.taking import Kind, Wish

NOTHING = Sight(there=False, settled=True, over=False)
GROWING = Sight(there=True, settled=False, over=False)
STILL = Sight(there=True, settled=True, over=False)
OVER = Sight(there=True, settled=True, over=True)
HERE = (0.25, 0.5, 4.0, 0.0, 0.0, 0.0)
A, B, C = b"a", b"b", b"c"


def order(peer: bytes, now: float = 0.0, kind: Kind = "turn") -> Order:
    return Order(peer, Wish(kind, 640, 360, HERE), now)


def begun(*peers: bytes, kind: Kind = "turn") -> Orders:
    """The first one's is being made since 0, the others wait."""
    orders = Orders()
    for peer in peers:
        assert orders.ask(order(peer, kind=kind)) is None
    assert orders.begin(OVER, 0.0) == order(peers[0], kind=kind)
    return orders


def made(orders: Orders, raw: bytes, now: float = 0.0) -> list[Piece]:
    """What leaves after a small picture was drawn, and made so much of the file."""
    assert orders.turn(now) == "draw"
    assert orders.worked(orders.drawn())
    orders.cut(raw)
    return list(orders.leaving(now))


# ---------------------------------------------------------------- who asks


def test_one_is_made_at_a_time_in_the_order_they_were_asked_for() -> None:
    orders = begun(A, B, C)
    assert orders.begin(OVER, 1.0) is None
    for peer in (B, C):
        orders.end()
        assert orders.begin(OVER, 2.0) == order(peer)
    orders.end()
    assert orders.begin(OVER, 3.0) is None


def test_who_asks_while_too_many_wait_is_refused_and_nobody_else() -> None:
    orders = begun(A)
    for number in range(MOST_WAITING):
        assert orders.ask(order(b"%d" % number)) is None
    refused = orders.ask(order(B))
    assert refused is not None
    assert (refused.peer, refused.status) == (B, 429)
    assert "4 pictures and films wait" in refused.why
    orders.gone(b"0")
    assert orders.ask(order(B)) is None, "one who went has made room"


def test_who_asks_before_anything_is_to_be_seen_is_refused_when_it_has_been_waited_for() -> None:
    orders = Orders()
    orders.ask(order(A, 0.0))
    orders.ask(order(B, 5.0))
    assert orders.begin(NOTHING, PATIENT_S - 0.1) is None
    refused = orders.begin(NOTHING, PATIENT_S)
    assert isinstance(refused, Refusal)
    assert (refused.peer, refused.status) == (A, 503)
    assert orders.begin(NOTHING, PATIENT_S) is None, "the other one came later"
    assert orders.begin(OVER, PATIENT_S + 1) == order(B, 5.0)


def test_a_run_that_is_over_is_whole_and_another_one_when_it_has_not_changed_for_a_while() -> None:
    for sight, since in ((OVER, 0.0), (STILL, WARM_S)):
        orders = Orders()
        assert orders.begin(sight, 0.0) is None, "nobody has asked"
        orders.ask(order(A))
        if since:
            assert orders.begin(sight, since - 0.1) is None
        assert orders.begin(sight, since) == order(A)


def test_a_scene_that_goes_on_changing_is_taken_as_it_is_after_a_while() -> None:
    orders = Orders()
    orders.ask(order(A))
    for now in (0.0, WARM_S, PATIENT_S - 0.1):
        assert orders.begin(GROWING, now) is None
    assert orders.begin(GROWING, PATIENT_S) == order(A)


# ---------------------------------------------------------------- whose turn it is


def test_the_scene_is_held_for_a_picture_in_parts_but_not_for_ever_and_not_for_a_film() -> None:
    assert not Orders().holding(0.0)
    assert not begun(A, kind="turn").holding(0.0)
    orders = begun(A, kind="picture")
    assert orders.holding(HOLD_S - 0.1)
    assert not orders.holding(HOLD_S)
    orders.finished()
    assert not orders.holding(0.1), "all parts are drawn"


def test_a_turn_comes_when_no_viewers_picture_is_due_or_there_was_none_for_a_while() -> None:
    orders = begun(A)
    assert orders.rest_s(due=10.0, rung=False, now=9.0) == 0
    assert orders.rest_s(due=9.0, rung=False, now=9.0) == 0, "it had none yet"
    made(orders, b"", 9.0)
    assert orders.rest_s(due=10.0, rung=False, now=9.1) == 0
    assert orders.rest_s(due=9.0, rung=False, now=9.1) == pytest.approx(TURN_S - 0.1)
    assert orders.rest_s(due=9.0, rung=False, now=9.0 + TURN_S) == 0


def test_nothing_is_drawn_while_the_last_drawing_is_put_into_the_file() -> None:
    orders = begun(A)
    assert orders.turn(0.0) == "draw"
    number = orders.drawn()
    assert orders.turn(5.0) == "wait"
    assert orders.rest_s(inf, rung=False, now=5.0) == inf
    assert orders.rest_s(inf, rung=True, now=5.0) == 0
    assert orders.worked(number)
    assert not orders.worked(number), "once"
    assert orders.turn(5.0) == "draw"


def test_without_an_order_it_is_looked_again_only_if_somebody_waits() -> None:
    orders = Orders()
    assert orders.rest_s(inf, rung=False, now=0.0) == inf
    orders.ask(order(A))
    assert orders.rest_s(inf, rung=False, now=0.0) == LOOK_S


# ---------------------------------------------------------------- what leaves


def test_a_piece_waits_for_the_one_behind_it_as_it_may_be_the_last() -> None:
    orders = begun(A)
    assert made(orders, b"one") == []
    assert made(orders, b"two") == [Piece(1, b"one", False)]
    assert orders.turn(0.0) == "draw"
    orders.finished()
    assert list(orders.leaving(0.0)) == [Piece(2, b"two", True)]
    assert orders.turn(0.0) == "end"


def test_what_is_long_leaves_in_pieces_and_no_more_is_drawn_than_is_taken() -> None:
    orders = begun(A)
    raw = bytes(range(256)) * (5 * PIECE // 256)
    sent = made(orders, raw)
    assert [piece.number for piece in sent] == [1, 2, 3]
    assert orders.turn(1.0) == "wait"
    assert orders.rest_s(inf, rung=False, now=1.0) == SILENT_S - 1.0
    assert orders.taken(A, 1, 2.0)
    assert orders.rest_s(inf, rung=False, now=2.0) == 0, "there is room for one"
    sent += orders.leaving(2.0)
    assert [piece.number for piece in sent] == [1, 2, 3, 4]
    assert orders.turn(2.0) == "wait", "as many are on their way again"
    assert orders.taken(A, 2, 3.0)
    assert list(orders.leaving(3.0)) == [], "the one that is left may be the last: what is behind it is to be known"
    assert orders.turn(3.0) == "draw"
    orders.finished()
    sent += orders.leaving(3.0)
    assert sent[-1].last
    assert b"".join(piece.raw for piece in sent) == raw
    assert orders.turn(3.0) == "end"


def test_who_takes_nothing_for_a_minute_has_gone_and_who_takes_slowly_has_not() -> None:
    orders = begun(A)
    made(orders, bytes(9 * PIECE))
    assert orders.turn(SILENT_S - 0.1) == "wait"
    assert orders.taken(A, 1, SILENT_S - 0.1)
    assert len(list(orders.leaving(SILENT_S - 0.1))) == 1
    assert orders.turn(SILENT_S) == "wait"
    # What was taken already, was never sent, or is somebody else's puts nothing off.
    for piece in (0, 1, 5, 2**32 - 1):
        assert orders.taken(A, piece, 2 * SILENT_S - 0.2)
    assert not orders.taken(B, 2, 2 * SILENT_S - 0.2)
    assert orders.turn(2 * SILENT_S - 0.2) == "wait"
    assert orders.turn(2 * SILENT_S - 0.1) == "lost"


# ---------------------------------------------------------------- who vanishes


def test_one_that_vanishes_in_mid_film_leaves_its_turn_to_the_next_and_nothing_in_its_file() -> None:
    orders = begun(A, B)
    assert made(orders, b"one") == []
    assert orders.turn(0.0) == "draw"
    late = orders.drawn()
    assert orders.gone(A)
    orders.end()
    assert orders.begin(OVER, 1.0) == order(B)
    assert not orders.taken(A, 1, 1.0), "it is none of ours any more"
    assert not orders.worked(late), "what is still done for it is passed over"
    assert orders.drawings == 0
    assert orders.turn(1.0) == "draw", "and does not hold up the next one"
    assert not orders.worked(late)
    assert orders.worked(orders.drawn())
    orders.cut(b"mine")
    orders.finished()
    assert list(orders.leaving(1.0)) == [Piece(1, b"mine", True)]


def test_one_that_vanishes_while_it_waits_is_not_made() -> None:
    orders = begun(A, B, C)
    assert not orders.gone(B)
    assert not orders.gone(b"nobody")
    orders.end()
    assert orders.begin(OVER, 1.0) == order(C)


@given(st.data())
def test_whatever_happens_a_file_comes_whole_once_and_little_of_it_is_on_its_way(data: st.DataObject) -> None:
    works = data.draw(st.lists(st.integers(0, 3 * PIECE), max_size=6).map(lambda sizes: [*sizes, 1]))
    orders, now, taken = begun(A, B), 0.0, 0
    sent: list[Piece] = []
    left = [bytes([n + 1]) * size for n, size in enumerate(works)]
    while True:
        now += 1.0
        sent += orders.leaving(now)
        assert len(sent) - taken <= MOST_ON_THE_WAY
        deed = orders.turn(now)
        if deed == "end":
            break
        if deed == "wait":
            assert len(sent) - taken == MOST_ON_THE_WAY
            taken = data.draw(st.integers(taken + 1, len(sent)))
            assert orders.taken(A, taken, now)
        elif left:
            assert deed == "draw"
            assert orders.worked(orders.drawn())
            orders.cut(left.pop(0))
        else:
            orders.finished()
    assert [piece.number for piece in sent] == list(range(1, len(sent) + 1))
    assert [piece.last for piece in sent] == [False] * (len(sent) - 1) + [True]
    assert all(len(piece.raw) <= PIECE for piece in sent)
    assert b"".join(piece.raw for piece in sent) == b"".join(bytes([n + 1]) * size for n, size in enumerate(works))
