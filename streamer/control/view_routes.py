"""What may be asked of a run's views over HTTP: what those who look together see, who may change it, and tokens with
which others may.

A view for browsers is kept by the control plane.  That of a wall is the conductor's own: it is asked, and told.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, FastAPI, Header, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from streamer.control import view_books
from streamer.control.access.guard import Who
from streamer.control.answers import as_json
from streamer.control.openapi import RunView, ViewEntry, ViewToken, answers
from streamer.control.registry import Registry
from streamer.control.run_routes import API, RunId
from streamer.control.schema import Finite, Problem
from streamer.control.shared_views import Asker, SharedViews

IfView = Annotated[
    str | None,
    Header(alias="If-Match", max_length=64, description="The view's ETag: refused with 412 if it has been changed."),
]
Token = Annotated[
    str | None, Header(alias="View-Token", max_length=128, description="A token of the view. A private view needs one.")
]


def _asker(who: Who, token: Token = None) -> Asker:
    return Asker(who.person, token)


Asked = Annotated[Asker, Depends(_asker)]
"""A route's parameter: who asks about a view."""
Named = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,66}[A-Za-z0-9])?$", description="The view's name.", examples=["talk"]),
]
TokenId = Annotated[str, Path(pattern="^[0-9a-f]{8}$", description="The token's name, not its secret.")]
STATE: dict[str, Any] = {"mode": "globe", "time": 12.5, "selected": [4711], "isolate": True}
LONGEST_S = 90 * 86400
Angle = Annotated[float, Field(gt=-1e6, lt=1e6, allow_inf_nan=False)]


class CameraWish(BaseModel):
    """An orbiting camera, in units of the scene's radius and radians; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    azimuth: Angle | None = None
    elevation: Angle | None = None
    distance: Annotated[float | None, Field(gt=0, lt=1e6, allow_inf_nan=False)] = None
    target: tuple[Angle, Angle, Angle] | None = None


class ViewWish(BaseModel):
    """What is to be seen; what is left out stays as it is (PATCH), or is the default (PUT)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True,
        json_schema_extra={"examples": [{"state": STATE, "camera": {"azimuth": 0.5, "distance": 2.8}}]},
    )  # fmt: skip

    state: Annotated[
        dict[str, Any],
        Field(description="`View` by its fields' names (docs/http.md), as a JSON merge patch: null is the default."),
    ] = {}
    camera: CameraWish = CameraWish()


class NewView(ViewWish):
    """A view to be made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"name": "talk", "state": STATE}]}
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
    shared: Annotated[
        bool, Field(description="Listed, and for all who may see the run; else for holders of tokens.")
    ] = True


class TokenWish(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"role": "follow", "expires_in_s": 86400}]}
    )

    role: Annotated[
        Literal["lead", "follow", "look"],
        Field(description="`lead` changes the view, `follow` sees it and may be handed the lead, `look` sees it."),
    ] = "follow"
    expires_in_s: Annotated[Finite, Field(ge=60, le=LONGEST_S)] = 86400.0


def add_views(app: FastAPI, registry: Registry) -> None:
    """Adds the routes under ``/runs/{run_id}/views``."""
    views = SharedViews(registry)
    here = f"{API}/runs/{{run_id}}/views"
    _tokens(app, registry, views)

    @app.post(here, status_code=201, responses=answers(RunView, 404, 409, 411, 413, 422, 503, status=201))
    async def add_view(run_id: RunId, wish: NewView, who: Who) -> Response:
        """Make a view. Of a private one the answer holds a token to lead it, which is shown this once."""
        made = await views.add(run_id, wish.name, wish.state, _camera(wish), who.person, shared=wish.shared)
        return _shown(made, 201, {"location": f"{API}/runs/{run_id}/views/{wish.name}"})

    @app.get(here, responses=answers(ViewEntry, 404, 422, 503, many=True))
    async def list_views(run_id: RunId, who: Who) -> Response:
        """The run's shared views, and those of the walls that it is shown on."""
        return as_json(await views.every(run_id, who.person))

    @app.get(f"{here}/{{name}}", responses=answers(RunView, 403, 404, 422, 503))
    async def get_view(run_id: RunId, name: Named, asker: Asked) -> Response:
        """A view with its state. That of a wall is what the wall shows now."""
        return _shown(await views.get(run_id, name, asker))

    @app.patch(f"{here}/{{name}}", responses=answers(RunView, 403, 404, 409, 411, 412, 413, 422, 503))
    async def change_view(
        run_id: RunId, name: Named, wish: ViewWish, asker: Asked, if_match: IfView = None
    ) -> Response:
        """Change some of a view. A wall shows it at once."""
        base = _revision(if_match)
        return _shown(await views.change(run_id, name, wish.state, _camera(wish), base, asker))

    @app.put(f"{here}/{{name}}", responses=answers(RunView, 403, 404, 409, 411, 412, 413, 422, 503))
    async def set_view(run_id: RunId, name: Named, wish: ViewWish, asker: Asked, if_match: IfView = None) -> Response:
        """Set all of a view: what is left out is the default."""
        base = _revision(if_match)
        return _shown(await views.change(run_id, name, wish.state, _camera(wish), base, asker, whole=True))

    @app.delete(
        f"{here}/{{name}}",
        status_code=204,
        responses={204: {"description": "It is gone, with its tokens."}, **answers(None, 403, 404, 409, 422, 503)},
    )
    async def remove_view(run_id: RunId, name: Named, asker: Asked) -> Response:
        """Remove a view with its tokens. That of a wall goes when the run is taken off it."""
        await views.remove(run_id, name, asker)
        return Response(status_code=204)


