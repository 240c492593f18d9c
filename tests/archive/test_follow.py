"""The archive's side of the feed: pure, so that silence and loss need no waiting."""

from __future__ import annotations

import pytest

from streamer.archive.follow import TELL_S, WINDOW_BYTES, WINDOW_MESSAGES, Follower, Lost
from streamer.wire.batch import BATCH_BYTES, Sent, pack_entries
from streamer.wire.block import PARTS
from streamer.wire.follow import LARGEST_WINDOW, Anew, Begin, Step, Take, Tell
from streamer.wire.header import VERSION
from streamer.wire.messages import Credit, Entry, Hello, Known, Pulse, Refuse, Welcome
from streamer.wire.volume import decode_spec, encode_spec
from tests.archive.parts import spec_of
from tests.workers.reference import plain_volume

SPEC = encode_spec(spec_of(plain_volume((4, 4, 4)), (2, 2, 2)))
LIGHT = ("seam", "ids")


def hello(epoch: str = "", number: int = 0, parts: tuple[str, ...] = PARTS) -> Hello:
    return Hello(VERSION, "archive", "archive", epoch, number, parts, batch=BATCH_BYTES)


def follower(head: int = 9) -> Follower:
    found = Follower("archive", 20.0, 0.0)
    assert found.hello(0.0) == hello()
    begin, credit = found.receive(Welcome(VERSION, "e", head, 100), [SPEC], 0.0)
    assert isinstance(begin, Begin)
    assert decode_spec(bytes(begin.spec)).run_id == "run-1"
    assert credit == Credit(WINDOW_BYTES, WINDOW_MESSAGES, 0)
    return found


def came(found: Follower, *numbers: int, size: int = 10, now: float = 0.1) -> list[Step]:
    """Entries that come in one message."""
    batch = [Sent(Entry(number, number - 1, "chunk"), [bytes(size)], size) for number in numbers]
    message: tuple[Known, list[bytes]] = pack_entries(batch)
    return found.receive(*message, now)


def used(found: Follower, steps: list[Step]) -> list[Step]:
    """Deals with the entries; what is to be done besides."""
    more = [found.used(step.nbytes) for step in steps if isinstance(step, Take)]
    return [step for step in steps if not isinstance(step, Take)] + [step for each in more for step in each]


def test_small_entries_come_together_and_each_is_taken_once() -> None:
    found = follower()
    first = came(found, 0, 1, 2)
    assert [step.entry.number for step in first if isinstance(step, Take)] == [0, 1, 2]
    used(found, first)
    again = came(found, 1, 2, 3)
    assert [step.entry.number for step in again if isinstance(step, Take)] == [3]


def test_other_parts_are_asked_for_from_the_entry_that_needs_them() -> None:
    found = follower()
    first, *later = came(found, 0, 1, 2)
    assert isinstance(first, Take)
    found.used(first.nbytes)
    assert found.ask(PARTS, 0.1) == []
    found.back(1, later)
    assert found.ask(LIGHT, 0.1) == [hello("e", 1, LIGHT)]
    assert came(found, 1, 2) == [], "what is still on its way is not of the new subscription"
    (credit,) = found.receive(Welcome(VERSION, "e", 9, 100), [SPEC], 0.2)
    assert credit == Credit(WINDOW_BYTES, WINDOW_MESSAGES, 1), "what was left out takes no room"
    assert [step.entry.number for step in came(found, 1, 2) if isinstance(step, Take)] == [1, 2]


def test_how_far_it_has_read_is_told_also_when_nothing_more_comes() -> None:
    found = follower(head=1000)
    assert used(found, came(found, 0)) == []
    assert found.deadline() == TELL_S
    assert found.tick(0.4) == []
    assert found.tick(0.6) == [Credit(10 + WINDOW_BYTES, 1 + WINDOW_MESSAGES, 1)]
    assert found.tick(0.7) == []


def test_silence_is_answered_by_a_question_then_a_new_beginning_and_at_last_a_sentence() -> None:
    found = follower()
    used(found, came(found, 0, now=1.0))
    kinds: dict[type[Step], float] = {}
    now = 1.0
    while now < 20.75:
        now += 0.25
        for step in found.tick(now):
            kinds.setdefault(type(step), now)
            if isinstance(step, Anew):
                assert found.hello(now) == hello("e", 1)
    assert kinds[Pulse] < kinds[Anew] == kinds[Tell] <= 8
    with pytest.raises(Lost, match="nothing was heard from the streamer for 20 s"):
        found.tick(21.0)


def test_who_could_not_listen_does_not_take_that_for_silence() -> None:
    found = follower()
    found.busy(100.0)
    assert found.tick(100.1) == []
    with pytest.raises(Lost):
        found.tick(120.0)


def test_another_log_is_read_from_its_beginning() -> None:
    found = follower()
    used(found, came(found, 0, 1))
    found.hello(1.0)
    begin, *_ = found.receive(Welcome(VERSION, "f", 0, 0), [SPEC], 1.0)
    assert isinstance(begin, Begin)
    assert (found.epoch, found.next) == ("f", 0)


def test_an_entry_that_arrives_damaged_is_asked_for_again_but_not_for_ever() -> None:
    found = follower()
    for _ in range(2):
        take, *later = came(found, 0, 1)
        assert isinstance(take, Take)
        found.back(0, later)
        assert [type(step) for step in found.damaged(take, "CRC-32C differs", 0.1)] == [Tell, Anew]
        assert found.hello(0.1) == hello("e", 0)
        found.receive(Welcome(VERSION, "e", 5, 100), [SPEC], 0.1)
    take, *_ = came(found, 0)
    assert isinstance(take, Take)
    with pytest.raises(Lost, match="entry 0 of the log arrived damaged three times: CRC-32C differs"):
        found.damaged(take, "CRC-32C differs", 0.1)


def test_a_streamer_that_does_not_let_it_in_is_believed() -> None:
    found = Follower("archive", 20.0, 0.0)
    found.hello(0.0)
    with pytest.raises(Lost, match="refuses the archive: 256 subscribers are served already"):
        found.receive(Refuse("256 subscribers are served already"), [], 0.0)


def test_a_window_grows_until_it_cannot() -> None:
    found = follower()
    no, windows = Refuse("the window is too small: give more credit"), [WINDOW_BYTES]
    while windows[-1] < LARGEST_WINDOW:
        windows += [step.bytes for step in found.receive(no, [], 0.0) if isinstance(step, Credit)]
    assert windows[:2] == [WINDOW_BYTES, 2 * WINDOW_BYTES]
    with pytest.raises(Lost, match="give more credit"):
        found.receive(no, [], 0.0)
