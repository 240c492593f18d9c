"""A seat's token is taken from whom it was given to, for that run and view, while it is good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.view_seats import NoSeat, Seat, Seats

SEAT = Seat("rivers-1", "all", "lab/ada", bytes(range(16)), 1000.0)
SEATS = Seats(b"one secret")


def test_the_token_of_a_seat_says_whose_it_is() -> None:
    assert SEATS.read(SEATS.token(SEAT), "rivers-1", "all", "lab/ada", 999.0) == SEAT


@pytest.mark.parametrize(
    ("run", "view", "who", "now", "words"),
    [
        ("rivers-2", "all", "lab/ada", 1.0, "of run rivers-1"),
        ("rivers-1", "", "lab/ada", 1.0, "another view"),
        ("rivers-1", "all", "lab/bob", 1.0, "somebody else"),
        ("rivers-1", "all", "lab/ada", 1000.0, "expired"),
    ],
)
def test_it_is_refused_elsewhere_later_and_from_others(run: str, view: str, who: str, now: float, words: str) -> None:
    with pytest.raises(NoSeat, match=words) as why:
        SEATS.read(SEATS.token(SEAT), run, view, who, now)
    assert "open the view anew" in str(why.value)


def test_another_server_does_not_take_it() -> None:
    with pytest.raises(NoSeat, match="none of this server's"):
        Seats(b"another secret").read(SEATS.token(SEAT), *SEAT[:3], 1.0)


@given(st.text(max_size=40) | st.text("abcdef-_.0123456789", max_size=200))
def test_what_is_no_token_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NoSeat, match="none of this server's"):
        SEATS.read(text, *SEAT[:3], 1.0)


@given(st.integers(0, 10_000), st.characters())
def test_no_letter_of_it_can_be_another(place: int, letter: str) -> None:
    token = SEATS.token(SEAT)
    place %= len(token)
    other = token[:place] + letter + token[place + 1 :]
    if other != token:
        with pytest.raises(NoSeat):
            SEATS.read(other, *SEAT[:3], 1.0)


@given(st.text(max_size=64), st.text(max_size=21), st.binary(min_size=16, max_size=16))
def test_its_letters_may_stand_in_a_header(run: str, view: str, viewer: bytes) -> None:
    seat = Seat(run, view, "", viewer, 5.0)
    token = SEATS.token(seat)
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert SEATS.read(token, run, view, "", 1.0) == seat
