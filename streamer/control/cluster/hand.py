"""What this control plane does to a cluster, as long as it leads: create, change, delete, and look at single things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from streamer.control.cluster import changes
from streamer.control.cluster.facts import going
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.plan import Object
from streamer.control.cluster.troubles import Changed, Taken, Unanswered

Answer = TypeVar("Answer")


class Hand:
    """Changes the cluster.  Each method raises Trouble; Unanswered too where somebody else leads by now."""

    def __init__(self, line: ClusterLine, leads: Callable[[], bool]) -> None:
        self._line, self._leads = line, leads

    async def create(self, manifest: Object) -> Object:
        """The object as it is now; one that is there already is taken over if it is the same run's.

        Raises Taken with a sentence if it is not; Unanswered for one that is still being deleted.
        """
        try:
            found, _ = await self._change(self._line.engine.create, manifest, changes.taken)
        except Taken as why:
            data = manifest["metadata"]
            there = await self.get(manifest["kind"], data["name"], data["namespace"])
            if there is None or going(there):
                raise Unanswered(str(why)) from None
            raise
        return found

    async def patch(self, patch: changes.Patch, namespace: str) -> None:
        """Changes an object."""
        await self._change(self._line.engine.patch, patch.kind, patch.name, patch.body, namespace)

    async def drop(self, found: Object) -> None:
        """Deletes this very object with all that it owns, which goes first."""
        data = found["metadata"]
        try:
            await self._change(
                self._line.engine.delete, found["kind"], data["name"], changes.delete(found), data.get("namespace", "")
            )
        except Changed:  # another one of that name was made since: that one is not meant
            return

    async def get(self, kind: str, name: str, namespace: str) -> Object | None:
        """An object, or None if it is not there for certain."""
        return await self._line.ask(self._line.engine.get, kind, name, namespace)

    async def log(self, pod: Object, container: str, lines: int) -> str:
        """The last lines of a container."""
        data = pod["metadata"]
        return await self._line.ask(self._line.engine.log, data["name"], container, lines, data["namespace"])

    async def _change(self, request: Callable[..., Answer], *arguments: Any) -> Answer:
        """Makes a request if we lead when its turn has come, which may be later than now."""

        def asked() -> Answer:
            if not self._leads():
                raise Unanswered("it is not sure that this control plane leads, so it changes nothing")
            return request(*arguments)

        return await self._line.ask(asked)
