"""Real parts for the archive's tests: a streamer, a worker that sends finished chunks, and the archive, each alone."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import zmq

from streamer.wire.codec import Buffer
from streamer.wire.grid import Flags, Grid, Triple
from streamer.wire.header import VERSION, decode, encode
from streamer.wire.messages import (
    Ack,
    Ask,
    AskStatus,
    Command,
    Drain,
    Fail,
    Goodbye,
    Hello,
    Lease,
    Message,
    Status,
    Welcome,
)
from streamer.wire.status import RunStatus
from streamer.wire.volume import Keep, RunSpec, Source, Volume
from tests import nursery
from tests.assembly.pieces import Areas, Field, Piece, connect, pieces
from tests.ending import end, line_within

DEADLINE_S = 60
Found = TypeVar("Found")
ALL = Keep()


def spec_of(volume: Volume, chunk: Triple, periodic: Flags = (False, False, True), keep: Keep = ALL) -> RunSpec:
    """A run over a volume."""
    grid = Grid(volume.shape, chunk, periodic)
    return RunSpec(
        "run-1", Source("/data/ivt.nc", "ivt"), volume, grid, "connect", {"threshold": 1.0, "connectivity": 26}, keep,
        "2026-01-01T00:00:00Z",
    )  # fmt: skip


def made(spec: RunSpec, field: Field, areas: Areas | None = None) -> list[Piece]:
    """The finished chunks of a run."""
    return pieces(field, spec.volume, spec.grid, connect(1.0), areas)


def blobs(shape: Triple, seed: int = 3, density: float = 0.3) -> Field:
    """A field that is ≥ 1 in random places, with a background that is whole chunks wide."""
    rng = np.random.default_rng(seed)
    field = np.where(rng.random(shape) < density, rng.uniform(1, 3, shape), 0.0)
    field[: shape[0] // 2, : shape[1] // 2] = 0
    return field


def line_of(process: nursery.Part) -> dict[str, Any]:
    """The next line that a part says."""
    line = line_within(process.stdout)
    if not line:
        process.wait(DEADLINE_S)
        raise AssertionError(f"the part ended: {process.stderr.read()}")
    found: dict[str, Any] = json.loads(line)
    return found


@contextmanager
def part(*arguments: str) -> Iterator[nursery.Part]:
    """A part that is gone at the end whatever happens."""
    # A process of its own, so that kill -9 is what it is.
    process = nursery.Part(arguments)
    try:
        yield process
    finally:
        end(process, signal.SIGKILL)


@contextmanager
def streamer(folder: Path, spec: RunSpec) -> Iterator[dict[str, Any]]:
    """A streamer of a run; its addresses."""
    (folder / "run.json").write_bytes(msgspec.json.encode(spec))
    with part("streamer", "--run", str(folder / "run.json"), "--log", str(folder / "log")) as process:
        yield line_of(process)
        process.send_signal(signal.SIGTERM)


def archive(feed: str, out: Path) -> tuple[str, ...]:
    """The arguments of an archive."""
    return "archive", "--feed", feed, "--out", str(out)


class Peer:
    """One end of a conversation with a streamer."""

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.connect(address)

    def say(self, message: Message, *payloads: bytes) -> None:
        self._socket.send_multipart([encode(message), *payloads])

    def greeted(self, hello: Hello) -> Welcome:
        """Says Hello until it is answered: a relay that does not know its run yet answers nobody."""
        deadline = time.monotonic() + DEADLINE_S
        self.say(hello)
        while not self._socket.poll(1000):
            assert time.monotonic() < deadline, "the relay is silent"
            self.say(hello)
        welcome = self.hear()
        assert isinstance(welcome, Welcome)
        return welcome

    def hear(self) -> Message | None:
        return self.listen()[0]

    def listen(self) -> tuple[Message | None, Sequence[Buffer]]:
        """The next message, with its payloads."""
        assert self._socket.poll(DEADLINE_S * 1000), "the streamer is silent"
        return decode(self._socket.recv_multipart())

    def status(self) -> RunStatus:
        message, payloads = self.listen()
        assert isinstance(message, Status)
        return msgspec.msgpack.decode(payloads[0], type=RunStatus)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@contextmanager
def peer(address: str) -> Iterator[Peer]:
    """A peer that is gone at the end."""
    found = Peer(address)
    try:
        yield found
    finally:
        found.close()


def work(address: str, chunks: Sequence[Piece], count: int | None = None, fails: Sequence[int] = ()) -> None:
    """A worker that leases chunks one by one, sends those that are made and fails the others.

    It leaves after ``count`` acknowledged chunks, else when the run is over.
    """
    acknowledged = 0
    with peer(address) as worker:
        worker.say(Hello(VERSION, "worker", "test"))
        worker.say(Ask(1))
        while acknowledged != count:
            message = worker.hear()
            if isinstance(message, Lease):
                if message.chunk in fails:
                    worker.say(Fail(message.chunk, message.lease, "meant to fail"))
                else:
                    commit, payloads = chunks[message.chunk]
                    worker.say(msgspec.structs.replace(commit, lease=message.lease), *payloads)
            elif isinstance(message, Ack):
                acknowledged += 1
            elif isinstance(message, Drain):
                return
        worker.say(Goodbye())


def note_of(address: str) -> str:
    """What the streamer says that the run waits for."""
    with peer(address) as control:
        control.say(AskStatus(1))
        return control.status().note


def wait_until(look: Callable[[], Found], what: str) -> Found:
    """What a look finds, once it finds anything; there is no event for it."""
    limit = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < limit, f"it did not come to pass that {what}"
    return found


def cancel(address: str) -> None:
    """The control plane's word."""
    with peer(address) as control:
        control.say(Command("cancel"))
