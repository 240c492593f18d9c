"""Runs that wait for room, with the real parts: in their order, never too many, none lost and none twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from streamer.control.queueing import LATEST_S, SOONEST_S
from streamer.control.schema import Problem
from streamer.control.scrutiny import Looks
from tests.control.parts import DEADLINE_S, alive, children, control_plane, ended, events, standing, start, volume

WISH: dict[str, Any] = {"threshold": 0.55, "view": False, "workers": 1}
SLOW: dict[str, Any] = {**WISH, "chunk": [2, 4, 4], "pace_s": 60}
CAPACITY = 3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy", (4, 8, 8))


@contextmanager
def watched(pid: int) -> Iterator[list[set[str]]]:
    """Looks again and again which runs have worker processes, and keeps every answer."""
    seen: list[set[str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with suppress(psutil.NoSuchProcess):
                workers = [word for each in children(pid, "worker") for word in each.cmdline() if "/ingest" in word]
                seen.append({Path(word).parent.name for word in workers})

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield seen
        finally:
            stop.set()
            looking.result(DEADLINE_S)


def told(said: Path) -> list[tuple[str, str]]:
    """What the log says of runs that begin and leave their room, in order."""
    found = []
    for line in said.read_text().splitlines():
        with suppress(ValueError):
            record = json.loads(line)
            if record.get("event") in ("run starts", "run goes on", "run leaves its room"):
                found.append((record["event"], record["run"]))
    return found


def check_log(log: list[tuple[str, str]]) -> Counter[str]:
    """That the log never has too many at work; how often each run was started."""
    at_work: set[str] = set()
    starts: Counter[str] = Counter()
    for event, run_id in log:
        if event == "run leaves its room":
            at_work.remove(run_id)
        else:
            assert run_id not in at_work, f"{run_id} was started while it was at work"
            at_work.add(run_id)
            assert len(at_work) <= CAPACITY
            starts[run_id] += event == "run starts"
    return starts


def queue_of(number: int, kills: int, path: Path, folder: Path) -> None:
    """So many runs are asked for at once; the control plane is killed again and again while they wait."""
    home = ("--dir", str(folder / "home"), "--log-level", "info")
    names: list[str] = []
    once: Counter[str] = Counter()
    begun: set[str] = set()
    for life in range(kills + 1):
        said = folder / f"said-{life}"
        with control_plane(*home, said=said, CAVECAST_MAX_RUNS=str(CAPACITY)) as (client, server):
            with watched(server.pid) as seen:
                if not names:
                    with ThreadPoolExecutor(8) as pool:
                        asked = [pool.submit(start, client, input=str(path), **WISH) for _ in range(number)]
                        names = [each.result()["run_id"] for each in asked]
                done = (life + 1) * number // (kills + 1)
                end = time.monotonic() + DEADLINE_S + 6 * number
                while True:
                    found = {run["run_id"]: run for run in client.get("/api/v1/runs?limit=1000").json()}
                    assert set(found) == set(names), "none is lost, and none is new"
                    if sum(run["state"] == "complete" for run in found.values()) >= done:
                        break
                    assert time.monotonic() < end, Counter(run["state"] for run in found.values())
                waiting = [run for run in found.values() if run["state"] == "queued"]
                places = sorted((run["runs_before"], run["run_id"]) for run in waiting)
                assert [before for before, _ in places] == list(range(len(waiting)))
                if life < kills:
                    parts = children(server.pid)
                    os.kill(server.pid, signal.SIGKILL)
                    server.wait(DEADLINE_S)
                    assert not alive(parts, 5)
            assert max(map(len, seen)) <= CAPACITY
        log = told(said)
        once.update(check_log(log))
        begun |= {run_id for _, run_id in log}
    assert {run["state"] for run in found.values()} == {"complete"}
    # One that was written down as begun in the moment of the kill is not said to start: the next life goes on with it.
    assert begun == set(names)
    # Who was let in, and killed before a part of it was there, may be let in again; no log says so twice in one life.
    again = [name for name, times in once.items() if times > 1]
    assert len(again) <= CAPACITY * kills, again


def test_runs_wait_for_room_through_a_kill_and_none_is_lost_or_started_twice(path: Path, tmp_path: Path) -> None:
    queue_of(8, 1, path, tmp_path)


@pytest.mark.long
def test_a_hundred_runs_with_room_for_three_and_two_kills(path: Path, tmp_path: Path) -> None:
    queue_of(100, 2, path, tmp_path)


def test_what_is_wanted_of_a_run_that_waits_is_had_when_it_begins(path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home, CAVECAST_MAX_RUNS="1") as (client, server):
        first = start(client, input=str(path), **SLOW)["run_id"]
        names = [start(client, input=str(path), **SLOW)["run_id"] for _ in range(4)]
        listed = [run["run_id"] for run in client.get("/api/v1/runs?state=queued").json()]
        assert listed == names[::-1]
        held, dropped, wide, last = names
        assert client.get(f"/api/v1/runs/{last}").json()["runs_before"] == 3
        system = client.get("/api/v1/system").json()
        assert (system["runs"], system["queued"]) == (1, 4)
        assert 'cavecast_runs{state="queued"} 4.0' in client.get("/metrics").text
        assert client.post(f"/api/v1/runs/{held}/pause").json()["paused"] is True
        assert client.post(f"/api/v1/runs/{wide}/scale", json={"workers": 2}).json()["workers"] == 2
        assert "is queued: cancel it first" in client.delete(f"/api/v1/runs/{dropped}").json()["detail"]
        watching = events(client, dropped)
        assert next(watching)[1]["state"] == "queued"
        over = client.post(f"/api/v1/runs/{dropped}/cancel").json()
        assert (over["state"], over["cancelling"], over["runs_before"]) == ("cancelled", True, None)
        assert [name for name, _ in watching][-1] == "end", "who watches is told"
        assert client.get(f"/api/v1/runs/{last}").json()["runs_before"] == 2
        assert "does not run yet" in client.get(f"/api/v1/runs/{last}/objects").json()["detail"]
        assert client.get(f"/api/v1/runs/{last}/logs").json() == []
        os.kill(server.pid, signal.SIGKILL)
        server.wait(DEADLINE_S)
    with control_plane(*home, CAVECAST_MAX_RUNS="1") as (client, server):
        found = {run["run_id"]: run for run in client.get("/api/v1/runs").json()}
        assert {name: found[name]["state"] for name in names} == {
            held: "queued", dropped: "cancelled", wide: "queued", last: "queued",
        }  # fmt: skip
        assert [found[name]["runs_before"] for name in (held, wide, last)] == [0, 1, 2]
        assert client.delete(f"/api/v1/runs/{dropped}").status_code == 204
        client.post(f"/api/v1/runs/{first}/cancel")
        run = standing(client, wide, lambda run: run["state"] == "running")
        assert (run["workers"], len(children(server.pid, "worker", wide))) == (2, 2)
        assert client.get(f"/api/v1/runs/{held}").json()["state"] == "queued", "it is paused"
        client.post(f"/api/v1/runs/{held}/resume")
        client.post(f"/api/v1/runs/{wide}/cancel")
        standing(client, held, lambda run: run["state"] == "running")
        assert client.get(f"/api/v1/runs/{last}").json()["runs_before"] == 0
        for name in (held, last):
            client.post(f"/api/v1/runs/{name}/cancel")


def test_a_full_queue_refuses_in_a_sentence_and_a_store_is_promised_once(path: Path, tmp_path: Path) -> None:
    with control_plane(CAVECAST_MAX_RUNS="1", CAVECAST_MAX_QUEUED="1") as (client, _):
        out = str(tmp_path / "a.zarr")
        first = start(client, input=str(path), **SLOW)["run_id"]
        waits = start(client, input=str(path), **WISH, out=out)["run_id"]
        refused = client.post("/api/v1/runs", json={"input": str(path), **WISH})
        assert refused.status_code == 429
        assert "1 runs are at work (max_runs is 1) and 1 wait (max_queued is 1): wait" in refused.json()["detail"]
        assert SOONEST_S <= int(refused.headers["retry-after"]) <= LATEST_S
        client.post(f"/api/v1/runs/{first}/cancel")
        assert ended(client, waits)["state"] == "complete"


def test_who_looks_at_a_run_that_waits_sees_it_begin(path: Path, tmp_path: Path) -> None:
    with control_plane(CAVECAST_MAX_RUNS="1") as (client, _):
        out = str(tmp_path / "a.zarr")
        first = start(client, input=str(path), **SLOW, out=out)["run_id"]
        taken = client.post("/api/v1/runs", json={"input": str(path), **WISH, "out": out})
        assert taken.status_code == 422
        assert f"run {first}" in taken.json()["detail"]
        waits = start(client, input=str(path), **WISH)["run_id"]
        seen: list[str] = []
        for name, run in events(client, waits):
            if name == "run":
                seen.append(run["state"])
            if len(seen) == 1:
                client.post(f"/api/v1/runs/{first}/cancel")
        assert (seen[0], seen[-1]) == ("queued", "complete")
        assert seen.count("complete") == 1


def test_only_so_many_inputs_are_looked_at_and_asked_for_at_a_time() -> None:
    async def crowd() -> tuple[int, int]:
        looks, inside, most, refused = Looks(2, 3), 0, 0, 0
        leave = asyncio.Event()

        async def look() -> None:
            nonlocal inside, most, refused
            try:
                async with looks:
                    inside += 1
                    most = max(most, inside)
                    await leave.wait()
                    inside -= 1
            except Problem as why:
                refused += why.status == 429

        async with asyncio.TaskGroup() as tasks:
            for _ in range(9):
                tasks.create_task(look())
            gone = tasks.create_task(look())
            await asyncio.sleep(0)
            gone.cancel()
            leave.set()
        async with looks:
            return most, refused

    assert asyncio.run(crowd()) == (2, 4 + 1)


def test_a_client_that_gives_up_leaves_its_run_in_the_queue_once(path: Path, tmp_path: Path) -> None:
    with control_plane("--dir", str(tmp_path / "home"), CAVECAST_MAX_RUNS="1") as (client, _):
        start(client, input=str(path), **SLOW)
        asked, key = {"input": str(path), **WISH}, {"Idempotency-Key": "once"}
        hasty = httpx.Client(base_url=client.base_url, trust_env=False, timeout=0.05)
        with hasty, pytest.raises(httpx.TimeoutException):
            hasty.post("/api/v1/runs", json=asked, headers=key)
        again = client.post("/api/v1/runs", json=asked, headers=key).json()
        assert again["state"] == "queued"
        assert [run["run_id"] for run in client.get("/api/v1/runs?state=queued").json()] == [again["run_id"]]
