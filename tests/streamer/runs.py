"""Small runs for the streamer's tests: a volume that is easily segmented, its chunks, and a log in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np

from streamer.hub import Hub, HubSettings, Send
from streamer.record import LogFull
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.grid import Flags, Grid, Triple
from streamer.wire.header import VERSION
from streamer.wire.messages import Commit, Credit, Hello, Lease
from streamer.wire.status import RunStatus
from streamer.wire.volume import Axis, Keep, RunSpec, Source, Volume, floats
from tests.assembly.pieces import Piece, connect, pieces

SETTINGS = HubSettings(lease_s=10.0, leases_per_worker=2)


def spec_of(shape: Triple = (8, 6, 6), chunk: Triple = (4, 3, 3), periodic: Flags = (False, False, True)) -> RunSpec:
    """A run over a volume without a name."""
    z, y, x = (
        Axis(name, "other", floats(np.arange(float(n))), floats(np.ones(n)))
        for name, n in zip("zyx", shape, strict=True)
    )
    return RunSpec(
        run_id="run-1",
        source=Source("nowhere.npy", "v"),
        volume=Volume("v", (z, y, x)),
        grid=Grid(shape, chunk, periodic),
        segmenter="connect",
        parameters={"threshold": 0.5},
        keep=Keep(),
    )


@cache
def chunks_of(spec_json: bytes, seed: int, density: float) -> tuple[Piece, ...]:
    """The finished chunks of a random volume."""
    spec = msgspec.json.decode(spec_json, type=RunSpec)
    field = (np.random.default_rng(seed).random(spec.grid.shape) < density).astype(np.float32)
    return tuple(pieces(field, spec.volume, spec.grid, connect(0.5)))


def made(spec: RunSpec, seed: int = 1, density: float = 0.25) -> tuple[Piece, ...]:
    """The finished chunks of the run, in C order."""
    return chunks_of(msgspec.json.encode(spec), seed, density)


def under(piece: Piece, lease: int) -> tuple[Commit, list[bytes]]:
    """A finished chunk as its worker sends it under a lease."""
    return msgspec.structs.replace(piece[0], lease=lease), list(piece[1])


class MemoryLog:
    """A log without a disk, which can be told that it is full."""

    def __init__(self, epoch: str = "e") -> None:
        self.epoch = epoch
        self.entries: list[tuple[str, list[bytes]]] = []
        self.full = False
        self.evicted, self.store = 0, ""

    @property
    def head(self) -> int:
        return len(self.entries)

    @property
    def nbytes(self) -> int:
        return sum(len(raw) for _, payloads in self.entries for raw in payloads)

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int:
        if self.full:
            raise LogFull("no room in memory")
        assert not crcs or list(crcs) == [crc32c(raw) for raw in payloads]
        self.entries.append((kind, [bytes(raw) for raw in payloads]))
        return self.head - 1

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        kind, payloads = self.entries[number]
        return kind, [memoryview(raw) for raw in payloads]

    def largest(self) -> int:
        return max((sum(map(len, payloads)) for _, payloads in self.entries), default=0)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.entries]


def hub_of(spec: RunSpec, log: MemoryLog, now: float = 0.0, **changes: float | bool) -> Hub:
    """A hub with the tests' settings."""
    return Hub(spec, log, replace(SETTINGS, **changes), now)  # type: ignore[arg-type]


def leases(sends: Sequence[Send]) -> list[tuple[bytes, Lease]]:
    """The leases among some messages, with the workers that get them."""
    return [(send.peer, send.message) for send in sends if isinstance(send.message, Lease)]


def of(kind: type, sends: Sequence[Send]) -> list[Send]:
    """The messages of one kind."""
    return [send for send in sends if isinstance(send.message, kind)]


def worker_hello(name: str = "w") -> Hello:
    return Hello(VERSION, "worker", name)


def subscriber_hello(epoch: str = "", next: int = 0, parts: tuple[str, ...] = PARTS) -> Hello:
    return Hello(VERSION, "renderer", "r", epoch, next, parts)


PLENTY = Credit(1 << 30, 1 << 30)


def status_of(hub: Hub, now: float = 0.0) -> RunStatus:
    return hub.status(now)
