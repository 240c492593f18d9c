"""What may be asked of runs over HTTP: to start, look at, change, end and remove them.

Requests that change a run may carry ``If-Match`` with its ETag (its generation), so that two people do not undo each
other's changes unawares; one that starts a run may carry an ``Idempotency-Key``, so that it can be sent again when
the answer was lost.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Body, FastAPI, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from streamer.control import runs, scrutiny
from streamer.control.access.guard import Visit, Who
from streamer.control.access.project_routes import project_for
from streamer.control.answers import as_json
from streamer.control.openapi import TEXT, answers
from streamer.control.past import PastRun
from streamer.control.registry import Registry
from streamer.control.report import Report
from streamer.control.roster import AnyRun
from streamer.control.runs import Run, State
from streamer.control.said import Line
from streamer.control.schema import Problem, RunRequest
from streamer.control.telling import course

API = "/api/v1"
LONGEST_PAGE = 1000
ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
"""No control characters, of which PostgreSQL takes no NUL."""
MADE = (409, 411, 413, 422, 429, 500, 503, 504)
"""How a request for a new run may be refused."""
YAML = "application/yaml"
EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["run", "end"]}, "data": {"type": "string", "description": "JSON: the run."}},
}
"""What one event is, once a client has taken the stream apart."""
SKETCH = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: cc-flood2021-3f9a02c1-run
  namespace: cavecast-rivers
  annotations: {cavecast/run-id: flood2021-3f9a02c1}
---
"""
MANIFESTS: dict[str, Any] = {
    "description": "Objects of Kubernetes.",
    "content": {YAML: {"schema": TEXT, "example": SKETCH}},
}
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


