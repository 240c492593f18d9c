"""Floods: of connections, of greetings, of garbage.  They cost the streamer little, and its worker nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from streamer.keys import make
from streamer.wire.header import encode
from streamer.wire.messages import Ack, Ask, Drain, Hello, Lease, Welcome
from tests.security.parties import Peer, opened, streamer
from tests.streamer.runs import made, spec_of, under

SPEC = spec_of((4, 6, 6), (2, 3, 3))
MADE = made(SPEC)
MOST_BYTES = 64 << 20


def test_a_run_completes_amid_floods_and_the_streamers_memory_is_bounded(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    served = streamer(tmp_path, SPEC, tmp_path / "keys")
    strangers: list[socket.socket] = []
    try:
        at = served.ready()
        host, port = "127.0.0.1", int(at["ingest"].rpartition(":")[2])
        process = psutil.Process(served.process.pid)
        with opened() as sockets:
            worker = Peer(sockets, at["ingest"], tmp_path / "keys", "worker")
            worker.say(Hello(1, "worker", "w"))
            worker.wait_for(Welcome)
            before = process.memory_info().rss
            for number in range(150):  # half of them say nothing, half of them nonsense
                strangers.append(one := socket.create_connection((host, port)))
                if number % 2:
                    one.sendall(os.urandom(1000))
            loud = Peer(sockets, at["feed"], tmp_path / "keys", "renderer")
            for number in range(3000):
                loud.say(Hello(1, "renderer", f"r{number}"))
                loud.socket.send_multipart([encode(Hello(1, "renderer", "r")), *[b"x" * 60_000] * 2])
                if number % 100 == 0:
                    loud.socket.send(os.urandom(60_000))
            worker.say(Ask(2))
            while True:
                message, _ = worker.wait_for(Lease, Ack, Drain)
                if isinstance(message, Drain):
                    break
                if isinstance(message, Lease):
                    commit, payloads = under(MADE[message.chunk], message.lease)
                    worker.say(commit, [bytes(raw) for raw in payloads])
            assert process.memory_info().rss - before < MOST_BYTES
            served.says("a peer was not let in at the door ingest", within_s=10)
    finally:
        for one in strangers:
            one.close()
        served.end()
