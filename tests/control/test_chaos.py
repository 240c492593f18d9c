"""The control plane killed at any moment, its database full, silent or gone: no run is lost, none started twice."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, text

from tests.control.parts import DEADLINE_S, alive, children, control_plane, ended, standing, start, until, volume
from tests.control.postgresql import postgresql

WISH: dict[str, Any] = {"threshold": 0.55, "chunk": [2, 4, 4], "view": False, "workers": 1}
Act = Callable[[httpx.Client, str], object]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy", (4, 8, 8))


def killed_during(client: httpx.Client, server: Any, act: Callable[[], object], after_s: float) -> None:
    """Kills the control plane so long after something was asked of it, and sees its parts end with it."""

    def ask() -> None:
        with suppress(httpx.HTTPError):
            act()

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(after_s)
    parts = children(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    server.wait(DEADLINE_S)
    asking.join(DEADLINE_S)
    assert not asking.is_alive()
    assert not alive(parts, 5)


def moments(number: int, took_s: float) -> list[float]:
    """Moments spread over an operation that takes so long, its beginning and what follows it included."""
    return [1.2 * took_s * step / (number - 1) for step in range(number)]


def killed_while_creating(number: int, path: Path, folder: Path) -> None:
    home, asked = ("--dir", str(folder / "home")), {"input": str(path), **WISH}
    with control_plane(*home) as (client, _):
        began = time.monotonic()
        ended(client, start(client, **asked)["run_id"])
        took_s = time.monotonic() - began
    for n, after_s in enumerate(moments(number, took_s)):
        key = {"Idempotency-Key": f"moment {n}"}
        with control_plane(*home) as (client, server):
            killed_during(client, server, lambda: client.post("/api/v1/runs", json=asked, headers=key), after_s)  # noqa: B023
        with control_plane(*home) as (client, server):
            before = client.get("/api/v1/runs").json()
            assert len(before) in (n + 1, n + 2)
            again = client.post("/api/v1/runs", json=asked, headers=key).json()
            run = ended(client, again["run_id"])
            assert (run["state"], run["error"]) == ("complete", None)
            assert len(client.get("/api/v1/runs").json()) == n + 2, "with its key it was started once"


def test_a_kill_while_a_run_is_created(path: Path, tmp_path: Path) -> None:
    killed_while_creating(3, path, tmp_path)


@pytest.mark.long
def test_kills_at_many_moments_while_runs_are_created(path: Path, tmp_path: Path) -> None:
    killed_while_creating(20, path, tmp_path)


def killed_while_changing(number: int, path: Path, folder: Path) -> None:
    """Scaling and cancelling: what was answered is so afterwards, what was not is one of the two."""
    home = ("--dir", str(folder / "home"))
    for after_s in moments(number, 0.3):
        with control_plane(*home) as (client, server):
            run_id = start(client, input=str(path), **WISH, pace_s=120)["run_id"]
            until(client, run_id, committed=1)
            base, said = f"/api/v1/runs/{run_id}", list[int]()

            def scale() -> None:
                said.append(client.post(f"{base}/scale", json={"workers": 2}).json()["workers"])  # noqa: B023

            killed_during(client, server, scale, after_s)
        with control_plane(*home) as (client, server):
            run = standing(client, run_id, lambda run: run["state"] == "running" and has_workers(run))
            assert run["workers"] in (said or (1, 2))
            assert len(children(server.pid, "worker", run_id)) == run["workers"]
            answered = list[str]()

            def cancel() -> None:
                answered.append(client.post(f"{base}/cancel").json()["state"])  # noqa: B023

            killed_during(client, server, cancel, 3 * after_s)
        with control_plane(*home) as (client, server):
            run = client.get(base).json()
            if not (answered or run["cancelling"]):
                client.post(f"{base}/cancel")
            assert ended(client, run_id)["state"] == "cancelled"
            assert not alive(children(server.pid, "worker", run_id), DEADLINE_S), "its workers leave"


def has_workers(run: dict[str, Any]) -> bool:
    """Whether as many workers are there as are wanted."""
    ready = [part for part in run["parts"] if part["role"] == "worker" and part["state"] == "running"]
    return len(ready) == int(run["workers"])


def test_a_kill_while_a_run_is_scaled_and_cancelled(path: Path, tmp_path: Path) -> None:
    killed_while_changing(2, path, tmp_path)


@pytest.mark.long
def test_kills_at_many_moments_while_runs_are_scaled_and_cancelled(path: Path, tmp_path: Path) -> None:
    killed_while_changing(12, path, tmp_path)


def test_a_disk_that_is_full_for_the_database_refuses_new_runs_and_stops_none(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, server):
        run_id = start(client, input=str(path), **WISH, pace_s=4)["run_id"]
        until(client, run_id, committed=1)
        # The kernel lets the control plane itself write no file any further than this; its parts are others.
        before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, before[1]))
        refused = client.post("/api/v1/runs", json={"input": str(path), **WISH})
        assert refused.status_code == 503, refused.text
        assert "cavecast.db does not answer as it should" in refused.json()["detail"]
        assert ended(client, run_id)["state"] == "complete"
        end = time.monotonic() + DEADLINE_S
        while not client.get("/healthz").json()["note"]:
            assert time.monotonic() < end, "it is said"
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
        while client.get("/healthz").json()["note"]:
            assert time.monotonic() < end, "what was noted is written when there is room"
        assert ended(client, start(client, input=str(path), **WISH)["run_id"])["state"] == "complete"
    with control_plane(*home) as (client, _):
        found = client.get("/api/v1/runs").json()
        assert [run["state"] for run in found] == ["complete", "complete"]
        assert found[1]["run_id"] == run_id


def silent_database(seconds: float, path: Path, folder: Path) -> None:
    """PostgreSQL stands still; a run that is at work does not notice, and what was asked meanwhile is done after."""
    with postgresql() as url:
        engine = create_engine(url)
        with engine.connect() as books:
            backend = psutil.Process(int(books.execute(text("SELECT pg_backend_pid()")).scalar_one()))
            postmaster = backend.parent()
        engine.dispose()
        assert postmaster is not None
        # Whatever is found wrong, nothing is left standing still.
        with control_plane("--dir", str(folder / "home"), CAVECAST_DATABASE=url) as (client, _), ExitStack() as waking:
            run_id = start(client, input=str(path), **WISH, pace_s=seconds / 2)["run_id"]
            until(client, run_id, committed=1)
            stopped = [postmaster, *postmaster.children()]
            for process in stopped:
                waking.callback(process.resume)
                process.suspend()
            asked: list[int] = []
            key = {"Idempotency-Key": "once"}

            def ask() -> None:
                with httpx.Client(base_url=client.base_url, trust_env=False, timeout=DEADLINE_S + seconds) as other:
                    again = other.post("/api/v1/runs", json={"input": str(path), **WISH}, headers=key)
                    asked.append(again.status_code)

            asking = threading.Thread(target=ask)
            asking.start()
            end = time.monotonic() + seconds
            assert ended(client, run_id)["state"] == "complete", "it needs no database"
            while not (note := client.get("/healthz").json()["note"]):
                assert time.monotonic() < end + DEADLINE_S
            assert "the database has not answered for" in note
            asking.join(max(0.0, end - time.monotonic()))
            assert not asked, "nothing is answered that is not written down"
            for process in stopped:
                process.resume()
            asking.join(DEADLINE_S)
            assert asked[0] in (201, 503)
            again = client.post("/api/v1/runs", json={"input": str(path), **WISH}, headers=key)
            assert again.status_code == 201
            assert ended(client, again.json()["run_id"])["state"] == "complete"
            assert len(client.get("/api/v1/runs").json()) == 2
            assert client.get("/healthz").json()["state"] == "leading"


def test_a_database_that_is_silent_for_a_while_loses_and_doubles_nothing(path: Path, tmp_path: Path) -> None:
    silent_database(6.0, path, tmp_path)


@pytest.mark.long
def test_a_database_that_is_silent_for_half_a_minute(path: Path, tmp_path: Path) -> None:
    silent_database(30.0, path, tmp_path)


def test_a_database_that_has_gone_is_found_again(path: Path, tmp_path: Path) -> None:
    with (
        postgresql() as url,
        control_plane("--dir", str(tmp_path / "home"), CAVECAST_DATABASE=url) as (client, _),
    ):
        run_id = start(client, input=str(path), **WISH, pace_s=4)["run_id"]
        until(client, run_id, committed=1)
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as books:  # all connections but this one, that of the lock included
            books.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                               "AND usename = 'tester'"))  # fmt: skip
        engine.dispose()
        assert ended(client, run_id)["state"] == "complete"
        assert ended(client, start(client, input=str(path), **WISH)["run_id"])["state"] == "complete"
