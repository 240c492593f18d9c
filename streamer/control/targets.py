"""Which run is shown on which wall.

A wall shows one run at a time, and which one is part of the run's own record (``Run.walls``): that is written down
before anything is done about it, so a control plane that is started again shows what was shown.  All that changes it
goes through here, one thing at a time.  A run that waits for room has its walls already, which stay dark until it
begins; nothing is taken from another run for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from streamer.control import runs, view_books, wall_books
from streamer.control.access.people import LOCAL, Person
from streamer.control.books import Books
from streamer.control.launching import ForWalls, Launcher, LiveRun, OnWalls
from streamer.control.link import NoAnswer
from streamer.control.past import PastRun
from streamer.control.patterns import Patterns
from streamer.control.runs import Run
from streamer.control.schema import Problem
from streamer.control.scrutiny import Looks
from streamer.control.seats import NodeSource, Nowhere, Seatings
from streamer.control.showing import Hung, NotIdentified, ToShow
from streamer.control.view_books import KeptView
from streamer.control.waiting import WaitingRun
from streamer.control.wall_books import NotSo, WallFile, WallLine
from streamer.control.wall_scrutiny import MOST_WAIT, Drawings
from streamer.wire.viewing import View
from streamer.wire.walls import WallFacts

if TYPE_CHECKING:
    from streamer.control.registry import Registry
    from streamer.control.roster import AnyRun

OF_WALL = "wall."
"""The view of a run on a wall is called so, and by the wall's name."""
log = structlog.get_logger()
Answer = TypeVar("Answer")


