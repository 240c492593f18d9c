"""What people want of a run while it goes: other workers, a pause, another like it, its end; with the real parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.control.parts import (
    DEADLINE_S,
    children,
    control_plane,
    ended,
    standing,
    start,
    until,
    volume,
)

WISH: dict[str, Any] = {"threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, int]]:
    with control_plane() as (client, process):
        yield client, process.pid


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def workers(run: dict[str, Any]) -> list[str]:
    return [part["name"] for part in run["parts"] if part["role"] == "worker" and part["state"] == "running"]


def test_workers_come_and_go_and_the_result_is_the_same(server: tuple[httpx.Client, int], path: Path) -> None:
    client, pid = server
    plain = ended(client, start(client, input=str(path), **WISH)["run_id"])
    run_id = start(client, input=str(path), **WISH, pace_s=15)["run_id"]
    until(client, run_id, committed=1)
    scaled = client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 3})
    assert (scaled.status_code, scaled.json()["workers"]) == (200, 3)
    run = standing(client, run_id, lambda run: len(workers(run)) == 3)
    assert workers(run) == ["worker-1", "worker-2", "worker-3"]
    client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 1})
    run = standing(client, run_id, lambda run: len(run["parts"]) == 2)
    assert workers(run) == ["worker-1"]
    assert len(children(pid, "worker", run_id)) == 1
    run = ended(client, run_id)
    assert (run["state"], run["remarks"], run["restarts"]) == ("complete", plain["remarks"], {})
    for what in ("labelled_voxels", "objects", "committed"):
        assert run["status"][what] == plain["status"][what]
    assert "nothing can be changed any more" in detail(
        client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 2}), 409
    )


def test_a_paused_run_stands_still_until_it_is_resumed(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    run_id = start(client, input=str(path), **WISH, pace_s=5)["run_id"]
    until(client, run_id, committed=1)
    assert client.post(f"/api/v1/runs/{run_id}/pause").json()["paused"] is True
    run = standing(client, run_id, lambda run: run["state"] == "paused" and not run["status"]["leased"])
    assert run["status"]["committed"] < 36
    assert run["status"]["eta_s"] is None
    client.post(f"/api/v1/runs/{run_id}/resume")
    assert ended(client, run_id)["state"] == "complete"


def test_who_has_not_seen_the_newest_change_changes_nothing(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    made = client.post("/api/v1/runs", json={"input": str(path), **WISH, "pace_s": 60})
    run_id, etag = made.json()["run_id"], made.headers["etag"]
    base = f"/api/v1/runs/{run_id}"
    assert etag == '"1"' == client.get(base).headers["etag"]
    scaled = client.post(f"{base}/scale", json={"workers": 1}, headers={"If-Match": etag})
    assert scaled.headers["etag"] == '"2"'
    refused = detail(client.post(f"{base}/scale", json={"workers": 5}, headers={"If-Match": etag}), 412)
    assert "is of generation 2, not 1" in refused
    assert client.get(base).json()["workers"] == 1
    assert client.post(f"{base}/pause", headers={"If-Match": "*"}).headers["etag"] == '"3"'
    assert client.post(f"{base}/pause").headers["etag"] == '"3"', "it was wanted already"
    assert "is no ETag of a run" in detail(client.post(f"{base}/pause", headers={"If-Match": "x"}), 422)
    assert detail(client.post(f"{base}/cancel", headers={"If-Match": '"1"'}), 412)
    assert client.post(f"{base}/cancel", headers={"If-Match": '"3"'}).json()["state"] == "cancelled"


def test_a_request_that_is_sent_again_with_its_key_starts_one_run(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    asked, key = {"input": str(path), **WISH}, {"Idempotency-Key": "monday's"}
    first = client.post("/api/v1/runs", json=asked, headers=key)
    again = client.post("/api/v1/runs", json=asked, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["run_id"] == again.json()["run_id"]
    other = client.post("/api/v1/runs", json={**asked, "threshold": 0.6}, headers=key)
    assert "came with another request before" in detail(other, 422)
    assert client.post("/api/v1/runs", json=asked).json()["run_id"] != first.json()["run_id"]


def test_a_run_is_started_as_another_was_with_some_changes(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    first = ended(client, start(client, input=str(path), **WISH)["run_id"])
    base = f"/api/v1/runs/{first['run_id']}/clone"
    twin = client.post(base, json={"threshold": 0.7})
    assert twin.status_code == 201
    run = ended(client, twin.json()["run_id"])
    assert run["parameters"]["threshold"] == 0.7
    assert (run["chunk"], run["workers"]) == (first["chunk"], first["workers"])
    assert run["status"]["labelled_voxels"] < first["status"]["labelled_voxels"]
    assert "thershold is no field" in detail(client.post(base, json={"thershold": 1}), 422)
    assert "there is no run nobody" in detail(client.post("/api/v1/runs/nobody/clone", json={}), 404)


def test_runs_are_found_by_state_and_words_page_by_page(tmp_path: Path, path: Path) -> None:
    other = volume(tmp_path / "swirls.npy", (4, 8, 8))
    home = ("--dir", str(tmp_path / "home"))
    names = []
    with control_plane(*home) as (client, _):
        for number in range(3):
            names.append(start(client, input=str(path), **WISH)["run_id"])
            ended(client, names[number])
    with control_plane(*home) as (client, _):
        names.append(start(client, input=str(other), **{**WISH, "chunk": [2, 4, 4]})["run_id"])
        ended(client, names[3])
        names.append(start(client, input=str(path), **WISH, pace_s=60)["run_id"])

        def listed(**asked: Any) -> list[str]:
            return [run["run_id"] for run in client.get("/api/v1/runs", params=asked).json()]

        assert listed() == names[::-1]
        assert listed(q="SWIRLS") == [names[3]]
        assert listed(state="complete") == names[3::-1]
        assert listed(state=["running", "starting"]) == [names[4]]
        assert listed(q="%") == []
        page, seen = client.get("/api/v1/runs", params={"limit": 2}), []
        while True:
            seen.append([run["run_id"] for run in page.json()])
            if "next" not in page.links:
                break
            page = client.get(page.url.join(page.links["next"]["url"]))
        assert seen == [names[:2:-1], names[2:0:-1], [names[0]]]
        assert "there is no run nobody" in detail(client.get("/api/v1/runs", params={"before": "nobody"}), 404)
        assert "state" in detail(client.get("/api/v1/runs", params={"state": "lost"}), 422)


def test_a_run_at_work_is_not_removed(server: tuple[httpx.Client, int], path: Path) -> None:
    client, _ = server
    run_id = start(client, input=str(path), **WISH, pace_s=60)["run_id"]
    assert "cancel it first" in detail(client.delete(f"/api/v1/runs/{run_id}"), 409)
    client.post(f"/api/v1/runs/{run_id}/cancel")
    assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
    assert detail(client.get(f"/api/v1/runs/{run_id}"), 404)
    assert run_id not in [run["run_id"] for run in client.get("/api/v1/runs").json()]


def test_what_the_parts_say_can_be_read_also_later(tmp_path: Path, path: Path) -> None:
    home = ("--dir", str(tmp_path / "home"))
    with control_plane(*home) as (client, _):
        run_id = ended(client, start(client, input=str(path), **WISH)["run_id"])["run_id"]
        base = f"/api/v1/runs/{run_id}/logs"
        lines = client.get(base).json()
        assert {"streamer", "worker-1"} <= {line["part"] for line in lines}
        only = client.get(base, params={"part": "worker-1", "lines": 1}).json()
        assert [line["part"] for line in only] == ["worker-1"]
    with control_plane(*home) as (client, _):
        assert client.get(base).json()[: len(lines)] == lines
        assert client.get(base, params={"part": "nobody"}).json() == []
        assert client.get("/api/v1/runs/nobody/logs", timeout=DEADLINE_S).status_code == 404
