"""Somebody sets the clock of the machine, by hours: nothing ends, begins twice, or waits for the wrong time."""

from __future__ import annotations

import ast
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import streamer
from tests.control.clock import Clock, needed
from tests.control.parts import DEADLINE_S, children, control_plane, ended, start, until, volume
from tests.control.postgresql import postgresql
from tests.control.test_leading import leads, takes_over

WISH: dict[str, Any] = {"threshold": 0.55, "chunk": [2, 2, 2], "view": False, "workers": 1}
TELLS = frozenset((
    # What people read: when something was made, changed or said.
    "control/admission.py", "control/targets.py", "control/shared_views.py", "control/view_routes.py",
    "control/said.py", "control/view_keeping.py", "control/cluster/leadership.py", "control/hanging.py",
    # Spans that are bounded, or cannot be told otherwise, since they outlast a process.
    "control/sampling.py", "control/scrutiny.py", "control/folder.py", "control/cluster/surroundings.py",
    # When a token or a seat runs out is a date.
    "control/app.py", "control/main.py", "signed.py", "run/login.py",
))  # fmt: skip
"""Where the wall clock is read; all else counts seconds that nobody can set."""
WALL = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


def test_the_wall_clock_is_read_only_where_a_date_is_meant() -> None:
    root, found = Path(streamer.__file__).parent, set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
                continue
            if (node.value.id, node.attr) in WALL:
                found.add(path.relative_to(root).as_posix())
    assert found == TELLS, found ^ TELLS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy", (4, 8, 8))


def jumped(client: httpx.Client, path: Path, hours: float) -> None:
    """Sees that it is so much later at a control plane, by a run that is made there, and removed again."""
    end = time.monotonic() + DEADLINE_S
    while True:
        run = start(client, input=str(path), **WISH, pace_s=60)
        client.post(f"/api/v1/runs/{run['run_id']}/cancel").raise_for_status()
        client.delete(f"/api/v1/runs/{run['run_id']}").raise_for_status()
        ahead = datetime.fromisoformat(run["created"]) - datetime.now(UTC)
        if abs(ahead - timedelta(hours=hours)) < timedelta(hours=1):
            return
        assert time.monotonic() < end, f"it is {ahead} later there"


def goes_on(client: httpx.Client, run_id: str, pid: int) -> None:
    """The run commits two chunks more, and no process of it is another one."""
    before = [(one.pid, one.create_time()) for one in children(pid, run_id=run_id)]
    committed = client.get(f"/api/v1/runs/{run_id}").json()["status"]["committed"]
    run = until(client, run_id, committed=committed + 2)
    assert (run["state"], run["restarts"], run["error"]) == ("running", {}, None), run["remarks"]
    assert [(one.pid, one.create_time()) for one in children(pid, run_id=run_id)] == before


@needed
def test_a_run_and_one_that_waits_do_not_notice_that_the_clock_jumps(path: Path, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    home, said = ("--dir", str(tmp_path / "home")), tmp_path / "said"
    with control_plane(*home, said=said, CAVECAST_MAX_RUNS="1", **clock.environment) as (client, server):
        run_id = start(client, input=str(path), **WISH, pace_s=64)["run_id"]
        waits = start(client, input=str(path), **WISH)["run_id"]
        until(client, run_id, committed=1)
        for hours in (6, -12):
            clock.jump(hours)
            jumped(client, path, hours)
            goes_on(client, run_id, server.pid)
            assert client.get(f"/api/v1/runs/{waits}").json()["runs_before"] == 0
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        run = ended(client, waits)
        assert (run["state"], run["restarts"]) == ("complete", {})
        spent = {step["step"]: step for step in client.get(f"/api/v1/runs/{run_id}/report").json()["steps"]}
        assert 0 < spent["segment"]["seconds"] < 3600, "hours that did not pass are not counted"


@needed
@pytest.mark.long
def test_of_two_control_planes_the_same_one_leads_through_jumps_and_the_other_takes_over_once(
    path: Path, tmp_path: Path
) -> None:
    clocks = [Clock(tmp_path, name) for name in ("one", "other")]
    home = ("--dir", str(tmp_path / "home"))
    with ExitStack() as planes:
        more = {"CAVECAST_DATABASE": planes.enter_context(postgresql()), "CAVECAST_MAX_RUNS": "2"}
        (first, leader), (second, other) = (
            planes.enter_context(control_plane(*home, said=tmp_path / f"said-{n}", **more, **clock.environment))
            for n, clock in enumerate(clocks)
        )
        assert (leads(first), leads(second)) == (True, False)
        runs = [start(first, input=str(path), **WISH, pace_s=120)["run_id"] for _ in range(2)]
        queued = [start(first, input=str(path), **WISH)["run_id"] for _ in range(3)]
        for run_id in runs:
            until(first, run_id, committed=1)
        for jumps in ((30, 0), (30, -30), (-7, 9), (0, 0)):
            for clock, hours in zip(clocks, jumps, strict=True):
                clock.jump(hours)
            for run_id in runs:
                goes_on(first, run_id, leader.pid)
            assert (leads(first), leads(second), children(other.pid)) == (True, False, [])
            waiting = [first.get(f"/api/v1/runs/{run_id}").json()["runs_before"] for run_id in queued]
            assert waiting == [0, 1, 2], "nobody overtakes, and nobody begins"
        clocks[1].jump(-50)
        leader.kill()
        takes_over(second)
        for run_id in (*runs, *queued):
            run = ended(second, run_id)
            assert (run["state"], run["error"]) == ("complete", None)
            assert run["restarts"] == {} or run_id in runs
        assert {run["run_id"] for run in second.get("/api/v1/runs").json()} == {*runs, *queued}
