"""The objects of one run in a cluster, kept as they are wanted: taken up, looked at, made, changed and cleared.

``standing.decide`` says what is due, from what the followers know (``Surroundings``) and what is wanted of the run;
here it is done, one change at a time.  What is refused for good fails the run, whatever else stands in the way is a
remark.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from streamer.control import lives
from streamer.control.cluster import memories, objects, people, standing, wall_states
from streamer.control.cluster.changes import Patch
from streamer.control.cluster.doors import Doors
from streamer.control.cluster.facts import Facts, Key, key_of
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.memories import Memory
from streamer.control.cluster.names import PART_LABEL, name
from streamer.control.cluster.observed import text
from streamer.control.cluster.on_walls import RunsWalls, is_left
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.site import Site
from streamer.control.cluster.standing import Drop, Make
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.cluster.taking import Lost, TakenUp, Taking
from streamer.control.cluster.troubles import NotThere, Refused, Taken, Trouble
from streamer.control.cluster.walls import of_wall, placed, wall_part
from streamer.control.lives import Life
from streamer.control.runs import Run

LOOK_S = 1.0
LONGEST_WAIT_S = 15.0
UNHUNG_S = 5.0
"""So long who takes a run off a wall waits for the wall to be clear; what is left then goes by itself."""
PUT_AWAY_S = 10.0
"""So long the cluster may take to hear that a run's processes are to end; the rest is done later."""
log = structlog.get_logger()


