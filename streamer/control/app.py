"""The HTTP side of the control plane: routes, and nothing that decides.

``make_app`` takes the registry of runs; all that a route needs comes from there.  Answers are records
as JSON, refusals problem documents with one sentence; see ``docs/http.md`` for every path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import FastAPI, Path, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse

from streamer.control import metrics, pages
from streamer.control.answers import as_json, course, problem
from streamer.control.link import NoAnswer, StreamerLink
from streamer.control.local import LocalRun, NoView
from streamer.control.openapi import Chunks, Health, answers, document
from streamer.control.registry import Registry
from streamer.control.relay import NO_VIEW, RENDERER_GONE, VIEW_OVER, hang_up, relay
from streamer.control.runs import Run
from streamer.control.schema import Problem, ProblemBody, RunRequest, sentence
from streamer.control.security import Gate
from streamer.figures import RunFigures
from streamer.relay_figures import RelayFigures
from streamer.wire.status import ObjectPage

MAX_BODY = 64 << 10
FIGURES_S = 2.0
"""A streamer that does not answer for so long is left out of the metrics."""
API = "/api/v1"
log = structlog.get_logger()
Record = TypeVar("Record")
RunId = Annotated[str, Path(max_length=64, description="The run's name.", examples=["rivers-3f9a02c1"])]


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
    _runs(app, registry)
    _view(app, registry)
    _about(app, registry)
    _pages(app)
    return app


def _runs(app: FastAPI, registry: Registry) -> None:
    @app.post(f"{API}/runs", status_code=201, responses=answers(Run, 409, 411, 413, 422, 503, 504, status=201))
    async def start_run(request: RunRequest) -> Response:
        """Start a run. Its input is looked at first; what is wrong with it is the answer, and nothing is started."""
        run = await registry.start(request)
        return as_json(run.record, 201, {"location": f"{API}/runs/{run.record.run_id}"})

    @app.get(f"{API}/runs", responses=answers(Run, many=True))
    async def list_runs() -> Response:
        """All runs, newest first."""
        return as_json([run.record for run in reversed(registry.all())])

    @app.get(f"{API}/runs/{{run_id}}", responses=answers(Run, 404, 422))
    async def get_run(run_id: RunId) -> Response:
        """One run, as it stands."""
        return as_json(registry.find(run_id).record)

    @app.get(
        f"{API}/runs/{{run_id}}/events",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}},
            **answers(None, 404, 422),
        },
    )
    async def watch_run(run_id: RunId) -> Response:
        """Its course as server-sent events: `run` with the record as it changes, at most five a second, then `end`."""
        stream = course(registry.find(run_id), registry.closing)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.post(f"{API}/runs/{{run_id}}/cancel", responses=answers(Run, 404, 422))
    async def cancel_run(run_id: RunId) -> Response:
        """Stop a run and end its processes; what is committed stays. A run that is over only loses its processes."""
        run = registry.find(run_id)
        await run.cancel()
        return as_json(run.record)

    @app.get(f"{API}/runs/{{run_id}}/objects", responses=answers(ObjectPage, 404, 409, 422, 503))
    async def list_objects(
        run_id: RunId, limit: Annotated[int, Query(ge=1, le=10_000, description="How many, the largest first.")] = 1000
    ) -> Response:
        """The run's objects as they are now."""
        return as_json(await _link(registry.find(run_id)).table(limit))

    @app.get(f"{API}/runs/{{run_id}}/objects/{{object_id}}", responses=answers(ObjectPage, 404, 409, 422, 503))
    async def get_object(
        run_id: RunId, object_id: Annotated[int, Path(ge=1, lt=1 << 63, description="The object's run-wide id.")]
    ) -> Response:
        """One object and its life, step by step."""
        page = await _link(registry.find(run_id)).table(1, object_id)
        if not page.objects:
            raise Problem(404, f"run {run_id} has no object {object_id}; it may have merged into another")
        return as_json(page)

    @app.get(f"{API}/runs/{{run_id}}/chunks", responses=answers(Chunks, 404, 409, 422, 503))
    async def list_chunks(run_id: RunId) -> Response:
        """The state of every chunk, in C order, and how many there are along each axis."""
        run = registry.find(run_id)
        _, states = await _link(run).status(with_chunks=True)
        return as_json(Chunks(run.record.counts, list(states)))


def _link(run: LocalRun) -> StreamerLink:
    if run.link is None:
        state = run.record.state
        raise Problem(
            409, f"run {run.record.run_id} is {state} and its streamer does not run" + " yet" * (state == "starting")
        )
    return run.link


def _view(app: FastAPI, registry: Registry) -> None:
    @app.websocket(f"{API}/runs/{{run_id}}/view")
    async def view(browser: WebSocket, run_id: str) -> None:
        await browser.accept()
        try:
            run = registry.find(run_id)
        except Problem as why:
            await hang_up(browser, NO_VIEW, why.detail)
            return
        if run.record.view_url is None:
            await hang_up(browser, NO_VIEW, f"run {run_id} was started without a view")
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
        return as_json(Health("ok", app.version))

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
