"""What a person needs to know before a run is started: what a file holds, which segmenters there are, what is free."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from streamer.control import scrutiny
from streamer.control.access.guard import Who
from streamer.control.access.project_routes import standing
from streamer.control.access.rules import Project
from streamer.control.answers import as_json
from streamer.control.booking import Dataset, described
from streamer.control.openapi import Entry, System, answers
from streamer.control.registry import Registry
from streamer.control.run_routes import API
from streamer.control.runs import ENDED
from streamer.control.schema import RunRequest

PACKAGES = ("numpy", "xarray", "zarr", "netCDF4", "connected-components-3d", "tensorflow", "keras", "openvino", "vtk")


class Look(BaseModel):
    """An input that is to be looked at."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"input": "/data/flood2021.nc", "variable": "ivt"}]},
    )

    input: Annotated[str, Field(min_length=1, max_length=4096, description="A path, a glob or a URL; paths absolute.")]
    variable: Annotated[str | None, Field(max_length=256, description="Needed if there are several.")] = None
    chunk: Annotated[
        tuple[int, int, int] | None, Field(description="Voxels of a chunk along (z, y, x); suggested if not given.")
    ] = None
    periodic: Annotated[str, Field(max_length=256, description="`auto`, `none`, or the axis that closes.")] = "auto"
    spacing: Annotated[
        tuple[float, float, float] | None, Field(description="Voxel size along (z, y, x), for .npy files.")
    ] = None


def add_catalog(app: FastAPI, registry: Registry, projects: Mapping[str, Project]) -> None:
    """Adds the routes ``/segmenters``, ``/datasets/inspect`` and ``/system``."""
    known: list[Entry] = []
    turn = asyncio.Lock()

    @app.get(f"{API}/segmenters", responses=answers(Entry, 500, 504, many=True))
    async def list_segmenters() -> Response:
        """The segmenters that are installed, with the JSON Schema of what each takes, so that forms can be made."""
        async with turn:
            if not known:
                known.extend(await scrutiny.segmenters(registry.lifeline))
        return as_json(known)

    @app.post(f"{API}/datasets/inspect", responses=answers(Dataset, 411, 413, 422, 429, 500, 504))
    async def inspect_dataset(look: Look) -> Response:
        """Look at an input: its axes and units, a suggested shape of chunks, and what a reader should know."""
        request = RunRequest.model_validate(look.model_dump(exclude_unset=True))
        async with registry.admission.looks:
            found = await scrutiny.inspect(request, registry.lifeline, alone=True)
        return as_json(described(found))

    @app.get(f"{API}/system", responses=answers(System))
    async def system(who: Who) -> Response:
        """What this control plane is, and how much of it, and of your projects' quotas, is taken."""
        me = who.person
        unfinished = [
            record
            for run in registry.all()
            if (record := run.record).state not in ENDED and (me.projects is None or record.project in me.projects)
        ]
        at_work = [record for record in unfinished if record.state != "queued"]
        settings = registry.settings
        return as_json(System(
            version=app.version, launcher=registry.launcher.name, runs=len(at_work), max_runs=settings.max_runs,
            queued=len(unfinished) - len(at_work), max_queued=settings.max_queued,
            workers=sum(run.workers for run in at_work), max_workers=settings.max_workers,
            cores=_cores(), keys=settings.run_keys is not None, packages=_packages(),
            note=registry.desk.trouble if me.administrator else "",
            projects=tuple(standing(registry, projects.values(), me)),
        ))  # fmt: skip


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
