"""The real way of a chunk, for the benchmarks: a real `cavecast streamer`, and peers that do no work of their own.

The worker sends chunks that were packed before the clock started; a subscriber only counts.  So what is
measured is the way and not the segmentation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
import zmq

from benchmarks.wires import LIMIT_MS, Child, Took, child, cpu_s
from streamer.wire import header
from streamer.wire import messages as m
from streamer.wire.block import PARTS
from streamer.wire.codec import crc32c
from streamer.wire.grid import Grid
from streamer.wire.volume import Axis, RunSpec, Source, Volume, floats

SIDE = 64
LEASES = 16


def spec(chunks: int, side: int = SIDE) -> RunSpec:
    """A run of so many chunks in a row along axis 0."""
    grid = Grid((chunks * side, side, side), (side, side, side))
    axes = [
        Axis(name, "other", floats(np.arange(n, dtype=float)), floats(np.ones(n)))
        for name, n in zip("zyx", grid.shape, strict=True)
    ]
    volume = Volume("bytes", (axes[0], axes[1], axes[2]))
    return RunSpec("bench", Source("/nowhere", "bytes"), volume, grid, "connect", {"threshold": 1})


class Streamer(AbstractContextManager["Streamer"]):
    """A streamer process over a new log in ``folder``, or over the log that is there."""

    def __init__(self, folder: Path, run: RunSpec, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "run.json").write_bytes(msgspec.json.encode(run))
        command = str(Path(sys.executable).with_name("cavecast"))
        doors = ["--ingest", f"ipc://{folder}/ingest", "--feed", f"ipc://{folder}/feed"]
        self.process = subprocess.Popen(
            [command, "streamer", "--run", str(folder / "run.json"), "--log", str(folder / "log"), *doors, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline() or b'{"ingest": "", "feed": ""}')
        self.ingest, self.feed = ready["ingest"], ready["feed"]

    @property
    def cpu_s(self) -> float:
        """CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> int:
        """Its resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


def _dealer(address: str) -> tuple[zmq.Context[zmq.Socket[bytes]], zmq.Socket[bytes]]:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, LIMIT_MS)
    socket.connect(address)
    return context, socket


def work(say: Connection, address: str, payloads: list[bytes], pace_s: float = 0.0, leases: int = LEASES) -> None:
    """A worker: commits what it leases until it is told that all is done; says its CPU and each commit's time."""
    infos = [
        tuple(
            m.PartInfo(name, len(raw) if name == "labels" else 0, crc32c(raw if name == "labels" else b""))
            for name in PARTS
        )
        for raw in payloads
    ]
    context, socket = _dealer(address)
    socket.send(header.encode(m.Hello(header.VERSION, "worker", "bench")))
    socket.send(header.encode(m.Ask(leases)))
    before = cpu_s()
    sent: dict[int, float] = {}
    while True:
        message, _ = header.decode(socket.recv_multipart())
        if isinstance(message, m.Drain):
            break
        if isinstance(message, m.Refuse):
            raise RuntimeError(message.reason)
        if isinstance(message, m.Lease):
            if pace_s:
                time.sleep(pace_s)  # the idle system of the latency row: one chunk, then quiet
            raw = payloads[message.chunk % len(payloads)]
            commit = m.Commit(message.chunk, message.lease, infos[message.chunk % len(payloads)], 0, 0, 0, 0, 0)
            sent[message.chunk] = time.monotonic()
            socket.send_multipart([header.encode(commit), raw, b"", b"", b"", b""], copy=False)
    say.send((cpu_s() - before, sent))
    context.destroy(linger=0)


def follow(
    say: Connection, address: str, chunks: int, window: int = 8 << 20, stop_after: int = 0, times: bool = False
) -> None:
    """A subscriber: reads until the log's end; says (seconds, CPU, bytes, arrival of each chunk, first receipt).

    With ``stop_after`` it stops reading after so many chunks, says so, and sleeps until it is ended.
    """
    context, socket = _dealer(address)
    socket.send(header.encode(m.Hello(header.VERSION, "bench", "subscriber", parts=("labels",))))
    before = cpu_s()
    began = last = 0.0
    used_bytes = used = nbytes = seen = given = 0
    arrived: dict[int, float] = {}
    while True:
        frames = socket.recv_multipart(copy=False)
        message, payloads = header.decode([frame.buffer for frame in frames])
        if isinstance(message, m.Welcome):
            socket.send(header.encode(m.Credit(window, 4096)))
            given = window
            say.send("ready")
            continue
        if not isinstance(message, m.Entry):
            continue
        size = sum(len(raw) for raw in payloads)
        used_bytes, used = used_bytes + size, used + 1
        if used_bytes + window - given >= window // 4 or used % 1024 == 0:
            given = used_bytes + window
            socket.send(header.encode(m.Credit(given, used + 4096, message.number + 1)))
        if message.kind == "chunk":
            last = time.perf_counter()
            began = began or last
            nbytes += size
            seen += 1
            if times:
                commit, _ = header.decode(payloads[:1])
                assert isinstance(commit, m.Commit)
                arrived[commit.chunk] = time.monotonic()
            if stop_after and seen == stop_after:
                say.send("stopped")
                time.sleep(3600)  # a reader that has died with its connection open
        elif message.kind == "end":
            break
    assert seen == chunks, f"{seen} of {chunks} chunks"
    say.send((last - began, cpu_s() - before, nbytes, arrived))
    context.destroy(linger=0)


def whole_way(folder: Path, payloads: list[bytes], chunks: int, *options: str, subscribers: int = 1) -> Took:
    """Worker → streamer → subscribers: seconds of the slowest subscriber, CPU of all, bytes delivered."""
    with Streamer(folder, spec(chunks), *options) as streamer:
        readers = [child(follow, streamer.feed, chunks) for _ in range(subscribers)]
        for reader in readers:
            reader.hear()
        before = streamer.cpu_s
        worker = child(work, streamer.ingest, payloads)
        said = [reader.hear() for reader in readers]
        cpu, _ = worker.hear()
        cpu += streamer.cpu_s - before + sum(one[1] for one in said)
        end(worker, *readers)
    return Took(max(one[0] for one in said), cpu, sum(one[2] for one in said))


def end(*children: Child) -> None:
    """Ends them all."""
    for one in children:
        one.end()
