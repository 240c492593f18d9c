"""What the hub decides, one rule at a time; ``test_hub_any_order`` holds them together."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import numpy as np
import pytest

from streamer.hub import Hub, Send
from streamer.measures import thinned
from streamer.record import BadLog
from streamer.relay import Relay
from streamer.wire.block import PARTS
from streamer.wire.header import VERSION, decode, encode
from streamer.wire.messages import (
    Ack,
    Again,
    Ask,
    AskIndex,
    AskStatus,
    AskTable,
    Beat,
    Command,
    Commit,
    Credit,
    Drain,
    Entry,
    Fail,
    Fetch,
    Goodbye,
    Hello,
    Lease,
    Message,
    PartInfo,
    Pulse,
    Refuse,
    Status,
    Table,
    Welcome,
)
from streamer.wire.status import COMMITTED, COURSE_POINTS, FAILED, LEASED, PENDING, Course, ObjectPage, RunStatus
from streamer.wire.volume import decode_spec
from tests.streamer.runs import (
    PLENTY,
    MemoryLog,
    hub_of,
    leases,
    made,
    of,
    spec_of,
    subscriber_hello,
    under,
    worker_hello,
)

SPEC = spec_of()
MADE = made(SPEC)
W, V, R, S = b"w", b"v", b"r", b"s"


def with_worker(log: MemoryLog | None = None, now: float = 0.0, **changes: float | bool) -> tuple[Hub, MemoryLog]:
    log = log or MemoryLog()
    hub = hub_of(SPEC, log, now, **changes)
    hub.ingest(W, worker_hello(), [], now)
    return hub, log


def send(hub: Hub, chunk: int, peer: bytes = W, lease: int = 0, now: float = 0.0) -> list[Send]:
    commit, payloads = under(MADE[chunk], lease)
    return hub.ingest(peer, commit, payloads, now)


def only(sends: list[Send]) -> Send:
    (one,) = sends
    return one


def refusal(sends: list[Send]) -> Refuse:
    message = only(of(Refuse, sends)).message
    assert isinstance(message, Refuse)
    return message


def status(hub: Hub, now: float = 0.0) -> tuple[RunStatus, bytes]:
    answer = only(hub.feed(b"c", AskStatus(5, True), [], now))
    assert answer.message == Status(5)
    return msgspec.msgpack.decode(answer.payloads[0], type=RunStatus), bytes(answer.payloads[1])


def finish(hub: Hub) -> list[Send]:
    return [one for chunk in range(SPEC.grid.size) for one in send(hub, chunk)]


def test_a_worker_is_welcomed_with_the_run_and_gets_what_it_asked_for_as_it_becomes_free() -> None:
    hub = hub_of(SPEC, MemoryLog())
    welcome = only(hub.ingest(W, worker_hello(), [], 0))
    assert isinstance(welcome.message, Welcome)
    assert decode_spec(bytes(welcome.payloads[0])) == SPEC
    first = leases(hub.ingest(W, Ask(2), [], 0))
    assert [lease.chunk for _, lease in first] == [0, 1]
    sends = send(hub, 0, lease=first[0][1].lease)
    assert [one.message for one in of(Ack, sends)] == [Ack(0, 0)]
    assert [lease.chunk for _, lease in leases(sends)] == [2], "no worker polls"


def test_leases_go_round_among_the_workers() -> None:
    hub, _ = with_worker(hold=True)
    hub.ingest(V, worker_hello("v"), [], 0)
    hub.ingest(W, Ask(2), [], 0)
    assert hub.ingest(V, Ask(2), [], 0) == []
    assert status(hub)[0].state == "waiting"
    assert [peer for peer, _ in leases(hub.feed(b"c", Command("start"), [], 5))] == [W, V, W, V]
    assert status(hub, 6)[0].state == "running"
    assert status(hub, 6)[0].seconds == 1.0


def test_a_chunk_is_in_the_log_before_it_is_acknowledged_with_what_follows_from_it() -> None:
    hub, log = with_worker()
    for chunk in range(SPEC.grid.size):
        acks = of(Ack, send(hub, chunk))
        (ack,) = (one.message for one in acks)
        assert isinstance(ack, Ack)
        kind, payloads = log.read(ack.number)
        assert kind == "chunk"
        commit, _ = decode([bytes(payloads[0])])
        assert isinstance(commit, Commit)
        assert commit.chunk == chunk
        assert [bytes(raw) for raw in payloads[1:]] == MADE[chunk][1]
    assert "merges" in log.kinds()
    assert "verdicts" in log.kinds()
    assert log.entries[-1] == ("end", [b"complete"])


def test_the_same_chunk_twice_is_acknowledged_with_its_number_and_not_appended() -> None:
    hub, log = with_worker()
    send(hub, 0)
    head = log.head
    assert only(of(Ack, send(hub, 0, peer=V))).message == Ack(0, 0)
    assert (log.head, hub.conflicts) == (head, 0)
    other = made(SPEC, seed=2)[0]
    assert only(of(Ack, hub.ingest(V, *under(other, 0), 0))).message == Ack(0, 0)
    assert (log.head, hub.conflicts) == (head, 1), "the first wins"


def test_work_is_taken_from_a_worker_whose_lease_lapsed_while_the_chunk_is_open() -> None:
    hub, log = with_worker()
    (_, lease), *_ = leases(hub.ingest(W, Ask(1), [], 0))
    hub.ingest(V, worker_hello("v"), [], 0)
    hub.ingest(V, Ask(1), [], 0)
    hub.ingest(V, Beat((2,)), [], 9)
    assert leases(hub.tick(11)) == []
    assert leases(hub.ingest(W, Pulse(), [], 11)) == [], "it is there, but does not say that it works"
    sends = send(hub, 0, lease=lease.lease, now=12)
    assert len(of(Ack, sends)) == 1
    assert log.kinds().count("chunk") == 1
    assert [peer for peer, _ in leases(sends)] == [W]


def test_a_damaged_chunk_is_refused_and_three_in_a_row_put_the_peer_aside() -> None:
    hub, log = with_worker()
    hub.ingest(W, Ask(1), [], 0)
    commit, payloads = under(MADE[0], 1)
    broken = [*payloads[:2], b"!" * len(payloads[2]), *payloads[3:]]
    for _ in range(2):
        assert refusal(hub.ingest(W, commit, broken, 0)).chunk == 0
    assert len(of(Ack, hub.ingest(W, commit, payloads, 0))) == 1, "it may try again"
    commit, payloads = under(MADE[1], 2)
    broken = [payloads[0] + b"x", *payloads[1:]]
    said = [refusal(hub.ingest(W, commit, broken, 0)).reason for _ in range(3)]
    assert "third bad message" in said[2]
    assert hub.ingest(W, commit, payloads, 59) == [], "not heard"
    assert status(hub, 59)[0].parts == ()
    assert len(of(Ack, hub.ingest(W, commit, payloads, 61))) == 1
    assert log.kinds().count("chunk") == 2


def test_a_worker_that_says_itself_what_it_cannot_do_is_not_put_aside() -> None:
    hub, _ = with_worker()
    hub.ingest(W, Ask(1), [], 0)
    for lease in (1, 2, 3):
        commit, payloads = under(MADE[0], lease)
        for _ in range(2):
            assert refusal(hub.ingest(W, commit, [*payloads[:4], payloads[4] + b"!"], 0)).chunk == 0
        hub.ingest(W, Fail(0, lease, "refused twice"), [], 0)
    assert status(hub)[0].failed == 1
    for lease in (4, 4, 4):
        sends = hub.ingest(W, msgspec.structs.replace(commit, chunk=1), payloads[:4], 0)
        assert of(Ack, hub.ingest(W, Fail(1, lease + 90, "of nobody's lease"), [], 0)) == []
    assert "third bad message" in refusal(sends).reason


def test_a_chunk_that_contradicts_itself_never_gets_into_the_log() -> None:
    hub, log = with_worker()
    commit, payloads = under(MADE[0], 1)
    for lie in (
        {"stat_rows": 1 << 40},
        {"footprint_cells": 1 << 40},
        {"labelled": 10**9},
        {"constant": 7},
        {"own": commit.own - 1},
        {"chunk": 99},
    ):
        hub = hub_of(SPEC, log)
        assert refusal(hub.ingest(W, msgspec.structs.replace(commit, **lie), payloads, 0)).reason, lie
    assert log.head == 0


def test_a_chunk_on_which_all_tries_failed_is_given_up_and_the_run_completes() -> None:
    hub, log = with_worker()
    hub.ingest(W, Ask(1), [], 0)
    for lease in (1, 2, 3):
        sends = hub.ingest(W, Fail(0, lease, "no memory"), [], 0)
    assert status(hub)[0].failures == {0: "no memory"}
    assert status(hub)[1][0] == FAILED
    assert [lease.chunk for _, lease in leases(sends)] == [1]
    for chunk in range(1, SPEC.grid.size):
        sends = send(hub, chunk)
    assert [one.message for one in of(Drain, sends)] == [Drain("the run is complete")]
    assert np.frombuffer(log.entries[0][1][0], "<u4").tolist() == [0]
    assert log.kinds()[0] == "failed"
    assert log.kinds()[-1] == "end"
    assert "given up" in refusal(send(hub, 0)).reason
    again = hub_of(SPEC, log)
    assert status(again)[0].failed == 1
    assert status(again)[0].failures == {0: "no memory"}, "also after the streamer was started again"
    assert again.state == "complete"


def test_a_cancelled_run_ends_and_stays_ended() -> None:
    hub, log = with_worker()
    hub.ingest(W, Ask(2), [], 0)
    send(hub, 0, lease=1, now=1)
    sends = hub.feed(b"c", Command("cancel"), [], 2)
    assert [one.message for one in sends] == [Drain("the run is cancelled")]
    assert hub.feed(b"c", Command("cancel"), [], 2) == []
    assert of(Drain, send(hub, 1, lease=2)) != []
    assert log.kinds()[-1] == "end"
    assert log.kinds().count("chunk") == 1
    again, _ = with_worker(log)
    assert again.state == "cancelled"
    found, states = status(again)
    assert (found.committed, found.leased, set(states[1:])) == (1, 0, {PENDING})
    assert of(Drain, again.ingest(V, Ask(1), [], 0)) != []


def test_a_full_disk_pauses_the_run_and_it_goes_on_by_itself() -> None:
    hub, log = with_worker()
    hub.ingest(W, Ask(2), [], 0)
    log.full = True
    assert send(hub, 0, lease=1) == [], "no room: no acknowledgement, and no lease"
    assert send(hub, 1, lease=2) == []
    assert "no room" in status(hub)[0].note
    assert hub.tick(hub.deadline()) == []
    log.full = False
    sends = hub.tick(5)
    assert [one.message for one in of(Ack, sends)] == [Ack(0, 0)]
    assert [one.message for one in of(Again, sends)] == [Again(1)], "it was not taken, and is asked for"
    assert of(Refuse, sends) == []
    assert len(leases(sends)) == 1
    assert status(hub)[0].note == ""
    assert len(of(Ack, send(hub, 1, lease=2, now=5))) == 1
    assert log.kinds().count("chunk") == 2


def test_a_disk_that_fills_between_a_chunk_and_its_merges_loses_no_merge() -> None:
    whole, log = with_worker()
    finish(whole)

    class OneMore(MemoryLog):
        """Has room for chunks, but not for what follows from them."""

        def append(self, kind: str, payloads: object, crcs: object = ()) -> int:
            self.full = kind == "merges" and not self.relieved
            return super().append(kind, payloads, crcs)  # type: ignore[arg-type]

        relieved = False

    small = OneMore()
    hub, _ = with_worker(small)
    for chunk in range(SPEC.grid.size):
        send(hub, chunk)
        small.relieved = True
        hub.tick(100.0 + chunk)
        small.relieved = False
    assert small.entries == log.entries


def test_the_pace_holds_leases_back_and_says_when_it_wants_to_be_asked() -> None:
    hub, _ = with_worker(pace_s=80.0)
    assert len(leases(hub.ingest(W, Ask(2), [], 0))) == 1
    assert leases(hub.ingest(W, Beat((1,)), [], 9)) == []
    hub.tick(9.5)
    assert hub.deadline() <= 10
    assert [lease.chunk for _, lease in leases(hub.tick(10))] == [1]


def test_a_silent_worker_loses_its_chunk_to_another_one() -> None:
    hub, _ = with_worker()
    hub.ingest(W, Ask(1), [], 0)
    hub.ingest(V, worker_hello(), [], 0)
    for chunk in range(SPEC.grid.size - 1):
        if chunk:
            send(hub, chunk, peer=V, now=1)
    assert len(leases(hub.ingest(V, Ask(1), [], 2))) == 1
    hub.ingest(V, Beat((2,)), [], 9)
    assert leases(hub.tick(10)) == []
    sends = send(hub, SPEC.grid.size - 1, peer=V, now=10)
    assert [(peer, lease.chunk) for peer, lease in leases(sends)] == [(V, 0)]


def test_a_worker_that_says_goodbye_frees_its_chunks_at_once() -> None:
    hub, _ = with_worker()
    hub.ingest(W, Ask(2), [], 0)
    hub.ingest(V, Ask(1), [], 0)
    assert status(hub)[1][:4] == bytes([LEASED] * 3 + [PENDING])
    assert leases(hub.ingest(W, Goodbye(), [], 0)) == []
    sends = send(hub, 2, peer=V)
    assert leases(sends)[0][1].chunk == 0


def test_a_beat_is_answered_and_two_that_answer_each_other_stop() -> None:
    hub, _ = with_worker()
    assert [one.message for one in hub.ingest(W, Beat(()), [], 0)] == [Pulse(0)]
    assert hub.ingest(W, Pulse(), [], 0.1) == []
    assert [one.peer for one in of(Pulse, hub.tick(4))] == [W], "silent peers are asked"


# ---------------------------------------------------------------- subscribers


def entries(hub: Hub, now: float = 0.0) -> list[tuple[bytes, Entry]]:
    found = []
    for one in hub.drain_feed(now):
        assert isinstance(one.message, Entry)
        found.append((one.peer, one.message))
    return found


def test_a_subscriber_gets_the_parts_it_asked_for_in_log_order() -> None:
    hub, log = with_worker()
    finish(hub)
    welcome = only(hub.feed(R, subscriber_hello(parts=("ids", "seam")), [], 0))
    assert welcome.message == Welcome(1, "e", log.head, log.largest())
    hub.feed(R, PLENTY, [], 0)
    sent = list(hub.drain_feed(0))
    assert [one.message for one in sent] == [Entry(n, n - 1, kind) for n, kind in enumerate(log.kinds())]
    for one in sent:
        assert isinstance(one.message, Entry)
        whole = log.entries[one.message.number][1]
        if one.message.kind == "chunk":
            whole = [whole[0], whole[1 + PARTS.index("seam")], whole[1 + PARTS.index("ids")]]
        assert [bytes(raw) for raw in one.payloads] == whole
    assert entries(hub) == []


def test_a_subscriber_goes_on_where_it_stopped_and_starts_anew_in_another_epoch() -> None:
    hub, log = with_worker()
    finish(hub)
    for epoch, next_, first in (("e", 3, 3), ("other", 3, 0), ("e", log.head + 1, 0), ("e", -1, 0)):
        hub.feed(R, subscriber_hello(epoch, next_), [], 0)
        hub.feed(R, Credit(1 << 30, 1), [], 0)
        assert entries(hub) == [(R, Entry(first, first - 1, "chunk"))] or first == 3
        hub.forget("feed", R)


def test_nobody_is_sent_more_than_asked_and_all_are_served_in_turn() -> None:
    hub, _ = with_worker()
    finish(hub)
    for peer in (R, S):
        hub.feed(peer, subscriber_hello(), [], 0)
        assert entries(hub) == [], "credit comes first"
        hub.feed(peer, Credit(1 << 30, 0), [], 0)
    hub.feed(R, Credit(1 << 30, 3), [], 0)
    hub.feed(S, Credit(1 << 30, 2), [], 0)
    assert [(peer, entry.number) for peer, entry in entries(hub)] == [(R, 0), (S, 0), (R, 1), (S, 1), (R, 2)]


def test_a_window_that_cannot_hold_the_next_entry_is_refused_in_a_sentence_once() -> None:
    hub, log = with_worker()
    send(hub, 0)
    size = sum(len(raw) for raw in log.entries[0][1])
    hub.feed(R, subscriber_hello(), [], 0)
    assert refusal(hub.feed(R, Credit(size - 1, 8), [], 0)).reason.startswith(f"entry 0 takes {size:,} bytes")
    assert hub.feed(R, Credit(size - 1, 8), [], 0) == []
    assert entries(hub) == []
    assert hub.feed(R, Credit(size, 8), [], 0) == []
    assert entries(hub) == [(R, Entry(0, -1, "chunk"))]


def test_a_window_that_is_in_use_is_not_called_too_small() -> None:
    hub, log = with_worker()
    send(hub, 0)
    size = sum(len(raw) for raw in log.entries[0][1])
    hub.feed(R, subscriber_hello(), [], 0)
    hub.feed(R, Credit(2 * size, 8), [], 0)
    assert len(entries(hub)) == 1
    send(hub, 1)
    log.entries[1] = ("chunk", [bytes(size + 1), *[b""] * 5])
    assert hub.feed(R, Credit(2 * size, 8, 1), [], 0) == [], "it has read the first, but not made room yet"
    assert entries(hub) == []
    hub.feed(R, Credit(3 * size, 8, 1), [], 0)
    assert [entry.number for _, entry in entries(hub)][:1] == [1]


def test_a_full_pipe_leaves_the_cursor_where_it_was_and_others_go_on() -> None:
    hub, _ = with_worker()
    send(hub, 0)
    for peer in (R, S):
        hub.feed(peer, subscriber_hello(), [], 0)
        hub.feed(peer, Credit(1 << 30, 1), [], 0)
    got = []
    for one in hub.drain_feed(0):
        if one.peer == R:
            hub.stuck(one, 0)
        else:
            got.append(one.message)
    assert got == [Entry(0, -1, "chunk")]
    assert entries(hub, 0) == []
    assert 0 < hub.deadline() <= 0.1
    assert entries(hub, 0.1) == [(R, Entry(0, -1, "chunk"))]


def test_the_rate_of_a_run_that_went_on_counts_what_was_done_since() -> None:
    hub, log = with_worker()
    for chunk in range(SPEC.grid.size - 1):
        send(hub, chunk)
    again, _ = with_worker(log, now=100)
    send(again, SPEC.grid.size - 1, now=102)
    found = again.status(1000)
    z, y, x = SPEC.grid.core(SPEC.grid.size - 1).shape
    assert (found.state, found.seconds, found.voxels_per_second) == ("complete", 2, z * y * x / 2)


def test_nothing_is_remembered_of_peers_that_gave_way_to_others() -> None:
    hub, _ = with_worker(most_subscribers=2, most_workers=2)
    for i in range(50):
        now, peer = 40.0 * i, b"%d" % i
        hub.feed(peer, subscriber_hello(), [], now)
        hub.ingest(peer, worker_hello(), [], now)
        assert of(Pulse, hub.feed(peer, Pulse(), [], now)) != []
        assert of(Pulse, hub.ingest(peer, Pulse(), [], now)) != []
        hub.tick(now + 3)
    assert len(hub._manners) <= 4


def test_more_subscribers_than_allowed_are_refused_until_one_has_been_silent_for_long() -> None:
    hub, _ = with_worker(most_subscribers=2)
    hub.feed(R, subscriber_hello(), [], 0)
    hub.feed(S, subscriber_hello(), [], 20)
    assert "2 subscribers" in refusal(hub.feed(b"t", subscriber_hello(), [], 29)).reason
    assert len(of(Welcome, hub.feed(b"t", subscriber_hello(), [], 30))) == 1
    assert hub.feed(R, Credit(1, 1), [], 30) == [], "R gave way, and says Hello again when it hears nothing"


def test_questions_about_the_run_are_answered() -> None:
    hub, log = with_worker()
    hub.ingest(W, Ask(1), [], 0)
    send(hub, 0, lease=1, now=2)
    hub.feed(R, subscriber_hello(), [], 2)
    found, states = status(hub, 4)
    z, y, x = SPEC.grid.chunk
    assert (found.run_id, found.state, found.chunks, found.committed) == ("run-1", "running", 8, 1)
    assert (found.voxels_done, found.labelled_voxels) == (z * y * x, MADE[0][0].labelled)
    assert found.voxels_per_second == pytest.approx(z * y * x / 4)
    assert found.eta_s == pytest.approx((found.voxels - z * y * x) / found.voxels_per_second)
    assert (found.log_position, found.log_bytes) == (log.head, log.nbytes)
    assert [(part.name, part.role, part.done, part.total) for part in found.parts] == [
        ("w", "worker", 1, 1),
        ("r", "renderer", 0, log.head),
    ]
    assert states == bytes([COMMITTED, LEASED] + [PENDING] * 6)
    answer = only(hub.feed(b"c", AskTable(9, 3), [], 4))
    page = msgspec.msgpack.decode(answer.payloads[0], type=ObjectPage)
    assert answer.message == Table(9)
    assert (len(page.objects), page.total) == (3, found.objects)
    ids = [one.id for one in page.objects]

    def told(*of: int) -> list[Course]:
        (payload,) = only(hub.feed(b"c", AskTable(10, courses_of=of), [], 4)).payloads
        return msgspec.msgpack.decode(payload, type=list[Course])

    nobody = next(one for one in range(1, SPEC.grid.voxels) if one not in ids)
    assert told(nobody) == told(0) == told(SPEC.grid.voxels + 1) == []
    courses = told(0, -1, (1 << 63) + 5, nobody, *reversed(ids), *ids)
    assert [one.id for one in courses] == sorted(ids)
    assert all(len(one.size) == len(one.mean) <= COURSE_POINTS for one in courses)
    assert "start, pause, resume and cancel" in refusal(hub.feed(b"c", Command("stop"), [], 4)).reason


def test_a_life_is_thinned_to_means_of_equal_parts_and_gaps_are_nothing() -> None:
    step, values = np.array([3, 4, 7]), np.array([2.0, 4.0, 9.0])
    assert thinned(step, values, 32).tolist() == [2.0, 4.0, 0.0, 0.0, 9.0]
    assert thinned(step, values, 2).tolist() == [3.0, 9.0]
    assert thinned(step, values, 1).tolist() == [5.0]
    assert thinned(step[:0], values[:0], 32).tolist() == []
    long = np.arange(1000)
    assert thinned(long, long.astype(float), 32).tolist() == sorted(thinned(long, long.astype(float), 32))


def test_a_pause_grants_nothing_and_does_not_count_as_time_at_work() -> None:
    hub, _ = with_worker()
    ((_, lease),) = leases(hub.ingest(W, Ask(1), [], 0))
    hub.feed(b"c", Command("pause"), [], 10)
    assert status(hub, 10)[0].state == "paused"
    sends = send(hub, lease.chunk, lease=lease.lease, now=12)
    assert [one.message for one in of(Ack, sends)] == [Ack(lease.chunk, 0)], "what is being worked on is taken"
    assert not leases([*sends, *hub.tick(50)])
    stands = status(hub, 60)[0]
    assert (stands.seconds, stands.voxels_per_second, stands.eta_s) == (10, 0, None)
    assert len(leases(hub.feed(b"c", Command("resume"), [], 100))) == 1
    assert (status(hub, 101)[0].state, status(hub, 101)[0].seconds) == ("running", 11)
    hub.feed(b"c", Command("pause"), [], 102)
    hub.feed(b"c", Command("cancel"), [], 103)
    assert status(hub, 104)[0].state == "cancelled", "a run may be ended during a pause"


def test_a_run_that_waits_may_be_paused_and_waits_again_afterwards() -> None:
    hub, _ = with_worker(hold=True)
    hub.ingest(W, Ask(1), [], 0)
    hub.feed(b"c", Command("pause"), [], 1)
    assert hub.state == "paused"
    assert not leases(hub.feed(b"c", Command("start"), [], 2)), "a pause is not ended by a start"
    assert not leases(hub.feed(b"c", Command("resume"), [], 3))
    assert hub.state == "waiting"
    assert len(leases(hub.feed(b"c", Command("start"), [], 4))) == 1


@pytest.mark.parametrize(("door", "message"), [
    ("ingest", Credit(1, 1)), ("ingest", Hello(1, "renderer", "r")), ("feed", Beat((1,))), ("feed", Lease(1, 1, 1.0)),
])  # fmt: skip
def test_what_has_no_meaning_at_a_door_is_refused(door: str, message: Hello) -> None:
    hub = hub_of(SPEC, MemoryLog())
    sends = hub.ingest(W, message, [], 0) if door == "ingest" else hub.feed(W, message, [], 0)
    assert "door" in refusal(sends).reason


def test_what_is_no_message_is_refused_and_three_put_the_peer_aside() -> None:
    hub = hub_of(SPEC, MemoryLog())
    for _ in range(3):
        assert "no header" in refusal(hub.garbled("feed", R, "no header", 0)).reason
    assert hub.garbled("feed", R, "no header", 0) == []
    assert hub.feed(R, subscriber_hello(), [], 0) == []
    assert hub.refused == 3


@pytest.mark.parametrize(
    "good", [subscriber_hello(), PLENTY, Pulse(), AskStatus(1), AskTable(1), AskIndex(1), Command("start")]
)
@pytest.mark.parametrize("relayed", [False, True])
def test_at_the_feed_only_three_bad_messages_in_a_row_put_a_peer_aside(good: Message, relayed: bool) -> None:
    door: Hub | Relay = Relay(SPEC, MemoryLog(), 0.0) if relayed else hub_of(SPEC, MemoryLog())

    def bad() -> Refuse:
        told = door.garbled(R, "no header", 0) if isinstance(door, Relay) else door.garbled("feed", R, "no header", 0)
        return refusal([one for one in told if isinstance(one, Send)])

    door.feed(R, subscriber_hello(), [], 0)
    for _ in range(3):
        for _ in range(2):
            assert "in a row" not in bad().reason
        door.feed(R, good, [], 0)
    assert door.put_aside == 0
    bad()
    for unknown in (Fetch(1), Hello(VERSION, "renderer", "r", parts=("no such part",))):
        assert "Refuse" in str(door.feed(R, unknown, [], 0)), "what is refused is not good"
    bad()
    assert "the third bad message in a row" in bad().reason
    assert door.put_aside == 1
    assert door.feed(R, good, [], 0) == []


@pytest.mark.parametrize("letter", ["n", "\0", "é", "€", "😀"])
def test_a_refusal_fits_into_a_header_whatever_the_peer_has_said(letter: str) -> None:
    hub, _ = with_worker()
    commit, payloads = MADE[0]
    for size in range(300):
        words: list[tuple[str, Message]] = [
            ("feed", Hello(VERSION, "renderer", "r", "", 0, (letter * size,))),
            ("feed", Command(letter * size)),
            (
                "ingest",
                msgspec.structs.replace(commit, parts=tuple(PartInfo(letter * (size // 3), 1, 1) for _ in "123")),
            ),
        ]
        for door, message in words:
            with suppress(ValueError):  # such a name does not fit into a header
                encode(message)
                peer = b"%d" % size
                sends = hub.feed(peer, message, [], 0) if door == "feed" else hub.ingest(peer, message, payloads, 0)
                assert refusal([send for send in sends if encode_or_fail(send.message)]).reason


def encode_or_fail(message: Message) -> bytes:
    try:
        return encode(message)
    except ValueError as why:
        pytest.fail(str(why))


# ---------------------------------------------------------------- again


@pytest.mark.parametrize("kept", range(40))
def test_a_log_that_stops_anywhere_ends_as_if_it_had_never_stopped(kept: int) -> None:
    whole, log = with_worker()
    finish(whole)
    again = MemoryLog()
    again.entries = log.entries[: min(kept, log.head)]
    hub, _ = with_worker(again)
    finish(hub)
    assert again.entries == log.entries
    assert status(hub)[0].objects == status(whole)[0].objects
    assert status(hub)[0].labelled_voxels == status(whole)[0].labelled_voxels


def test_the_log_of_another_run_is_refused_in_a_sentence() -> None:
    _, log = with_worker()
    log.append("chunk", [b"nonsense"])
    with pytest.raises(BadLog, match="entry 0"):
        hub_of(SPEC, log)
    hub, log = with_worker()
    finish(hub)
    with pytest.raises(BadLog, match="does not belong to this run"):
        hub_of(spec_of((8, 8, 8), (4, 4, 4)), log)