def _tokens(app: FastAPI, registry: Registry, views: SharedViews) -> None:
    here = f"{API}/runs/{{run_id}}/views/{{name}}/tokens"

    @app.post(here, status_code=201, responses=answers(ViewToken, 403, 404, 409, 411, 413, 422, 503, status=201))
    async def add_token(run_id: RunId, name: Named, wish: TokenWish, asker: Asked) -> Response:
        """Make a token of a view, for somebody else. Its secret is in this answer alone; a digest of it is kept."""
        await views.leading(run_id, name, asker)
        now, secret = datetime.now(UTC), secrets.token_urlsafe(32)
        facts = view_books.TokenFacts(
            secrets.token_hex(4), wish.role, _iso(now), _iso(now + timedelta(seconds=wish.expires_in_s))
        )
        await views.write(lambda books: view_books.add_token(books, run_id, name, facts, secret, _iso(now)))
        return as_json(_token(facts, secret), 201)

    @app.get(here, responses=answers(ViewToken, 403, 404, 422, 503, many=True))
    async def list_tokens(run_id: RunId, name: Named, asker: Asked) -> Response:
        """The tokens of a view that are good, without their secrets."""
        await views.leading(run_id, name, asker)
        now = _iso(datetime.now(UTC))
        found = await registry.ask(lambda books: view_books.tokens(books, run_id, name, now))
        return as_json([_token(one) for one in found])

    @app.delete(
        f"{here}/{{token_id}}",
        status_code=204,
        responses={204: {"description": "It is revoked."}, **answers(None, 403, 404, 422, 503)},
    )
    async def revoke_token(run_id: RunId, name: Named, token_id: TokenId, asker: Asked) -> Response:
        """Revoke a token: it is good for nothing from now on, and who came with it is let go."""
        await views.leading(run_id, name, asker)
        if not await registry.ask(lambda books: view_books.revoke(books, run_id, name, token_id)):
            raise Problem(404, f"view {name} of run {run_id} has no token {token_id}")
        registry.view_lines.ask_again(run_id, name)
        return Response(status_code=204)


def _token(facts: view_books.TokenFacts, secret: str | None = None) -> ViewToken:
    return ViewToken(**msgspec.structs.asdict(facts), token=secret)


def _camera(wish: ViewWish) -> dict[str, Any]:
    """What of the camera is given."""
    return {name: value for name, value in wish.camera.model_dump().items() if value is not None}


def _shown(view: RunView, status: int = 200, more: dict[str, str] | None = None) -> Response:
    headers = {"etag": f'"{view.revision}"', "cache-control": "no-store", **(more or {})}
    return as_json(view, status, headers)


def _revision(if_match: str | None) -> str:
    """The revision that an If-Match names; empty if any will do."""
    return "" if if_match is None or if_match.strip() == "*" else if_match.strip().removeprefix("W/").strip('"')


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
