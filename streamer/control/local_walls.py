"""The walls that one run of this machine is shown on: what is started for each, and how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from streamer.control.crew import Crew
from streamer.control.folder import address
from streamer.control.hanging import HangingHere
from streamer.control.local_doors import LocalDoors
from streamer.control.news import News
from streamer.control.onwall import OnWall, not_shown
from streamer.control.runs import Run


class LocalWalls:
    """The walls of one run."""

    def __init__(self, crew: Crew, doors: LocalDoors, news: News) -> None:
        self._crew, self._doors, self._news = crew, doors, news
        self.hung: dict[str, HangingHere] = {}
        """What shows it on walls, by their names."""
        self._not_hung: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._followers: dict[str, asyncio.Task[None]] = {}

    def standings(self, record: Run) -> tuple[OnWall, ...]:
        """How the walls of a record stand."""
        return tuple(
            self.hung[wall.name].standing(self._crew.life.parts) if wall.name in self.hung
            else not_shown(wall.name, self._not_hung[wall.name]) if wall.name in self._not_hung
            else wall
            for wall in record.walls
        )  # fmt: skip

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Starts what shows the run on walls; the crew was started before."""
        self._tasks = tasks
        for hanging in self.hung.values():
            self._begin(hanging)

    def stop(self) -> None:
        """The conductors are not asked any more."""
        for follower in self._followers.values():
            follower.cancel()

    def hang(self, hanging: HangingHere) -> None:
        """One more wall."""
        name = hanging.parts.name
        self._not_hung.pop(name, None)
        self.hung[name] = hanging
        if self._tasks is not None:
            self._begin(hanging)

    def mend(self, name: str) -> None:
        """What was given up of a wall is started again."""
        if not self._crew.closing.is_set() and (hanging := self.hung.get(name)) is not None:
            self._crew.mend(hanging.parts.parts)
            self._news.publish()

    def not_hung(self, name: str, why: str) -> None:
        """A wall cannot be shown on: why, in a sentence."""
        self._not_hung[name] = why

    async def take_off(self, name: str) -> None:
        """One wall less; when it returns, nothing of it is left, and what it showed last is written down."""
        self._not_hung.pop(name, None)
        hanging = self.hung.pop(name, None)
        if follower := self._followers.pop(name, None):
            follower.cancel()
        if hanging is None:
            return
        await self._crew.dismiss(hanging.parts.parts)
        plan = self._crew.plan
        self._crew.plan = plan._replace(walls=tuple(wall for wall in plan.walls if wall.name != name))
        await hanging.let_go()

    def conducted(self, part: str) -> None:
        """A conductor is ready, for the first time or anew."""
        wall = self._crew.plan.wall_of(part)
        if wall is not None and (hanging := self.hung.get(wall.name)) is not None:
            hanging.reached(self._doors.context, self._doors.at.walls[part], self._doors.keys)

    @property
    def shown(self) -> Mapping[str, HangingHere]:
        """What shows it on walls now, by their names."""
        return {} if self._crew.closing.is_set() else dict(self.hung)

    def _begin(self, hanging: HangingHere) -> None:
        assert self._tasks is not None, "it was started"
        crew, wall = self._crew, hanging.parts
        crew.plan = crew.plan._replace(walls=(*crew.plan.walls, wall))
        self._doors.expect(wall.conductor, address(crew.plan.folder, f"conductor-{wall.name}", None))
        for name, role in wall.parts.items():
            crew.take_on(name, role)
        self._followers[wall.name] = self._tasks.create_task(hanging.follow(self._news.publish))