class Targets:
    """The walls of ``registry`` and what they show, by whoever asks for it (``person``)."""

    def __init__(self, registry: Registry, launcher: Launcher) -> None:
        self._registry = registry
        self._walls = launcher if isinstance(launcher, ForWalls) else None
        self.nodes: NodeSource = Nowhere(launcher.name) if self._walls is None else self._walls.nodes
        self._turn = asyncio.Lock()
        self.looking = Looks(2, MOST_WAIT, "wall files")
        """So many children look at wall files at a time."""
        self.drawings = Drawings(registry.lifeline)
        self.patterns = Patterns()
        """On walls that show no run."""

    # ------------------------------------------------------------ walls

    async def every(self) -> list[WallLine]:
        """All walls.  Raises Problem 503."""
        return await self._registry.ask(wall_books.every)

    async def wall(self, name: str) -> WallFile:
        """A wall.  Raises Problem 404, 503."""
        found = await self._registry.ask(lambda books: wall_books.find(books, name))
        if found is None:
            there = ", ".join(await self._registry.ask(wall_books.names))
            raise Problem(404, f"there is no wall {name}; there {f'are {there}' if there else 'is none yet'}")
        return found

    async def put(self, text: str, facts: WallFacts, generation: int | None = None, *, fresh: bool = False) -> WallFile:
        """Keeps a wall that was found to be sound.  Raises Problem 409, also if a run is shown on it; 412, 503."""
        async with self._turn:
            self._check_idle(facts.name)
            now = _now()
            return await self._write(
                lambda books: wall_books.put(books, text, facts, now, generation, fresh=fresh)
            )  # fmt: skip

    async def remove(self, name: str, generation: int | None = None) -> None:
        """Forgets a wall.  Raises Problem 404, 409 if a run is shown on it, 412, 503."""
        async with self._turn:
            await self.wall(name)
            self._check_idle(name)
            await self._write(lambda books: wall_books.remove(books, name, generation))
            await self.patterns.end(name)

    async def seatings(self, wall: WallFacts) -> Seatings:
        """Who sits where."""
        return self.nodes.seats(wall, await self.nodes.nodes(wall.labels))

    def run_on(self, name: str, besides: str = "") -> LiveRun | WaitingRun | None:
        """The run that a wall shows, or is to show."""
        for run in self._registry.all():
            if name in on_walls(run) and run.record.run_id != besides:
                return run
        return None

    # ------------------------------------------------------------ runs on walls

    @contextlib.asynccontextmanager
    async def claimed(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Sees to it that what these walls show changes by nobody else meanwhile."""
        if not names:
            yield
            return
        async with self._turn:
            yield

    async def free(self, names: Sequence[str], run_id: str = "", *, waits: bool = False) -> None:
        """Takes other runs off walls that are claimed, unless the run that is to be shown there ``waits`` for room.

        Raises Problem.
        """
        others = {name: other for name in names if (other := self.run_on(name, run_id)) is not None}
        if waits and others:
            name = next(iter(others))
            raise Problem(
                409, f"the run would wait for room, and wall {name}, which shows something, be dark until it begins: "
                "ask again when there is room, or take off what it shows first",
            )  # fmt: skip
        for name, other in others.items():
            freed = await self._registry.want(other.record.run_id, partial(runs.taken_off, names=(name,)))
            await self._unhang(freed, name)

    async def check(self, names: Sequence[str], *, take: bool, run_id: str = "", person: Person = LOCAL) -> None:
        """Raises Problem unless a run may be shown on walls: 404 if there is no such wall, 409 if another run is shown
        there and may not be taken off (``take``, and who asks is operator of its project); ``free`` does that.

        ``run_id``: the run that is to be shown there, if there is one yet.
        """
        if names and self._walls is None:
            raise Problem(409, f"{(await self.nodes.nodes({})).why}: ask for none")
        for name in names:
            await self.wall(name)
            if (other := self.run_on(name, run_id)) is None:
                continue
            _check_may(person, name, other.record)
            if not take:
                raise Problem(
                    409, f"wall {name} shows run {other.record.run_id}: take that off first, or ask for it with take"
                )

    async def show(
        self, run_id: str, names: Sequence[str], *, take: bool, generation: int | None = None, person: Person = LOCAL
    ) -> AnyRun:
        """Shows a run on walls, also one that is over.  Raises Problem."""
        run = await self._registry.serve(run_id)
        async with self.claimed(names):
            await self.check(names, take=take, run_id=run_id, person=person)
            _check_able(run, names)
            # Others are taken off only if nothing is in the way of this one.
            check_generation(run.record, generation)
            await self.free(names, run_id, waits=run.record.state == "queued")
            shown = await self._registry.want(run_id, partial(runs.shown_on, names=names), generation)
            await self._hang(shown, names)
            return shown

    async def take_off(self, run_id: str, name: str, generation: int | None = None) -> tuple[AnyRun, bool]:
        """Takes a run off a wall, and says whether nothing of it is left there (see ``unhang``).  Raises Problem."""
        async with self._turn:
            run = await self._registry.find(run_id)
            if name not in on_walls(run):
                raise Problem(404, f"run {run_id} is not shown on a wall {name}")
            shown = await self._registry.want(run_id, partial(runs.taken_off, names=(name,)), generation)
            return shown, await self._unhang(shown, name)

    async def hang(self, run: LiveRun) -> None:
        """Shows a run that begins, or goes on, on the walls of its record.  Raises nothing: it is said there."""
        async with self._turn:
            await self._hang(run, sorted(on_walls(run)))

    async def _hang(self, run: AnyRun, names: Sequence[str]) -> None:
        if not isinstance(run, OnWalls):
            return  # it waits, and is shown when it begins
        for name in names:
            try:
                if name in run.walls:
                    run.mend(name)
                else:
                    await run.hang(await self._to_show(run.record.run_id, name))
            except (Problem, OSError, ValueError) as why:
                log.warning("not shown", wall=name, run=run.record.run_id, why=str(why))
                run.not_hung(name, f"run {run.record.run_id} cannot be shown on wall {name}: {why}")

    async def _unhang(self, run: AnyRun, name: str) -> bool:
        return await run.unhang(name) if isinstance(run, OnWalls) else True

    async def _to_show(self, run_id: str, name: str) -> ToShow:
        """All that is known of a wall that is to show a run.  Raises Problem."""
        wall, view = await self.wall(name), f"{OF_WALL}{name}"
        seatings = await self.seatings(wall.facts)
        before = await self._registry.ask(lambda books: view_books.find(books, run_id, view))
        await self.patterns.end(name)
        created = before.created if before is not None else _now()
        # Where the scene stands was said for the wall as it was then.
        known = before if before is not None and before.changed >= wall.changed else None

        async def remember(shown: View, changed: str) -> bool:
            kept = KeptView(run_id=run_id, name=view, view=shown, created=created, changed=changed)
            try:
                await self._registry.ask(lambda books: view_books.note(books, kept))
            except Problem as why:
                log.warning("what a wall shows was not written down", wall=name, why=why.detail)
                return False
            return True

        if known is None:
            return ToShow(wall.facts, wall.text, seatings, remember=remember)
        return ToShow(wall.facts, wall.text, seatings, known.view, known.changed, remember)

    # ------------------------------------------------------------ identify

    async def identify(
        self, name: str, seconds: float, person: Person = LOCAL
    ) -> tuple[LiveRun | WaitingRun | None, tuple[str, ...]]:
        """Shows the test pattern on a wall's tiles, for so long.

        Returns the run that is shown there, and sentences about tiles where the pattern is not.  Raises Problem.
        """
        async with self._turn:
            if self._registry.closing.is_set():
                raise Problem(503, "the control plane is ending: start it again, then ask again")
            wall = await self.wall(name)
            run = self.run_on(name)
            if run is not None:
                _check_may(person, name, run.record)
            hanging = None if run is None else walls_of(run).get(name)
            if run is not None and hanging is not None:
                try:
                    await hanging.identify(seconds)
                except NoAnswer as why:
                    raise Problem(503, f"the test pattern cannot be shown on wall {name} now: {why}") from None
                return run, next((one.sentences for one in run.record.walls if one.name == name), ())
            await self.patterns.end(name)
            seatings = await self.seatings(wall.facts)
            if self._walls is None or not seatings.taken:
                raise Problem(409, f"nothing can be shown on wall {name}: {' '.join(seatings.sentences)}")
            try:
                pattern = await self._walls.pattern(ToShow(wall.facts, wall.text, seatings))
            except OSError as why:
                raise Problem(503, f"the file of wall {name} cannot be written: {why}") from None
            except ValueError as why:
                raise Problem(409, f"nothing can be shown on wall {name}: {why}") from None
            self._registry.spawn(self.patterns.show(name, pattern, seconds))
        try:
            return None, (*seatings.sentences, *await asyncio.shield(pattern.shown))
        except NotIdentified as why:
            raise Problem(503, str(why)) from None

    # ------------------------------------------------------------ inside

    def _check_idle(self, name: str) -> None:
        """Raises Problem if a run is shown on a wall: its processes have the file as it is."""
        if (run := self.run_on(name)) is not None:
            raise Problem(409, f"wall {name} shows run {run.record.run_id}: take that off first")

    async def _write(self, question: Callable[[Books], Answer]) -> Answer:
        try:
            return await self._registry.ask(question)
        except NotSo as why:
            raise Problem(why.status, str(why)) from None


def on_walls(run: AnyRun) -> frozenset[str]:
    """The walls that a run is to be shown on; one without processes that does not wait is shown nowhere."""
    if isinstance(run, PastRun) or run.closed.is_set():
        return frozenset()
    return frozenset(wall.name for wall in run.record.walls)


def walls_of(run: AnyRun) -> Mapping[str, Hung]:
    """What shows a run on walls."""
    return run.walls if isinstance(run, OnWalls) else {}


def _check_able(run: AnyRun, names: Sequence[str]) -> None:
    """Raises Problem 409 if a run can never be shown on more walls, so that nothing is wished for in vain."""
    more = [name for name in names if name not in on_walls(run)]
    if more and isinstance(run, OnWalls):
        try:
            run.check_walls()
        except ValueError as why:
            raise Problem(409, f"run {run.record.run_id} cannot be shown on wall {' or '.join(more)}: {why}") from None


def _check_may(person: Person, wall: str, run: Run) -> None:
    """Raises Problem if somebody may not change what a wall shows: a run of a project where they are no operator."""
    if person.role_in(run.project) is None:
        raise Problem(409, f"wall {wall} shows a run of another project: ask those whose it is to take it off")
    if not person.has("operator", run.project):
        raise Problem(
            403, f"wall {wall} shows run {run.run_id}: to change that takes the role operator in project {run.project}"
        )


def check_generation(run: Run, wanted: int | None) -> None:
    """Raises Problem 412 if a run is not of the generation that somebody has seen."""
    if wanted is not None and wanted != run.generation:
        raise Problem(
            412, f"run {run.run_id} is of generation {run.generation}, not {wanted}: somebody else has changed it; "
            "look at it again",
        )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
