"""What may be asked of a run's objects and chunks over HTTP.  The streamer answers; that of a run which is over and
was put away is started again for it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import FastAPI, Path, Query
from starlette.responses import Response

from streamer.control.answers import as_json
from streamer.control.link import StreamerLink
from streamer.control.openapi import Chunks, answers
from streamer.control.registry import Registry
from streamer.control.run_routes import API, RunId
from streamer.control.schema import Problem
from streamer.wire.status import ObjectPage


def add_objects(app: FastAPI, registry: Registry) -> None:
    """Adds the routes under ``/runs/{run_id}`` that its streamer answers."""

    @app.get(f"{API}/runs/{{run_id}}/objects", responses=answers(ObjectPage, 404, 409, 422, 503))
    async def list_objects(
        run_id: RunId, limit: Annotated[int, Query(ge=1, le=10_000, description="How many, the largest first.")] = 1000
    ) -> Response:
        """The run's objects as they are now."""
        return as_json(await (await _link(registry, run_id)).table(limit))

    @app.get(f"{API}/runs/{{run_id}}/objects/{{object_id}}", responses=answers(ObjectPage, 404, 409, 422, 503))
    async def get_object(
        run_id: RunId, object_id: Annotated[int, Path(ge=1, lt=1 << 63, description="The object's run-wide id.")]
    ) -> Response:
        """One object and its life, step by step."""
        page = await (await _link(registry, run_id)).table(1, object_id)
        if not page.objects:
            raise Problem(404, f"run {run_id} has no object {object_id}; it may have merged into another")
        return as_json(page)

    @app.get(f"{API}/runs/{{run_id}}/chunks", responses=answers(Chunks, 404, 409, 422, 503))
    async def list_chunks(run_id: RunId) -> Response:
        """The state of every chunk, in C order, and how many there are along each axis."""
        link = await _link(registry, run_id)
        _, states = await link.status(with_chunks=True)
        return as_json(Chunks((await registry.find(run_id)).record.counts, list(states)))


async def _link(registry: Registry, run_id: str) -> StreamerLink:
    """The line to a run's streamer; of one that was put away, once it is there again.  Raises Problem."""
    run = await registry.serve(run_id)
    if run.record.state in ("complete", "failed", "cancelled"):
        try:
            async with asyncio.timeout(registry.settings.ready_s):
                while run.link is None and not run.closing.is_set():
                    await run.newer(run.version)
        except TimeoutError:
            pass
    if run.link is None:
        state = run.record.state
        raise Problem(409, f"run {run_id} is {state} and its streamer does not run" + " yet" * (state == "starting"))
    return run.link
