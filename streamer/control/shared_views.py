"""The views of runs: who may do what with them, and where each is kept: in the books, or by a wall's conductor."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from streamer.control import view_books
from streamer.control.access.people import Person
from streamer.control.books import Books
from streamer.control.link import NoAnswer
from streamer.control.openapi import RunView, ViewEntry
from streamer.control.registry import Registry
from streamer.control.roster import AnyRun
from streamer.control.schema import Problem
from streamer.control.showing import Hung
from streamer.control.targets import OF_WALL, walls_of
from streamer.control.view_books import Camera, KeptView
from streamer.control.view_roles import Role, owner_of, role
from streamer.control.wall_books import NotSo
from streamer.wire.conducting import Viewed
from streamer.wire.spelling import NoView, merged, spelled
from streamer.wire.viewing import View

FIRST_TOKEN_S = 30 * 86400
AGAIN = 5
"""So often a change is made anew where somebody else was quicker, before that is said."""
Answer = TypeVar("Answer")


class Asker(NamedTuple):
    """Who asks about a view."""

    person: Person
    token: str | None = None
    """A token of the view, if one was sent."""


class SharedViews:
    """The views of the runs of ``registry``, for somebody who may see the run.  Methods raise Problem.

    A view is its run's project's, and whose who made it: the owner leads it, and so does an admin of the project.  All
    others have a token of it (``Asker.token``), or, if it is shared, lead it as operators and look at it as viewers.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def every(self, run_id: str, person: Person) -> list[ViewEntry]:
        """The views that are shared, and who asks' own."""
        run = await self._registry.find(run_id)
        kept = await self._registry.ask(lambda books: view_books.every(books, run_id))
        walls = {f"{OF_WALL}{wall.name}" for wall in run.record.walls}
        noted = {view.name: view for view in kept if view.name in walls}
        begun = run.record.created
        found = [
            _entry(view, "browser")
            for view in kept
            if not view.name.startswith(OF_WALL)
            and role(person, run.record.project, view.owner, shared=view.shared) is not None
        ]
        for name in sorted(walls):
            at = noted.get(name) or KeptView(run_id=run_id, name=name, created=begun, changed=begun)
            found.append(_entry(at, "wall"))
        return found

    async def add(
        self,
        run_id: str,
        name: str,
        state: Mapping[str, Any],
        camera: Mapping[str, Any],
        person: Person,
        *,
        shared: bool,
    ) -> RunView:
        """A new view, and its first token if it is private."""
        await self._registry.find(run_id)
        now = datetime.now(UTC)
        view = KeptView(
            run_id=run_id, name=name, shared=shared, owner=owner_of(person), view=_merged(View(), state),
            camera=_turned(Camera(), camera), created=_iso(now), changed=_iso(now),
        )  # fmt: skip
        secret = None if shared else secrets.token_urlsafe(32)
        token = None
        if secret is not None:
            until = _iso(now + timedelta(seconds=FIRST_TOKEN_S))
            token = view_books.TokenFacts(secrets.token_hex(4), "lead", _iso(now), until), secret
        await self.write(lambda books: view_books.add(books, view, token))
        self._registry.view_lines.tell(run_id, name, view)
        return msgspec.structs.replace(_of_browser(view, "lead"), token=secret)

    async def get(self, run_id: str, name: str, asker: Asker) -> RunView:
        """A view as it is."""
        run = await self._registry.find(run_id)
        if name.startswith(OF_WALL):
            hanging = self._hanging(run, name)
            held = await self._role(run, name, asker)
            try:
                return _of_wall(run, name, held, await hanging.view(), hanging.changed)
            except NoAnswer as why:
                raise Problem(503, str(why)) from None
        kept, held = await self._kept(run, name, asker)
        return _of_browser(kept, held)

    async def change(
        self,
        run_id: str,
        name: str,
        state: Mapping[str, Any],
        camera: Mapping[str, Any],
        base: str,
        asker: Asker,
        *,
        whole: bool = False,
    ) -> RunView:
        """A view with changes; ``base``: only if that is still its revision; ``whole``: all else is the default."""
        run = await self._registry.find(run_id)
        if name.startswith(OF_WALL):
            return await self._change_wall(run, name, state, camera, base, asker, whole=whole)
        for _ in range(AGAIN):
            before, held = await self._kept(run, name, asker)
            _check_leads(held, name, asker)
            if base not in ("", str(before.revision)):
                raise Problem(412, _changed(name, str(before.revision), base))
            after = msgspec.structs.replace(
                before,
                view=_merged(View() if whole else before.view, state),
                camera=_turned(Camera() if whole else before.camera, camera),
                changed=_iso(datetime.now(UTC)),
            )
            if (after.view, after.camera) == (before.view, before.camera):
                return _of_browser(before, held)
            written = await self.write(
                lambda books, before=before, after=after: view_books.change(books, before, after)  # type: ignore[misc]
            )
            if written is not None:
                self._registry.view_lines.tell(run_id, name, written)
                return _of_browser(written, held)
        raise Problem(409, f"view {name} is being changed by others all the time: try again")

    async def remove(self, run_id: str, name: str, asker: Asker) -> None:
        """Forgets a view."""
        if name.startswith(OF_WALL):
            await self._registry.find(run_id)
            raise Problem(409, f"{name} is the view of a wall: take the run off that wall instead")
        await self.leading(run_id, name, asker)
        await self._registry.ask(lambda books: view_books.remove(books, run_id, name))
        self._registry.view_lines.tell(run_id, name, None)
        self._registry.view_lines.ask_again(run_id, name)

    async def may(self, run_id: str, name: str, asker: Asker) -> Role:
        """What somebody may do in a view whose pictures they come for; one that nobody has made is shared."""
        run = await self._registry.find(run_id)
        kept = await self._registry.ask(lambda books: view_books.find(books, run_id, name))
        if kept is None:
            return await self._role(run, name, asker)
        return await self._role(run, name, asker, kept.owner, shared=kept.shared)

    async def leading(self, run_id: str, name: str, asker: Asker) -> None:
        """Raises Problem unless there is such a view, and who asks may lead it."""
        run = await self._registry.find(run_id)
        if name.startswith(OF_WALL):
            self._hanging(run, name)
            held = await self._role(run, name, asker)
        else:
            _, held = await self._kept(run, name, asker)
        _check_leads(held, name, asker)

    async def write(self, question: Callable[[Books], Answer]) -> Answer:
        """What the books say."""
        try:
            return await self._registry.ask(question)
        except NotSo as why:
            raise Problem(why.status, str(why)) from None

    # ------------------------------------------------------------ inside

    async def _change_wall(
        self,
        run: AnyRun,
        name: str,
        state: Mapping[str, Any],
        camera: Mapping[str, Any],
        base: str,
        asker: Asker,
        *,
        whole: bool,
    ) -> RunView:
        hanging = self._hanging(run, name)
        held = await self._role(run, name, asker)
        _check_leads(held, name, asker)
        if camera:
            raise Problem(422, f"{name} is the view of a wall, which has no camera: change placement in its state")
        all_of_it = _merged(View(), state)  # also so that nothing is sent which is no view, or of no bounded size
        changes = spelled(all_of_it) if whole else state
        try:
            viewed = await hanging.change(changes, base)
        except NoAnswer as why:
            raise Problem(503, str(why)) from None
        if viewed.clash:
            raise Problem(412, _changed(name, viewed.revision, base))
        if viewed.flaw:
            raise Problem(422, viewed.flaw)
        return _of_wall(run, name, held, viewed, hanging.changed)

    async def _kept(self, run: AnyRun, name: str, asker: Asker) -> tuple[KeptView, Role]:
        run_id = run.record.run_id
        view = await self._registry.ask(lambda books: view_books.find(books, run_id, name))
        if view is None:
            raise _none(run_id, name)
        return view, await self._role(run, name, asker, view.owner, shared=view.shared)

    async def _role(self, run: AnyRun, name: str, asker: Asker, owner: str = "", *, shared: bool = True) -> Role:
        run_id, token = run.record.run_id, asker.token
        if token is None:
            found = role(asker.person, run.record.project, owner, shared=shared)
            if found is None:
                raise _none(run_id, name)
            return found
        now = _iso(datetime.now(UTC))
        allowed = await self._registry.ask(lambda books: view_books.role_of(books, run_id, name, token, now))
        if allowed is None:
            raise Problem(
                403, f"the token is none of view {name} of run {run_id}, or not good any more: ask for a new one"
            )
        return allowed

    def _hanging(self, run: AnyRun, name: str) -> Hung:
        """The wall whose view it is."""
        wall = name.removeprefix(OF_WALL)
        found = walls_of(run).get(wall)
        if found is None and wall in {one.name for one in run.record.walls}:
            raise Problem(503, f"the conductor of wall {wall} is not there yet")
        if found is None:
            raise Problem(404, f"run {run.record.run_id} is not shown on a wall {wall}")
        return found


