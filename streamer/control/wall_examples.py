"""Examples of what the API answers about walls and views: of the run that ``streamer.control.examples`` tells of."""

from __future__ import annotations

import msgspec

from streamer.control.onwall import OnWall
from streamer.control.openapi import Identified, RunView, ViewEntry, ViewToken, Wall, WallEntry
from streamer.control.seats import NodeFacts, Seated
from streamer.control.view_books import Camera
from streamer.wire.spelling import spelled
from streamer.wire.viewing import View
from streamer.wire.walls import SeatFacts, TileFacts, WallFacts

RUN_ID = "flood2021-3f9a02c1"
BEGUN, CHANGED, OVER = "2026-03-02T09:00:00.000+00:00", "2026-03-02T09:12:30.250+00:00", "2026-03-03T09:12:30.250+00:00"
ON_WALL = OnWall(name="lab", state="showing", tiles=2, frames=5120, rate_hz=59.9, position=219, skew_s=0.002)
FACTS = WallFacts(
    name="lab", title="Two panels", size_mm=(2039.0, 573.0, 0.0), screens=2, megapixels=4.1, fov_deg=(53.9, 16.3),
    seats=(SeatFacts("left", "wall-1", ("panel-0-0",)), SeatFacts("right", "wall-2", ("panel-0-1",))),
    tiles=(
        TileFacts("panel-0-0", "panel-0-0", "left", ":0.0", (0, 0), (1920, 1080), "none"),
        TileFacts("panel-0-1", "panel-0-1", "right", ":0.0", (0, 0), (1920, 1080), "none"),
    ),
    expected_nodes=2,
)  # fmt: skip
VIEW = RunView(
    run_id=RUN_ID, name="talk", kind="browser", shared=True, role="lead", revision="3",
    state=spelled(View(mode="globe", time=12.5)), camera=Camera(azimuth=0.5, distance=2.8), created=BEGUN,
    changed=CHANGED,
)  # fmt: skip
WALLS_AND_VIEWS: tuple[msgspec.Struct, ...] = (
    WallEntry(
        name="lab", title="Two panels", generation=1, changed=BEGUN, nodes=2, tiles=2, screens=2, megapixels=4.1,
        busy=True, run_id=RUN_ID,
    ),
    Wall(
        name="lab", title="Two panels", generation=1, created=BEGUN, changed=BEGUN, busy=True, run_id=RUN_ID,
        facts=FACTS, seats=(
            Seated("left", "wall-1", ("panel-0-0",), "wall-1", "ready"),
            Seated("right", "wall-2", ("panel-0-1",), "wall-2", "ready"),
        ),
        nodes=(NodeFacts("wall-1", "wall-1"), NodeFacts("wall-2", "wall-2")),
    ),
    Identified(wall="lab", seconds=15.0, run_id=RUN_ID),
    ViewEntry(run_id=RUN_ID, name="talk", kind="browser", shared=True, created=BEGUN, changed=CHANGED),
    VIEW,
    ViewToken(
        token_id="5c0ffee5", role="follow", created=CHANGED, expires=OVER,  # noqa: S106  a name
    ),
)  # fmt: skip
