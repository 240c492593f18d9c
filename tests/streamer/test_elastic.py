"""A worker whose lease lapsed while it worked; those that die, hang or are stopped are in ``tests.faults``."""

from __future__ import annotations

from streamer.wire.messages import Ack, Lease
from tests.streamer.runs import made, spec_of, under
from tests.streamer.test_process import Lines, Streamer, Worker, lines, streamer

__all__ = ["lines", "streamer"]
MADE = made(spec_of((12, 9, 9), (4, 3, 3)))


def test_what_a_worker_does_after_its_lease_lapsed_counts_if_nobody_was_faster(
    streamer: Streamer, lines: Lines
) -> None:
    streamer.start("--lease-s", "0.2")
    slow = Worker(lines, streamer.ingest)
    slow.begin()
    lease, _ = slow.wait_for(Lease)
    assert isinstance(lease, Lease)
    other = Worker(lines, streamer.ingest)
    other.begin()
    while True:  # until the chunk has gone to the other one
        message, _ = other.wait_for(Lease, Ack)
        if isinstance(message, Lease) and message.chunk == lease.chunk:
            break
        if isinstance(message, Lease):
            other.say(*under(MADE[message.chunk], message.lease))
    slow.say(*under(MADE[lease.chunk], lease.lease))
    ack, _ = slow.wait_for(Ack)
    other.say(*under(MADE[lease.chunk], message.lease))
    again, _ = other.wait_for(Ack)
    while again.chunk != lease.chunk:  # type: ignore[union-attr]
        again, _ = other.wait_for(Ack)
    assert ack == again, "the same entry"
