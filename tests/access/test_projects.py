"""Runs belong to projects: one project never sees another's, on a real control plane with real runs."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from streamer.control.access import ledger
from tests.access.certificate import certificate
from tests.access.parts import Plane, access_of, access_text, serving, token_of
from tests.control.parts import CAVECAST, consume, ended, environment, start, volume
from tests.ending import ending, in_time, line_within, tied

WISH: dict[str, Any] = {"threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 1}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("projects")
    with serving(access_of(folder), folder / "runs") as plane:
        yield plane


@pytest.fixture(scope="module")
def wish(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {**WISH, "input": str(volume(tmp_path_factory.mktemp("input") / "blobs.npy"))}


@pytest.fixture(scope="module")
def rivers(plane: Plane) -> Iterator[httpx.Client]:
    with plane.of("rivers-admin") as client:
        yield client


@pytest.fixture(scope="module")
def clouds(plane: Plane) -> Iterator[httpx.Client]:
    with plane.of("clouds-admin") as client:
        yield client


def names(client: httpx.Client, **asked: Any) -> list[str]:
    answer = client.get("/api/v1/runs", params=asked)
    assert answer.status_code == 200, answer.text
    return [run["run_id"] for run in answer.json()]


def test_one_project_sees_nothing_of_another(
    plane: Plane, rivers: httpx.Client, clouds: httpx.Client, wish: dict[str, Any]
) -> None:
    mine = start(rivers, **wish)
    theirs = start(clouds, **wish, project="clouds")
    assert (mine["project"], theirs["project"]) == ("rivers", "clouds")
    assert ended(rivers, mine["run_id"])["state"] == "complete"
    assert ended(clouds, theirs["run_id"])["state"] == "complete"
    assert names(rivers) == [mine["run_id"]]
    assert names(clouds) == [theirs["run_id"]]
    assert names(clouds, q="blobs", state="complete") == [theirs["run_id"]]
    nothing = f"there is no run {mine['run_id']}"
    for method, path in (
        ("GET", ""), ("GET", "/events"), ("GET", "/objects"), ("GET", "/objects/1"), ("GET", "/chunks"),
        ("GET", "/logs"), ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume"), ("DELETE", ""),
    ):  # fmt: skip
        answer = clouds.request(method, f"/api/v1/runs/{mine['run_id']}{path}")
        assert (answer.status_code, answer.json()["detail"]) == (404, nothing), path
    assert clouds.post(f"/api/v1/runs/{mine['run_id']}/scale", json={"workers": 1}).status_code == 404
    assert clouds.post(f"/api/v1/runs/{mine['run_id']}/clone", json={"project": "clouds"}).status_code == 404
    assert clouds.get("/api/v1/runs", params={"before": mine["run_id"]}).json()["detail"] == nothing
    address = plane.url.replace("http", "ws") + f"/api/v1/runs/{mine['run_id']}/view"
    with connect(
        address, additional_headers={"authorization": f"Bearer {token_of('clouds-viewer')}"}, proxy=None
    ) as browser:
        with pytest.raises(Exception, match=nothing):
            consume(browser)
        assert browser.protocol.close_code == 4404
    system = clouds.get("/api/v1/system").json()
    assert [one["name"] for one in system["projects"]] == ["clouds"]
    assert "rivers" not in clouds.get("/api/v1/system").text
    assert "rivers" not in clouds.get("/api/v1/audit").text
    with plane.of("rivers-viewer") as viewer:
        assert viewer.get(f"/api/v1/runs/{mine['run_id']}/objects").status_code == 200


def test_pages_of_a_list_hold_ones_own_runs_only(
    rivers: httpx.Client, clouds: httpx.Client, wish: dict[str, Any]
) -> None:
    before = len(names(rivers))
    made = []
    for client in (rivers, clouds, rivers, clouds):
        run = start(client, **wish)
        made.append(run["run_id"])
        ended(client, run["run_id"])
    first = rivers.get("/api/v1/runs", params={"limit": 1})
    assert [run["run_id"] for run in first.json()] == [made[2]]
    second = httpx.URL(f"/api/v1/runs{first.links['next']['url']}")
    assert [run["run_id"] for run in rivers.get(second).json()] == [made[0]]
    assert len(names(rivers)) == before + 2


def test_a_key_of_one_project_is_not_anothers(rivers: httpx.Client, clouds: httpx.Client, wish: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "monday"}
    mine = rivers.post("/api/v1/runs", json=wish, headers=key)
    again = rivers.post("/api/v1/runs", json={**wish, "project": "rivers"}, headers=key)
    theirs = clouds.post("/api/v1/runs", json={**wish, "threshold": 0.6}, headers=key)
    assert mine.json()["run_id"] == again.json()["run_id"] != theirs.json()["run_id"]
    for client, run in ((rivers, mine), (clouds, theirs)):
        ended(client, run.json()["run_id"])


def test_a_run_is_started_where_one_may(plane: Plane, clouds: httpx.Client, wish: dict[str, Any]) -> None:
    refused = clouds.post("/api/v1/runs", json={**wish, "project": "rivers"})
    nothing = clouds.post("/api/v1/runs", json={**wish, "project": "nothing"})
    assert (refused.status_code, refused.json()["detail"]) == (404, "there is no project rivers")
    assert (nothing.status_code, nothing.json()["detail"]) == (404, "there is no project nothing")
    with plane.of("rivers-viewer") as viewer:
        assert viewer.post("/api/v1/runs", json=wish).status_code == 403


def test_a_quota_is_kept_also_by_scaling(plane: Plane, wish: dict[str, Any]) -> None:
    """Rivers may have two runs and four workers."""
    with plane.of("rivers-operator") as rivers:
        never = rivers.post("/api/v1/runs", json={**wish, "workers": 5})
        assert never.status_code == 422
        assert "asks for 5 workers, has 0 at work and may have 4: ask for no more" in never.json()["detail"]
        slow = {**wish, "pace_s": 60, "workers": 2}
        first = start(rivers, **slow)["run_id"]
        assert rivers.post(f"/api/v1/runs/{first}/scale", json={"workers": 5}).status_code == 409
        assert rivers.post(f"/api/v1/runs/{first}/scale", json={"workers": 3}).status_code == 200
        large = start(rivers, **slow)
        assert large["state"] == "queued", "two more workers are one too many"
        waits = f"/api/v1/runs/{large['run_id']}/scale"
        assert rivers.post(waits, json={"workers": 4}).status_code == 200, "those at work will have ended"
        never = rivers.post(waits, json={"workers": 5})
        assert (never.status_code, "ask for no more than that" in never.json()["detail"]) == (422, True)
        assert rivers.post(waits, json={"workers": 2}).status_code == 200
        second = start(rivers, **{**slow, "workers": 1})["run_id"]
        third = start(rivers, **{**slow, "workers": 1})
        assert third["state"] == "queued", "a third run is one too many"
        shown = rivers.get("/api/v1/projects").json()
        assert shown[0]["runs"] == {"used": 2, "limit": 2}
        assert shown[0]["workers"] == {"used": 4, "limit": 4}
        with plane.of("clouds-operator") as clouds:
            other = start(clouds, **slow)
            assert other["state"] != "queued", "the quota of a project holds up nobody else"
            clouds.post(f"/api/v1/runs/{other['run_id']}/cancel")
        for run in (third["run_id"], large["run_id"], first, second):
            assert rivers.post(f"/api/v1/runs/{run}/cancel").json()["state"] == "cancelled"
        assert rivers.get("/api/v1/projects").json()[0]["runs"]["used"] == 0


def test_all_that_is_changed_and_refused_is_in_the_audit_log(plane: Plane, wish: dict[str, Any]) -> None:
    with plane.of("rivers-operator") as operator, plane.of("rivers-admin") as admin, plane.of("clouds-admin") as other:
        run_id = start(operator, **wish)["run_id"]
        ended(operator, run_id)
        assert operator.delete(f"/api/v1/runs/{run_id}").status_code == 403
        assert other.delete(f"/api/v1/runs/{run_id}").status_code == 404
        made = admin.post("/api/v1/projects/rivers/tokens", json={"name": "auditor", "role": "viewer"}).json()
        assert admin.delete(f"/api/v1/projects/rivers/tokens/{made['about']['token_id']}").status_code == 204
        assert admin.delete(f"/api/v1/runs/{run_id}").status_code == 204
        whole = admin.get("/api/v1/audit", params={"limit": 6})
        assert made["token"] not in whole.text
        found = [
            (one["account"], one["operation"], one["about"], one["status"], one["outcome"]) for one in whole.json()
        ]
        assert found[:5] == [
            ("token:rivers-admin", "remove a run", run_id, 204, "done"),
            ("token:rivers-admin", "revoke a token", "auditor", 204, "done"),
            ("token:rivers-admin", "make a token", "auditor", 201, "done"),
            ("token:rivers-operator", "remove a run", run_id, 403, "refused"),
            ("token:rivers-operator", "start a run", run_id, 201, "done"),
        ]
        assert {one["address"] for one in whole.json()} == {"127.0.0.1"}
        older = admin.get(f"/api/v1/audit{whole.links['next']['url']}").json()
        assert max(one["number"] for one in older) < min(one["number"] for one in whole.json())
        assert operator.get("/api/v1/audit").status_code == 403


def test_a_stranger_who_changes_nothing_a_hundred_times_fills_no_log(plane: Plane) -> None:
    async def written() -> int:
        return len(await plane.registry.desk.ask(lambda books: ledger.audit(books, None, None, 1000)))

    def entries() -> int:
        return asyncio.run_coroutine_threadsafe(written(), plane.loop).result(30)

    before = entries()
    with plane.client() as stranger:
        for _ in range(100):
            assert stranger.post("/api/v1/runs", json={}).status_code == 401
    assert entries() - before == 5


def test_tokens_are_for_a_time_and_for_no_more_than_ones_own(plane: Plane, rivers: httpx.Client) -> None:
    now = datetime.now(UTC)
    for more, status in (
        ({"expires": (now - timedelta(days=1)).isoformat()}, 422),
        ({"expires": (now + timedelta(days=400)).isoformat()}, 422),
        ({"expires": "2030-01-01T00:00:00"}, 422),
        ({"role": "root"}, 422),
        ({"name": "A b"}, 422),
    ):
        answer = rivers.post("/api/v1/projects/rivers/tokens", json={"name": "x", "role": "viewer", **more})
        assert answer.status_code == status, answer.text
    soon = (now + timedelta(minutes=10)).isoformat()
    made = rivers.post("/api/v1/projects/rivers/tokens", json={"name": "soon", "role": "admin", "expires": soon})
    twice = rivers.post("/api/v1/projects/rivers/tokens", json={"name": "soon", "role": "viewer"})
    assert (made.status_code, twice.status_code) == (201, 409)
    assert made.headers["cache-control"] == "no-store"
    with plane.client(made.json()["token"]) as machine:
        assert machine.get("/api/v1/me").json()["projects"] == {"rivers": "admin"}
        assert machine.get("/api/v1/projects/clouds/tokens").status_code == 404
        plane.clock.ahead_s += 601
        assert machine.get("/api/v1/me").status_code == 401
        plane.clock.ahead_s -= 601
    listed = rivers.get("/api/v1/projects/rivers/tokens")
    assert [one["name"] for one in listed.json()] == ["soon"]
    assert made.json()["token"] not in listed.text
    assert "fingerprint" not in listed.text


def test_metrics_are_for_the_token_of_prometheus(plane: Plane) -> None:
    with plane.of("prometheus") as prometheus:
        assert "cavecast_runs{" in prometheus.get("/metrics").text
        assert prometheus.get("/metrics", headers={"host": "10.0.0.1:8750"}).status_code == 200
        assert prometheus.get("/api/v1/runs").json() == []
    with plane.client() as probe:
        answer = probe.get("/healthz", headers={"host": "10.0.0.1:8750"})
        assert answer.json() == {"status": "ok", "version": "", "note": "", "state": "leading"}
        assert probe.get("/api/v1/runs", headers={"host": "10.0.0.1:8750"}).status_code == 403


def test_who_watches_is_let_go_when_their_token_is_revoked(
    plane: Plane, rivers: httpx.Client, wish: dict[str, Any]
) -> None:
    made = rivers.post("/api/v1/projects/rivers/tokens", json={"name": "watcher", "role": "viewer"}).json()
    run_id = start(rivers, **wish, pace_s=120)["run_id"]
    with plane.client(made["token"]) as watcher, watcher.stream("GET", f"/api/v1/runs/{run_id}/events") as events:
        lines = events.iter_lines()
        assert next(lines) == "event: run"
        rivers.delete(f"/api/v1/projects/rivers/tokens/{made['about']['token_id']}")
        plane.clock.ahead_s += 31  # it is asked again now
        rivers.post(f"/api/v1/runs/{run_id}/pause")  # there is something to see, so that it is seen to
        with pytest.raises(httpx.RemoteProtocolError):
            list(in_time(lines))
        plane.clock.ahead_s -= 31
    rivers.post(f"/api/v1/runs/{run_id}/cancel")


def test_sign_ins_outlive_the_control_plane_and_so_does_the_log(tmp_path: Path) -> None:
    rules = access_of(tmp_path)
    with serving(rules, tmp_path / "runs") as plane, plane.of("clouds-admin") as admin:
        made = admin.post("/api/v1/projects/clouds/tokens", json={"name": "kept", "role": "operator"}).json()
    with serving(rules, tmp_path / "runs") as plane, plane.of("clouds-admin") as admin:
        with plane.client(made["token"]) as machine:
            assert machine.get("/api/v1/me").json()["projects"] == {"clouds": "operator"}
        assert [one["operation"] for one in admin.get("/api/v1/audit").json()] == ["make a token"]


def test_the_command_listens_with_tls_and_knows_who_calls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    access_of(tmp_path)
    server = subprocess.Popen(
        tied(CAVECAST, "serve", "--port", "0", "--access", tmp_path / "access.toml", "--tls-cert", cert,
             "--tls-key", key, "--log-level", "warning"), stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    with ending(server, within_s=60):
        url = json.loads(line_within(server.stdout))["url"]
        assert url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=url, verify=trusting, trust_env=False) as client:
            assert client.get("/api/v1/runs").status_code == 401
            headers = {"authorization": f"Bearer {token_of('rivers-viewer')}"}
            assert client.get("/api/v1/runs", headers=headers).json() == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "without an access configuration nothing keeps strangers out: give --access FILE"),
        (["--host", "0.0.0.0", "--access", "a.toml"], "give --public-url"),
        (["--access", "nothing.toml"], "nothing.toml cannot be read as TOML: No such file or directory"),
        (["--tls-cert", "a.toml", "--tls-key", "a.toml"], "the certificate a.toml and its key a.toml cannot be used"),
        (["--trusted-proxies", "me"], "'me', which is no address or network"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, flags: list[str], words: str) -> None:
    (tmp_path / "a.toml").write_text(access_text())
    done = subprocess.run(
        [CAVECAST, "serve", "--port", "0", *flags], cwd=tmp_path, env=environment(), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode in (1, 2), done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