def _entry(view: KeptView, kind: Any) -> ViewEntry:
    return ViewEntry(
        run_id=view.run_id, name=view.name, kind=kind, shared=view.shared, created=view.created, changed=view.changed
    )


def _of_browser(view: KeptView, held: Role) -> RunView:
    return RunView(
        run_id=view.run_id, name=view.name, kind="browser", shared=view.shared, role=held, revision=str(view.revision),
        state=spelled(view.view), camera=view.camera, created=view.created, changed=view.changed,
    )  # fmt: skip


def _of_wall(run: AnyRun, name: str, held: Role, viewed: Viewed, changed: str) -> RunView:
    return RunView(
        run_id=run.record.run_id, name=name, kind="wall", shared=True, role=held, revision=viewed.revision,
        state=spelled(viewed.view), head=spelled(viewed.head), created=run.record.created,
        changed=changed,
    )  # fmt: skip


def _merged(view: View, state: Mapping[str, Any]) -> View:
    try:
        return merged(view, state)
    except NoView as why:
        raise Problem(422, str(why)) from None


def _turned(camera: Camera, given: Mapping[str, Any]) -> Camera:
    return msgspec.structs.replace(camera, **given)


def _check_leads(held: Role, name: str, asker: Asker) -> None:
    if held == "lead":
        return
    if asker.token is not None:
        raise Problem(403, f"your token lets you {held} view {name}; to change it takes one to lead it")
    raise Problem(
        403, f"to change view {name} takes a token to lead it (View-Token), or the role operator in its project"
    )


def _changed(name: str, there: str, wanted: str) -> str:
    return f"view {name} is of revision {there}, not {wanted}: it has been changed since; look at it again"


def _none(run_id: str, name: str) -> Problem:
    return Problem(404, f"run {run_id} has no view {name}")


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
