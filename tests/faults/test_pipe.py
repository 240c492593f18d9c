"""A subscriber that asks and does not read: its pipe is full, and what it fetched comes all the same, in order."""

from __future__ import annotations

import numpy as np

from streamer.wire.messages import FETCHED, Entry, Fetch
from tests.streamer.runs import PLENTY, MemoryLog, hub_of, made, of, spec_of, subscriber_hello, under, worker_hello


def test_what_was_fetched_and_met_a_full_pipe_is_sent_again_before_what_follows() -> None:
    spec = spec_of()
    hub = hub_of(spec, MemoryLog())
    hub.ingest(b"w", worker_hello(), [], 0.0)
    for piece in made(spec)[:3]:
        hub.ingest(b"w", *under(piece, 0), 0.0)
    hub.feed(b"r", subscriber_hello(), [], 0.0)
    hub.feed(b"r", Fetch(2), [np.array([2, 1], "<u8").tobytes()], 0.0)
    hub.feed(b"r", PLENTY, [], 0.0)
    (first,) = [send for _, send in zip(range(1), hub.drain_feed(0.0), strict=False)]
    hub.stuck(first, 0.0)
    assert not list(hub.drain_feed(0.0)), "not at once"
    entries = [send.message for send in of(Entry, list(hub.drain_feed(1.0))) if isinstance(send.message, Entry)]
    assert [entry.number for entry in entries if entry.prev == FETCHED] == [2, 1]
    followed = [entry.number for entry in entries if entry.prev != FETCHED]
    assert followed == list(range(hub.log_length[0]))
