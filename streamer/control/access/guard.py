"""The guard of the API: ASGI middleware that finds what a request is about, asks who it is from, and lets it or not.

What it decides by is in ``operations``: nothing is decided here, and no route decides for itself who may call it.  A
route that has to know reads its ``Visit``.  What changes something is written into the audit log before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.control.access import operations
from streamer.control.access.door import Credential, Door, Turned, credential_of
from streamer.control.access.operations import Need
from streamer.control.access.people import LOCAL, Person
from streamer.control.access.places import Network, Whence, whence
from streamer.control.answers import problem
from streamer.control.registry import Registry
from streamer.control.schema import Problem
from streamer.wire.view import encode_goodbye

AGAIN_S = 30.0
"""So often somebody who watches (events, pictures) is asked again who they are."""
SIGNED_OUT = 4401
"""The code of a WebSocket that is closed because of that: 4000 and the status that HTTP would answer with."""
AGAIN = "sign in again"
IN_ADDRESS = frozenset(("token", "access_token", "id_token", "refresh_token", "bearer", "authorization"))
NOBODY = Whence("", False)


class Visit:
    """A request, as far as it matters who it is from."""

    def __init__(self, person: Person | None, whence: Whence, project: str = "", about: str = "") -> None:
        self.stranger, self.whence = person, whence
        self.credential: Credential | None = None
        self.project, self.about = project, about
        """What it is about; a route that finds out more than its path says sets them, for the audit log."""
        self.again = asyncio.Event()
        """Set, while somebody watches, when who they are was asked again: their roles may be others."""

    @property
    def person(self) -> Person:
        """Who it is.  Only routes that strangers may call need ``stranger``, which is None for one."""
        assert self.stranger is not None, "the guard lets nobody without a name here"
        return self.stranger


def _visit(connection: HTTPConnection) -> Visit:
    found: Visit = connection.scope["state"]["visit"]
    return found


Who = Annotated[Visit, Depends(_visit)]
"""A route's parameter: who calls it."""


class Guard:
    """Lets nobody do what they may not.  Without a ``door`` everybody is ``LOCAL``, and may do all."""

    def __init__(
        self,
        app: ASGIApp,
        registry: Registry,
        routes: Callable[[], Sequence[BaseRoute]],
        door: Door | None,
        trusted: Sequence[Network] = (),
    ) -> None:
        self.app, self._registry, self._routes = app, registry, routes
        self._door, self._trusted = door, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        if self._door is None:
            state["visit"] = Visit(LOCAL, NOBODY)
            await self.app(scope, receive, send)
            return
        found = self._matched(scope)
        if found is None:  # no such path, which the application says
            await self.app(scope, receive, send)
            return
        method, need, named = found
        # Only what there is gets into the audit log: a name that somebody made up may hold anything.
        asked = named.get("project", "")
        project = asked if asked in self._door.access.projects else ""
        visit = state["visit"] = Visit(None, self._whence(scope), project, _about(named))
        refusal = await self._refusal(self._door, scope, visit, method, need, named)
        if refusal is not None:
            if operations.changes(method) and self._door.worth_noting(visit.stranger, visit.whence):
                await self._note(self._door, visit, need, refusal.status)
            await _refused(scope, receive, send, refusal)
        elif operations.changes(method):
            await self.app(scope, receive, self._noted(self._door, visit, need, send))
        else:
            watched = Watched(self._door, visit, need, receive, send)
            try:
                await self.app(scope, watched.receive, watched.send)
            except Exception:
                if not watched.ended:
                    raise

    def _matched(self, scope: Scope) -> tuple[str, Need, dict[str, str]] | None:
        for route in self._routes():
            match, inner = route.matches(scope)
            if match is Match.FULL:
                method = "WS" if scope["type"] == "websocket" else scope["method"]
                named = {name: str(value) for name, value in inner.get("path_params", {}).items()}
                return method, operations.need(method, getattr(route, "path", "")), named
        return None

    def _whence(self, scope: Scope) -> Whence:
        headers = Headers(scope=scope)
        peer = (scope.get("client") or ("", 0))[0]
        forwarded = headers.getlist("x-forwarded-for")
        return whence(peer, scope["scheme"], forwarded, headers.get("x-forwarded-proto"), self._trusted)

    async def _refusal(
        self, door: Door, scope: Scope, visit: Visit, method: str, need: Need, named: dict[str, str]
    ) -> Turned | None:
        """Why a request is not let through; ``visit`` hears who it is from."""
        headers = Headers(scope=scope)
        try:
            query = scope.get("query_string", b"").decode("latin-1")
            if IN_ADDRESS & {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}:
                return Turned(
                    400, "a token in an address ends in logs: send it as Authorization: Bearer …, and revoke it"
                )
            if need.where == "anywhere":
                # A stranger is welcome, so that what is wrong with a token need not be said here.
                visit.credential = credential_of(headers, door.secure(visit.whence))
                return None
            visit.credential = credential_of(headers, door.secure(visit.whence))
            if visit.credential is not None and visit.credential.cookie and operations.changes(method):
                check_same_site(headers)
            visit.stranger = await door.person(visit.credential, visit.whence)
            return await self._judged(visit, need, named)
        except Turned as why:
            return None if need.where == "anywhere" else why
        except Problem as why:
            return Turned(why.status, why.detail)

    async def _judged(self, visit: Visit, need: Need, named: dict[str, str]) -> Turned | None:
        project: str | None = None
        called = f"project {named['project']}" if "project" in named else ""
        if need.where == "project" and self._door is not None and named["project"] in self._door.access.projects:
            project = named["project"]
        elif need.where == "run":
            called = f"run {named['run_id']}"
            if visit.stranger is not None:
                project = await self._registry.project_of(named["run_id"])
        found = operations.verdict(need, visit.stranger, project, called)
        if found is None:
            visit.project = project or visit.project
            return None
        if found.status == 403 and project is not None:
            visit.project = project
        return Turned(found.status, found.why, {"www-authenticate": "Bearer"} if found.status == 401 else None)

    def _noted(self, door: Door, visit: Visit, need: Need, send: Send) -> Send:
        """Writes down what has been changed before its answer begins."""

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and need.where != "anywhere":  # a login notes itself
                await self._note(door, visit, need, message["status"])
            await send(message)

        return noted

    async def _note(self, door: Door, visit: Visit, need: Need, status: int) -> None:
        who = visit.stranger
        await door.diary.note(
            who.account if who else "", who.name if who else "", visit.whence.address, need.operation, visit.project,
            visit.about, status,
        )  # fmt: skip


