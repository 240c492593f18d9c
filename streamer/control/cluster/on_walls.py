"""The walls that one run of a cluster is shown on: which objects they have, and how each stands.

A wall gets a number when the run's objects are known, the one that it has there already or one that is free; all else
follows from that (``walls``).  Its conductor is asked as on any machine (``hanging``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog
import zmq.asyncio

from streamer.control.cluster import commands, wall_states, walls
from streamer.control.cluster.doors import where
from streamer.control.cluster.facts import Facts, Key, going
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.names import name
from streamer.control.cluster.observed import called, dig
from streamer.control.cluster.plan import NotPossible, WallPlan
from streamer.control.cluster.reach import address
from streamer.control.cluster.site import Site
from streamer.control.cluster.standing import first_ready
from streamer.control.cluster.troubles import NotThere, Trouble
from streamer.control.hanging import Hanging
from streamer.control.onwall import OnWall, PartState, not_shown
from streamer.control.runs import Run
from streamer.control.seats import wall_plan
from streamer.control.showing import ToShow
from streamer.wire.keys import Keys

KINDS = frozenset(("ConfigMap", "NetworkPolicy", "Service", "Deployment", "DaemonSet"))
"""What there is of a wall, besides pods."""
log = structlog.get_logger()


def planned(wall: ToShow, site: Site, behind: str, deadline_ms: float) -> WallPlan:
    """A wall as a site shows it.  Raises NotPossible, with a sentence."""
    tile = site.wall.tile or site.renderer
    if tile is None:
        raise NotPossible("this site shows no walls: its file has neither [wall.tile] nor [renderer]")
    plan = wall_plan(
        wall.facts, wall.text, tile, site.wall.conductor or site.renderer or tile, screen=site.wall.screen,
        deadline_ms=deadline_ms, behind=behind,
    )  # fmt: skip
    plan = msgspec.structs.replace(plan, x_authority=site.wall.x_authority if site.wall.screen == "x" else "")
    walls.check(plan)
    return plan


async def is_left(hand: Hand, key: Key, namespace: str, whose: Sequence[str]) -> bool:
    """Whether an object of walls is still there, or may be; it is deleted if nobody has done so yet.

    The API server is asked, since what was heard of it may be old.
    """
    try:
        found = await hand.get(*key, namespace) if namespace else None
        if found is None or walls.of_wall(found) not in whose:
            return False
        if not going(found):
            await hand.drop({"kind": key[0], **found})
    except NotThere:
        return False
    except Trouble as why:
        log.debug("not cleared yet", object=" ".join(key), why=str(why))
    return True


class ClusterHanging(Hanging):
    """A wall that a run of a cluster is shown on."""

    def __init__(self, wall: ToShow, plan: WallPlan) -> None:
        super().__init__(wall)
        self.plan = plan
        self.numbered = False
        """Whether ``plan.number`` is the one that its objects have."""
        self._conductor: PartState = "starting"
        self._states: Mapping[str, PartState] = {}
        self._met = "", ""

    @property
    def standing(self) -> OnWall:
        """How the wall stands."""
        return self.told(self._conductor, self._states)

    def see(self, facts: Facts, seats: Mapping[str, str] | None) -> None:
        """Takes note of how its nodes and pods are now; ``seats`` are those that its pods have been told."""
        if facts.nodes is not None or facts.nodes_why:
            found = wall_states.listing(facts.nodes, facts.nodes_why, self.wall.labels)
            self.seatings = wall_states.seatings(self.wall, found, seats)
        if "Pod" in facts.heard:
            number = self.plan.number
            self._conductor = wall_states.conductor_state(facts, number)
            self._states = wall_states.tile_states(facts, number, self.seatings)

    def meet(self, facts: Facts, run_id: str, pattern: str, context: zmq.asyncio.Context, keys: Keys | None) -> None:
        """Its conductor is greeted where it serves now."""
        part = walls.conductor_part(self.plan.number)
        pod = first_ready(facts, run_id, part)
        at = "" if pod is None else address(pattern, where(run_id, pod, part, commands.WALL))
        if pod is not None and at and keys is not None and self._met != (at, called(pod)):
            self._met = at, called(pod)
            self.reached(context, at, keys)


def _free(taken: Collection[int]) -> int:
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


class RunsWalls:
    """The walls of one run.  ``follow`` them for as long as it is looked after."""

    def __init__(
        self, run_id: str, site: Site, behind: str, deadline_ms: float, context: zmq.asyncio.Context,
        publish: Callable[[], None],
    ) -> None:  # fmt: skip
        self._run_id, self._site, self._behind, self._deadline_ms = run_id, site, behind, deadline_ms
        self._context, self._publish = context, publish
        self.hung: dict[str, ClusterHanging] = {}
        """By the walls' names."""
        self._not_hung: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._followers: dict[str, asyncio.Task[None]] = {}

    @property
    def plans(self) -> tuple[WallPlan, ...]:
        """Those whose objects are there, or are to be made."""
        return tuple(one.plan for one in self.hung.values() if one.numbered)

    def standings(self, record: Run) -> tuple[OnWall, ...]:
        """How the walls of a record stand."""
        return tuple(
            self.hung[wall.name].standing if wall.name in self.hung
            else not_shown(wall.name, self._not_hung[wall.name]) if wall.name in self._not_hung
            else wall
            for wall in record.walls
        )  # fmt: skip

    def check(self, namespace: str) -> None:
        """Raises NotPossible if a run in this ``namespace`` (empty: it is not known yet) can be shown on no wall."""
        where_walls_are = self._site.wall.namespace
        if where_walls_are and namespace and namespace != where_walls_are:
            raise NotPossible(
                f"the run is in namespace {namespace}, and walls are shown in {where_walls_are}, which lets tiles use "
                "X servers: start the run (or a clone of it) with the wall"
            )

    def hang(self, wall: ToShow, namespace: str) -> None:
        """One more wall, in the run's ``namespace``.  Raises NotPossible."""
        self.check(namespace)
        hanging = ClusterHanging(wall, planned(wall, self._site, self._behind, self._deadline_ms))
        self._not_hung.pop(wall.facts.name, None)
        self.hung[wall.facts.name] = hanging
        self._follow(hanging)

    def not_hung(self, wall: str, why: str) -> None:
        """A wall cannot be shown on: why, in a sentence."""
        self._not_hung[wall] = why

    async def take_off(self, wall: str) -> None:
        """One wall less; what it showed last is written down."""
        self._not_hung.pop(wall, None)
        hanging = self.hung.pop(wall, None)
        if follower := self._followers.pop(wall, None):
            follower.cancel()
        if hanging is not None:
            await hanging.let_go()

    def see(self, facts: Facts, seats: Mapping[int, Mapping[str, str]], keys: Keys | None) -> None:
        """Takes note of how all stand now."""
        for one in self.hung.values():
            if one.numbered:
                one.see(facts, seats.get(one.plan.number))
                one.meet(facts, self._run_id, self._site.reach.wall, self._context, keys)

    def number(self, facts: Facts) -> None:
        """Gives numbers to those that have none, once it is known which there are."""
        if ("ConfigMap", name(self._run_id, "run")) not in facts.objects or not facts.heard >= KINDS:
            return
        there = wall_states.numbers(facts)
        for one in self.hung.values():
            if one.numbered:
                continue
            given = {other.plan.number for other in self.hung.values() if other.numbered}
            mine = [
                number for number, (wall, whole) in there.items()
                if (wall, whole) == (one.wall.name, True) and number not in given and self._same(number, one, facts)
            ]  # fmt: skip
            number = min(mine, default=_free(given | there.keys()))
            one.plan, one.numbered = msgspec.structs.replace(one.plan, number=number), True

    def _same(self, number: int, one: ClusterHanging, facts: Facts) -> bool:
        """Whether a number's objects are of the wall's file as it is now."""
        found = facts.objects.get(("ConfigMap", name(self._run_id, f"file-{number}")))
        return found is None or dig(found, "data", commands.WALL_FILE) == one.plan.text

    async def follow(self) -> None:
        """Asks the conductors how their walls stand; until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for one in self.hung.values():
                    self._follow(one)
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            for one in self.hung.values():
                one.close()

    def _follow(self, hanging: ClusterHanging) -> None:
        if self._tasks is not None:
            self._followers[hanging.wall.name] = self._tasks.create_task(hanging.follow(self._publish))
