"""Who may sit where at a wall's conductor."""

from __future__ import annotations

import pytest

from renderers.wall.messages import Join
from renderers.wall.register import Gone, NoPlace, Register

SEATS = {"a": ("a",), "b": ("b",), "c": ("c",), "west": ("a", "b"), "east": ("c",)}


def join(seat: str, wall: str = "d", tiles: tuple[str, ...] | None = None) -> Join:
    return Join(1, seat, SEATS.get(seat, ()) if tiles is None else tiles, wall)


def test_a_seat_has_one_process_and_a_process_one_seat() -> None:
    register = Register("w", "d", SEATS)
    assert register.admit(b"1", join("a")) == []
    assert (register.seat(b"1"), register.peer("a")) == ("a", b"1")
    assert register.admit(b"1", join("a")) == []  # once more, after a pause
    assert register.admit(b"2", join("a")) == [Gone("a", b"1")]
    assert register.seat(b"1") is None
    # It is not told that it has come for its own place.
    assert register.admit(b"2", join("c")) == [Gone("a", b"")]
    assert (register.seat(b"2"), register.peer("a"), register.peer("c")) == ("c", None, b"2")
    register.leave(b"2")
    register.leave(b"2")
    assert register.peer("c") is None


def test_a_node_and_its_tiles_do_not_sit_at_once() -> None:
    register = Register("w", "d", SEATS)
    register.admit(b"1", join("a"))
    register.admit(b"2", join("b"))
    register.admit(b"3", join("c"))
    assert register.admit(b"4", join("west")) == [Gone("a", b"1"), Gone("b", b"2")]
    assert register.peer("c") == b"3"
    assert register.admit(b"5", join("b")) == [Gone("west", b"4")]
    assert register.seat(b"4") is None


@pytest.mark.parametrize(("said", "words"), [
    (join("nowhere"), "no tile or node 'nowhere'"),
    (join("west", tiles=("a", "c")), "no tile or node 'west' with these tiles"),
    (join("a", wall="other"), "another description of wall w"),
])  # fmt: skip
def test_who_does_not_belong_to_the_wall_is_told_why_and_changes_nothing(said: Join, words: str) -> None:
    register = Register("w", "d", SEATS)
    register.admit(b"1", join("a"))
    with pytest.raises(NoPlace, match=words):
        register.admit(b"1" if said.wall == "other" else b"2", said)
    assert register.seat(b"1") == "a"


def test_a_node_with_too_many_tiles_for_a_header_need_not_list_them() -> None:
    register = Register("w", "d", SEATS)
    assert register.admit(b"1", join("west", tiles=())) == []
