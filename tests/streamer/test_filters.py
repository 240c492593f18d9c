"""Regions, levels, the present state, entries by number, and small entries in one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from time import process_time

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.hub import Hub
from streamer.index import STRIDE, Index, Region
from streamer.wire.batch import BATCH_BYTES, Present, Sent, entries_of, pack_entries, unpack_present
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.header import VERSION, Refused, decode, encode
from streamer.wire.messages import (
    FETCHED,
    MOST_FETCHED,
    AskIndex,
    Commit,
    Credit,
    Entries,
    Entry,
    Fetch,
    Goodbye,
    Hello,
    Pulse,
    Refuse,
    Welcome,
)
from streamer.wire.messages import Index as IndexMessage
from tests.streamer.runs import PLENTY, MemoryLog, hub_of, made, spec_of, under

SPEC = spec_of()
MADE = made(SPEC)
GRID = SPEC.grid
R, W = b"r", b"w"


def done(chunks: Sequence[int] = range(GRID.size)) -> tuple[Hub, MemoryLog]:
    log = MemoryLog()
    hub = hub_of(SPEC, log)
    for chunk in chunks:
        hub.ingest(W, *under(MADE[chunk], 0), 0)
    return hub, log


def hello(hub: Hub, **wants: object) -> Welcome:
    fields: dict[str, object] = {"parts": PARTS, **wants}
    (send,) = hub.feed(R, Hello(VERSION, "renderer", "r", **fields), [], 0)  # type: ignore[arg-type]
    assert isinstance(send.message, Welcome), send.message
    return send.message


def got(hub: Hub) -> list[Sent]:
    return [sent for send in hub.drain_feed(0) for sent in entries_of(send.message, send.payloads)]


def chunk_of(sent: Sent) -> int:
    commit, _ = decode([bytes(sent.payloads[0])])
    assert isinstance(commit, Commit)
    return commit.chunk


def fetch(*numbers: int) -> tuple[Fetch, list[Buffer]]:
    return Fetch(len(numbers)), [np.array(numbers, "<u8").tobytes()]


# ---------------------------------------------------------------- regions


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0, 0, 0, 8, 6, 6), range(8)),
        ((0, 0, 0, 1, 1, 1), (0,)),
        ((3, 0, 0, 5, 3, 1), (0, 4)),
        ((4, 3, 3, 8, 6, 6), (7,)),
        ((0, 0, 5, 1, 1, 1), (0, 1)),
        ((0, 0, -1, 1, 1, 1), (0, 1)),
        ((0, 0, 4, 1, 1, 7), (0, 1)),
        ((-9, -9, 0, 99, 1, 1), (0, 4)),
        ((5, 0, 0, 5, 9, 9), ()),
        ((0, 0, -999999999, 1, 1, 999999999), (0, 1)),
    ],
)
def test_a_region_is_the_chunks_with_a_voxel_in_the_box(box: tuple[int, ...], inside: Sequence[int]) -> None:
    found = Region(GRID, box).holds(np.arange(GRID.size))
    assert np.flatnonzero(found).tolist() == list(inside)


def test_chunks_outside_the_region_are_passed_over_and_prev_shows_that_nothing_was_lost() -> None:
    hub, log = done()
    hello(hub, region=(0, 0, 0, 4, 3, 3))
    hub.feed(R, PLENTY, [], 0)
    sent = got(hub)
    assert [chunk_of(one) for one in sent if one.entry.kind == "chunk"] == [0]
    control = [number for number, kind in enumerate(log.kinds()) if kind != "chunk"]
    assert [one.entry.number for one in sent if one.entry.kind != "chunk"] == control, "they always come"
    assert all(b.entry.prev == a.entry.number for a, b in pairwise(sent))
    assert sent[0].entry.prev == -1


def test_a_filtered_subscriber_that_has_all_that_is_for_it_lags_behind_nobody() -> None:
    hub, log = done(range(7))
    hello(hub, region=(0, 0, 0, 4, 3, 3))
    hub.feed(R, PLENTY, [], 0)
    last = got(hub)[-1].entry.number
    hub.feed(R, Credit(1 << 30, 1 << 30, last + 1), [], 0)
    (part,) = [part for part in hub.status(0).parts if part.role == "renderer"]
    assert part.done == part.total == log.head
    (send,) = hub.feed(R, Pulse(), [], 0)
    assert send.message == Pulse(log.head, last), "so that it knows that nothing was lost"


def test_a_subscriber_goes_on_in_its_region_where_it_stopped() -> None:
    hub, log = done()
    hello(hub, region=(4, 0, 0, 8, 3, 3))
    hub.feed(R, PLENTY, [], 0)
    whole = [sent.entry.number for sent in got(hub)]
    for stop in range(len(whole)):
        hello(hub, region=(4, 0, 0, 8, 3, 3), epoch=log.epoch, next=whole[stop] + 1)
        hub.feed(R, PLENTY, [], 0)
        assert [sent.entry.number for sent in got(hub)] == whole[stop + 1 :]


def test_a_region_that_is_none_is_refused_in_words() -> None:
    hub, _ = done(())
    (send,) = hub.feed(R, Hello(VERSION, "renderer", "r", region=(1, 2, 3)), [], 0)
    assert isinstance(send.message, Refuse)
    assert "3 numbers" in send.message.reason


def test_passing_over_a_million_entries_costs_little_and_is_done_in_bounded_steps() -> None:
    grid = Grid((4000, 16, 16), (4, 4, 4))
    index = Index(grid, PARTS)
    head = encode(msgspec.structs.replace(MADE[0][0], chunk=0))
    index.note(0, "chunk", [head, *[b""] * 5])
    index._chunk_of = np.zeros(1_000_000, np.int32)
    index._chunk_of[-1] = 5000
    index.head = 1_000_000
    region = Region(grid, grid.core(5000).start + grid.core(5000).stop)
    begun, number, steps = process_time(), 0, 0
    while not index.is_for(region, number):
        before, number, steps = number, index.next_for(region, number), steps + 1
        assert number - before <= STRIDE
    assert (number, steps) == (999_999, 16)
    assert process_time() - begun < 0.5


# ---------------------------------------------------------------- levels


def test_a_coarse_level_comes_in_the_place_of_the_labels_where_the_run_has_it() -> None:
    spec = msgspec.structs.replace(SPEC, layers=("labels1",))
    log = MemoryLog()
    hub = hub_of(spec, log)
    log.append("chunk", [encode(MADE[0][0]), *MADE[0][1], b"coarse"])
    hub._record.index.note(0, *log.read(0))
    for level, labels in ((0, MADE[0][1][0]), (1, b"coarse"), (2, b"coarse")):
        hello(hub, parts=("seam", "labels"), level=level)
        hub.feed(R, PLENTY, [], 0)
        (sent,) = got(hub)
        assert [bytes(raw) for raw in sent.payloads[1:]] == [labels, MADE[0][1][1]]
    plain, _ = done((0,))
    hello(plain, parts=("labels",), level=1)
    plain.feed(R, PLENTY, [], 0)
    assert bytes(got(plain)[0].payloads[1]) == MADE[0][1][0], "this run has none"


# ---------------------------------------------------------------- the present state


def present(hub: Hub, region: tuple[int, ...] = ()) -> Present:
    (send,) = hub.feed(b"anybody", AskIndex(7, region), [], 0)
    assert isinstance(send.message, IndexMessage)
    message, payloads = decode([encode(send.message), *map(bytes, send.payloads)])
    assert isinstance(message, IndexMessage)
    assert message.request == 7
    return unpack_present(message, payloads)


def test_the_index_is_the_newest_entry_of_each_chunk_and_all_that_is_known_of_the_objects() -> None:
    hub, log = done((5, 2, 7, 0))
    now = present(hub)
    assert (now.epoch, now.head, now.end) == (log.epoch, log.head, "")
    assert now.chunks.tolist() == [0, 2, 5, 7]
    for chunk, number, sizes in zip(now.chunks.tolist(), now.numbers.tolist(), now.sizes.tolist(), strict=True):
        assert chunk_of(Sent(Entry(0, 0, ""), log.entries[number][1], 0)) == chunk
        assert sizes == [len(raw) for raw in MADE[chunk][1]]
    told = [np.frombuffer(p[0], "<u8").reshape(-1, 2) for k, p in log.entries if k == "merges"]
    assert now.merges.tolist() == np.concatenate([np.empty((0, 2), "<u8"), *told]).tolist()
    assert present(hub, (0, 0, 0, 4, 6, 6)).chunks.tolist() == [0, 2]


def test_the_index_is_the_same_after_a_restart_and_knows_the_end() -> None:
    hub, log = done()
    before, after = present(hub), present(hub_of(SPEC, log))
    assert before.end == after.end == "complete"
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b)  # type: ignore[arg-type]


def test_a_late_subscriber_fetches_what_is_there_in_its_own_order_and_then_follows() -> None:
    hub, log = done((3, 1, 6))
    now = present(hub)
    hello(hub, epoch=now.epoch, next=now.head)
    hub.feed(R, PLENTY, [], 0)
    assert hub.feed(R, *fetch(*now.numbers.tolist()[::-1]), 0) == []
    hub.ingest(W, *under(MADE[0], 0), 0)
    sent = got(hub)
    fetched = [one for one in sent if one.entry.prev == FETCHED]
    assert [chunk_of(one) for one in fetched] == [6, 3, 1]
    followed = [one.entry for one in sent if one.entry.prev != FETCHED]
    assert followed == [Entry(number, number - 1, log.entries[number][0]) for number in range(now.head, log.head)], (
        "in order, exactly once"
    )
    assert sent.index(next(one for one in sent if one.entry.prev != FETCHED)) == 1, "neither waits for the other"


def test_what_is_fetched_counts_toward_credit() -> None:
    hub, _ = done()
    now = present(hub)
    hello(hub, epoch=now.epoch, next=now.head)
    hub.feed(R, *fetch(*now.numbers.tolist()), 0)
    assert got(hub) == []
    sizes = [sum(len(raw) for raw in sent[1]) for sent in (under(MADE[c], 0) for c in now.chunks.tolist())]
    hub.feed(R, Credit(1 << 30, 3), [], 0)
    assert len(got(hub)) == 3
    hub.feed(R, Credit(1, 1 << 30), [], 0)
    assert len(got(hub)) == len(sizes) - 3, "credit is never taken back"


def test_a_fetch_with_a_window_that_cannot_hold_it_is_refused_in_words() -> None:
    hub, _ = done()
    now = present(hub)
    hello(hub, epoch=now.epoch, next=now.head)
    hub.feed(R, Credit(10, 5, now.head), [], 0)
    hub.feed(R, *fetch(0), 0)
    assert got(hub) == []
    (send,) = hub.feed(R, Credit(10, 5, now.head), [], 0)
    assert isinstance(send.message, Refuse)
    assert "entry 0 takes" in send.message.reason
    hub.feed(R, Credit(1 << 20, 5, now.head), [], 0)
    assert [one.entry.number for one in got(hub)] == [0]


@pytest.mark.parametrize("payload", [b"", b"1234567", bytes(8 * (MOST_FETCHED + 1)), b"\xff" * 8])
def test_a_fetch_of_nonsense_is_refused_in_words(payload: bytes) -> None:
    hub, _ = done()
    hello(hub)
    (send,) = hub.feed(R, Fetch(max(1, len(payload) // 8)), [payload], 0)
    assert isinstance(send.message, Refuse)
    assert hub.feed(b"stranger", *fetch(0), 0) == []


# ---------------------------------------------------------------- small entries together


def test_small_entries_travel_together_and_each_counts_toward_credit() -> None:
    hub, log = done()
    hello(hub)
    hub.feed(R, PLENTY, [], 0)
    alone = got(hub)
    hello(hub, batch=BATCH_BYTES)
    hub.feed(R, Credit(1 << 30, 5), [], 0)
    (five,) = list(hub.drain_feed(0))
    assert isinstance(five.message, Entries)
    assert five.message.count == 5
    hub.feed(R, PLENTY, [], 0)
    (rest,) = list(hub.drain_feed(0))
    together = [*entries_of(five.message, five.payloads), *entries_of(rest.message, rest.payloads)]
    assert len(together) == log.head
    for one, other in zip(alone, together, strict=True):
        assert one.entry == other.entry
        assert [bytes(raw) for raw in one.payloads] == [bytes(raw) for raw in other.payloads]


def test_a_batch_is_no_larger_than_the_peer_said_and_a_large_entry_goes_by_itself() -> None:
    hub, _ = done()
    hello(hub, batch=2000)
    hub.feed(R, PLENTY, [], 0)
    sizes = []
    for send in hub.drain_feed(0):
        sent = entries_of(send.message, send.payloads)
        sizes.append(sum(one.nbytes for one in sent))
        assert len(sent) == 1 or sizes[-1] <= 2000
    assert max(sizes) > 1000


def test_a_batch_that_a_full_pipe_did_not_take_is_sent_again_whole() -> None:
    hub, _ = done()
    hello(hub, batch=BATCH_BYTES)
    hub.feed(R, PLENTY, [], 0)
    (send,) = list(hub.drain_feed(0))
    hub.stuck(send, 0)
    assert list(hub.drain_feed(0.001)) == []
    (again,) = list(hub.drain_feed(1))
    assert (again.message, [bytes(p) for p in again.payloads]) == (send.message, [bytes(p) for p in send.payloads])


def some_entries() -> Iterator[Sent]:
    for number, (kind, parts) in enumerate((("chunk", [b"a" * 50, b"", b"xyz"]), ("merges", [b"1" * 16]), ("end", []))):
        yield Sent(Entry(number + 4, number + 3, kind), parts, sum(map(len, parts)))


@given(st.data())
def test_a_damaged_batch_is_refused_or_read_but_never_beyond_its_bytes(data: st.DataObject) -> None:
    message, payloads = pack_entries(list(some_entries()))
    assert [bytes(b) for sent in entries_of(message, payloads) for b in sent.payloads] == [
        b for sent in some_entries() for b in sent.payloads
    ]
    raw = bytearray(payloads[0])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    count = data.draw(st.integers(-1, 300))
    with suppress(Refused):
        read = entries_of(msgspec.structs.replace(message, count=count), [bytes(raw), payloads[1]])
        assert sum(sent.nbytes for sent in read) == len(payloads[1])


def test_a_subscriber_that_leaves_takes_what_it_asked_for_with_it() -> None:
    hub, _ = done()
    hello(hub)
    hub.feed(R, *fetch(0), 0)
    hub.feed(R, Goodbye(), [], 0)
    hello(hub)
    hub.feed(R, PLENTY, [], 0)
    assert all(sent.entry.prev != FETCHED for sent in got(hub))
