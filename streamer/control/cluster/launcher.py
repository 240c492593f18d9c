"""The launcher of a cluster: runs are objects that the cluster keeps going, and this control plane looks after them.

What it does by itself (``tend``): it keeps its view of the cluster in order, ends the processes of runs that are over,
and removes what is left of runs that are not in the books any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import msgspec
import structlog
import yaml
import zmq.asyncio

from streamer.control import runs
from streamer.control.booking import Booking
from streamer.control.cluster import changes, planning, standing, tidying
from streamer.control.cluster.changes import Patch
from streamer.control.cluster.facts import going
from streamer.control.cluster.following import ClusterLine
from streamer.control.cluster.hand import Hand
from streamer.control.cluster.living import ClusterRun
from streamer.control.cluster.names import name
from streamer.control.cluster.nodes import ClusterNodes
from streamer.control.cluster.observed import called
from streamer.control.cluster.pattern import ClusterPattern
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.control.cluster.root import read
from streamer.control.cluster.site import Site
from streamer.control.cluster.surroundings import Surroundings
from streamer.control.cluster.troubles import Trouble
from streamer.control.launching import STARTED_AGAIN
from streamer.control.link import NoAnswer
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.control.schema import RunRequest
from streamer.control.seats import NodeSource
from streamer.control.showing import ToShow
from streamer.settings import Settings

TIDY_S = 30.0
"""At most so long after something is due it is tidied away."""
HEARD_S = 10.0
"""So long a question waits for the cluster to be known."""
PATTERNS_S = 3.0
"""So long the cluster may take to hear that test patterns are to go; what is left is an orphan, and tidied away."""
MOST_SAID = 200
log = structlog.get_logger()
InBooks = Callable[[str], Awaitable[Run | None]]
"""How a run stands in the books; None if they do not have it.  Raises whatever it is where they do not answer."""


class ClusterLauncher:
    """Brings runs to life as objects of a cluster (see ``launching.Launcher``)."""

    name = "kubernetes"
    temporary = False

    def __init__(
        self, settings: Settings, site: Site, line: ClusterLine, leads: Callable[[], bool], in_books: InBooks,
        context: zmq.asyncio.Context, spaces: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """``spaces``: namespaces of projects that have one of their own; they are among the site's."""
        self._settings, self._site, self._line, self._in_books = settings, site, line, in_books
        self._context, self._spaces = context, spaces or {}
        self._around = Surroundings(line, site.installation, site.namespaces)
        self.nodes: NodeSource = ClusterNodes(self._around)
        self._patterns: dict[str, ClusterPattern] = {}
        self._hand = Hand(line, leads)
        self._runs: dict[str, ClusterRun] = {}
        self._said: dict[str, Sequence[Line]] = {}
        self._lost: dict[str, dict[str, float]] = {}

    def gpus(self, request: RunRequest) -> int:
        """Those of each worker: asked for, else the site's."""
        return self._site.worker.gpu.count if request.gpus is None else request.gpus

    def check(self, booked: Booking) -> None:
        """Raises NotPossible, with a sentence, if the cluster could not have such a run."""
        planning.manifests(booked, self._plan(booked))

    def manifests(self, booked: Booking) -> str:
        """All objects of a run as YAML, with no secret's value.  Raises NotPossible."""
        _, root = self._around.root(booked.run_id)
        plan = self._plan(booked) if root is None else read(root, booked.spec)
        if (run := self._runs.get(booked.run_id)) is not None:
            plan = msgspec.structs.replace(plan, walls=run.wall_plans)
        found: str = yaml.safe_dump_all(planning.manifests(booked, plan), sort_keys=False, explicit_start=True)
        return found

    def launch(self, booked: Booking, record: Run, *, over: bool = False) -> ClusterRun:
        """A run that is to ``live``: its objects are made, or taken over if they are there.  Raises NotPossible."""
        plan: ClusterPlan | NotPossible
        try:
            # Whoever waited for room may have been hung on walls meanwhile.
            plan = self._plan(booked, on_walls=bool(record.walls))
        except NotPossible as why:
            # The site may have changed since: a run that is there goes on by the plan that it was made by.
            if record.state == "starting":
                raise
            plan = why
        notes = tuple(one for one in record.remarks if one in booked.notes or one.startswith(STARTED_AGAIN))
        run = ClusterRun(
            booked, record, plan, notes, self._site, self._around, self._hand, self._context,
            deadline_ms=self._settings.wall_deadline_ms, over=over,
        )  # fmt: skip
        self._runs[booked.run_id] = run
        return run

    def _plan(self, booked: Booking, *, on_walls: bool = False) -> ClusterPlan:
        # What tiles are allowed to do is decided for a namespace, so a wall's is not a project's.
        for_walls = self._site.wall.namespace if booked.request.walls or on_walls else ""
        own = for_walls or self._spaces.get(booked.project, "")
        return planning.cluster_plan(booked, self._site, durability=self._settings.durability, namespace=own)

    async def pattern(self, wall: ToShow) -> ClusterPattern:
        """The test pattern on a wall that shows no run, by pods of its own.  Raises NotPossible."""
        found = ClusterPattern(wall, self._site, self._settings, self._around, self._hand, self._context)
        self._patterns[found.run_id] = found
        return found

    async def kept(self, run_id: str) -> bool:
        """Whether its root and its log are there.  Raises NoAnswer where that is not known."""
        await self._known()
        space, root = self._around.root(run_id)
        if root is None or going(root):
            return False
        log_claim = self._around.facts(space, run_id).objects.get(("PersistentVolumeClaim", name(run_id, "log")))
        return log_claim is not None and not going(log_claim)

    async def lines(self, run_id: str, lines: int, part: str = "") -> Sequence[Line]:
        """What was heard of its parts last."""
        found = [line for line in self._said.get(run_id, ()) if part in ("", line.part)]
        return found[-lines:] if lines else []

    async def left(self, run_id: str) -> None:
        """What its parts have said is kept for a while."""
        run = self._runs.get(run_id)
        if run is not None and run.closed.is_set():
            del self._runs[run_id]
            self._said.pop(run_id, None)
            self._said[run_id] = run.heard()
        while len(self._said) > MOST_SAID:
            del self._said[next(iter(self._said))]

    async def forget(self, run_id: str) -> None:
        """Deletes the root, and with it all that it owns; what the cluster does not take now is tidied away later."""
        self._said.pop(run_id, None)
        try:
            await self._known()
            _, root = self._around.root(run_id)
            if root is not None and not going(root):
                await self._hand.drop(root)
        except (Trouble, NoAnswer) as why:
            log.warning("a run's objects are removed later", run=run_id, why=str(why))

    async def close(self) -> None:
        """Ends all threads to the cluster; the runs go on there, test patterns do not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATTERNS_S):
                for pattern in self._patterns.values():
                    await pattern.let_go()
        await self._line.close()

    async def tend(self) -> None:
        """What it does by itself, all the time."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._around.keep())
            tasks.create_task(self._tidy_up())

    async def _known(self) -> None:
        try:
            async with asyncio.timeout(HEARD_S):
                await self._around.known("ConfigMap", "PersistentVolumeClaim")
        except TimeoutError:
            why = self._around.words() or "the cluster is not known yet"
            raise NoAnswer(f"{why}: ask again when it is") from None

    # ------------------------------------------------------------ what nobody looks after

    async def _tidy_up(self) -> None:
        every_s = max(0.5, min(TIDY_S, self._site.orphans_s / 4))
        while True:
            await asyncio.sleep(every_s)
            for space in self._around.namespaces:
                try:
                    await self._tidy(space)
                except Exception as why:  # the books or the cluster do not answer: nothing is decided
                    log.warning("what is left of runs is looked at later", namespace=space, why=str(why))

    async def _tidy(self, space: str) -> None:
        if not self._around.heard("ConfigMap"):
            return
        every = self._around.every(space)
        known: dict[str, bool] = {}
        self._patterns = {run_id: one for run_id, one in self._patterns.items() if not one.ended.is_set()}
        for run_id in {tidying.run_of(one) for one in every} - {""}:
            if run_id in self._runs or run_id in self._patterns:
                known[run_id] = True
                continue
            record = await self._in_books(run_id)
            known[run_id] = record is not None
            root = next((one for one in every if tidying.is_root(one) and tidying.run_of(one) == run_id), None)
            if run_id in self._runs:  # somebody has come to look at it meanwhile
                continue
            if record is not None and record.state in runs.ENDED and root is not None and not going(root):
                with _apart(space, root):
                    await self._put_away(space, run_id, root)
        found = tidying.orphans(every, known, self._lost.get(space, {}), time.monotonic(), self._site.orphans_s)
        self._lost[space] = dict(found.since)
        for one in found.due:
            # Asked once more: it may have been written down since.
            if tidying.run_of(one) not in self._runs and await self._in_books(tidying.run_of(one)) is None:
                with _apart(space, one):
                    await self._hand.drop(one)
                    log.warning("removed what no run is known of", kind=one["kind"], name=called(one))

    async def _put_away(self, space: str, run_id: str, root: Object) -> None:
        """A run that is over and that nobody looks at has no processes, and its log is kept for so long."""
        facts = self._around.facts(space, run_id)
        # Nothing is lost because somebody sets the clock.
        if tidying.outlived(root, min(facts.clock, self._around.steady_clock), self._site.kept_s):
            log.info("the log of a run has been kept for long enough", run=run_id)
            await self._hand.drop(root)
            return
        actions: list[standing.Action] = []
        if not standing.ended_at(root):
            actions.append(changes.ended(run_id, standing.iso(facts.clock)))
        for action in (*actions, *standing.put_away(run_id, facts)):
            match action:
                case Patch():
                    await self._hand.patch(action, space)
                case standing.Drop():
                    await self._hand.drop(action.found)


@contextlib.contextmanager
def _apart(space: str, found: Object) -> Iterator[None]:
    """What goes wrong with one thing that is tidied away is said, and keeps nobody from the next."""
    try:
        yield
    except Exception as why:
        log.warning(
            "what is left of a run is looked at later",
            namespace=space, kind=found["kind"], name=called(found), why=str(why),
        )  # fmt: skip
