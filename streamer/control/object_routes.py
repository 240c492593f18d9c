"""What may be asked of a run's objects and chunks over HTTP.  The streamer answers; that of a run which is over and
was put away is started again for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Query
from pydantic import Field
from starlette.responses import Response

from streamer.control import object_tables
from streamer.control.answers import as_json
from streamer.control.link import StreamerLink
from streamer.control.object_tables import Kind, Table
from streamer.control.openapi import TEXT, Chunks, answers, of_bytes
from streamer.control.registry import Registry
from streamer.control.run_routes import API, RunId
from streamer.control.runs import ENDED
from streamer.control.schema import Problem
from streamer.wire.status import MOST_COURSES, Course, ObjectPage
from streamer.wire.volume import Volume

MOST_VOLUMES = 64
"""Of so many runs is known at once where their steps are."""

TOTAL = "Objects-Total"
"""The header of a table that says how many objects there are."""
Format = Annotated[
    Literal["json"] | Kind,
    Query(description="`csv` and `parquet`: the columns of the store's tables; `geojson`: centroids, on the sphere."),
]


def add_objects(app: FastAPI, registry: Registry) -> None:
    """Adds the routes under ``/runs/{run_id}`` that its streamer answers."""
    # Pages ask once a second, and what a run's volume is never changes: the books are asked once.
    volumes: OrderedDict[str, Volume] = OrderedDict()

    async def shown(run_id: str, page: ObjectPage) -> Response:
        if run_id not in volumes:
            volumes[run_id] = (await registry.specification(run_id)).volume
            if len(volumes) > MOST_VOLUMES:
                volumes.popitem(last=False)
        volume = volumes[run_id]
        return as_json(await asyncio.to_thread(object_tables.dated, volume, page))

    @app.get(f"{API}/runs/{{run_id}}/objects", responses=_counted(_tables(404, 409, 422, 501, 503)))
    async def list_objects(
        run_id: RunId,
        limit: Annotated[int, Query(ge=1, le=10_000, description="How many, the largest first.")] = 1000,
        format: Format = "json",
    ) -> Response:
        """The run's objects as they are now."""
        page = await (await _link(registry, run_id)).table(limit)
        if format == "json":
            return await shown(run_id, page)
        table = await _table(registry, run_id, format, lambda volume: object_tables.objects(volume, page))
        table.headers[TOTAL] = str(page.total)
        return table

    @app.get(f"{API}/runs/{{run_id}}/objects/{{object_id}}", responses=_tables(404, 409, 422, 501, 503))
    async def get_object(
        run_id: RunId,
        object_id: Annotated[int, Path(ge=1, lt=1 << 63, description="The object's run-wide id.")],
        format: Format = "json",
    ) -> Response:
        """One object and its life, step by step; in the other formats the life alone."""
        page = await (await _link(registry, run_id)).table(1, object_id)
        if not page.objects:
            raise Problem(404, f"run {run_id} has no object {object_id}; it may have merged into another")
        if format == "json":
            return await shown(run_id, page)
        return await _table(registry, run_id, format, lambda volume: object_tables.life(volume, page))

    @app.get(f"{API}/runs/{{run_id}}/courses", responses=answers(Course, 404, 409, 422, 503, many=True))
    async def list_courses(
        run_id: RunId,
        id: Annotated[
            list[Annotated[int, Field(ge=1, lt=1 << 63)]],
            Query(min_length=1, max_length=MOST_COURSES, description="Run-wide ids of objects, 64 at most."),
        ],
    ) -> Response:
        """The lives of several objects in 32 points at most each, for small charts; of those that there are."""
        return as_json(await (await _link(registry, run_id)).courses(id))

    @app.get(f"{API}/runs/{{run_id}}/chunks", responses=answers(Chunks, 404, 409, 422, 503))
    async def list_chunks(run_id: RunId) -> Response:
        """The state of every chunk, in C order, and how many there are along each axis."""
        link = await _link(registry, run_id)
        _, states = await link.status(with_chunks=True)
        return as_json(Chunks((await registry.find(run_id)).record.counts, list(states)))


def _tables(*refusals: int) -> dict[int | str, Any]:
    """The ``responses`` of a route that answers with objects in one of several formats."""
    found = answers(ObjectPage, *refusals)
    schemas = {"csv": TEXT, "geojson": {"type": "object"}, "parquet": of_bytes("The columns of `csv`.")}
    for kind, media in object_tables.MEDIA.items():
        found[200]["content"].setdefault(media, {"schema": schemas[kind]})
    return found


def _counted(found: dict[int | str, Any]) -> dict[int | str, Any]:
    """The ``responses`` of a route whose tables say how many objects there are."""
    said = "With the formats other than `json`: how many objects the run has, of which these are the largest."
    found[200]["headers"] = {TOTAL: {"description": said, "schema": {"type": "integer"}}}
    return found


async def _table(registry: Registry, run_id: str, format: Kind, made: Callable[[Volume], Table]) -> Response:
    """A table in a format, made in a thread.  Raises Problem."""
    volume = (await registry.specification(run_id)).volume
    try:
        body = await asyncio.to_thread(lambda: object_tables.rendered(made(volume), volume, format))
    except object_tables.NoFormat as why:
        raise Problem(why.status, str(why)) from None
    headers = {"content-disposition": f'attachment; filename="{run_id}.{format}"'}
    return Response(body, media_type=object_tables.MEDIA[format], headers=headers)


async def _link(registry: Registry, run_id: str) -> StreamerLink:
    """The line to a run's streamer; of one that was put away, once it is there again.  Raises Problem."""
    run = await registry.serve(run_id)
    if run.record.state in ENDED:
        ready_s = registry.settings.ready_s
        try:
            async with asyncio.timeout(ready_s):
                while run.link is None and not run.closing.is_set():
                    await run.newer(run.version)
        except TimeoutError:
            raise Problem(
                503, f"the streamer of run {run_id}, which is started again for this, was not ready after {ready_s:g} s"
            ) from None
    if run.link is None:
        state = run.record.state
        raise Problem(
            409, f"run {run_id} is {state} and its streamer does not run" + " yet" * (state in ("queued", "starting"))
        )
    return run.link