class Watched:
    """The two ends of a connection on which somebody watches: who they are is asked again and again, when there is
    something to send or to hear, and the line is cut when they may not any more."""

    def __init__(self, door: Door, visit: Visit, need: Need, receive: Receive, send: Send) -> None:
        self._door, self._visit, self._need, self._receive, self._send = door, visit, need, receive, send
        self._asked_at = door.clock()
        self.ended = False
        """Whether it was cut."""

    async def send(self, message: Message) -> None:
        """Passes on what is sent.  Raises OSError once the line is cut, as if the other side had gone."""
        if message["type"] in ("http.response.body", "websocket.send") and await self._over():
            if message["type"] == "websocket.send":
                await self._hang_up()
            raise OSError("signed out meanwhile")
        await self._send(message)

    async def receive(self) -> Message:
        """Passes on what is heard."""
        message = await self._receive()
        if message["type"] == "websocket.receive" and await self._over():
            await self._hang_up()
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        return message

    async def _hang_up(self) -> None:
        await self._send({"type": "websocket.send", "bytes": encode_goodbye(SIGNED_OUT, AGAIN)})
        await self._send({"type": "websocket.close", "code": SIGNED_OUT, "reason": AGAIN})

    async def _over(self) -> bool:
        if self.ended or self._need.where == "anywhere" or 0 <= self._door.clock() - self._asked_at < AGAIN_S:
            return self.ended
        self._asked_at = self._door.clock()
        visit = self._visit
        try:
            person = await self._door.person(visit.credential, visit.whence)
        except Turned as why:
            self.ended = why.status == 401  # a provider or database that is away ends nobody's watching
            return self.ended
        self.ended = operations.verdict(self._need, person, visit.project or None, "it") is not None
        if not self.ended:
            visit.stranger = person
            visit.again.set()
        return self.ended


def _about(named: dict[str, str]) -> str:
    return named.get("run_id") or named.get("token_id") or ""


def check_same_site(headers: Headers) -> None:
    """Raises Turned unless a request that changes something, by a cookie, comes from a page of ours.

    The gate has compared an Origin with our own already; here there must be one, or the browser's word for it.
    """
    if headers.get("origin") is None and headers.get("sec-fetch-site") != "same-origin":
        raise Turned(403, "a change by cookie must come from this server's own page (Origin): use a token elsewhere")


async def _refused(scope: Scope, receive: Receive, send: Send, why: Turned) -> None:
    answer = problem(why.status, why.why)
    answer.headers.update(why.headers)
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    await receive()  # the handshake
    # Accepted and closed, so that the page can read why; as for a run that is not there, which looks the same.
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "bytes": encode_goodbye(4000 + why.status, why.why)})
    await send(
        {"type": "websocket.close", "code": 4000 + why.status, "reason": why.why.encode()[:120].decode(errors="ignore")}
    )
