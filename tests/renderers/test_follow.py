"""Following the log: one cursor, credit, and a question on silence."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from renderers.follow import ANEW_S, ASK_S, SLOWEST_S, WINDOW_BYTES, WINDOW_MESSAGES, Anew, Begin, Follower, Take, Tell
from streamer.wire.grid import Grid
from streamer.wire.header import Refused, decode, encode
from streamer.wire.messages import Commit, Credit, Entry, Pulse, Refuse, Welcome
from tests.renderers.runs import blobs, pairs, payloads_of, unpacked


def welcomed(next_: int = 0, head: int = 100) -> Follower:
    follower = Follower("r", 0.0)
    follower.hello(0.0)
    follower.receive(Welcome(1, "e", head, 1000), [b"spec"], 0.0)
    follower.next = next_
    return follower


def test_the_first_welcome_begins_a_scene_and_gives_credit() -> None:
    follower = Follower("r", 0.0)
    hello = follower.hello(0.0)
    assert (hello.role, hello.epoch, hello.next, hello.parts) == ("renderer", "", 0, ("labels", "seam", "ids", "field"))
    begin, credit = follower.receive(Welcome(1, "e", 3, 90 << 20), [b"spec"], 0.1)
    assert begin == Begin(b"spec")
    assert isinstance(credit, Credit)
    assert credit.bytes >= 90 << 20
    assert credit.messages == WINDOW_MESSAGES


def test_a_welcome_to_the_same_log_goes_on_and_to_another_one_begins_again() -> None:
    follower = welcomed(next_=7)
    assert follower.hello(1.0).next == 7
    steps = follower.receive(Welcome(1, "e", 9, 1000), [b"spec"], 1.0)
    assert [type(step) for step in steps] == [Credit]
    follower.hello(2.0)
    steps = follower.receive(Welcome(1, "f", 9, 1000), [b"other"], 2.0)
    assert steps[0] == Begin(b"other")
    assert follower.next == 0


def test_entries_are_taken_in_order_once_and_a_gap_is_asked_for() -> None:
    follower = welcomed()
    assert follower.receive(Entry(0, -1, "chunk"), [b"ab"], 0.0) == [Take(Entry(0, -1, "chunk"), [b"ab"], 2)]
    assert not any(isinstance(s, Take) for s in follower.receive(Entry(0, -1, "chunk"), [b"ab"], 0.0))
    # The streamer may leave entries out on purpose: `prev` says so.
    assert isinstance(follower.receive(Entry(5, 0, "chunk"), [b""], 0.0)[0], Take)
    assert follower.next == 6
    assert follower.receive(Entry(9, 8, "chunk"), [b""], 0.0) == [Anew()]
    assert follower.hello(0.0).next == 6


def test_credit_is_what_was_used_up_and_a_window_more() -> None:
    follower = welcomed()
    for number in range(WINDOW_MESSAGES):
        follower.receive(Entry(number, number - 1, "chunk"), [bytes(10)], 0.0)
    told = [step for _ in range(WINDOW_MESSAGES) for step in follower.used(10)]
    assert told
    last = told[-1]
    assert isinstance(last, Credit)
    assert last.messages <= 2 * WINDOW_MESSAGES
    assert len(told) < WINDOW_MESSAGES


def test_a_single_entry_that_fills_the_window_gives_its_credit_back() -> None:
    follower = welcomed()
    follower.receive(Entry(0, -1, "chunk"), [bytes(WINDOW_BYTES)], 0.0)
    (credit,) = follower.used(WINDOW_BYTES)
    assert isinstance(credit, Credit)
    assert credit.bytes == 2 * WINDOW_BYTES


def test_silence_is_asked_about_and_then_the_conversation_starts_anew_ever_more_slowly() -> None:
    follower = welcomed()
    assert follower.deadline() == ASK_S
    assert follower.tick(ASK_S) == [Pulse(0)]
    said, anew = follower.tick(ANEW_S)
    assert isinstance(said, Tell)
    assert "not been heard" in said.sentence
    assert anew == Anew()
    now, waits = ANEW_S, []
    for _ in range(6):
        follower.hello(now)
        begun = now
        while not any(isinstance(step, Anew) for step in follower.tick(now)):
            now = max(now + 0.01, follower.deadline())
        waits.append(now - begun)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(SLOWEST_S, abs=0.1)
    follower.hello(now)
    assert Tell("") in follower.receive(Welcome(1, "e", 9, 1000), [b"spec"], now)


def test_a_streamer_that_answers_but_does_not_send_what_it_owes_is_called_again() -> None:
    follower = welcomed(head=5)
    now = 0.0
    while now < ANEW_S:
        follower.receive(Pulse(5), [], now)
        assert Anew() not in follower.tick(now)
        now += 1.0
    assert follower.tick(now) == [Anew()]


def test_a_window_that_is_too_small_grows() -> None:
    follower = welcomed()
    said, credit = follower.receive(Refuse("entry 3 takes more"), [], 0.0)
    assert isinstance(said, Tell)
    assert isinstance(credit, Credit)
    assert credit.bytes >= 64 << 20


def test_damaged_bytes_are_asked_for_again_three_times_and_then_slowly() -> None:
    follower = welcomed()
    for i in range(4):
        follower.receive(Entry(0, -1, "chunk"), [b"bad"], 0.0)
        steps = follower.damaged(Take(Entry(0, -1, "chunk"), [b"bad"], 3), "CRC", 0.0)
        assert (Anew() in steps) == (i < 2)
        assert follower.next == 0
        follower.hello(0.0)
        follower.receive(Welcome(1, "e", 9, 1000), [b"spec"], 0.0)


def test_a_streamer_that_gives_signs_of_life_is_asked_again_also_after_damage() -> None:
    follower = welcomed()
    for _ in range(3):
        follower.hello(0.0)
        follower.receive(Welcome(1, "e", 9, 1000), [b"spec"], 0.0)
        follower.receive(Entry(0, -1, "chunk"), [b"bad"], 0.0)
        steps = follower.damaged(Take(Entry(0, -1, "chunk"), [b"bad"], 3), "CRC", 0.0)
    assert Anew() not in steps
    now = 0.0
    while Anew() not in (steps := follower.tick(now)):
        assert Tell("") not in follower.receive(Pulse(9), [], now), "all is not well"
        now = min(now + 2.0, follower.deadline())
        assert now < SLOWEST_S + 1
    assert now > ANEW_S
    follower.hello(now)
    assert Anew() not in follower.tick(now + 1.0)


def test_what_waits_here_is_one_window_however_often_the_conversation_begins_anew() -> None:
    follower, waiting = welcomed(), 0
    for _ in range(5):
        follower.hello(0.0)
        (credit,) = follower.receive(Welcome(1, "e", 1000, 1000), [b"spec"], 0.0)
        assert isinstance(credit, Credit)
        for _ in range(credit.messages):
            assert isinstance(follower.receive(Entry(follower.next, follower.next - 1, "chunk"), [b"x"], 0.0)[0], Take)
            waiting += 1
        assert waiting == WINDOW_MESSAGES
    told = [step for _ in range(waiting) for step in follower.used(1)]
    assert isinstance(told[-1], Credit)
    assert WINDOW_MESSAGES // 2 < told[-1].messages <= WINDOW_MESSAGES


def test_a_chunk_is_unpacked_as_it_was_packed_and_damage_is_refused() -> None:
    grid = Grid((6, 5, 7), (3, 5, 4), (False, False, True))
    labels = blobs(grid.shape)
    payloads = payloads_of(grid, 1, labels)
    arrived = unpacked(grid, Take(Entry(3, 2, "chunk"), payloads, 1))
    assert arrived.piece is not None
    assert arrived.piece.chunk == 1
    z, y, x = grid.core(1).shape
    core = labels[grid.core(1).slices]
    assert ((arrived.piece.block[:z, :y, :x] > 0) == (core > 0)).all()
    assert arrived.piece.voxels.sum() == core.size
    for part in range(1, 4):
        if payloads[part]:
            bad = [bytearray(raw) for raw in payloads]
            bad[part][-1] ^= 1
            with pytest.raises(Refused):
                unpacked(grid, Take(Entry(3, 2, "chunk"), bad, 1))
    commit, _ = decode([payloads[0]])
    assert isinstance(commit, Commit)
    for lie in ({"constant": 1 << 40}, {"components": 1 << 60}, {"own": commit.components + 1}):
        with pytest.raises(Refused, match="chunk 1: "):
            unpacked(grid, Take(Entry(3, 2, "chunk"), [encode(replace(commit, **lie)), *payloads[1:]], 1))
    with pytest.raises(Refused):
        unpacked(grid, Take(Entry(3, 2, "merges"), [b"123"], 3))
    merged = unpacked(grid, Take(Entry(3, 2, "merges"), [pairs((1, 2), (3, 4)).tobytes()], 32))
    assert merged.pairs is not None
    assert merged.pairs.tolist() == [[1, 2], [3, 4]]
    assert unpacked(grid, Take(Entry(3, 2, "failed"), [np.array([2, 99], "<u4").tobytes()], 8)).chunks == (2,)
    assert unpacked(grid, Take(Entry(3, 2, "failed"), [np.array([2], "<u4").tobytes(), b"why"], 7)).chunks == (2,)
    assert unpacked(grid, Take(Entry(3, 2, "end"), [b"complete"], 8)).state == "complete"
