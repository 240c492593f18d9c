"""What viewers are told of each other: no more than they can take, and the newest."""

from __future__ import annotations

from renderers.audience import Audience
from renderers.present import GIVEN_UP_S, MOST_AT_ONCE, MOST_POINTERS, PEOPLE_S, POINTERS_S, Present, view_of
from streamer.wire.presence import At, Drawn, Named
from streamer.wire.view import LEAD, Camera, Closed, Input, Opened, Up

A, B, C = b"a", b"b", b"c"


class House:
    """An audience, and what its viewers are told."""

    def __init__(self, *peers: bytes, view: str = "all") -> None:
        self.audience = Audience()
        self.present = Present(self.audience)
        for peer in peers:
            self.say(peer, Opened(view, LEAD), 0.0)
            self.say(peer, Input(1, 640, 360, False, Camera(float(peer[0]), 0.5, 4.0, (0.0, 0.0, 0.0))), 0.0)
        self.present.due(0.0)

    def say(self, peer: bytes, said: Up, now: float) -> None:
        if self.present.takes(peer, said, now):
            self.audience.hear(peer, said, now)

    def pointers(self, now: float) -> dict[bytes, object]:
        return {peer: note["pointers"] for peer, note in self.present.due(now) if "pointers" in note}

    def people(self, now: float) -> dict[bytes, object]:
        return {peer: note["people"] for peer, note in self.present.due(now) if "people" in note}


def test_a_pointer_goes_to_those_who_see_the_same_and_not_back() -> None:
    house = House(A, B)
    house.say(C, Opened(), 0.0)
    house.say(A, At((0.25, -0.5)), 1.0)
    assert house.pointers(1.0) == {B: [[1, 0.25, -0.5]]}
    assert house.pointers(2.0) == {}, "it is told once"


def test_a_viewer_that_has_not_drawn_the_last_pointers_gets_no_more_and_then_the_newest() -> None:
    house = House(A, B, C)
    for n in range(100):
        now = 1 + n * POINTERS_S
        house.say(A, At((n / 100, 0.0)), now)
        told = house.pointers(now)
        assert set(told) <= ({B, C} if n == 0 else {B}), "C is slow"
        if B in told:
            house.say(B, Drawn(), now)
    house.say(C, Drawn(), 5.9)
    assert house.pointers(5.99)[C] == [[1, 0.99, 0.0]], "what lies between is left out"
    house.say(A, At(None), 6.2)
    house.pointers(6.2)
    assert house.present.deadline(6.3) == 5.99 + GIVEN_UP_S
    assert house.pointers(5.99 + GIVEN_UP_S) == {C: []}, "one that never says so is not given up for ever"


def test_pointers_are_not_told_more_often_than_twenty_times_a_second() -> None:
    house = House(A, B)
    sent = 0
    for n in range(1000):
        now = 1 + n / 1000
        house.say(A, At((n / 1000, 0.0)), now)
        house.say(B, Drawn(), now)
        sent += len(house.pointers(now))
    assert sent == 20
    assert house.present.deadline(2.0) <= 2.0 + POINTERS_S


def test_of_many_pointers_the_newest_are_shown() -> None:
    peers = [bytes([n]) for n in range(1, 31)]
    house = House(*peers)
    for peer in peers:
        house.say(peer, At((0.0, 0.0)), 1.0)
    seen = house.pointers(2.0)[peers[0]]
    assert isinstance(seen, list)
    assert [one[0] for one in seen] == list(range(31 - MOST_POINTERS, 31))


def test_a_pointer_goes_with_who_pointed() -> None:
    house = House(A, B)
    house.say(A, At((0.1, 0.1)), 1.0)
    house.pointers(1.0)
    house.say(B, Drawn(), 1.0)
    house.say(A, Closed(), 1.5)
    assert house.pointers(2.0) == {B: []}


def test_people_are_told_when_they_change_and_not_too_often() -> None:
    house = House(A, B)
    assert house.people(1.0) == {}
    assert house.present.deadline(1.0) > 1e6
    house.say(A, Named("Ada"), 1.0)
    assert set(house.people(1.0)) == {A, B}
    house.say(A, Named("Bob"), 1.0)
    assert house.people(1.0) == {}
    assert house.present.deadline(1.0) == 1.0 + PEOPLE_S
    assert set(house.people(1.0 + PEOPLE_S)) == {A, B}


def test_names_that_come_too_fast_are_not_listened_to() -> None:
    house = House(A)
    for n in range(100):
        house.say(A, Named(f"n{n}"), 1.0)
    assert house.audience.viewers[A].name == f"n{int(MOST_AT_ONCE) - 1}"
    house.say(A, Named("later"), 2.0)
    assert house.audience.viewers[A].name == "later"


def test_a_note_that_was_lost_is_said_again() -> None:
    house = House(A, B)
    house.say(A, At((0.1, 0.1)), 1.0)
    house.pointers(1.0)
    house.present.unsaid(B)
    notes = [note for peer, note in house.present.due(2.0) if peer == B]
    assert [set(note) for note in notes] == [{"people"}, {"pointers"}]


def test_what_another_one_sees_is_told_to_those_who_know_of_him() -> None:
    house = House(A, B, view="")
    house.say(C, Opened("all", LEAD), 0.0)
    seen = view_of(house.audience, A, 2)
    assert seen is not None
    assert seen["seen"] == 2
    camera = seen["camera"]
    assert isinstance(camera, dict)
    assert camera["azimuth"] == float(B[0])
    assert view_of(house.audience, A, 3) is None, "a view of a name may be private"
    assert view_of(house.audience, A, 9) is None
