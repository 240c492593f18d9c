"""The archive's side of the feed: pure, so that silence and loss need no waiting."""

from __future__ import annotations

import pytest

from streamer.archive.follow import MESSAGES, SMALLEST_WINDOW, Follower, Lost, Patience
from streamer.wire.block import PARTS
from streamer.wire.header import VERSION
from streamer.wire.messages import Credit, Entry, Hello, Pulse, Refuse, Welcome

PATIENCE = Patience(pulse_s=2, hello_s=5, give_up_s=20, tell_s=0.5)


def follower() -> Follower:
    found = Follower("archive", PATIENCE, 0.0)
    assert found.hello(0.0) == [Hello(VERSION, "archive", "archive", "", 0, PARTS)]
    assert found.welcome(Welcome(VERSION, "e", 5, 100), 0.0)
    found.credit(0.0)
    return found


def read(found: Follower, number: int, size: int = 10, now: float = 0.1) -> list[object]:
    assert found.take(Entry(number, number - 1, "chunk"), size, now)
    return list(found.read(now))


def test_credit_is_given_again_when_a_quarter_of_the_window_is_used_up() -> None:
    found = follower()
    assert read(found, 0, SMALLEST_WINDOW // 5) == []
    used = 2 * (SMALLEST_WINDOW // 5)
    assert read(found, 1, SMALLEST_WINDOW // 5) == [Credit(used + SMALLEST_WINDOW, 2 + MESSAGES, 2)]


def test_how_far_it_has_read_is_told_also_when_nothing_more_comes() -> None:
    found = follower()
    assert read(found, 0) == []
    assert found.tick(0.4) == []
    assert found.tick(0.6) == [Credit(10 + SMALLEST_WINDOW, 1 + MESSAGES, 1)]
    assert found.tick(0.7) == []


def test_the_window_holds_the_largest_record() -> None:
    found = Follower("archive", PATIENCE, 0.0)
    found.welcome(Welcome(VERSION, "e", 5, SMALLEST_WINDOW), 0.0)
    assert found.credit(0.0) == [Credit(2 * SMALLEST_WINDOW, MESSAGES, 0)]
    (grown,) = found.refused(Refuse("the window is too small: give more credit"), 0.0)
    assert isinstance(grown, Credit)
    assert grown.bytes == 4 * SMALLEST_WINDOW


def test_silence_is_answered_by_a_pulse_then_a_hello_then_a_sentence() -> None:
    found = follower()
    read(found, 0, now=1.0)
    said = {now: found.tick(float(now)) for now in range(1, 21)}
    kinds = {now: type(messages[0]) for now, messages in said.items() if messages}
    assert kinds == {3: Pulse, 5: Pulse} | dict.fromkeys(range(7, 20, 2), Hello)
    assert said[7] == [Hello(VERSION, "archive", "archive", "e", 1, PARTS)]
    with pytest.raises(Lost, match="nothing was heard from the streamer for 20 s"):
        found.tick(21.0)


def test_what_was_read_already_is_passed_over_and_what_is_missing_is_noticed() -> None:
    found = follower()
    read(found, 0)
    again, missing = Entry(0, -1, "chunk"), Entry(2, 1, "chunk")
    assert not found.take(again, 10, 0.1)
    assert not found.gap(again)
    assert not found.take(missing, 10, 0.1)
    assert found.gap(missing)
    assert found.hello(0.2)[0] == Hello(VERSION, "archive", "archive", "e", 1, PARTS)
    assert not found.take(Entry(1, 0, "chunk"), 10, 0.2), "what is still on its way is not of the new subscription"
    assert not found.welcome(Welcome(VERSION, "e", 5, 100), 0.3)
    assert found.credit(0.3) == [Credit(SMALLEST_WINDOW, MESSAGES, 1)]
    assert read(found, 1, now=0.4) == []


def test_another_log_is_read_from_its_beginning() -> None:
    found = follower()
    read(found, 0)
    assert found.welcome(Welcome(VERSION, "f", 0, 0), 1.0)
    assert (found.epoch, found.next) == ("f", 0)


def test_an_entry_that_arrives_damaged_is_asked_for_again_but_not_for_ever() -> None:
    found = follower()
    for _ in range(2):
        assert found.take(Entry(0, -1, "chunk"), 10, 0.1)
        assert found.damaged("CRC-32C differs", 0.1)[0] == Hello(VERSION, "archive", "archive", "e", 0, PARTS)
        found.welcome(Welcome(VERSION, "e", 5, 100), 0.1)
    assert found.take(Entry(0, -1, "chunk"), 10, 0.1)
    with pytest.raises(Lost, match="entry 0 of the log arrived damaged three times: CRC-32C differs"):
        found.damaged("CRC-32C differs", 0.1)


def test_a_streamer_that_does_not_let_it_in_is_believed() -> None:
    found = Follower("archive", PATIENCE, 0.0)
    found.hello(0.0)
    with pytest.raises(Lost, match="refuses the archive: 256 subscribers are served already"):
        found.refused(Refuse("256 subscribers are served already"), 0.0)
