"""Two control planes with one PostgreSQL and one folder: one leads, the other stands by and takes over."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.control.books import Books
from streamer.control.database import NoBooks
from streamer.control.place_lock import PlaceLock
from tests.control.parts import DEADLINE_S, alive, children, consume, control_plane, ended, start, until, volume
from tests.control.postgresql import postgresql
from tests.control.test_books import booked

WISH: dict[str, Any] = {"threshold": 0.55, "chunk": [2, 4, 4], "view": False, "workers": 1}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as address:
        yield address


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy", (4, 8, 8))


def leads(client: httpx.Client) -> bool:
    health = client.get("/healthz")
    assert health.status_code == 200
    return bool(health.json()["state"] == "leading")


def takes_over(client: httpx.Client) -> None:
    end = time.monotonic() + DEADLINE_S
    while not leads(client):
        assert time.monotonic() < end, client.get("/healthz").text


def test_who_stands_by_says_so_and_takes_over_from_one_that_was_killed(url: str, path: Path, tmp_path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with ExitStack() as planes:
        first, leader = planes.enter_context(control_plane(*home, CAVECAST_DATABASE=url, CAVECAST_MAX_RUNS="1"))
        assert leads(first)
        run_id = start(first, input=str(path), **WISH, pace_s=6)["run_id"]
        waits = start(first, input=str(path), **WISH)["run_id"]
        second, other = planes.enter_context(control_plane(*home, CAVECAST_DATABASE=url, CAVECAST_MAX_RUNS="1"))
        assert not leads(second)
        for method, where in (("GET", "/api/v1/runs"), ("POST", "/api/v1/runs"), ("GET", "/metrics"), ("GET", "/")):
            answer = second.request(method, where)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "another control plane leads, and this one stands by" in answer.json()["detail"]
        with connect(f"ws://{second.base_url.netloc.decode()}/api/v1/runs/x/view", proxy=None) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                consume(socket)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
        assert not children(other.pid)
        until(first, run_id, committed=1)
        parts = children(leader.pid)
        os.kill(leader.pid, signal.SIGKILL)
        leader.wait(DEADLINE_S)
        takes_over(second)
        assert not alive(parts, 5)
        assert ended(second, run_id)["state"] == "complete"
        run = ended(second, waits)
        assert (run["state"], run["restarts"]) == ("complete", {})
        third, _ = planes.enter_context(control_plane(*home, CAVECAST_DATABASE=url, CAVECAST_MAX_RUNS="1"))
        assert not leads(third)
        other.terminate()
        other.wait(DEADLINE_S)
        takes_over(third)
        assert [run["run_id"] for run in third.get("/api/v1/runs").json()] == [waits, run_id]


def test_a_leader_that_others_have_replaced_ends_in_a_sentence(url: str, path: Path, tmp_path: Path) -> None:
    home, said = ("--dir", str(tmp_path / "home")), tmp_path / "said"
    with control_plane(*home, said=said, CAVECAST_DATABASE=url) as (client, server):
        run_id = start(client, input=str(path), **WISH, pace_s=60)["run_id"]
        until(client, run_id, committed=1)
        parts = children(server.pid)
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as books:
            # The database's side of the connection breaks, and somebody is quicker to take the lock.
            asked = "SELECT pid, classid, objid FROM pg_locks WHERE locktype = 'advisory'"
            pid, high, low = books.execute(text(asked)).one()
            key = (high << 32 | low) - (1 << 64 if high >= 1 << 31 else 0)
            books.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            books.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            assert server.wait(DEADLINE_S) == 70
        engine.dispose()
        assert not alive(parts, 5)
    assert said.read_text().splitlines()[-1].startswith("cavecast: this control plane does not lead any more")


def test_a_lock_whose_connection_breaks_is_taken_again_if_nobody_else_has_it(url: str) -> None:
    async def breaks() -> tuple[bool, bool]:
        one, two = PlaceLock(url, "somewhere"), PlaceLock(url, "somewhere")
        await one.won()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as books:
            ask = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
            before = books.execute(ask).scalar_one()
            books.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
            async with asyncio.timeout(DEADLINE_S):
                while books.execute(ask).scalar() in (None, before):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        engine.dispose()
        lost = one.lost.is_set()
        waiting = asyncio.create_task(two.won())
        await one.release()
        async with asyncio.timeout(DEADLINE_S):
            await waiting
        await two.release()
        return lost, two.lost.is_set()

    assert asyncio.run(breaks()) == (False, False)


def test_who_led_before_writes_nothing_any_more(url: str) -> None:
    old = Books(url, "fenced")
    one, record = booked("r-fenced-1")
    old.add(one, record)
    new = Books(url, "fenced")
    two, second = booked("r-fenced-2")
    for write in (
        lambda: old.add(two, second), lambda: old.put([record]), lambda: old.begin(record),
        lambda: old.remove("r-fenced-1"), lambda: old.put_usage("r-fenced-1", {}),
    ):  # fmt: skip
        with pytest.raises(NoBooks, match="another control plane has taken over"):
            write()
    assert new.find("r-fenced-1") is not None
    new.put([record])
    other = Books(url, "elsewhere")
    assert other.unfinished() == []
    for each in (old, new, other):
        each.close()


def test_control_planes_with_folders_of_their_own_stay_apart(url: str, path: Path, tmp_path: Path) -> None:
    with (
        control_plane("--dir", str(tmp_path / "a"), CAVECAST_DATABASE=url) as (first, _),
        control_plane("--dir", str(tmp_path / "b"), CAVECAST_DATABASE=url) as (second, _),
    ):
        run_id = ended(first, start(first, input=str(path), **WISH)["run_id"])["run_id"]
        assert leads(second)
        assert second.get(f"/api/v1/runs/{run_id}").status_code == 404
