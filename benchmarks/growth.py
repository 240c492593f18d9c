"""What a lease and a commit cost the hub when much has been done already.  The hub alone: no sockets, log in memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from streamer.hub import Hub, HubSettings
from streamer.wire import header
from streamer.wire import messages as m
from streamer.wire.block import STAT, Segmented, pack
from streamer.wire.codec import Buffer
from streamer.wire.grid import Grid
from streamer.wire.volume import Axis, RunSpec, Source, Volume, floats


class Memory:
    """A log in memory that keeps nothing but its length: what an entry costs the disk is another row's matter."""

    epoch = "memory"
    store = ""
    evicted = 0

    def __init__(self) -> None:
        self.head = 0
        self.nbytes = 0

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int:
        """Counts."""
        del kind, payloads, crcs
        self.head += 1
        return self.head - 1

    def read(self, number: int) -> tuple[str, list[memoryview]]:
        """There is nobody to read."""
        raise IndexError(number)

    def largest(self) -> int:
        """Nothing is large."""
        return 0


def row(chunks: int) -> Grid:
    """A grid of about so many chunks of 4³ voxels."""
    side = round(chunks ** (1 / 3))
    return Grid((4 * -(-chunks // side // side), 4 * side, 4 * side), (4, 4, 4))


def seconds_per_chunk(chunks: int) -> float:
    """CPU seconds for a lease and a commit: the mean of the second half, with its share of what comes seldom."""
    grid = row(chunks)
    axes = [
        Axis(name, "other", floats(np.arange(n, dtype=float)), floats(np.ones(n)))
        for name, n in zip("zyx", grid.shape, strict=True)
    ]
    spec = RunSpec("growth", Source("/nowhere", "v"), Volume("v", (axes[0], axes[1], axes[2])), grid, "connect")
    hub = Hub(spec, Memory(), HubSettings(leases_per_worker=1), 0.0)
    peer = b"worker"
    hub.ingest(peer, m.Hello(header.VERSION, "worker", "w"), [], 0.0)
    sends = hub.ingest(peer, m.Ask(1), [], 0.0)
    took = 0.0
    for done in range(grid.size):
        lease = next(send.message for send in sends if isinstance(send.message, m.Lease))
        commit, payloads = packed(grid, lease)
        before = time.process_time()
        sends = hub.ingest(peer, commit, list(payloads), 1e-3 * done)
        if done >= grid.size // 2:
            took += time.process_time() - before
    return took / (grid.size - grid.size // 2)


def packed(grid: Grid, lease: m.Lease) -> tuple[m.Commit, list[bytes]]:
    """A chunk with one object in its lowest corner, which touches nobody."""
    block = np.zeros(grid.block_shape(lease.chunk), "<u4")
    block[1, 1, 1] = 1
    z, y, x = (a + 1 for a in grid.core(lease.chunk).start)
    stats = np.zeros(1, STAT)
    stats["label"], stats["step"], stats["voxels"] = 1, z, 1
    stats["y_min"] = stats["y_max"] = y
    stats["x_min"] = stats["x_max"] = x
    stats["x_min_high"], stats["x_max_low"], stats["weight"] = 0xFFFFFFFF, -1, 1
    _, ny, nx = grid.shape
    ids = np.array([1 + (z * ny + y) * nx + x], "<u8")
    return pack(grid, lease.chunk, lease.lease, Segmented(block, 1, 1, ids, stats, None))
