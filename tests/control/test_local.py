"""Whole runs on this machine, with the real parts, seen through the control plane."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.wire.view import Camera, Input, encode_input
from tests.control.parts import DEADLINE_S, alive, children, consume, control_plane, ended, events, start, until, volume

THRESHOLD = 0.55


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, int]]:
    with control_plane() as (client, process):
        yield client, process.pid


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


def wish(path: Path, **more: Any) -> dict[str, Any]:
    return {"input": str(path), "threshold": THRESHOLD, "chunk": [4, 8, 8], "view": False, "workers": 2, **more}


def objects(client: httpx.Client, run_id: str) -> list[tuple[Any, ...]]:
    """What was found, without anything that depends on the way."""
    page = client.get(f"/api/v1/runs/{run_id}/objects", params={"limit": 10_000}).json()
    assert page["total"] == len(page["objects"])
    return sorted(
        (row["id"], row["voxels"], row["max"], row["first_step"], row["last_step"]) for row in page["objects"]
    )


def objects_after_end(client: httpx.Client, run_id: str) -> list[tuple[Any, ...]]:
    """The objects of a run that is served beyond its end."""
    assert ended(client, run_id)["state"] == "complete"
    return objects(client, run_id)


@pytest.fixture(scope="module")
def reference(server: tuple[httpx.Client, int], path: Path) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """The run and its objects when nothing happens."""
    client, _ = server
    run = ended(client, start(client, **wish(path))["run_id"])
    return run, objects(client, run["run_id"])


def test_a_run_segments_all_of_its_volume(
    path: Path, reference: tuple[dict[str, Any], list[tuple[Any, ...]]], server: tuple[httpx.Client, int]
) -> None:
    run, found = reference
    field = np.load(path)
    assert run["state"] == "complete"
    assert run["status"]["committed"] == run["status"]["chunks"] == 4 * 3 * 3
    assert run["status"]["labelled_voxels"] == int((field >= THRESHOLD).sum())
    assert sum(row[1] for row in found) == run["status"]["labelled_voxels"]
    assert run["status"]["objects"] == len(found) > 1
    chunks = server[0].get(f"/api/v1/runs/{run['run_id']}/chunks").json()
    assert chunks == {"counts": [4, 3, 3], "states": [2] * 36}


@pytest.mark.parametrize("north_first", [True, False])
def test_a_run_says_whether_its_middle_axis_descends(
    server: tuple[httpx.Client, int], tmp_path: Path, north_first: bool
) -> None:
    latitudes = np.array([50.0, 40.0, 30.0] if north_first else [30.0, 40.0, 50.0])
    field = xr.DataArray(
        np.ones((2, 3, 4), "f4"),
        dims=("time", "lat", "lon"),
        coords={"lat": ("lat", latitudes, {"units": "degrees_north"})},
        name="field",
    )
    field.to_netcdf(tmp_path / "field.nc")
    run = start(server[0], input=str(tmp_path / "field.nc"), threshold=0.5, view=False, workers=1)
    assert run["y_descending"] is north_first
    assert ended(server[0], run["run_id"])["y_descending"] is north_first


def test_an_object_can_be_asked_for_with_its_life(
    reference: tuple[dict[str, Any], list[tuple[Any, ...]]], server: tuple[httpx.Client, int]
) -> None:
    run, found = reference
    client, base = server[0], f"/api/v1/runs/{run['run_id']}/objects"
    largest = max(found, key=lambda row: row[1])
    page = client.get(f"{base}/{largest[0]}").json()
    assert page["objects"][0]["id"] == largest[0]
    assert sum(step["voxels"] for step in page["life"]) == largest[1]
    missing = client.get(f"{base}/{field_end(run)}")
    assert missing.status_code == 404
    assert "has no object" in missing.json()["detail"]


def field_end(run: dict[str, Any]) -> int:
    """An id that no object can have: one more than there are voxels."""
    return int(run["status"]["voxels"]) + 1


@pytest.mark.parametrize("role", ["worker", "streamer"])
def test_a_part_killed_in_the_middle_changes_nothing_in_the_result(
    role: str, server: tuple[httpx.Client, int], path: Path, reference: tuple[dict[str, Any], list[tuple[Any, ...]]]
) -> None:
    client, pid = server
    run_id = start(client, **wish(path, pace_s=4))["run_id"]
    assert until(client, run_id, committed=5)["state"] == "running"
    victim = children(pid, role, run_id)[0]
    os.kill(victim.pid, signal.SIGKILL)
    run = ended(client, run_id)
    assert run["state"] == "complete", run["error"]
    assert sum(run["restarts"].values()) == 1
    assert run["status"]["committed"] == 36
    assert objects(client, run_id) == reference[1]


def test_a_cancelled_run_leaves_no_process_and_keeps_what_was_committed(
    server: tuple[httpx.Client, int], path: Path, tmp_path: Path
) -> None:
    client, pid = server
    run_id = start(client, **wish(path, pace_s=60, out=str(tmp_path / "x.zarr")))["run_id"]
    until(client, run_id, committed=2)
    mine = children(pid, run_id=run_id)
    assert len(mine) == 4
    run = client.post(f"/api/v1/runs/{run_id}/cancel").json()
    assert run["state"] == "cancelled"
    assert 2 <= run["status"]["committed"] < 36
    assert not alive(mine, 3)
    assert (tmp_path / "x.zarr").is_dir()
    refused = client.get(f"/api/v1/runs/{run_id}/objects")
    assert refused.status_code == 409
    assert "streamer does not run" in refused.json()["detail"]


def test_events_come_at_most_five_times_a_second_and_end(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    run_id = start(client, **wish(path, pace_s=2))["run_id"]
    found = list(events(client, run_id))
    names = [name for name, _ in found]
    assert names[-1] == "end"
    assert set(names[:-1]) == {"run"}
    assert found[-2][1]["state"] == "complete"
    seconds = found[-2][1]["status"]["seconds"]
    assert 3 < len(found) < 5 * (seconds + 10)


def test_work_waits_for_the_first_viewer_and_pictures_come(server: tuple[httpx.Client, int], path: Path) -> None:
    client, pid = server
    run_id = start(client, **wish(path, view=True, start="first_viewer"))["run_id"]
    for name, run in events(client, run_id):
        if name == "run" and run["state"] == "waiting":
            break
    assert client.get(f"/api/v1/runs/{run_id}").json()["status"]["committed"] == 0
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
        assert len(browser.recv(timeout=DEADLINE_S)) > 40
        assert client.get(f"/api/v1/runs/{run_id}").json()["viewers"] == 1
        assert "cavecast_viewers 1.0" in client.get("/metrics").text
        assert ended(client, run_id)["state"] == "complete"
        (renderer,) = children(pid, "renderer", run_id)
        os.kill(renderer.pid, signal.SIGKILL)
        with pytest.raises(ConnectionClosed) as closed:
            consume(browser)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4503
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
        assert len(browser.recv(timeout=DEADLINE_S)) > 40, "a new renderer serves who comes again"
    assert client.post(f"/api/v1/runs/{run_id}/cancel").json()["state"] == "complete"


def test_who_looks_at_a_run_that_is_cancelled_is_told_and_so_is_who_comes_later(
    server: tuple[httpx.Client, int], path: Path
) -> None:
    client, _ = server
    run_id = start(client, **wish(path, view=True, pace_s=60))["run_id"]
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
        assert len(browser.recv(timeout=DEADLINE_S)) > 40
        assert client.post(f"/api/v1/runs/{run_id}/cancel").json()["state"] == "cancelled"
        with pytest.raises(ConnectionClosed):
            consume(browser)
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        with pytest.raises(ConnectionClosed) as closed:
            consume(browser)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4404
        assert f"run {run_id} is cancelled and its streamer does not run" in closed.value.rcvd.reason
    deadline = time.monotonic() + DEADLINE_S
    while client.get(f"/api/v1/runs/{run_id}").json()["viewers"]:
        assert time.monotonic() < deadline, "who has gone is not counted"


def test_a_run_too_many_is_refused_until_there_is_room(path: Path) -> None:
    with control_plane(CAVECAST_MAX_RUNS="1", CAVECAST_MAX_QUEUED="0") as (client, _):
        run_id = start(client, **wish(path, pace_s=60))["run_id"]
        refused = client.post("/api/v1/runs", json=wish(path))
        assert refused.status_code == 429
        assert "(max_queued is 0): wait, or cancel one first" in refused.json()["detail"]
        client.post(f"/api/v1/runs/{run_id}/cancel")
        run_id = start(client, **wish(path))["run_id"]
        assert ended(client, run_id)["state"] == "complete"


def test_a_run_that_is_over_takes_no_place_and_gives_way_when_there_are_too_many(path: Path) -> None:
    with control_plane(CAVECAST_MAX_RUNS="1") as (client, _):
        first = start(client, **wish(path))["run_id"]
        found = objects_after_end(client, first)
        second = start(client, **wish(path))["run_id"]  # it is over, and still served until then
        assert objects_after_end(client, second) == found
        deadline = time.monotonic() + DEADLINE_S
        while client.get(f"/api/v1/runs/{first}/objects").status_code != 409:
            assert time.monotonic() < deadline, "only one of those that are over is served"
        assert client.get(f"/api/v1/runs/{first}").json()["state"] == "complete"


def test_runs_work_where_the_folder_is_too_deep_for_sockets(path: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with control_plane("--dir", str(deep)) as (client, _):
        run = ended(client, start(client, **wish(path))["run_id"])
        assert run["state"] == "complete", run["error"]
    assert (deep / run["run_id"] / "RUN.json").is_file(), "a folder that was asked for is kept"


def test_a_control_plane_that_is_asked_to_end_takes_everything_with_it(path: Path, tmp_path: Path) -> None:
    with control_plane(TMPDIR=str(tmp_path)) as (client, server):
        run_id = start(client, **wish(path, view=True, pace_s=60))["run_id"]
        until(client, run_id, committed=1)
        found = children(server.pid)
        assert len(found) == 4
        stream = events(client, run_id)
        next(stream)
        server.terminate()
        last = [run for name, run in stream if name == "run"][-1]
        assert last["state"] == "cancelled", "who listens is told"
        assert server.wait(20) == 0
    assert not alive(found, 1)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