class Upkeep:
    """What one run consists of.  ``take_up`` the run, then take ``step`` after ``step``."""

    def __init__(
        self, wanted: Callable[[], Run], life: Life, taking: Taking, site: Site, around: Surroundings, hand: Hand,
        doors: Doors, walls: RunsWalls, closing: asyncio.Event, publish: Callable[[], None],
        stirred: Callable[[], None],
    ) -> None:  # fmt: skip
        """``wanted``: the run's record as it is wanted now; ``stirred`` is called when its pods have changed."""
        self.wake = asyncio.Event()
        """Set when it is worth looking at once."""
        self.people: list[people.Shown] = []
        self.remarks: tuple[str, ...] = ()
        self.restarts = dict(wanted().restarts)
        self.leaving: Mapping[str, Sequence[str]] = {}
        """Walls that were taken off and of which something is left, with the nodes that keep it."""
        self._wanted, self._run_id, self._taking = wanted, wanted().run_id, taking
        self._site, self._around, self._hand, self._doors, self._walls = site, around, hand, doors, walls
        self._closing, self._publish, self._stirred = closing, publish, stirred
        self._memory: Memory = memories.begun(life, time.monotonic())
        self._made: Mapping[Key, Object] = {}
        """All that it is to consist of now, besides root and Secret."""
        self._base: Mapping[Key, Object] = {}
        """The same without walls."""
        self._facts = Facts()
        self._anew = asyncio.Event()
        """Set when its objects are looked at once more."""

    @property
    def life(self) -> Life:
        """All that decides what becomes of the run."""
        return self._memory.life

    def put(self, life: Life) -> None:
        """Something has happened to the run."""
        self._memory = msgspec.structs.replace(self._memory, life=life)

    def looked(self, viewers: int) -> None:
        """So many look now."""
        self._memory = memories.looked(self._memory, viewers, time.monotonic())

    def remark(self, remarks: tuple[str, ...]) -> None:
        """What stands in the way, in sentences, in place of those before."""
        self.remarks = remarks
        self._publish()

    async def take_up(self) -> ClusterPlan | Lost | None:
        """The plan of the run, once its root and its keys are there; None if it was ended instead.

        Raises Taken, Refused, NotPossible, BadKeys where it will never be.
        """
        wait_s = 0.5
        while not self._closing.is_set():
            try:
                found = await self._taking.attempt(self._wanted())
            except (Taken, Refused):
                raise
            except Trouble as trouble:
                self.remark((str(trouble),))
                await self._closed_within(wait_s)
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
                continue
            match found:
                case TakenUp():
                    self._doors.keys, self._base, self._made = found.keys, found.made, found.made
                    return found.plan
                case Lost():
                    return found
            self.remark((found,) if found else ())
            await self.news()
        return None

    async def step(self, base: ClusterPlan) -> Lost | None:
        """Looks at what there is, and does what is due; says so if somebody has taken the run away."""
        self._look(base)
        plan, wanted = self._with_walls(base), self._wanted()
        there = ("ConfigMap", name(plan.run_id, "run")) in self._memory.seen
        if gone := standing.root_gone(wanted, self._facts, was_there=there):
            return Lost(gone)
        step = standing.decide(
            plan, wanted, list(self._made), self._facts, self.people, self._memory, time.monotonic(),
            idle_s=self._site.idle_s, finish_s=self._site.finish_s,
        )  # fmt: skip
        self._memory = step.memory
        self.leaving = wall_states.leaving(
            self._facts, {*(one.name for one in wanted.walls), *(one.name for one in plan.walls)}
        )
        kept = [wall_states.kept_by(wall, nodes) for wall, nodes in self.leaving.items() if nodes]
        self.remark((*step.remarks, *kept))
        self._doors.see(plan, self._facts)
        self._walls.see(self._facts, self._memory.seats, self._doors.keys)
        for action in step.actions:
            await self._do(plan.namespace, action)
        return None

    async def news(self, within_s: float = LOOK_S) -> None:
        """Waits until it is worth looking, or for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.wake.wait()
        self.wake.clear()

    def made_for(self, walls: Collection[str]) -> set[Key]:
        """What it is to consist of for some walls."""
        return {key for key, one in self._made.items() if of_wall(one) in walls}

    async def clear(self, wall: str, whose: Sequence[str], keys: set[Key]) -> bool:
        """Waits until nothing of a wall that was taken off is left, if that is soon, and says whether it is so.

        ``whose``: the names that its objects have; ``keys``: those that were made.  What is left goes by itself:
        ``step`` has it deleted, also that of a control plane that is started again.
        """
        try:
            async with asyncio.timeout(UNHUNG_S):
                await self._once_more()  # what was to be made for it before has been asked for by now
                keys |= {key for key, one in self._facts.objects.items() if of_wall(one) in whose}
                self._memory = memories.forgotten(self._memory, keys)
                space = self._around.root(self._run_id)[0]
                while keys and not self._closing.is_set():
                    heard = self._facts.objects
                    keys = {key for key in keys if key in heard or await is_left(self._hand, key, space, whose)}
                    if self._only_lost(wall, keys):
                        break
                    if keys:
                        await self._once_more()
        except TimeoutError:
            pass
        if keys:
            left = " and ".join(sorted(" ".join(key) for key in keys)) or "what there is of it"
            log.warning("a wall is cleared later", wall=wall, run=self._run_id, left=left)
        return not keys

    async def put_away(self) -> None:
        """Ends the processes, as far as the cluster takes it now; else the launcher does so later."""
        space, found = self._around.root(self._run_id)
        if found is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PUT_AWAY_S):
                while todo := standing.put_away(self._run_id, self._around.facts(space, self._run_id)):
                    for action in todo:
                        await self._do(space, action)
                    await self.news()

    # ------------------------------------------------------------ inside

    def _only_lost(self, wall: str, keys: Collection[Key]) -> bool:
        """Whether all that is left of a wall waits for nodes that do not answer."""
        nodes = self.leaving.get(wall, ())
        parts = {name.removeprefix(f"cc-{self._run_id}-") for _, name in keys}
        here = {
            text(pod, "spec", "nodeName") for pod in self._facts.of("Pod")
            if text(pod, "metadata", "labels", PART_LABEL) in parts
        }  # fmt: skip
        return bool(nodes) and {kind for kind, _ in keys} == {"DaemonSet"} and here <= set(nodes)

    def _look(self, base: ClusterPlan) -> None:
        plan = msgspec.structs.replace(base, walls=self._walls.plans)
        facts = self._around.facts(plan.namespace, plan.run_id)
        looked, self._anew = self._anew, asyncio.Event()
        looked.set()
        shown = people.shown(facts.of("Pod"), plan)
        changed = people.standings(shown) != people.standings(self.people)
        self._facts, self.people = facts, shown
        for one in shown:  # counters never fall, though pods that failed are removed
            if (times := people.restarts(one)) > self.restarts.get(one.name, 0):
                self.restarts[one.name] = times
        if changed:
            self._stirred()

    def _with_walls(self, base: ClusterPlan) -> ClusterPlan:
        """The plan with the walls that the run is shown on now, whose objects it then consists of as well."""
        self._walls.number(self._facts)
        plan = msgspec.structs.replace(base, walls=self._walls.plans)
        top = self._facts.objects.get(("ConfigMap", name(base.run_id, "run")))
        if top is not None:
            every = objects.for_walls(plan, top, [None] * len(plan.walls))
            self._made = {**self._base, **{key_of(one): one for one in every}}
        return plan

    async def _do(self, space: str, action: standing.Action) -> None:
        """Makes one change."""
        what = standing.about(action)
        try:
            match action:
                case Make():
                    await self._hand.create(self._manifest(action.key))
                case Drop():
                    await self._hand.drop(action.found)
                case Patch():
                    await self._hand.patch(action, space)
        except (Taken, Refused) as why:
            if standing.for_wall(action, self._facts.objects, self._made):  # a wall never fails its run
                self._memory = memories.refused(self._memory, what, str(why))
            else:
                self.put(lives.failed(self.life, str(why)))
        except NotThere:
            self._memory = memories.refused(self._memory, what, "")
        except Trouble as why:
            self._memory = memories.refused(self._memory, what, str(why))
        else:
            self._memory = memories.refused(self._memory, what, "")

    def _manifest(self, key: Key) -> Object:
        """What an object is to be like now."""
        found, run_id = self._made[key], self._run_id
        if key == ("Job", name(run_id, "workers")):
            count = self._wanted().workers
            return {**found, "spec": {**found["spec"], "parallelism": count, "completions": count}}
        if key == ("Deployment", name(run_id, "renderers")):
            count = memories.renderers(self._memory, self._site.idle_s, time.monotonic())
            return {**found, "spec": {**found["spec"], "replicas": count}}
        for number, seats in self._memory.seats.items():
            if key == ("ConfigMap", name(run_id, f"seats-{number}")):
                return {**found, "data": dict(sorted(seats.items()))}
            if key == ("DaemonSet", name(run_id, wall_part(number))):
                return placed(found, seats)
        return found

    async def _once_more(self) -> None:
        """Waits until the run's objects are looked at once more, or it is closed."""
        anew = self._anew
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(one.wait()) for one in (anew, self._closing)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()

    async def _closed_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