def add_runs(app: FastAPI, registry: Registry, projects: Collection[str]) -> None:
    """Adds the routes under ``/runs`` that concern a run as a whole; ``projects`` are those that there are."""

    @app.post(f"{API}/runs", status_code=201, responses=answers(Run, 404, *MADE, status=201))
    async def start_run(request: RunRequest, who: Who, key: Key = None) -> Response:
        """Start a run. Its input is looked at first; what is wrong with it is the answer, and nothing is started.

        If there is no room for it, it is `queued`, and begins by itself when those before it have.
        """
        who.project = project_for(who.person, request.project, projects)
        return _created(await registry.admission.start(request, key, who.project, who.person), who)

    @app.get(f"{API}/runs", responses=answers(Run, 404, 422, 503, many=True))
    async def list_runs(
        who: Who,
        state: Annotated[
            list[State] | None, Query(description="Only runs in one of these states; may be repeated.")
        ] = None,
        q: Annotated[
            str,
            Query(max_length=256, pattern=ONE_LINE, description="Words in the title, the input, or the run's name."),
        ] = "",
        before: Annotated[
            str, Query(max_length=64, pattern=ONE_LINE, description="Only runs older than the one of this name.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="At most so many.")] = 100,
    ) -> Response:
        """Runs, newest first. If there are more, the header `Link` names the next page."""
        page = await registry.page(frozenset(state or ()), q, before, limit, who.person.projects)
        headers = {}
        if page.more and page.runs:
            asked = [("state", one) for one in state or ()] + [("q", q)] * bool(q)
            asked += [("before", page.runs[-1].run_id), ("limit", str(limit))]
            headers["link"] = f'<?{urlencode(asked)}>; rel="next"'
        return as_json(page.runs, headers=headers)

    @app.post(
        f"{API}/runs/manifests",
        response_class=Response,
        responses={200: MANIFESTS, **answers(None, 404, *MADE)},
    )
    async def sketch_run(request: RunRequest, who: Who) -> Response:
        """What a run would be made of in the cluster, as YAML without secrets; nothing is started."""
        who.project = project_for(who.person, request.project, projects)
        return Response(await registry.admission.sketch(request, who.project), media_type=YAML)

    @app.get(
        f"{API}/runs/{{run_id}}/manifests",
        response_class=Response,
        responses={200: MANIFESTS, **answers(None, 404, 409, 422, 503)},
    )
    async def get_manifests(run_id: RunId) -> Response:
        """What a run is made of in the cluster, as YAML without secrets."""
        return Response(await registry.manifests(run_id), media_type=YAML)

    @app.get(f"{API}/runs/{{run_id}}", responses=answers(Run, 404, 422, 503))
    async def get_run(run_id: RunId) -> Response:
        """One run, as it stands."""
        return shown(await registry.find(run_id))

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
            200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": EVENT}}},
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
        return shown(await registry.cancel(run_id, generation_of(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/pause", responses=answers(Run, 404, 409, 412, 422, 503))
    async def pause_run(run_id: RunId, if_match: IfMatch = None) -> Response:
        """Begin no more chunks until it is resumed; those that are being worked on are finished."""
        return shown(await registry.want(run_id, lambda run: runs.wanted(run, paused=True), generation_of(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/resume", responses=answers(Run, 404, 409, 412, 422, 503))
    async def resume_run(run_id: RunId, if_match: IfMatch = None) -> Response:
        """Go on after a pause."""
        return shown(await registry.want(run_id, lambda run: runs.wanted(run, paused=False), generation_of(if_match)))

    @app.post(f"{API}/runs/{{run_id}}/scale", responses=answers(Run, 404, 409, 411, 412, 413, 422, 503))
    async def scale_run(run_id: RunId, scale: Scale, if_match: IfMatch = None) -> Response:
        """Work with another number of workers from now on. Those that leave hand back what they have not finished."""
        scrutiny.check_workers(scale.workers, registry.settings)

        def scaled(run: Run) -> Run:
            registry.admission.check_scale(run, scale.workers)
            return runs.wanted(run, workers=scale.workers)

        return shown(await registry.want(run_id, scaled, generation_of(if_match)))

    @app.post(
        f"{API}/runs/{{run_id}}/clone",
        status_code=201,
        responses=answers(Run, 404, *MADE, status=201),
    )
    async def clone_run(
        run_id: RunId,
        changes: Annotated[
            dict[str, object],
            Body(
                description="Fields of a request that are to be others than they were.", examples=[{"threshold": 400}]
            ),
        ],
        who: Who,
        key: Key = None,
    ) -> Response:
        """Start a run as another one was started, with some fields changed. `out` is not taken over: give a new one."""
        request = await registry.admission.again(run_id, changes)
        asked = request.project if "project" in changes else (await registry.find(run_id)).record.project
        who.project = project_for(who.person, asked, projects)
        return _created(await registry.admission.start(request, key, who.project, who.person), who)

    @app.get(f"{API}/runs/{{run_id}}/report", responses=answers(Report, 404, 422, 503))
    async def report_run(run_id: RunId) -> Response:
        """What its steps have taken so far: processes, CPUs, GPUs, bytes, memory, time. Null: not measured."""
        return as_json(await registry.report(run_id))

    @app.get(f"{API}/runs/{{run_id}}/logs", responses=answers(Line, 404, 422, 503, many=True))
    async def get_logs(
        run_id: RunId,
        part: Annotated[str, Query(max_length=64, description="Only what this part has said.")] = "",
        lines: Annotated[int, Query(ge=1, le=5000, description="The newest so many.")] = 200,
    ) -> Response:
        """What the run's parts have said, oldest line first."""
        run = await registry.find(run_id)
        if not isinstance(run, PastRun) and not run.closed.is_set():
            return as_json(await run.tail(lines, part))
        return as_json(await registry.launcher.lines(run.record.run_id, lines, part))


def _created(run: AnyRun, who: Visit) -> Response:
    who.about = run.record.run_id
    headers = {"location": f"{API}/runs/{run.record.run_id}", "etag": _etag(run.record)}
    return as_json(run.record, 201, headers)


def shown(run: AnyRun, status: int = 200) -> Response:
    """A run as an answer, with its ETag."""
    return as_json(run.record, status, {"etag": _etag(run.record)})


def _etag(run: Run) -> str:
    return f'"{run.generation}"'


def generation_of(if_match: str | None) -> int | None:
    """The generation that an If-Match names; None if any will do.  Raises Problem."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Problem(422, f'If-Match is {if_match}, which is no ETag of a run or wall, such as "3"')
    return int(text)
