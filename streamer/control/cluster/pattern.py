"""The test pattern on a wall that shows no run: a conductor and tiles for that alone, which own ConfigMap owns.

It is made like a run without anything to compute, so what is left of it when the control plane is killed is tidied
away as that of a run that nobody knows.  Nothing is tried again: what is in the way is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time

import msgspec
import structlog
import zmq.asyncio

from streamer.control.cluster import commands, planning
from streamer.control.cluster.doors import where
from streamer.control.cluster.facts import Facts
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.names import name
from streamer.control.cluster.observed import Observed
from streamer.control.cluster.on_walls import planned
from streamer.control.cluster.plan import NotPossible, Object
from streamer.control.cluster.reach import address
from streamer.control.cluster.readable import findings
from streamer.control.cluster.site import Site
from streamer.control.cluster.standing import first_ready
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.cluster.troubles import Trouble
from streamer.control.cluster.walls import conductor_part
from streamer.control.link import NoAnswer
from streamer.control.showing import NotIdentified, ToShow
from streamer.control.wall_link import ConductorLink
from streamer.keyring import fresh
from streamer.settings import Settings
from streamer.wire.keys import Keys, parse

LOOK_S = 0.5
GONE_S = 5.0
"""So long whoever wants something else there waits for the pattern to be gone; a node that is lost keeps it longer."""
log = structlog.get_logger()


class ClusterPattern:
    """The pattern on one wall (see ``showing.Pattern``)."""

    def __init__(
        self, wall: ToShow, site: Site, settings: Settings, around: Surroundings, hand: Hand,
        context: zmq.asyncio.Context,
    ) -> None:  # fmt: skip
        """Raises NotPossible, with a sentence, for a wall that a cluster cannot show anything on."""
        self.run_id = f"identify-{secrets.token_hex(4)}"
        """What its objects are called after."""
        self._wall, self._site, self._ready_s = wall, site, settings.ready_s
        self._around, self._hand, self._context = around, hand, context
        plan = msgspec.structs.replace(planned(wall, site, "", settings.wall_deadline_ms), follows=False)
        self._plan = planning.pattern_plan(self.run_id, plan, site)
        self._seats = {one.node: one.seat for one in wall.seatings.seats if one.node}
        self.shown: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.left = asyncio.Event()
        """Set once the cluster was told to remove it, or cannot be told."""
        self._stop = asyncio.Event()
        self._let_go = False

    def stop(self) -> None:
        """Ends it before its time."""
        self._stop.set()

    async def let_go(self) -> None:
        """Ends it, and returns when the cluster was told so: nobody will look whether it is gone."""
        self._let_go = True
        self.stop()
        await self.left.wait()

    async def show(self, seconds: float) -> None:
        """Makes all that it takes, waits, and removes it."""
        called = self._wall.facts.name
        try:
            async with asyncio.TaskGroup() as tasks:
                showing = tasks.create_task(self._show(seconds))
                stop = tasks.create_task(self._stop.wait())
                await asyncio.wait([showing, stop], return_when=asyncio.FIRST_COMPLETED)
                showing.cancel()
                stop.cancel()
        except* (NotIdentified, Trouble, NoAnswer, NotPossible) as several:
            self._fail(f"the test pattern cannot be shown on wall {called}: {several.exceptions[0]}")
        except* Exception as why:
            log.error("the test pattern could not be shown", wall=called, exc_info=why)
            self._fail(f"the test pattern of wall {called} failed for a reason of ours; the log has it")
        finally:
            self._fail(f"the test pattern of wall {called} was ended before it was shown")
            try:
                await self._remove()
            finally:
                self.left.set()
                self.ended.set()

    async def _show(self, seconds: float) -> None:
        keys = fresh(self.run_id)
        root = await self._hand.create(planning.pattern_root(self._plan))
        for one in planning.pattern_rest(self._plan, root, dict(keys.items()), self._seats):
            await self._hand.create(one)
        mine = parse(keys["control"].encode(), "the pattern's keys")
        until = time.monotonic() + self._ready_s
        link = await self._met(mine, until)
        try:
            await self._asked_for(link, until)
            said = await self._everywhere(link, until)
        finally:
            link.close()
        self.shown.set_result(said)
        log.info("test pattern", wall=self._wall.facts.name, seconds=seconds)
        await asyncio.sleep(seconds)

    async def _met(self, keys: Keys, until: float) -> ConductorLink:
        """The line to the conductor, once that serves.  Raises NotIdentified."""
        part = conductor_part(self._plan.walls[0].number)
        while time.monotonic() < until:
            pod = first_ready(self._facts, self.run_id, part)
            reach = self._site.reach.wall
            at = "" if pod is None else address(reach, where(self.run_id, pod, part, commands.WALL))
            if at:
                return ConductorLink(self._context, at, keys)
            await self._something()
        raise NotIdentified(self._why() or f"its conductor is not there after {self._ready_s:g} s")

    async def _asked_for(self, link: ConductorLink, until: float) -> None:
        """The conductor is told to show the pattern, as often as it takes.  Raises NoAnswer."""
        while True:
            try:
                await link.change({"pattern": True})
                return
            except NoAnswer:
                if time.monotonic() >= until:
                    raise
            await self._something()

    async def _everywhere(self, link: ConductorLink, until: float) -> tuple[str, ...]:
        """Sentences about what does not show it in time; none once all that can show it do.  Raises NotIdentified."""
        tiles = {
            one.seat: set(one.tiles) for one in self._wall.seatings.seats if one.node and one.state != "not ready"
        }  # fmt: skip
        every = set().union(*tiles.values())
        dark = every
        while time.monotonic() < until:
            with contextlib.suppress(NoAnswer):
                dark = every & set((await link.figures()).stale)
                if not dark:
                    return ()
            await self._something()
        if dark == every:
            raise NotIdentified(self._why() or f"no tile is there after {self._ready_s:g} s: see the nodes")
        why = self._why()
        seats = ", ".join(seat for seat, its in tiles.items() if its & dark)
        return (f"{seats} of wall {self._wall.facts.name}: not there in time{f'; {why}' if why else ''}",)

    @property
    def _facts(self) -> Facts:
        return self._around.facts(self._plan.namespace, self.run_id)

    def _why(self) -> str:
        """What the cluster says is in the way."""
        facts = self._facts
        observed = Observed(pods=facts.of("Pod"), nodes=facts.nodes, events=facts.events, now=facts.clock)
        found = findings(observed, self.run_id, self._plan.namespace)
        return found[0].sentence if found else facts.words

    async def _something(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._around.looked()
        await asyncio.sleep(0.05)

    async def _remove(self) -> None:
        """Removes all of it, if the cluster takes that in time; else it is tidied away later."""
        key = "ConfigMap", name(self.run_id, "run")
        try:
            async with asyncio.timeout(GONE_S):
                root: Object | None = await self._hand.get(*key, self._plan.namespace)
                if root is None:
                    return
                await self._hand.drop(root)
                self.left.set()
                # With the root, which goes last, all is gone that it owned.
                while not (self._facts.missing(key) or self._let_go):
                    await self._something()
        except (Trouble, TimeoutError) as why:
            log.warning("what showed a test pattern is removed later", wall=self._wall.facts.name, why=str(why))

    def _fail(self, why: str) -> None:
        if not self.shown.done():
            self.shown.set_exception(NotIdentified(why))
            self.shown.exception()  # nobody need be waiting
