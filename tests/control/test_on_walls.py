"""Runs on walls, with the real parts: shown, killed and back, taken over, driven, and tried with the test pattern."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.control.parts import CAVECAST, DEADLINE_S, alive, children, ended, environment, start, volume
from tests.control.wall_files import detail, eventually, on, put, showing, slow_walls, wall
from tests.tiles.screens import Pixels, x_server

RUNS = "/api/v1/runs"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, int]]:
    with slow_walls() as (client, process):
        put(client, wall("a"))
        for name in ("b", "c"):
            put(client, wall(name, nodes="one"))
        yield client, process.pid


@pytest.fixture
def client(server: tuple[httpx.Client, int]) -> Iterator[httpx.Client]:
    """The client; afterwards no run is shown anywhere."""
    yield server[0]
    for run in server[0].get(RUNS).json():
        for one in run["walls"]:
            server[0].delete(f"{RUNS}/{run['run_id']}/walls/{one['name']}")
        server[0].post(f"{RUNS}/{run['run_id']}/cancel")


def wish(path: Path, *walls: str, **more: Any) -> dict[str, Any]:
    plain = {"input": str(path), "threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 1}
    return {**plain, "walls": walls, **more}


def part(pid: int, role: str, run_id: str) -> list[psutil.Process]:
    """The processes of a role of a run, which are named by its folder."""
    return children(pid, role, run_id)


def test_a_run_is_shown_and_what_is_killed_comes_back_with_its_view(
    client: httpx.Client, server: tuple[httpx.Client, int], path: Path
) -> None:
    run_id = start(client, **wish(path, "a", pace_s=60))["run_id"]
    here = f"{RUNS}/{run_id}"
    shown = showing(client, run_id, "a")
    assert (shown["tiles"], shown["dark"], shown["sentences"]) == (2, [], [])
    assert shown["frames"] > 0
    assert shown["skew_s"] is not None
    assert client.get("/api/v1/walls/a").json()["run_id"] == run_id
    roles = {(one["role"], one["state"]) for one in client.get(here).json()["parts"]}
    assert {("conductor", "running"), ("tile", "running")} <= roles
    view = f"{here}/views/wall.a"
    changed = client.patch(view, json={"state": {"mode": "globe", "opacity": 0.5}})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["state"]["mode"], changed.json()["state"]["opacity"]) == ("globe", 0.5)

    for role, name in (("tile", "tile:a:p-0-1"), ("conductor", "conductor:a")):
        gone = part(server[1], role, run_id)[-1]
        gone.kill()
        again = eventually(
            client, run_id,
            lambda run, name=name: run["restarts"].get(name) == 1 and on(run, "a")["state"] == "showing",  # type: ignore[misc]
            f"{name} is back",
        )  # fmt: skip
        assert again["state"] == "running"
        assert gone.pid not in [one.pid for one in part(server[1], role, run_id)]
    state = client.get(view).json()
    assert (state["state"]["mode"], state["state"]["opacity"]) == ("globe", 0.5), "the new conductor was told"
    assert state["revision"] != changed.json()["revision"]
    assert state["changed"] == changed.json()["changed"], "nobody has changed what is shown"
    later = client.patch(view, json={"state": {"opacity": 0.25}}).json()
    assert later["changed"] > state["changed"]

    took = client.delete(f"{here}/walls/a")
    assert took.status_code == 200, took.text
    assert took.json()["walls"] == []
    assert not alive(part(server[1], "tile", run_id) + part(server[1], "conductor", run_id), 5)
    assert {one["role"] for one in took.json()["parts"]}.isdisjoint({"conductor", "tile"})
    assert took.json()["state"] == "running"
    assert f"run {run_id} is not shown on a wall a" in detail(client.delete(f"{here}/walls/a"), 404)


def test_a_wall_shows_one_run_at_a_time_and_is_taken_only_when_that_is_asked_for(
    client: httpx.Client, path: Path
) -> None:
    first = start(client, **wish(path, "c", "b", pace_s=60))["run_id"]
    refused = client.post(RUNS, json=wish(path, "c"))
    assert f"wall c shows run {first}: take that off first, or ask for it with take" in detail(refused, 409)
    second = start(client, **wish(path, "c", pace_s=60, take=True))["run_id"]
    assert [one["name"] for one in client.get(f"{RUNS}/{first}").json()["walls"]] == ["b"]
    third = start(client, **wish(path, pace_s=60))["run_id"]
    ask = {"walls": ["c", "b"]}
    assert f"wall c shows run {second}" in detail(client.post(f"{RUNS}/{third}/walls", json=ask), 409)
    assert client.get(f"{RUNS}/{third}").json()["walls"] == []
    taken = client.post(f"{RUNS}/{third}/walls", json={**ask, "take": True})
    assert [one["name"] for one in taken.json()["walls"]] == ["c", "b"]
    for other in (first, second):
        assert client.get(f"{RUNS}/{other}").json()["walls"] == []
    for name in ("c", "b"):
        assert client.get(f"/api/v1/walls/{name}").json()["run_id"] == third
    showing(client, third, "b")
    for name in ("wall c shows run", third):
        assert name in detail(client.delete("/api/v1/walls/c"), 409)
        assert name in detail(client.put("/api/v1/walls/c", content=wall("c", 3)), 409)
    refused = client.post(f"{RUNS}/{first}/walls", json={"walls": ["b"], "take": True}, headers={"If-Match": '"1"'})
    assert f"run {first} is of generation" in detail(refused, 412)
    assert client.get("/api/v1/walls/b").json()["run_id"] == third, "nothing was taken"
    stale = client.delete(f"{RUNS}/{third}/walls/c", headers={"If-Match": '"1"'})
    assert f"run {third} is of generation 2, not 1" in detail(stale, 412)
    twin = client.post(f"{RUNS}/{third}/clone", json={}).json()
    assert twin["walls"] == [], "a clone is not shown where the other one is"


def test_what_is_wrong_with_a_wish_for_walls_is_said_before_anything_is_started(
    client: httpx.Client, path: Path
) -> None:
    before = len(client.get(RUNS).json())
    assert "there is no wall nobody; there are a, b, c" in detail(client.post(RUNS, json=wish(path, "nobody")), 404)
    assert "walls.0 is 'a b'" in detail(client.post(RUNS, json=wish(path, "a b")), 422)
    assert len(client.get(RUNS).json()) == before
    assert "there is no run x" in detail(client.post(f"{RUNS}/x/walls", json={"walls": ["a"]}), 404)
    assert "walls is []" in detail(client.post(f"{RUNS}/x/walls", json={"walls": []}), 422)
    assert "there is no run x" in detail(client.delete(f"{RUNS}/x/walls/a"), 404)


def test_a_run_that_is_over_is_shown_from_its_log(client: httpx.Client, path: Path) -> None:
    run_id = start(client, **wish(path))["run_id"]
    assert ended(client, run_id)["state"] == "complete"
    assert client.post(f"{RUNS}/{run_id}/walls", json={"walls": ["b"]}).status_code == 200
    # A wall that has not yet heard a word of the log has nothing that a tile could be behind.
    shown = eventually(client, run_id, lambda run: on(run, "b").get("position", 0) > 0, "its log on b")
    assert shown["state"] == "complete"
    assert showing(client, run_id, "b")["position"] > 0
    client.post(f"{RUNS}/{run_id}/cancel")
    assert client.get("/api/v1/walls/b").json()["run_id"] is None
    assert client.get(f"{RUNS}/{run_id}").json()["walls"] == []


def test_who_was_quicker_at_a_walls_view_is_not_overwritten(client: httpx.Client, path: Path) -> None:
    run_id = start(client, **wish(path, "b", pace_s=60))["run_id"]
    view = f"{RUNS}/{run_id}/views/wall.b"
    early = client.get(view)
    assert early.status_code in (200, 503)
    showing(client, run_id, "b")
    seen = client.get(view)
    etag = {"If-Match": seen.headers["etag"]}
    assert client.patch(view, json={"state": {"time": 3.5}}, headers=etag).status_code == 200
    assert "has been changed since" in detail(client.patch(view, json={"state": {"time": 4}}, headers=etag), 412)
    state = client.get(view).json()["state"]
    assert state["time"] == 3.5
    assert state["placement"] == seen.json()["state"]["placement"], "the scene stays where the wall has put it"
    assert "mode: invalid enum value" in detail(client.patch(view, json={"state": {"mode": "ball"}}), 422)
    flood = client.patch(view, json={"state": {"selected": [0.5] * 15_000}})
    assert "selected.0: expected `int`" in detail(flood, 422), "nothing of it is sent to the conductor"
    assert client.get(view).status_code == 200
    assert "which has no camera" in detail(client.patch(view, json={"camera": {"distance": 2}}), 422)
    whole = client.put(view, json={"state": {"mode": "map"}}).json()["state"]
    assert (whole["mode"], whole["time"]) == ("map", None)
    assert [one["name"] for one in client.get(f"{RUNS}/{run_id}/views").json()] == ["wall.b"]
    assert "take the run off that wall instead" in detail(client.delete(view), 409)
    assert "is not shown on a wall c" in detail(client.get(f"{RUNS}/{run_id}/views/wall.c"), 404)
    token = client.post(f"{view}/tokens", json={"role": "look"}).json()["token"]
    mine = {"View-Token": token}
    assert client.get(view, headers=mine).json()["role"] == "look"
    assert "your token lets you look" in detail(client.patch(view, json={"state": {}}, headers=mine), 403)


@pytest.mark.long  # who sits where is tested without processes in test_seats.py and test_wall_parts.py
def test_nodes_of_other_machines_are_missing_and_the_run_goes_on(client: httpx.Client, path: Path) -> None:
    put(client, wall("half", more='[[nodes]]\nname = "p-0-1"\nhost = "elsewhere.example"\n'))
    run_id = start(client, **wish(path, "half", pace_s=60))["run_id"]
    half = eventually(client, run_id, lambda run: on(run, "half")["state"] == "partly", "half of it")
    stands = on(half, "half")
    assert stands["dark"] == ["p-0-1"]
    assert "p-0-1 (host elsewhere.example) of wall half: not this machine" in stands["sentences"][0]
    seats = client.get("/api/v1/walls/half").json()["seats"]
    assert {seat["seat"]: seat["state"] for seat in seats} == {"p-0-0": "ready", "p-0-1": "missing"}


def test_a_wall_that_shows_no_run_is_tried_for_some_seconds_and_left_dark(
    client: httpx.Client, server: tuple[httpx.Client, int], path: Path
) -> None:
    assert "there is no wall nobody" in detail(client.post("/api/v1/walls/nobody/identify", json={}), 404)
    assert "seconds is 0.5" in detail(client.post("/api/v1/walls/c/identify", json={"seconds": 0.5}), 422)
    shown = client.post("/api/v1/walls/c/identify", json={"seconds": 1})
    assert (shown.status_code, shown.json()["run_id"], shown.json()["sentences"]) == (202, None, [])
    parts = children(server[1], "tile") + children(server[1], "conductor")
    assert len(parts) == 2
    assert not alive(parts, 1 + 10), "they are ended when the time is over"
    # A run does not wait for the end of a pattern.
    assert client.post("/api/v1/walls/c/identify", json={"seconds": 600}).status_code == 202
    parts = children(server[1], "tile")
    run_id = start(client, **wish(path, "c", pace_s=60))["run_id"]
    showing(client, run_id, "c")
    assert not alive(parts, 5)
    put(client, wall("none", more='[[nodes]]\nname = "p-0-0"\nhost = "x"\n[[nodes]]\nname = "p-0-1"\nhost = "y"\n'))
    said = detail(client.post("/api/v1/walls/none/identify", json={}), 409)
    assert "nothing can be shown on wall none: p-0-0 (host x), p-0-1 (host y) of wall none: not this machine" in said


@pytest.mark.long  # a run's parts do in the next test
def test_a_pattern_ends_with_the_control_plane() -> None:
    with slow_walls() as (client, process):
        put(client, wall("a", nodes="one"))
        assert client.post("/api/v1/walls/a/identify", json={"seconds": 600}).status_code == 202
        parts = children(process.pid)
        assert len(parts) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert not alive(parts, 5)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_wall_shows_its_run_again_when_the_control_plane_is_back(
    path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    home = ("--dir", str(tmp_path))
    with slow_walls(*home) as (client, process):
        put(client, wall("a", nodes="one"))
        run_id = start(client, **wish(path, "a", pace_s=120))["run_id"]
        showing(client, run_id, "a")
        changed = client.patch(f"{RUNS}/{run_id}/views/wall.a", json={"state": {"mode": "map"}})
        assert changed.status_code == 200, changed.text
        parts = children(process.pid)
        os.kill(process.pid, number)
        process.wait(DEADLINE_S)
        assert not alive(parts, 5)
    with slow_walls(*home) as (client, _):
        assert client.get("/api/v1/walls/a").json()["run_id"] == run_id
        showing(client, run_id, "a")
        shown = client.get(f"{RUNS}/{run_id}/views/wall.a").json()
        assert (shown["state"]["mode"], shown["changed"]) == ("map", changed.json()["changed"])
        client.post(f"{RUNS}/{run_id}/cancel")
        assert client.get("/api/v1/walls/a").json()["run_id"] is None
        assert client.delete(f"{RUNS}/{run_id}").status_code == 204


def test_parts_with_keys_of_their_own_meet_at_a_wall_too(path: Path, tmp_path: Path) -> None:
    with slow_walls("--dir", str(tmp_path), "--keys", "auto") as (client, _):
        put(client, wall("a", nodes="one"))
        run_id = start(client, **wish(path, "a", pace_s=60))["run_id"]
        showing(client, run_id, "a")
        changed = client.patch(f"{RUNS}/{run_id}/views/wall.a", json={"state": {"mode": "map"}})
        assert changed.json()["state"]["mode"] == "map"


# ---------------------------------------------------------------- on a real X server

AT = {"p-0-0": (20, 30), "p-0-1": (300, 200)}
WIDE, HIGH = 240, 135


def windows(display: str) -> str:
    """A wall of two windows of one node."""
    screens = "".join(
        f'[[screens]]\nname = "{name}"\ncentre = [{x}, 0, -2000]\nsize = [1018, 573]\nnode = "here"\n'
        f'pixels = [{WIDE}, {HIGH}]\nat = [{left}, {top}]\ndisplay = "{display}"\n'
        for x, (name, (left, top)) in zip((-520, 520), AT.items(), strict=True)
    )
    return f'name = "glass"\n{screens}[fit]\nsize_mm = 1500\ncentre = [0, 0, -2000]\n'


def window(seen: Pixels, name: str) -> Pixels:
    left, top = AT[name]
    return seen[top : top + HIGH, left : left + WIDE]


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="there is no Xvfb: tests/system-packages.sh installs it")
def test_the_pattern_is_seen_on_real_screens_on_a_dark_wall_and_over_a_run(path: Path, tmp_path: Path) -> None:
    with x_server() as screens:
        text = windows(screens.name(0))
        (tmp_path / "glass.toml").write_text(text)
        # What belongs there is drawn by another process, off screen.
        done = subprocess.run(
            [CAVECAST, "wall", "test-pattern", tmp_path / "glass.toml", "--offscreen", "--pictures", tmp_path],
            env=environment(), capture_output=True, check=False, timeout=DEADLINE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        from tests.barrier.house import read_png

        wanted = {name: read_png(tmp_path / f"{name}.png") for name in AT}

        def pattern(seen: Pixels) -> bool:
            return all((window(seen, name) == picture).all() for name, picture in wanted.items())

        with slow_walls(screens="windows") as (client, _):
            put(client, text)
            assert client.post("/api/v1/walls/glass/identify", json={"seconds": 2}).status_code == 202
            screens.until(0, pattern, "the pattern on a wall that shows nothing")
            screens.until(0, lambda seen: not seen.any(), "the windows are gone")
            run_id = start(client, **wish(path, "glass"))["run_id"]
            showing(client, run_id, "glass")
            scene = screens.until(0, lambda seen: seen.max() > 100 and not pattern(seen), "the run").copy()
            asked = client.post("/api/v1/walls/glass/identify", json={"seconds": 3})
            assert (asked.status_code, asked.json()["run_id"]) == (202, run_id)
            screens.until(0, pattern, "the pattern over the run")
            state = client.get(f"{RUNS}/{run_id}/views/wall.glass").json()["state"]
            assert state["pattern"] is True
            back = screens.until(0, lambda seen: not pattern(seen), "the run again")
            assert back.max() > 100
            assert scene.shape == back.shape
            deadline = time.monotonic() + DEADLINE_S
            while client.get(f"{RUNS}/{run_id}/views/wall.glass").json()["state"]["pattern"]:
                assert time.monotonic() < deadline
            client.delete(f"{RUNS}/{run_id}/walls/glass")
            screens.until(0, lambda seen: not seen.any(), "nothing is left on the screen")


@pytest.mark.long  # how a wall stands then is tested without processes in test_wall_parts.py
def test_a_screen_that_is_not_there_leaves_the_wall_dark_and_the_run_at_work(path: Path) -> None:
    with slow_walls(screens="windows") as (client, _):
        put(client, windows(":4711.0"))
        said = detail(client.post("/api/v1/walls/glass/identify", json={"seconds": 2}), 503)
        assert "nothing is shown on wall glass: tile:glass:here ended before it was ready" in said
        assert "the X display :4711.0 cannot be opened" in said
        run_id = start(client, **wish(path, "glass", pace_s=60))["run_id"]
        dark = eventually(client, run_id, lambda run: on(run, "glass")["state"] == "dark", "dark")
        assert dark["state"] != "failed"
        assert "p-0-0, p-0-1 of wall glass (node here): dark" in on(dark, "glass")["sentences"][0]
        said = " ".join(line["text"] for line in client.get(f"{RUNS}/{run_id}/logs").json())
        assert "the X display :4711.0 cannot be opened" in said


@pytest.mark.long  # a part that is killed and started again is in the first test
def test_what_was_given_up_is_tried_again_when_the_run_is_shown_once_more(path: Path, tmp_path: Path) -> None:
    with slow_walls("--dir", str(tmp_path)) as (client, process):
        put(client, wall("a", nodes="one"))
        run_id = start(client, **wish(path, "a", pace_s=120))["run_id"]
        showing(client, run_id, "a")
        # Without its file a tile is refused for wrong use, and would be again.
        file, aside = tmp_path / run_id / "wall-a.toml", tmp_path / "aside"
        file.rename(aside)
        for tile in part(process.pid, "tile", run_id):
            tile.kill()
        dark = eventually(client, run_id, lambda run: "given up" in " ".join(on(run, "a")["sentences"]), "given up")
        assert (dark["state"], on(dark, "a")["state"]) == ("running", "dark")
        assert any("no such file" in remark and "the run goes on without it" in remark for remark in dark["remarks"])
        aside.rename(file)
        assert client.post(f"{RUNS}/{run_id}/walls", json={"walls": ["a"]}).status_code == 200
        assert showing(client, run_id, "a")["sentences"] == []
