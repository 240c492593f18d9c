"""When a worker hears of its chunk under each policy: decided by facts and the time alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.durable import GROUP_S, MOST_HELD, Durable, Policy, Waiting
from streamer.hub import Hub, Send
from streamer.wire.messages import Ack, Again, Ask, Drain
from tests.streamer.runs import SETTINGS, MemoryLog, leases, made, of, spec_of, under, worker_hello

SPEC = spec_of()
MADE = made(SPEC)
W = b"w"


def hub_under(policy: Policy) -> tuple[Hub, MemoryLog]:
    log = MemoryLog()
    hub = Hub(SPEC, log, replace(SETTINGS, durability=policy), 0.0)
    hub.ingest(W, worker_hello(), [], 0.0)
    return hub, log


def acks(sends: list[Send]) -> list[int]:
    return [one.message.chunk for one in sends if isinstance(one.message, Ack)]


def test_written_needs_no_flush() -> None:
    hub, _ = hub_under("written")
    assert acks(hub.ingest(W, *under(MADE[0], 0), 0.0)) == [0]
    assert hub.flush(100.0) is None


def test_a_group_is_flushed_once_for_all_that_came_within_its_time() -> None:
    hub, log = hub_under("group")
    for chunk in range(3):
        assert acks(hub.ingest(W, *under(MADE[chunk], 0), chunk * GROUP_S / 4)) == []
    assert hub.flush(GROUP_S * 0.9) is None
    assert hub.deadline() == GROUP_S
    head = log.head
    assert hub.flush(GROUP_S) == head
    assert hub.flush(10.0) is None, "one at a time"
    assert acks(hub.ingest(W, *under(MADE[3], 0), 0.03)) == [], "it came too late for this flush"
    assert acks(hub.flushed(head, 0.04)) == [0, 1, 2]
    upto = hub.flush(0.05)
    assert upto == log.head
    assert acks(hub.flushed(upto, 0.06)) == [3]


def test_each_entry_has_a_flush_of_its_own() -> None:
    hub, log = hub_under("each")
    for chunk in (0, 1):
        assert acks(hub.ingest(W, *under(MADE[chunk], 0), 0.0)) == []
    told, flushes = [], 0
    while (upto := hub.flush(0.0)) is not None:
        flushes += 1
        told += acks(hub.flushed(upto, 0.0))
    assert (told, flushes) == ([0, 1], log.head)


def test_a_second_commit_of_a_chunk_is_acknowledged_only_once_the_first_is_kept() -> None:
    hub, log = hub_under("group")
    hub.ingest(W, *under(MADE[0], 0), 0.0)
    assert acks(hub.ingest(W, *under(MADE[0], 0), 0.01)) == []
    assert hub.flush(1.0) == log.head
    assert acks(hub.flushed(log.head, 1.0)) == [0, 0]
    assert acks(hub.ingest(W, *under(MADE[0], 0), 2.0)) == [0]


def test_nobody_is_sent_home_before_the_end_is_kept() -> None:
    hub, log = hub_under("group")
    sends = [one for piece in MADE for one in hub.ingest(W, *under(piece, 0), 0.0)]
    assert log.kinds()[-1] == "end"
    assert not of(Drain, sends)
    assert not of(Drain, hub.ingest(W, Ask(1), [], 0.0))
    hub.flush(1.0)
    sends = hub.flushed(log.head, 1.0)
    assert sorted(acks(sends)) == list(range(SPEC.grid.size))
    assert of(Drain, sends)


def test_a_flush_that_fails_pauses_the_run_with_a_sentence_until_one_succeeds() -> None:
    hub, log = hub_under("group")
    hub.ingest(W, *under(MADE[0], 0), 0.0)
    assert hub.flush(1.0) == log.head
    hub.unflushed("no room at all", 1.0)
    assert hub.status(1.0).note == "no room at all"
    assert not leases(hub.ingest(W, Ask(2), [], 1.0)), "no work is given out"
    head = log.head
    assert hub.ingest(W, *under(MADE[1], 0), 1.1) == []
    assert log.head == head, "nothing new is taken"
    assert hub.flush(1.4) is None
    assert hub.flush(1.5) == head
    sends = hub.flushed(head, 1.6)
    assert acks(sends) == [0]
    assert [one.message for one in of(Again, sends)] == [Again(1)]
    assert leases(sends)
    assert hub.status(2.0).note == ""


def test_a_worker_with_too_many_chunks_that_are_not_kept_gets_no_more_before_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.workers.MOST_UNKEPT", 3)
    hub, log = hub_under("group")
    got = leases(hub.ingest(W, Ask(1), [], 0.0))
    for _ in range(3):
        assert len(got) == 1
        got = leases(hub.ingest(W, *under(MADE[got[0][1].chunk], got[0][1].lease), 0.0))
    assert got == []
    assert hub.flush(1.0) == log.head
    sends = hub.flushed(log.head, 1.0)
    assert len(acks(sends)) == 3
    assert len(leases(sends)) == 1


def test_too_many_that_wait_for_a_flush_stop_the_giving_out_of_work() -> None:
    durable = Durable("group", 0)
    for number in range(MOST_HELD):
        assert not durable.pressed
        durable.hold(number, number, W)
        durable.wrote(number + 1, 0.0)
    assert durable.pressed
    assert durable.begin(1.0) == MOST_HELD
    assert durable.done(MOST_HELD, 1.0)[0] == Waiting(0, 0, W)
    assert not durable.pressed


@pytest.mark.parametrize("policy", ["written", "group", "each"])
def test_what_was_there_at_the_start_counts_as_kept(policy: Policy) -> None:
    durable = Durable(policy, 7)
    assert durable.kept(6)
    assert durable.all_kept
    assert durable.begin(1e9) is None
