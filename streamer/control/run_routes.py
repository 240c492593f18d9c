"""What may be asked of runs over HTTP: to start, look at, change, end and remove them.

Requests that change a run may carry ``If-Match`` with its ETag (its generation), so that two people do not undo each
other's changes unawares; one that starts a run may carry an ``Idempotency-Key``, so that it can be sent again when
the answer was lost.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Body, FastAPI, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from streamer.control import runs, said, scrutiny
from streamer.control.answers import as_json, course
from streamer.control.local import LocalRun
from streamer.control.openapi import answers
from streamer.control.registry import AnyRun, Registry
from streamer.control.runs import Run, State
from streamer.control.said import Line
from streamer.control.schema import Problem, RunRequest

API = "/api/v1"
LONGEST_PAGE = 1000
RunId = Annotated[str, Path(max_length=64, description="The run's name.", examples=["rivers-3f9a02c1"])]
IfMatch = Annotated[
    str | None,
    Header(max_length=64, description="The run's ETag: refused with 412 if the run has been changed since. `*`: any."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255,
        description="Any text of your own: the same request with the same key starts one run only.",
    ),
]  # fmt: skip


class Scale(BaseModel):
    """How many workers a run is to have."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"workers": 4}]})

    workers: Annotated[int, Field(ge=1, description="Workers that are wanted from now on.")]


def add_runs(app: FastAPI, registry: Registry) -> None:
    """Adds the routes under ``/runs`` that concern a run as a whole."""

    @app.post(f"{API}/runs", status_code=201, responses=answers(Run, 409, 411, 413, 422, 503, 504, status=201))
    async def start_run(request: RunRequest, key: Key = None) -> Response:
        """Start a run. Its input is looked at first; what is wrong with it is the answer, and nothing is started."""
        return _created(await registry.start(request, key))

    @app.get(f"{API}/runs", responses=answers(Run, 404, 422, 503, many=True))
    async def list_runs(
        state: Annotated[
            list[State] | None, Query(description="Only runs in one of these states; may be repeated.")
        ] = None,
        q: Annotated[str, Query(max_length=256, description="Words in the title, the input, or the run's name.")] = "",
        before: Annotated[str, Query(max_length=64, description="Only runs older than the one of this name.")] = "",
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many.")] = 100,
    ) -> Response:
        """Runs, newest first. If there are more, the header `Link` names the next page."""
        page = await registry.page(frozenset(state or ()), q, before, limit)
        headers = {}
        if page.more and page.runs:
            asked = [("state", one) for one in state or ()] + [("q", q)] * bool(q)
            asked += [("before", page.runs[-1].run_id), ("limit", str(limit))]
            headers["link"] = f'<?{urlencode(asked)}>; rel="next"'
        return as_json(page.runs, headers=headers)

    @app.get(f"{API}/runs/{{run_id}}", responses=answers(Run, 404, 422, 503))
    async def get_run(run_id: RunId) -> Response:
        """One run, as it stands."""
        return _shown(await registry.find(run_id))

    @app.delete(
        f"{API}/runs/{{run_id}}",
        status_code=204,
        responses={204: {"description": "It is forgotten."}, **answers(None, 404, 409, 422, 503)},
    )
    async def remove_run(run_id: RunId) -> Response:
        """Forget a run that is over, with its log. The store that it has written stays."""
        await registry.remove(run_id)
        return Response(status_code=204)

    @app.get(
        f"{API}/runs/{{run_id}}/events",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}},
            **answers(None, 404, 422, 503),
        },
    )
    async def watch_run(run_id: RunId) -> Response:
        """Its course as server-sent events: `run` with the record as it changes, at most five a second, then `end`."""
        stream = course(await registry.find(run_id), registry.closing)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.post(f"{API}/runs/{{run_id}}/cancel", responses=answers(Run, 404, 409, 412, 422, 503))
    async def cancel_run(run_id: RunId, if_match: IfMatch = None) -> Response:
        """Stop a run and end its processes; what is committed stays. A run that is over only loses its processes."""
        return _shown(await registry.cancel(run_id, _generation(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/pause", responses=answers(Run, 404, 409, 412, 422, 503))
    async def pause_run(run_id: RunId, if_match: IfMatch = None) -> Response:
        """Begin no more chunks until it is resumed; those that are being worked on are finished."""
        return _shown(await registry.want(run_id, lambda run: runs.wanted(run, paused=True), _generation(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/resume", responses=answers(Run, 404, 409, 412, 422, 503))
    async def resume_run(run_id: RunId, if_match: IfMatch = None) -> Response:
        """Go on after a pause."""
        return _shown(await registry.want(run_id, lambda run: runs.wanted(run, paused=False), _generation(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/scale", responses=answers(Run, 404, 409, 411, 412, 413, 422, 503))
    async def scale_run(run_id: RunId, scale: Scale, if_match: IfMatch = None) -> Response:
        """Work with another number of workers from now on. Those that leave hand back what they have not finished."""
        scrutiny.check_workers(scale.workers, registry.settings)
        wanted = await registry.want(
            run_id, lambda run: runs.wanted(run, workers=scale.workers), _generation(if_match)
        )  # fmt: skip
        return _shown(wanted)

    @app.post(
        f"{API}/runs/{{run_id}}/clone",
        status_code=201,
        responses=answers(Run, 404, 409, 411, 413, 422, 503, 504, status=201),
    )
    async def clone_run(
        run_id: RunId,
        changes: Annotated[
            dict[str, object],
            Body(
                description="Fields of a request that are to be others than they were.", examples=[{"threshold": 400}]
            ),
        ],
        key: Key = None,
    ) -> Response:
        """Start a run as another one was started, with some fields changed. `out` is not taken over: give a new one."""
        return _created(await registry.start(await registry.again(run_id, changes), key))

    @app.get(f"{API}/runs/{{run_id}}/logs", responses=answers(Line, 404, 422, 503, many=True))
    async def get_logs(
        run_id: RunId,
        part: Annotated[str, Query(max_length=64, description="Only what this part has said.")] = "",
        lines: Annotated[int, Query(ge=1, le=5000, description="The newest so many.")] = 200,
    ) -> Response:
        """What the run's parts have said, oldest line first."""
        run = await registry.find(run_id)
        if isinstance(run, LocalRun) and not run.closed.is_set():
            return as_json(run.said.tail(lines, part))
        return as_json(said.read(registry.folder.path / run.record.run_id, lines, part))


def _created(run: AnyRun) -> Response:
    headers = {"location": f"{API}/runs/{run.record.run_id}", "etag": _etag(run.record)}
    return as_json(run.record, 201, headers)


def _shown(run: AnyRun) -> Response:
    return as_json(run.record, headers={"etag": _etag(run.record)})


def _etag(run: Run) -> str:
    return f'"{run.generation}"'


def _generation(if_match: str | None) -> int | None:
    """The generation that an If-Match names; None if any will do.  Raises Problem."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Problem(422, f'If-Match is {if_match}, which is no ETag of a run, such as "3"')
    return int(text)
