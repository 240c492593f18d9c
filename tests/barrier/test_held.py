"""Entries that wait until the wall gets to them, and what a seat can draw meanwhile."""

from __future__ import annotations

from renderers.feed import Arrived, Started
from renderers.wall.held import Held
from renderers.wall.messages import Reach
from tests.renderers.runs import blobs, coarse_of, piece_of, plain, spec_of

SPEC = spec_of(plain((8, 8, 8)), (8, 8, 8))
LABELS = blobs((8, 8, 8))


def held(entries: int) -> Held:
    one = Held()
    one.hold(Started(SPEC, "e"), 0.0)
    for number in range(entries):
        assert one.hold(Arrived(number, "merges", 1), float(number)) == []
    return one


def test_entries_are_carried_out_up_to_the_position_and_no_further() -> None:
    one = held(4)
    assert one.reach() == (Reach("e", 0, 4),)
    assert [due.came for due in one.upto("e", 3)] == [0.0, 1.0, 2.0]
    assert (one.reach(), one.waiting) == ((Reach("e", 3, 4),), 1)
    assert one.upto("another", 4) == []


def test_labels_that_have_left_the_log_are_missing_until_they_come_by_another_way() -> None:
    one = held(2)
    gone = Arrived(2, "evicted", 1)
    # In the order of the log, also what waited before it; and nothing can be drawn.
    assert [due.event for due in one.hold(gone, 2.0)] == [Arrived(0, "merges", 1), Arrived(1, "merges", 1), gone]
    assert (one.reach(), one.waiting) == ((), 0)
    coarse = Arrived(2, "chunk", 1, coarse_of(SPEC.grid, 0, LABELS), fetched=True)
    assert len(one.hold(coarse, 3.0)) == 1
    assert one.reach() == ()  # a coarse one stands in for people, not for a frame lock
    whole = Arrived(2, "chunk", 1, piece_of(SPEC.grid, 0, LABELS, 2), fetched=True, stored=True)
    assert len(one.hold(whole, 4.0)) == 1
    assert one.reach() == (Reach("e", 3, 3),)
