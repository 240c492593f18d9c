"""The HTTP side of the control plane: routes, and nothing that decides.

``make_app`` takes the registry of runs; all that a route needs comes from there.  Answers are records
as JSON, refusals problem documents with one sentence; see ``docs/http.md`` for every path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from streamer.control import metrics, pages
from streamer.control.answers import as_json, problem
from streamer.control.catalog_routes import add_catalog
from streamer.control.link import NoAnswer
from streamer.control.local import NoView
from streamer.control.object_routes import add_objects
from streamer.control.openapi import Health, answers, document
from streamer.control.registry import Registry
from streamer.control.relay import NO_VIEW, RENDERER_GONE, VIEW_OVER, hang_up, relay
from streamer.control.run_routes import API, add_runs
from streamer.control.schema import Problem, ProblemBody, sentence
from streamer.control.security import Gate
from streamer.figures import RunFigures
from streamer.relay_figures import RelayFigures

MAX_BODY = 64 << 10
FIGURES_S = 2.0
"""A streamer that does not answer for so long is left out of the metrics."""
log = structlog.get_logger()
Record = TypeVar("Record")


def make_app(registry: Registry) -> FastAPI:
    """The application, for the runs of ``registry``."""
    app = FastAPI(
        title="CaveCast",
        version=version("cavecast"),
        description="Shows a 3-D segmentation while it is being computed. Local use: no login, this machine only.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Gate, max_body=MAX_BODY)
    _refusals(app)
    add_runs(app, registry)
    add_objects(app, registry)
    add_catalog(app, registry)
    _view(app, registry)
    _about(app, registry)
    _pages(app)
    return app


def _view(app: FastAPI, registry: Registry) -> None:
    @app.websocket(f"{API}/runs/{{run_id}}/view")
    async def view(browser: WebSocket, run_id: str) -> None:
        await browser.accept()
        try:
            if (await registry.find(run_id)).record.view_url is None:
                raise Problem(404, f"run {run_id} was started without a view")
            run = await registry.serve(run_id)
        except Problem as why:
            await hang_up(browser, NO_VIEW, why.detail)
            return
        run.viewer_came()
        try:
            views = await asyncio.wait_for(run.views(), registry.settings.ready_s)
            await relay(browser, registry.context, views.address, views.gone, run.keys)
        except NoView as why:
            await hang_up(browser, VIEW_OVER, str(why))
        except TimeoutError:
            await hang_up(browser, RENDERER_GONE, f"the renderer was not ready after {registry.settings.ready_s:g} s")
        except asyncio.CancelledError:
            # The run was closed while the viewer waited, or the server ends: only the latter is ours to pass on.
            if not run.closing.is_set():
                raise
            await hang_up(browser, NO_VIEW, f"run {run_id} has been closed")
        finally:
            run.viewer_went()


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


def _about(app: FastAPI, registry: Registry) -> None:
    @app.get("/healthz", responses=answers(Health))
    async def health() -> Response:
        """Whether the control plane answers."""
        return as_json(Health("ok", app.version, registry.desk.trouble))

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus text.", "content": {"text/plain": {}}}},
    )
    async def prometheus() -> Response:
        """Metrics for Prometheus."""
        streamers, relays = await _figures(registry)
        text = metrics.exposition(
            lambda: [run.record for run in registry.all()], streamers, relays, registry.forgotten
        )  # fmt: skip
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, ProblemBody.model_json_schema())
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
    async def all_runs() -> Response:
        # The file is written for /view/…; the list lies one folder higher, also behind a proxy's prefix.
        text = (folder / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace('<base href="../">', '<base href="./">', 1))

    @app.get("/view/{run_id}", include_in_schema=False)
    async def viewer(run_id: str) -> Response:
        del run_id  # the page reads it from its own address
        return FileResponse(folder / "index.html")

    app.mount("/static", StaticFiles(directory=folder), name="static")


def _refusals(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def refused(_: Request, why: Problem) -> Response:
        return problem(why.status, why.detail)

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
