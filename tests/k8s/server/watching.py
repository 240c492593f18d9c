"""A watch as it goes over the line: events as they happen, bookmarks, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

from tests.k8s.server import listing
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import Obj
from tests.k8s.server.store import Compacted


class WatchDropped(Exception):
    """The connection of a watch is cut in the middle."""


def _line(event: Obj) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def watch(
    cluster: Cluster, wanted: listing.Wanted, version: int, first: list[Obj], bookmarks: bool, timeout_s: float
) -> AsyncIterator[bytes]:
    """The lines of a watch, until its time (by the clock or by the time that was given) is over."""
    return _Watch(cluster, wanted, version, bookmarks, timeout_s).lines(first)


class _Watch:
    def __init__(
        self, cluster: Cluster, wanted: listing.Wanted, version: int, bookmarks: bool, timeout_s: float
    ) -> None:  # fmt: skip
        self._cluster, self._wanted, self._match = cluster, wanted, wanted.match
        self._version, self._bookmarks = version, bookmarks
        self._ends, self._ends_given = time.monotonic() + timeout_s, cluster.now + timeout_s
        self._told_at, self._drops = cluster.now, cluster.drops

    async def lines(self, first: list[Obj]) -> AsyncIterator[bytes]:
        loop, wake, cluster = asyncio.get_running_loop(), asyncio.Event(), self._cluster

        def ring() -> None:
            loop.call_soon_threadsafe(wake.set)

        with cluster.lock:
            cluster.listeners.add(ring)
        try:
            yield b"".join(map(_line, first))
            while True:
                wake.clear()
                with cluster.lock:
                    events, over = self._now()
                if events:
                    yield b"".join(map(_line, events))
                if over:
                    return
                left_s = 3600 if cluster.silent_watches else max(self._ends - time.monotonic(), 0.01)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), left_s)
        finally:
            with cluster.lock:
                cluster.listeners.discard(ring)

    def _now(self) -> tuple[list[Obj], bool]:
        """(what is to be told now, whether that is all)."""
        cluster = self._cluster
        if cluster.drops != self._drops:
            raise WatchDropped
        if cluster.silent_watches:
            return [], cluster.closing
        over = time.monotonic() >= self._ends or cluster.now >= self._ends_given or cluster.closing
        try:
            changes = cluster.store.since(self._version)
        except Compacted as compacted:
            if self._wanted.kind.kind == "Event":  # they are not in the watch cache (kubernetes#104171)
                return [], True
            return [listing.too_old(self._version, compacted.args[0])], True
        found = list(listing.events(changes, self._wanted, self._match))
        self._version = max(self._version, cluster.store.revision)
        if self._bookmarks and (over or cluster.now - self._told_at >= 60):
            self._told_at = cluster.now
            found.append(listing.bookmark(self._wanted.kind, self._version))
        return found, over
