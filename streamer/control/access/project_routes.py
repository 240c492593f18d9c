"""Who one is, which projects there are for one, their tokens, and the audit log, over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import FastAPI, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from streamer.control.access import ledger, tokens
from streamer.control.access.door import Door
from streamer.control.access.guard import Who
from streamer.control.access.ledger import TooMany
from streamer.control.access.operations import API, PROJECT
from streamer.control.access.people import Person, Role
from streamer.control.access.rules import ALONE, Project
from streamer.control.access.shown import AuditEntry, Ended, Me, NewToken, ProjectShown, Share, TokenShown
from streamer.control.access.tokens import Issued
from streamer.control.answers import as_json
from streamer.control.openapi import answers
from streamer.control.registry import Registry
from streamer.control.schema import Problem

LONGEST_TOKEN = timedelta(days=366)
ProjectName = Annotated[str, Path(max_length=63, description="The project's name.", examples=["rivers"])]


class TokenRequest(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"name": "nightly", "role": "operator"}]}
    )

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Small letters, digits and hyphens.")
    ]
    role: Annotated[Role, Field(description="What it may; no more than you.")]
    expires: Annotated[
        AwareDatetime | None, Field(description="When it is over; in 90 days if not given, in a year at the latest.")
    ] = None


def add_projects(app: FastAPI, registry: Registry, door: Door | None) -> None:
    """Adds the routes ``/me``, ``/projects…``, ``/audit`` and ``/sessions``."""
    projects = door.access.projects if door is not None else ALONE

    @app.get(f"{API}/me", responses=answers(Me))
    async def who_am_i(who: Who) -> Response:
        """Who you are to this server, and what you may."""
        me = who.person
        roles: dict[str, Role] = dict.fromkeys(projects, "admin") if me.administrator else dict(me.roles)
        return as_json(Me(me.account, me.name, me.email, me.means, me.administrator, roles))

    @app.get(f"{API}/projects", responses=answers(ProjectShown, many=True))
    async def list_projects(who: Who) -> Response:
        """Your projects, and how much of their quotas is taken."""
        return as_json(standing(registry, projects.values(), who.person))

    @app.get(f"{PROJECT}/tokens", responses=answers(TokenShown, 404, 422, 503, many=True))
    async def list_tokens(project: ProjectName) -> Response:
        """The project's tokens that were made here, oldest first; those of the configuration are not among them."""
        _configured(door, project)
        return as_json([_shown(one) for one in await registry.ask(lambda books: ledger.tokens(books, project))])

    @app.post(
        f"{PROJECT}/tokens", status_code=201, responses=answers(NewToken, 404, 409, 411, 413, 422, 503, status=201)
    )
    async def make_token(project: ProjectName, request: TokenRequest, who: Who) -> Response:
        """Make a token for a machine. It is shown this once; only its fingerprint is kept."""
        at = _configured(door, project)
        now = datetime.fromtimestamp(at.clock(), UTC)
        expires = request.expires or now + timedelta(days=90)
        if not now < expires <= now + LONGEST_TOKEN:
            raise Problem(
                422, f"expires is {expires.isoformat()}; a token may be good for a year, and must be for a while"
            )
        if not who.person.has(request.role, project):
            raise Problem(403, f"a token with the role {request.role} would be allowed more than you are")
        spelled = tokens.spelled(secrets.token_bytes(32))
        issued = Issued(
            secrets.token_hex(8), request.name, project, request.role, tokens.fingerprint(spelled),
            who.person.account, now.timestamp(), expires.timestamp(),
        )  # fmt: skip
        who.about = request.name
        try:
            await registry.ask(lambda books: ledger.add_token(books, issued))
        except TooMany as why:
            raise Problem(409, str(why)) from None
        return as_json(NewToken(spelled, _shown(issued)), 201, {"cache-control": "no-store"})

    @app.delete(
        f"{PROJECT}/tokens/{{token_id}}",
        status_code=204,
        responses={204: {"description": "It opens nothing any more."}, **answers(None, 404, 422, 503)},
    )
    async def revoke_token(
        project: ProjectName,
        token_id: Annotated[str, Path(pattern=r"^[0-9a-z]{1,32}$", description="Its id.")],
        who: Who,
    ) -> Response:
        """Let a token open nothing any more."""
        at = _configured(door, project)
        gone = await registry.ask(lambda books: ledger.revoke(books, project, token_id))
        at.forget()
        if gone is None:
            raise Problem(404, f"project {project} has no token {token_id}")
        who.about = gone.name
        return Response(status_code=204)

    @app.get(f"{API}/audit", responses=answers(AuditEntry, 422, 503, many=True))
    async def read_audit(
        who: Who,
        before: Annotated[
            int | None, Query(ge=1, lt=1 << 62, description="Only what is older than this number.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
    ) -> Response:
        """What has been changed, and what somebody was not let, newest first, in the projects that you administer."""
        me = who.person
        if door is not None:
            await door.diary.flush()
        mine = None if me.administrator else [name for name in me.roles if me.has("admin", name)]
        found = await registry.ask(lambda books: ledger.audit(books, mine, before, limit))
        headers = {}
        if len(found) == limit:
            headers["link"] = f'<?{urlencode({"before": found[-1].number, "limit": limit})}>; rel="next"'
        return as_json(found, headers=headers)

    @app.delete(f"{API}/sessions", responses=answers(Ended, 422, 503))
    async def end_sessions(
        account: Annotated[
            str, Query(pattern=r"^[^\x00-\x1f]{1,320}$", description="Whose, as the audit log names them.")
        ],
        who: Who,
    ) -> Response:
        """End all sessions of an account. Who has a role may sign in again."""
        who.about = account
        ended = await registry.ask(lambda books: ledger.end_sessions(books, account))
        if door is not None:
            door.forget()
        return as_json(Ended(ended))


def standing(registry: Registry, projects: Iterable[Project], person: Person) -> list[ProjectShown]:
    """The projects that somebody has a role in, with what is taken of their quotas."""
    found = []
    for project in projects:
        role = person.role_in(project.name)
        if role is None:
            continue
        used, quota = registry.admission.used(project.name), project.quota
        found.append(ProjectShown(
            project.name, project.namespace, role, Share(used.runs, quota.runs), Share(used.workers, quota.workers),
            Share(used.gpus, quota.gpus),
        ))  # fmt: skip
    return found


def project_for(person: Person, asked: str | None, projects: Collection[str]) -> str:
    """The project of a run that somebody starts: the one that is asked for, else the only one where they may.

    Raises Problem: 404 there is no such project for them, 403 they may only look there, 422 it must be said.
    """
    if asked is not None:
        if asked not in projects or person.role_in(asked) is None:
            raise Problem(404, f"there is no project {asked}")
        if not person.has("operator", asked):
            raise Problem(
                403, f"to start a run takes the role operator in project {asked}; you are {person.role_in(asked)}"
            )
        return asked
    mine = [name for name in projects if person.has("operator", name)]
    if len(mine) == 1:
        return mine[0]
    raise Problem(422, f"project is missing: you may start runs in {', '.join(sorted(mine)) or 'none'}")


def _configured(door: Door | None, project: str) -> Door:
    if door is None or project not in door.access.projects:
        raise Problem(
            404, f"there is no project {project}" + " with tokens: this server has no accounts" * (door is None)
        )
    return door


def _shown(token: Issued) -> TokenShown:
    expires = None if token.expires is None else _iso(token.expires)
    return TokenShown(
        token.token_id, token.name, token.project, token.role, token.made_by, _iso(token.created), expires
    )  # fmt: skip


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
