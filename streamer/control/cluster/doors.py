"""The doors of a run in a cluster, as far as the control plane uses them: its streamer's, its relays', a renderer's.

Where they are follows from the pods that serve; what was found stays while nothing newer is known.
"""

from __future__ import annotations

import asyncio

import zmq.asyncio

from streamer.control.cluster import commands
from streamer.control.cluster.facts import Facts
from streamer.control.cluster.names import name
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.reach import Reach, address
from streamer.control.cluster.standing import first_ready
from streamer.control.launching import Views
from streamer.control.link import StreamerLink
from streamer.wire.keys import Keys


def where(run_id: str, pod: Object, part: str, port: int) -> dict[str, str]:
    """What a pattern of addresses may name of a door (see ``reach.address``)."""
    data = pod["metadata"]
    return {
        "service": name(run_id, part), "namespace": data["namespace"], "pod": data["name"],
        "ip": str(pod["status"].get("podIP") or ""), "port": str(port),
    }  # fmt: skip


class Doors:
    """The lines to a run's parts.  ``close`` when done."""

    def __init__(self, run_id: str, reach: Reach, context: zmq.asyncio.Context) -> None:
        self._run_id, self._reach, self._context = run_id, reach, context
        self.keys: Keys | None = None
        """The control plane's own, once they are known."""
        self.streamer: StreamerLink | None = None
        """The line to the streamer, once a pod of it has served."""
        self.answered = False
        """Whether anything has come over it."""
        self._met = ""
        self._relays: dict[str, tuple[str, StreamerLink]] = {}
        self._drawing = ""
        self._views: asyncio.Future[Views] = asyncio.get_running_loop().create_future()

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """The lines to relays that have served, by their parts' names."""
        return {part: link for part, (_, link) in self._relays.items()}

    async def views(self) -> Views:
        """Where a renderer waits for viewers, once one does."""
        return await asyncio.shield(self._views)

    def see(self, plan: ClusterPlan, facts: Facts) -> None:
        """Takes note of the pods that serve now."""
        if self.keys is None or "Pod" not in facts.heard:
            return
        at = self._at(facts, "streamer", self._reach.feed, commands.FEED)
        if at and at != self._met:
            if self.streamer is not None:
                self.streamer.close()
            self.streamer, self._met, self.answered = StreamerLink(self._context, at, keys=self.keys), at, False
        for number, relay in enumerate(plan.relays, 1):
            at, part = self._at(facts, f"relay-{number}", self._reach.feed, commands.FEED), f"relay-{relay.name}"
            if at and self._relays.get(part, ("",))[0] != at:
                if part in self._relays:
                    self._relays[part][1].close()
                self._relays[part] = at, StreamerLink(self._context, at, keys=self.keys, server="relay")
        at = self._at(facts, "renderers", self._reach.views, commands.VIEWS)
        if at != self._drawing:
            self._drawn_no_more()
            self._drawing = at
            if at:
                self._views.set_result(Views(at, asyncio.Event()))

    def close(self) -> None:
        """Hangs up; whoever waits for a view is cancelled."""
        for link in (*([self.streamer] if self.streamer else []), *self.relays.values()):
            link.close()
        self._drawn_no_more()
        self._views.cancel()

    def _at(self, facts: Facts, part: str, pattern: str, port: int) -> str:
        pod = first_ready(facts, self._run_id, part)
        return "" if pod is None else address(pattern, where(self._run_id, pod, part, port))

    def _drawn_no_more(self) -> None:
        if self._views.done() and not self._views.cancelled():
            self._views.result().gone.set()
            self._views = asyncio.get_running_loop().create_future()
