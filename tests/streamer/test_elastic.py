"""Real workers that are stopped, come late and leave: each chunk is done once all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from streamer.wire.messages import Ack, Lease
from tests.streamer.runs import made, spec_of, under
from tests.streamer.test_process import DEADLINE_S, Lines, Streamer, Subscriber, Worker, lines, status_of, streamer

__all__ = ["lines", "streamer"]
MADE = made(spec_of((12, 9, 9), (4, 3, 3)))
WEDGED = """
import sys, zmq
from streamer.wire.messages import Ask, decode, encode
from tests.streamer.runs import worker_hello
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
for message in (worker_hello("wedged"), Ask(2)):
    socket.send(encode(message))
held = 0
while held < 2:
    message, _ = decode(socket.recv_multipart())
    if type(message).__name__ == "Lease":
        held += 1
        print(message.chunk, flush=True)
sys.stdin.read()
"""


def test_a_worker_that_is_stopped_but_connected_loses_its_chunks_and_a_late_one_does_them(
    streamer: Streamer, lines: Lines
) -> None:
    streamer.start("--lease-s", "1")
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WEDGED, streamer.ingest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    ) as wedged:  # fmt: skip
        assert wedged.stdout is not None
        held = {int(wedged.stdout.readline()) for _ in range(2)}
        wedged.send_signal(signal.SIGSTOP)
        leaves = Worker(lines, streamer.ingest)
        leaves.begin()
        assert leaves.work(3)
        leaves.socket.close(linger=0)
        late, reader = Worker(lines, streamer.ingest), Subscriber(lines, streamer.feed)
        late.begin()
        reader.begin()
        assert not late.work(1000), "the run does not wait for it"
        assert held <= late.acknowledged.keys()
        reader.follow("end")
        assert sorted(reader.chunks) == list(range(len(MADE)))
        assert status_of(reader).failed == 0
        wedged.send_signal(signal.SIGCONT)
        wedged.communicate(timeout=DEADLINE_S)


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
