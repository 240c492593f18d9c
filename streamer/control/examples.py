"""An example of everything that the API answers, for its description: records as a server would make them.

They are of one story, a run over forty days of water vapour transport, and are encoded as answers are, so that an
example can only show what a record has.  A route that answers with a new kind of record needs one line in ``SHOWN``;
one whose answer is another than its kind's has it in ``OF_ROUTES``.  A test says which routes have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from streamer.control.access.shown import (
    AuditEntry,
    Ended,
    Me,
    NewToken,
    ProjectShown,
    Share,
    SignedOut,
    SignIn,
    TokenShown,
)
from streamer.control.booking import Dataset, Inspection, described
from streamer.control.metrics import exposition
from streamer.control.object_tables import MEDIA, Kind, Table, life, objects, rendered
from streamer.control.openapi import Chunks, Entry, Health, System
from streamer.control.report import Report, Step
from streamer.control.runs import Run, Standing
from streamer.control.said import Line
from streamer.control.wall_examples import ON_WALL, RUN_ID, WALLS_AND_VIEWS
from streamer.wire.grid import Grid
from streamer.wire.status import COMMITTED, LEASED, PENDING, Course, LifeStep, ObjectPage, ObjectRow, Part, RunStatus
from streamer.wire.volume import Axis, AxisKind, Keep, Source, Volume

CLONE_ID = "flood2021-b04d77e9"
TEXTS: tuple[Kind, ...] = ("csv", "geojson")
SINCE = "2026-03-02T09:15:04+00:00"
GRID = Grid((240, 181, 288), (24, 91, 96), (False, False, True))
DONE, HELD = 36, 4
STATUS = RunStatus(
    run_id=RUN_ID, state="running", chunks=GRID.size, committed=DONE, leased=HELD, failed=0, voxels=GRID.voxels,
    voxels_done=7_505_107, labelled_voxels=412_388, objects=57, seconds=21.4, voxels_per_second=350_706.0, eta_s=14.3,
    log_position=219, log_bytes=2_604_113,
    parts=(
        Part("worker-1", "worker", 19, 2, 0.9, None), Part("worker-2", "worker", 17, 2, 0.8, None),
        Part("renderer", "renderer", 219, 219),
    ),
)  # fmt: skip
RUN = Run(
    run_id=RUN_ID, project="rivers", state="running", title="Water vapour transport, 2021", created=SINCE,
    input="/data/flood2021.nc", variable="ivt", units="kg m-1 s-1", segmenter="connect",
    parameters={"threshold": 500}, keep=Keep(min_duration_h=24.0), workers=2, pace_s=0.0, shape=GRID.shape,
    chunk=GRID.chunk, counts=GRID.counts, periodic=GRID.periodic, dims=("time", "lat", "lon"), on_sphere=True,
    has_time=True, y_descending=True, status=STATUS,
    parts=(
        Standing("streamer", "streamer", "running"), Standing("worker-1", "worker", "running"),
        Standing("worker-2", "worker", "running"), Standing("renderer", "renderer", "running"),
    ),
    viewers=1, view_url=f"/view/{RUN_ID}", out="/data/flood.zarr", walls=(ON_WALL,),
)  # fmt: skip
_NOTHING = msgspec.structs.replace(
    STATUS, committed=0, leased=0, voxels_done=0, labelled_voxels=0, objects=0, seconds=0.0, voxels_per_second=0.0,
    eta_s=None, log_position=0, log_bytes=0, parts=(),
)  # fmt: skip
STARTED = msgspec.structs.replace(RUN, state="starting", status=_NOTHING, parts=(), viewers=0)
RIVER = ObjectRow(
    id=7, first_step=12, last_step=31, lifetime_h=120.0, voxels=41_207, mean=612.5, max=1184.0,
    footprint_km2=6_412_900.0, area_time_km2_h=88_301_500.0, y=41.2, x=-138.4, y_range=(31, 78), x_range=(19, 102),
    touches_edge=False, final=True, first_time="2021-10-04T00:00:00", last_time="2021-10-08T18:00:00",
)  # fmt: skip
OBJECTS = ObjectPage(total=57, objects=(RIVER,))
LIFE = ObjectPage(total=57, objects=(RIVER,), life=(
    LifeStep(12, 1_310, 902_400.0, 548.1, 702.0, 33.9, -156.2, "2021-10-04T00:00:00"),
    LifeStep(13, 1_562, 1_066_700.0, 571.9, 780.5, 34.6, -153.8, "2021-10-04T06:00:00"),
))  # fmt: skip
PROJECT = ProjectShown("rivers", "cavecast-rivers", "operator", Share(1, 4), Share(2, 64), Share(0, None))
TOKEN = TokenShown(
    "9c1f0b7ad2e45318", "nightly", "rivers", "operator", "lab/5f0c7a52", SINCE, "2026-05-31T09:15:04+00:00"
)  # fmt: skip


def _axis(name: str, kind: AxisKind, first: float, step: float, count: int, units: str, calendar: str = "") -> Axis:
    points = first + step * np.arange(count)
    return Axis(name, kind, points.tobytes(), np.full(count, abs(step)).tobytes(), units, calendar)


VOLUME = Volume(
    "ivt",
    (
        _axis("time", "time", 0.0, 6.0, GRID.shape[0], "hours since 2021-10-01", "standard"),
        _axis("lat", "latitude", 90.0, -1.0, GRID.shape[1], "degrees_north"),
        _axis("lon", "longitude", 0.0, 1.25, GRID.shape[2], "degrees_east"),
    ),
    RUN.units, "vertically integrated water vapour transport", RUN.title, "ERA5, Copernicus Climate Change Service",
)  # fmt: skip
LOOKED_AT = Inspection(
    Source(RUN.input, "ivt"), VOLUME, GRID, ("longitude closes around the globe",), suggested={"threshold": 500}
)

SHOWN: Mapping[type, object] = {
    Run: RUN,
    RunStatus: STATUS,
    ObjectPage: OBJECTS,
    Course: Course(7, 12, 13, (902_400.0, 1_067_000.0), (548.1, 571.9)),
    Chunks: Chunks(GRID.counts, [COMMITTED] * DONE + [LEASED] * HELD + [PENDING] * (GRID.size - DONE - HELD)),
    Line: Line("2026-03-02T09:15:06.112+00:00", "worker-1", "info", "segments chunks for tcp://127.0.0.1:40213"),
    Report: Report(
        RUN_ID, RUN.title, "running",
        (
            Step("inspect", 1, 1.1, 1.0, 0.9, None, None, None, 1_204_224, 0, 142_606_336),
            Step("segment", 3, 21.4, 38.2, 1.8, None, None, None, 30_020_608, 2_604_113, 634_388_480),
            Step("view", 1, 20.9, 9.4, 0.4, None, None, None, 2_588_001, None, 411_041_792),
        ),
        None, None,
    ),
    Dataset: described(LOOKED_AT),
    Entry: Entry("connect", "cavecast 1.0.0", "Connected components of field ≥ threshold.", {
        "type": "object", "required": ["threshold"], "additionalProperties": False,
        "properties": {"threshold": {"type": "number"}, "connectivity": {"enum": [6, 18, 26], "default": 26}},
    }),
    System: System(
        version="1.0.0", launcher="local", runs=1, max_runs=8, queued=0, max_queued=1000, workers=2, max_workers=16,
        cores=8, keys=False, packages={"numpy": "2.2.6", "xarray": "2025.6.1", "zarr": "3.0.8"}, projects=(PROJECT,),
    ),
    Health: Health("ok", "1.0.0"),
    Me: Me("lab/5f0c7a52", "Ada Lovelace", "ada@example.org", "session", False, {"rivers": "operator"}),
    ProjectShown: PROJECT,
    TokenShown: TOKEN,
    NewToken: NewToken("cavecast_…", TOKEN),
    SignIn: SignIn("lab", "https://sso.example.org/realms/lab", "cavecast-cli", ("openid", "email", "profile")),
    SignedOut: SignedOut("https://sso.example.org/realms/lab/logout?client_id=cavecast"),
    Ended: Ended(2),
    AuditEntry: AuditEntry(
        number=412, time=SINCE, account="lab/5f0c7a52", name="Ada Lovelace", address="192.0.2.17",
        operation="start a run", project="rivers", about=RUN_ID, status=201, outcome="done",
    ),
    **{type(one): one for one in WALLS_AND_VIEWS},
}  # fmt: skip
"""By kind of record; a route that answers with a list shows a list of one."""

OF_ROUTES: Mapping[tuple[str, str], object] = {
    ("POST", "/api/v1/runs"): STARTED,
    ("POST", "/api/v1/runs/{run_id}/clone"): msgspec.structs.replace(
        STARTED, run_id=CLONE_ID, parameters={"threshold": 400}, out=None, view_url=f"/view/{CLONE_ID}",
        status=msgspec.structs.replace(_NOTHING, run_id=CLONE_ID),
    ),
    ("POST", "/api/v1/runs/{run_id}/cancel"): msgspec.structs.replace(
        RUN, state="cancelled", cancelling=True, generation=2
    ),
    ("POST", "/api/v1/runs/{run_id}/pause"): msgspec.structs.replace(RUN, state="paused", paused=True, generation=2),
    ("POST", "/api/v1/runs/{run_id}/resume"): msgspec.structs.replace(RUN, generation=3),
    ("POST", "/api/v1/runs/{run_id}/scale"): msgspec.structs.replace(RUN, workers=4, generation=2),
    ("GET", "/api/v1/runs/{run_id}/objects/{object_id}"): LIFE,
}  # fmt: skip


def _event() -> str:
    return f"event: run\ndata: {msgspec.json.encode(RUN).decode()}\n\n"


def _table(made: Callable[[Volume, ObjectPage], Table], page: ObjectPage, kind: Kind) -> str:
    return rendered(made(VOLUME, page), VOLUME, kind).decode()


_OBJECTS, _OBJECT = "/api/v1/runs/{run_id}/objects", "/api/v1/runs/{run_id}/objects/{object_id}"


def _figures() -> str:
    return exposition(lambda: [RUN]).decode()


FORMATS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("/api/v1/runs/{run_id}/events", "text/event-stream"): _event,
    ("/metrics", "text/plain"): _figures,
    **{(_OBJECTS, MEDIA[kind]): partial(_table, objects, OBJECTS, kind) for kind in TEXTS},
    **{(_OBJECT, MEDIA[kind]): partial(_table, life, LIFE, kind) for kind in TEXTS},
}
"""What is answered in other formats, by path and media type."""


def example(method: str, path: str, media: str, name: str) -> Any:
    """What a route answers, as JSON reads it; ``name`` is that of the record's class.  None if there is no example."""
    if media != "application/json":
        made = FORMATS.get((path, media))
        text = made() if made is not None else None
        return msgspec.json.decode(text) if text is not None and media.endswith("json") else text
    found = OF_ROUTES.get((method, path)) or {kind.__name__: record for kind, record in SHOWN.items()}.get(name)
    return None if found is None else msgspec.json.decode(msgspec.json.encode(found))
