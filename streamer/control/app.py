"""The HTTP side of the control plane: routes, and nothing that decides.

``make_app`` takes the registry of runs; all that a route needs comes from there.  Answers are records
as JSON, refusals problem documents with one sentence; see ``docs/http.md`` for every path.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import FastAPI, Header, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from streamer.control import metrics, pages
from streamer.control.access.door import Door, Turned
from streamer.control.access.guard import Guard, Visit, Who
from streamer.control.access.login_routes import add_login
from streamer.control.access.people import Person
from streamer.control.access.places import Network, Public
from streamer.control.access.project_routes import add_projects
from streamer.control.access.rules import ALONE
from streamer.control.answers import as_json, problem
from streamer.control.catalog_routes import add_catalog
from streamer.control.examples import example
from streamer.control.launching import NoView
from streamer.control.link import NoAnswer
from streamer.control.object_routes import add_objects
from streamer.control.openapi import TEXT, Health, answers, document
from streamer.control.permits import barred
from streamer.control.picture_routes import add_pictures
from streamer.control.registry import Registry
from streamer.control.relay import NO_SEAT, NO_VIEW, RENDERER_GONE, VIEW_OVER, hang_up, note, relay
from streamer.control.run_routes import API, add_runs
from streamer.control.runs import waits
from streamer.control.schema import Problem, ProblemBody, sentence
from streamer.control.security import NAMELESS, Gate
from streamer.control.shared_views import Asker, SharedViews
from streamer.control.targets import OF_WALL
from streamer.control.view_keeping import seated
from streamer.control.view_roles import Role
from streamer.control.view_routes import add_views
from streamer.control.view_seats import GOOD_S, NoSeat, Seat, Seats
from streamer.control.wall_routes import add_walls
from streamer.figures import RunFigures
from streamer.relay_figures import RelayFigures
from streamer.wire.presence import cleaned
from streamer.wire.view import FOLLOW, KEY_BYTES, LEAD, LOOK, MAX_NAME, Opened

MAX_BODY = 64 << 10
VIEWING, SEAT, OF_VIEW = "cavecast.view", "seat.", "view."
"""Subprotocols that a page offers: this one, coming again the token of its seat, and a token of the shared view.  Not
in the address, which logs would keep."""
FIGURES_S = 2.0
"""A streamer that does not answer for so long is left out of the metrics."""
log = structlog.get_logger()
Record = TypeVar("Record")
ROLES = {"look": LOOK, "follow": FOLLOW, "lead": LEAD}


def make_app(
    registry: Registry, door: Door | None = None, trusted: Sequence[Network] = (), known_as: Public | None = None
) -> FastAPI:
    """The application, for the runs of ``registry``.

    Without a ``door`` there are no accounts, and everybody may do all.  ``trusted``: proxies whose word is taken for
    where a request comes from.  ``known_as``: the server's public address, where the door has none.
    """
    app = FastAPI(
        title="CaveCast",
        version=version("cavecast"),
        description="Shows a 3-D segmentation while it is being computed.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Guard, registry=registry, routes=lambda: app.router.routes, door=door, trusted=trusted)
    known_as, nameless = (door.public, NAMELESS) if door is not None else (known_as, ())
    app.add_middleware(Gate, max_body=MAX_BODY, known_as=known_as, nameless=nameless)
    projects = ALONE if door is None else door.access.projects
    registry.admission.quotas = {project.name: project.quota for project in projects.values()}
    _refusals(app)
    add_runs(app, registry, projects)
    add_objects(app, registry)
    add_catalog(app, registry, projects)
    add_projects(app, registry, door)
    add_login(app, registry, door)
    add_walls(app, registry)
    add_views(app, registry)
    add_pictures(app, registry)
    _view(app, registry)
    _about(app, registry, door)
    _pages(app)
    return app


def _view(app: FastAPI, registry: Registry) -> None:
    shared = SharedViews(registry)

    @app.websocket(f"{API}/runs/{{run_id}}/view")
    async def watch(browser: WebSocket, run_id: str, visit: Who, view: str = "") -> None:
        await browser.accept(VIEWING if VIEWING in browser.scope["subprotocols"] else None)
        with registry.view_lines.visit(run_id, view, visit.again):
            await _looks(registry, shared, browser, visit, run_id, view)


async def _looks(
    registry: Registry, shared: SharedViews, browser: WebSocket, visit: Visit, run_id: str, view: str
) -> None:
    """Pictures down and input up, for as long as that is allowed."""

    async def may() -> Role:
        offered = browser.scope["subprotocols"]
        token = next((text.removeprefix(OF_VIEW) for text in offered if text.startswith(OF_VIEW)), None)
        return await shared.may(run_id, view, Asker(visit.person, token))

    try:
        if len(view.encode()) > MAX_NAME:
            raise Problem(404, f"a view's name has {MAX_NAME} bytes at most")
        if (await registry.find(run_id)).record.view_url is None:
            raise Problem(404, f"run {run_id} was started without a view")
        viewer = _viewer(browser, registry, run_id, view, visit.person)
        held: Role = await may() if view else "lead"  # a view without a name is the viewer's own
        run = await registry.serve(run_id)
    except Problem as why:
        await hang_up(browser, NO_VIEW, why.detail)
        return
    except NoSeat as why:
        await hang_up(browser, NO_SEAT, str(why))
        return
    run.viewer_came()
    try:
        views = await asyncio.wait_for(run.views(), registry.settings.ready_s)
        name = "" if visit.person.means == "local" else cleaned(visit.person.name)
        opened = Opened(view, ROLES[held], viewer, name)
        seat = Seat(run_id, view, visit.person.account, viewer, time.time() + GOOD_S)
        await browser.send_bytes(note({"seat": Seats(registry.folder.secret()).token(seat)}))
        # What is noted under a wall's name is what its conductor shows, and not the browsers' to change.
        keeps = view != "" and not view.startswith(OF_WALL)
        async with seated(registry, run_id, view) if keeps else nullcontext() as line:
            await relay(
                browser, registry.context, views.address, views.gone, run.keys, opened, line,
                barred=(lambda: barred(may, held, visit.again)) if view else None,
            )  # fmt: skip
    except NoView as why:
        await hang_up(browser, VIEW_OVER, str(why))
    except Problem as why:
        await hang_up(browser, RENDERER_GONE, why.detail)
    except TimeoutError:
        late = f"the renderer was not ready after {registry.settings.ready_s:g} s"
        await hang_up(browser, RENDERER_GONE, waits(run.record) or late)
    except asyncio.CancelledError:
        # The run was closed while the viewer waited, or the server ends: only the latter is ours to pass on.
        if not run.closing.is_set():
            raise
        await hang_up(browser, NO_VIEW, f"run {run_id} has been closed")
    except WebSocketDisconnect:
        return  # it went before it had a seat
    finally:
        run.viewer_went()


def _viewer(browser: WebSocket, registry: Registry, run_id: str, view: str, person: Person) -> bytes:
    """Which viewer it is: a new one, or whom a token says.  Raises NoSeat."""
    offered = [text.removeprefix(SEAT) for text in browser.scope["subprotocols"] if text.startswith(SEAT)]
    if not offered:
        return secrets.token_bytes(KEY_BYTES)
    seats = Seats(registry.folder.secret())
    return seats.read(offered[0], run_id, view, person.account, time.time()).viewer


async def _answered(asked: Sequence[Awaitable[Record]]) -> list[Record]:
    """What came of some questions, without those that were not answered."""

    async def ask(question: Awaitable[Record]) -> Record | None:
        try:
            return await question
        except NoAnswer:
            return None

    return [found for found in await asyncio.gather(*map(ask, asked)) if found is not None]


async def _figures(registry: Registry) -> tuple[list[RunFigures], list[RelayFigures]]:
    """The figures of all runs and relays that answer at once."""
    every = registry.all()
    streamers = [run.link.figures(deadline_s=FIGURES_S) for run in every if run.link is not None]
    relays = [link.relay_figures(deadline_s=FIGURES_S) for run in every for link in run.relays.values()]
    both = await asyncio.gather(_answered(streamers), _answered(relays))
    return both[0], both[1]


def _about(app: FastAPI, registry: Registry, door: Door | None) -> None:
    @app.get("/healthz", responses=answers(Health))
    async def health() -> Response:
        """Whether the control plane answers. Where there are accounts, strangers are told no more than that."""
        return as_json(Health("ok", app.version, registry.desk.trouble) if door is None else Health("ok", "", ""))

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus text.", "content": {"text/plain": {"schema": TEXT}}}},
    )
    async def prometheus() -> Response:
        """Metrics for Prometheus."""
        streamers, relays = await _figures(registry)
        text = metrics.exposition(
            lambda: [run.record for run in registry.all()], streamers, relays, registry.roster.forgotten
        )  # fmt: skip
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, ProblemBody.model_json_schema(), example)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> Response:
        return as_json(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(pages.describe(app.openapi()))

    @app.get("/docs.css", include_in_schema=False)
    async def docs_style() -> Response:
        return Response(pages.STYLE, media_type="text/css")


def _pages(app: FastAPI) -> None:
    folder = pages.web_folder()
    if folder is None:
        log.warning("no viewer", why="the package display_clients is not installed")
        return

    @app.get("/", include_in_schema=False)
    async def all_runs(x_forwarded_context: Annotated[str | None, Header()] = None) -> Response:
        text = (folder / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(pages.first_page(text, x_forwarded_context))

    @app.get("/view/{run_id}", include_in_schema=False)
    async def viewer(run_id: str) -> Response:
        del run_id  # the page reads it from its own address
        return FileResponse(folder / "index.html")

    app.mount("/static", StaticFiles(directory=folder), name="static")


def _refusals(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def refused(_: Request, why: Problem) -> Response:
        answer = problem(why.status, why.detail, why.variables)
        if why.again_s is not None:
            answer.headers["retry-after"] = str(why.again_s)
        return answer

    @app.exception_handler(Turned)
    async def turned(_: Request, why: Turned) -> Response:
        answer = problem(why.status, why.why)
        answer.headers.update(why.headers)
        return answer

    @app.exception_handler(NoAnswer)
    async def silent(_: Request, why: NoAnswer) -> Response:
        return problem(503, str(why))

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, why: RequestValidationError) -> Response:
        return problem(422, sentence(list(why.errors())))

    @app.exception_handler(HTTPException)
    async def other(request: Request, why: HTTPException) -> Response:
        answer = problem(why.status_code, f"{request.method} {request.url.path}: {why.detail}")
        answer.headers.update(why.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def broken(request: Request, why: Exception) -> Response:
        log.error("request failed", path=request.url.path, exc_info=why)
        return problem(500, f"{request.url.path} failed for a reason of our own; the log of cavecast serve has it")
