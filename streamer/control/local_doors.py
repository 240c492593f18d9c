"""The doors of a run on this machine: where its parts listen, and the control plane's own lines to them.

A part says where it is to be met once it is ready; whoever connects to it waits for that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

import zmq.asyncio

from streamer.control.launching import NoView, Views
from streamer.control.link import StreamerLink
from streamer.control.parts import Addresses, dialled
from streamer.control.runs import Role
from streamer.wire.keys import Keys


class LocalDoors:
    """Where the parts of a run are met.  ``close`` when done."""

    def __init__(self, at: Addresses, context: zmq.asyncio.Context, keys: Keys | None) -> None:
        self.at, self.keys, self.context = at, keys, context
        self.streamer: StreamerLink | None = None
        """The line to the streamer, once that has been ready."""
        self.relays: dict[str, StreamerLink] = {}
        """The lines to the relays that have been ready, by their names."""
        self._met: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """For each part that others connect to: it is known where, and that a relay listens at all."""
        if at.known("streamer"):
            self._met["streamer"].set()
        self._views: asyncio.Future[Views] = asyncio.get_running_loop().create_future()

    async def met(self, part: str) -> None:
        """Waits until others can connect to a part."""
        await self._met[part].wait()

    async def views(self) -> Views:
        """Where the renderer waits for viewers.  Raises NoView if there will be none any more."""
        return await asyncio.shield(self._views)

    def opened(self, part: str, role: Role, ready: Mapping[str, object]) -> None:
        """A part is ready, and has announced where it is."""
        self.at = self.at.after(part, ready)
        if role == "streamer" and self.streamer is None:
            self.streamer = StreamerLink(self.context, self.at.feed_of(part), keys=self.keys)
        elif role == "relay" and part not in self.relays:
            feed = self.at.feed_of(part)
            self.relays[part] = StreamerLink(self.context, feed, keys=self.keys, server="relay")
        elif role == "renderer" and not self._views.done():
            self._views.set_result(Views(dialled(self.at.views), asyncio.Event()))
        self._met[part].set()

    def expect(self, conductor: str, address: str) -> None:
        """A conductor is to be met there, once it is ready."""
        self.at = self.at._replace(walls={**self.at.walls, conductor: address})

    def forget(self, part: str) -> None:
        """Whoever connects to a part waits for it again."""
        self._met.pop(part, None)

    def renderer_gone(self) -> None:
        """The renderer has ended; another may come."""
        if self._views.done() and not self._views.cancelled() and self._views.exception() is None:
            self._views.result().gone.set()
            self._views = asyncio.get_running_loop().create_future()

    def no_view(self, why: str) -> None:
        """No renderer will come any more: whoever waits for a view of it is told."""
        if not self._views.done():
            self._views.set_exception(NoView(f"this run is not drawn any more: {why}"))
            self._views.exception()  # nobody need be waiting

    def close(self) -> None:
        """Hangs up; whoever waits for a view is cancelled."""
        for link in (*([self.streamer] if self.streamer else []), *self.relays.values()):
            link.close()
        self.renderer_gone()
        self._views.cancel()
