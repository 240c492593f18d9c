"""Runs from the first object to the last, with real streamers, workers, archives and renderers in the pods."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from streamer.wire.view import Camera, Input, encode_input
from tests.control.parts import CAVECAST, DEADLINE_S, ended, environment, start, volume
from tests.control.parts import until as committed
from tests.k8s.launcher.world import NAMESPACE, Killed, World, serving, state, until


@pytest.fixture
def source(lab: World) -> Path:
    return volume(lab.folder / "a.npy")


def begin(client: httpx.Client, source: Path, **more: Any) -> str:
    asked = {"input": str(source), "threshold": 0.6, "chunk": [8, 12, 12], "workers": 2, "view": False, **more}
    run_id: str = start(client, **asked)["run_id"]
    return run_id


def test_a_run_is_computed_in_the_cluster_and_deleting_it_leaves_nothing(lab: World, source: Path) -> None:
    out = lab.folder / "results" / "a.zarr"
    with serving(lab, lab.site()) as (client, _):
        assert client.get("/api/v1/system").json()["launcher"] == "kubernetes"
        run_id = begin(client, source, out=str(out))
        done = ended(client, run_id)
        assert (done["state"], done["error"]) == ("complete", None)
        assert done["status"]["committed"] == 8
        assert (out / "zarr.json").is_file()
        # It is still served, its parts have said something, and what it is made of can be printed.
        assert client.get(f"/api/v1/runs/{run_id}/objects").json()["objects"]
        spoken = client.get(f"/api/v1/runs/{run_id}/logs", params={"part": "streamer"}).json()
        assert spoken
        assert {line["part"] for line in spoken} == {"streamer"}
        assert spoken[0]["time"].startswith("20")
        shown = client.get(f"/api/v1/runs/{run_id}/manifests").text
        command = [str(CAVECAST), "runs", "manifests", run_id, "--dry-run", "--server", str(client.base_url)]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, env=environment())
        assert (printed.returncode, printed.stdout) == (0, shown), printed.stderr
        things = list(yaml.safe_load_all(shown))
        there = {f"{one['kind']} {one['metadata']['name']}" for one in things}
        assert {f"ConfigMap cc-{run_id}-run", f"Job cc-{run_id}-workers", f"StatefulSet cc-{run_id}-streamer"} <= there
        (secret,) = [one for one in things if one["kind"] == "Secret"]
        assert set(secret["data"].values()) == {""}
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(lambda: lab.objects("pods") == [], "no process is left")
        assert client.delete(f"/api/v1/runs/{run_id}").status_code == 204
        until(lambda: lab.objects() == [], "nothing is left")


@pytest.mark.long
def test_a_run_goes_on_while_the_control_plane_is_gone_and_the_next_one_knows_it_again(
    lab: World, source: Path
) -> None:
    first = Killed(lab, lab.site())
    first.leads()
    run_id = begin(first.client, source, pace_s=25)
    assert committed(first.client, run_id, 1)["state"] == "running"
    first.kill()
    streamer = lab.machines.process("streamer")
    with serving(lab, lab.site()) as (client, _):
        assert state(client, run_id)["state"] == "running"  # as it was, and not begun anew
        done = ended(client, run_id)
        assert (done["state"], done["status"]["committed"]) == ("complete", 8)
        assert lab.machines.process("streamer") is streamer
        assert not any("-h" in one for one in lab.objects("jobs.batch"))


@pytest.mark.long
def test_a_run_is_computed_while_the_api_server_is_silent_for_a_minute(lab: World, source: Path) -> None:
    seen: list[str] = []
    with serving(lab, lab.site()) as (client, process):
        run_id = begin(client, source, pace_s=90)
        assert committed(client, run_id, 1)["state"] == "running"
        root = lab.must("configmaps", run_id, "run")["metadata"]["uid"]
        streamer, began = lab.machines.process("streamer"), time.monotonic()

        def done() -> bool:
            seen.append(state(client, run_id)["state"])
            return seen[-1] == "complete"

        with lab.line.silent():
            until(done, "all is computed", within_s=180)
            assert time.monotonic() - began > 60
            refused = client.post(f"/api/v1/runs/{run_id}/cancel")
            assert (refused.status_code, "nothing can be changed" in refused.json()["detail"]) == (503, True)
            assert any("does not answer" in one for one in state(client, run_id)["remarks"])
            assert state(client, run_id)["status"]["committed"] == 8
        assert set(seen) == {"running", "complete"}
        scale = f"/api/v1/runs/{run_id}/scale"
        until(lambda: client.post(scale, json={"workers": 1}).status_code == 409, "it leads again; the run is over")
        assert (state(client, run_id)["state"], process.poll()) == ("complete", None)
        assert lab.must("configmaps", run_id, "run")["metadata"]["uid"] == root
        assert lab.machines.process("streamer") is streamer
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(lambda: lab.objects("pods") == [], "no process is left")


@pytest.mark.long
def test_a_streamer_that_is_killed_comes_back_with_its_log_and_a_cancelled_run_keeps_what_it_has(
    lab: World, source: Path
) -> None:
    out = lab.folder / "results" / "a.zarr"
    with serving(lab, lab.site()) as (client, _):
        run_id = begin(client, source, pace_s=60, out=str(out))
        before = committed(client, run_id, 2)["status"]["committed"]
        lab.machines.process("streamer").send_signal(signal.SIGKILL)
        until(
            lambda: any("the streamer ended with exit code 137" in one for one in state(client, run_id)["remarks"]),
            "said",
        )
        lab.machines.pass_time(15)  # of its back-off
        until(lambda: state(client, run_id)["restarts"].get("streamer") == 1, "it is started again")
        assert committed(client, run_id, before + 1)["status"]["committed"] > before
        cancelled = client.post(f"/api/v1/runs/{run_id}/cancel").json()
        assert cancelled["state"] == "cancelled"
        assert (out / "zarr.json").is_file()
        until(lambda: lab.objects("pods") == [], "no process is left")


@pytest.mark.long
def test_a_browser_brings_a_renderer_and_when_nobody_looks_it_goes(lab: World, source: Path) -> None:
    with serving(lab, lab.site(idle_s=3)) as (client, _):
        run_id = begin(client, source, view=True, pace_s=1)

        def drawn() -> int:
            found = lab.get("deployments.apps", run_id, "renderers")
            return -1 if found is None else int(found["spec"]["replicas"])

        # A browser that came to one that is about to go would be told to come again.
        until(lambda: drawn() == 0 and not lab.cluster.pods(NAMESPACE, cavecast__part="renderers"), "nobody looks")
        address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
        with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
            browser.send(encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0)))))
            assert len(browser.recv(timeout=DEADLINE_S)) > 40
            assert lab.must("deployments.apps", run_id, "renderers")["spec"]["replicas"] == 1
        until(
            lambda: lab.must("deployments.apps", run_id, "renderers")["spec"]["replicas"] == 0, "nobody looks any more"
        )
