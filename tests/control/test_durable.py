"""A control plane that is ended, one way or the other, and started again finds its runs: real parts, ``kill -9``."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from streamer.wire.view import Camera, Input, encode_input
from tests.control.parts import (
    CAVECAST,
    DEADLINE_S,
    alive,
    children,
    control_plane,
    ended,
    environment,
    standing,
    start,
    until,
    volume,
)

WISH = {"threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 2}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


def found(client: httpx.Client, run_id: str) -> list[tuple[int, int]]:
    page = client.get(f"/api/v1/runs/{run_id}/objects", params={"limit": 10_000})
    assert page.status_code == 200, page.text
    return sorted((row["id"], row["voxels"]) for row in page.json()["objects"])


def killed(server: Any, number: signal.Signals) -> None:
    """Ends a control plane, and sees its parts end with it."""
    parts = children(server.pid)
    os.kill(server.pid, number)
    server.wait(DEADLINE_S)
    assert not alive(parts, 5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_goes_on_where_it_was_when_the_control_plane_is_started_again(
    path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "store.zarr"
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, server):
        plain = ended(client, start(client, input=str(path), **WISH)["run_id"])
        before = found(client, plain["run_id"])
        run_id = start(client, input=str(path), **WISH, pace_s=8, out=str(out))["run_id"]
        had = until(client, run_id, committed=3)["status"]["committed"]
        killed(server, number)
    with control_plane(*home) as (client, _):
        run = client.get(f"/api/v1/runs/{run_id}").json()
        assert run["state"] not in ("complete", "failed", "cancelled")
        assert "the control plane was started again" in run["remarks"][-1]
        run = ended(client, run_id)
        assert (run["state"], run["error"]) == ("complete", None)
        assert run["status"]["committed"] == 36 > had
        assert found(client, run_id) == before
        listed = client.get("/api/v1/runs").json()
        assert [each["run_id"] for each in listed] == [run_id, plain["run_id"]]
        moves = {"parts", "viewers", "status"}
        assert {k: v for k, v in listed[1].items() if k not in moves} == {
            k: v for k, v in plain.items() if k not in moves
        }, "what is over is as it was"
        told = {k: v for k, v in plain["status"].items() if k != "parts"}  # who was there still
        assert {k: v for k, v in listed[1]["status"].items() if k != "parts"} == told
        assert found(client, plain["run_id"]) == before, "and is served again when somebody asks"
    assert out.is_dir()


def test_a_run_that_is_over_is_drawn_again_after_a_restart(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, _):
        run_id = ended(client, start(client, input=str(path), **{**WISH, "view": True})["run_id"])["run_id"]
    with control_plane(*home) as (client, server):
        assert not children(server.pid), "nobody has asked for it yet"
        address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
        with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
            browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
            assert len(browser.recv(timeout=DEADLINE_S)) > 40
        assert client.get(f"/api/v1/runs/{run_id}").json()["state"] == "complete"
        assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
        assert not children(server.pid)
        assert client.get(f"/api/v1/runs/{run_id}").status_code == 404
        assert not (tmp_path / "home" / run_id).exists()


def test_what_was_wanted_of_a_run_is_wanted_still(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, server):
        halted = start(client, input=str(path), **WISH, pace_s=60)["run_id"]
        over = start(client, input=str(path), **WISH, pace_s=60)["run_id"]
        until(client, halted, committed=1)
        until(client, over, committed=1)
        assert client.post(f"/api/v1/runs/{halted}/scale", json={"workers": 1}).json()["workers"] == 1
        assert client.post(f"/api/v1/runs/{halted}/pause").json()["paused"] is True
        hasty = httpx.Client(base_url=client.base_url, trust_env=False, timeout=0.02)
        with hasty, pytest.raises(httpx.TimeoutException):
            hasty.post(f"/api/v1/runs/{over}/cancel")  # it waits for the parts to end
        standing(client, over, lambda run: bool(run["cancelling"]))
        killed(server, signal.SIGKILL)
    with control_plane(*home) as (client, server):
        assert ended(client, over)["state"] == "cancelled"
        run = standing(client, halted, lambda run: run["state"] == "paused")
        assert (run["workers"], run["generation"]) == (1, 3)
        assert len(children(server.pid, "worker", halted)) == 1
        assert client.post(f"/api/v1/runs/{halted}/resume").json()["paused"] is False
        standing(client, halted, lambda run: run["state"] == "running")


def test_a_database_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "cavecast.db").write_text("this is no database, and long enough to be looked at as one " * 40)
    for given, said in (
        ({}, "does not answer as it should: file is not a database"),
        ({"CAVECAST_DATABASE": "what?"}, "the setting database is no URL"),
        ({"CAVECAST_DATABASE": "sqlite:////nowhere/x.db"}, "unable to open database file"),
        ({"CAVECAST_DATABASE": "postgresql+psycopg://me:geheim@127.0.0.1:1/x"}, "connection failed"),
    ):
        done = subprocess.run(
            [CAVECAST, "serve", "--port", "0", "--dir", tmp_path],
            env=environment(**given),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 1
        assert said in done.stderr.splitlines()[-1]
        assert "geheim" not in done.stderr


def test_a_run_that_cannot_be_read_any_more_is_named_at_the_start(path: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with control_plane("--dir", str(home)) as (client, server):
        run_id = start(client, input=str(path), **WISH, pace_s=60)["run_id"]
        killed(server, signal.SIGKILL)
    with sqlite3.connect(home / "cavecast.db") as raw:
        raw.execute("UPDATE runs SET booking = '{}'")
    raw.close()
    done = subprocess.run(
        [CAVECAST, "serve", "--port", "0", "--dir", home],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"cavecast: run {run_id} is written down in a form that this CaveCast does not read")
    assert len(done.stderr.splitlines()) == 1


def standing_health(client: httpx.Client) -> dict[str, Any]:
    """What the control plane says of itself, once it has noticed that something is wrong."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        health: dict[str, Any] = client.get("/healthz").json()
        if health["note"]:
            return health
    raise AssertionError("nothing was noticed")


def test_a_database_that_is_away_for_a_while_stops_no_run_and_refuses_new_ones(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, server):
        run_id = start(client, input=str(path), **WISH, pace_s=3)["run_id"]
        until(client, run_id, committed=1)
        lock = sqlite3.connect(tmp_path / "home" / "cavecast.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        refused = client.post("/api/v1/runs", json={"input": str(path), **WISH})
        assert refused.status_code == 503
        assert "cavecast.db does not answer as it should: database is locked" in refused.json()["detail"]
        refused = client.post(f"/api/v1/runs/{run_id}/pause")
        assert refused.status_code in (409, 503), "it may be over by then"
        assert ended(client, run_id)["state"] == "complete"
        health = standing_health(client)
        assert "database is locked" in health["note"]
        assert health["status"] == "ok", "it answers"
        lock.execute("ROLLBACK")
        lock.close()
        killed(server, signal.SIGTERM)
    with control_plane(*home) as (client, _):
        (run,) = client.get("/api/v1/runs").json()
        assert (run["run_id"], run["state"], run["status"]["committed"]) == (run_id, "complete", 36)


def test_a_streamer_that_does_not_come_back_is_said_so(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, _):
        run_id = ended(client, start(client, input=str(path), **WISH)["run_id"])["run_id"]
    with control_plane(*home, CAVECAST_READY_S="0.01") as (client, _):
        refused = client.get(f"/api/v1/runs/{run_id}/objects")
        assert refused.status_code == 503
        assert "which is started again for this, was not ready after 0.01 s" in refused.json()["detail"]
