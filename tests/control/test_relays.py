"""Relays of a run that the control plane starts and watches: a chain of two, killed wherever it can be."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from streamer.wire.view import Camera, Input, encode_input
from tests.control.parts import DEADLINE_S, children, consume, control_plane, ended, eventually, start, until, volume
from tests.streamer.test_process import Lines, lines
from tests.streamer.test_relay import log_of

__all__ = ["lines"]
LOOK = encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0))))
CHAIN = [{"name": "site-a"}, {"name": "site-b", "of": "site-a", "durability": "group"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, int]]:
    with control_plane("--dir", str(tmp_path_factory.mktemp("r"))) as (client, process):
        yield client, process.pid


def wish(path: Path, **more: Any) -> dict[str, Any]:
    return {"input": str(volume(path / "b.npy")), "threshold": 0.55, "chunk": [4, 8, 8], "workers": 1, **more}


def figures(client: httpx.Client, run_id: str) -> dict[tuple[str, str], float]:
    """The metrics of the run's relays: by relay and name, and those of subscribers by who subscribes."""
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("cavecast_relay_") and sample.labels["run"] == run_id:
                name = sample.name.removeprefix("cavecast_relay_") + sample.labels.get("reason", "")
                found[sample.labels["relay"], name + sample.labels.get("subscriber", "")] = sample.value
    return found


def feeds(run: dict[str, Any]) -> dict[str, str]:
    return {part["name"]: part["listens"]["feed"] for part in run["parts"] if "feed" in part["listens"]}


def part(pid: int, run_id: str, name: str) -> psutil.Process:
    """The process of the streamer or of a relay."""
    relay = name.removeprefix("relay-") if name != "streamer" else ""
    (found,) = [
        one for one in children(pid, "streamer", run_id)
        if (relay and ["--name", relay] == one.cmdline()[(at := one.cmdline().index("--log")) + 2 : at + 4])
        or (not relay and "--run" in one.cmdline())
    ]  # fmt: skip
    return found


def test_a_chain_of_two_through_the_control_plane_survives_the_kill_of_its_middle_and_of_the_streamer(
    server: tuple[httpx.Client, int], lines: Lines, tmp_path: Path
) -> None:
    client, pid = server
    run_id = start(client, **wish(tmp_path, relays=CHAIN, view=False, pace_s=6))["run_id"]
    run = until(client, run_id, committed=4)
    assert [part["name"] for part in run["parts"]] == ["streamer", "relay-site-a", "relay-site-b", "worker-1"]
    for name, committed in (("relay-site-a", 12), ("streamer", 24)):
        os.kill(part(pid, run_id, name).pid, signal.SIGKILL)
        assert until(client, run_id, committed=committed)["state"] in ("running", "complete")
    run = ended(client, run_id)
    assert (run["state"], run["error"]) == ("complete", None)
    assert run["restarts"] == {"streamer": 1, "relay-site-a": 1}
    at = feeds(client.get(f"/api/v1/runs/{run_id}").json())
    whole = log_of(lines, at["streamer"])
    assert sum(kind == "chunk" for kind, _ in whole.values()) == 36
    assert log_of(lines, at["relay-site-a"]) == whole
    assert log_of(lines, at["relay-site-b"]) == whole
    client.post(f"/api/v1/runs/{run_id}/cancel")


def test_a_renderer_behind_the_far_end_of_a_chain_draws_and_each_relay_has_its_figures(
    server: tuple[httpx.Client, int], tmp_path: Path
) -> None:
    client, pid = server
    run_id = start(client, **wish(tmp_path, relays=CHAIN, behind="site-b"))["run_id"]
    run = ended(client, run_id)
    assert run["state"] == "complete"
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        browser.send(LOOK)
        assert len(browser.recv(timeout=DEADLINE_S)) > 40
    (renderer,) = children(pid, "renderer", run_id)
    assert "relay-site-b" in renderer.cmdline()[renderer.cmdline().index("--feed") + 1]
    head = run["status"]["log_position"]

    def caught_up() -> bool:
        found = figures(client, run_id)
        return all(
            found.get((name, "position_entries")) == found.get((name, "kept_position_entries")) == head
            and found.get((name, "subscriber_lag_entries" + reader)) == 0
            for name, reader in (("site-a", "site-b"), ("site-b", "renderer"))
        )

    eventually(caught_up)
    found = figures(client, run_id)
    for name in ("site-a", "site-b"):
        assert found[name, "lag_entries"] == found[name, "lag_bytes"] == found[name, "lag_seconds"] == 0
        assert found[name, "log_size_bytes"] > 36 * 50
        assert found[name, "credit_messages"] > 0
        assert found[name, "credit_bytes"] > 1 << 20
        assert found[name, "subscribers"] == 1
        assert found[name, "disk_full"] == found[name, "refused_messages_totalundecodable"] == 0
        assert 0 <= found[name, "source_silent_seconds"] < DEADLINE_S
    client.post(f"/api/v1/runs/{run_id}/cancel")


def test_a_relay_that_stands_still_falls_behind_in_its_sources_figures_and_catches_up(
    server: tuple[httpx.Client, int], tmp_path: Path
) -> None:
    client, pid = server
    run_id = start(client, **wish(tmp_path, relays=CHAIN, view=False, pace_s=8))["run_id"]
    until(client, run_id, committed=3)
    far = part(pid, run_id, "relay-site-b")
    eventually(lambda: figures(client, run_id).get(("site-b", "position_entries"), 0) > 0)
    os.kill(far.pid, signal.SIGSTOP)
    try:
        eventually(lambda: figures(client, run_id).get(("site-a", "subscriber_lag_bytessite-b"), 0) > 0)
    finally:
        os.kill(far.pid, signal.SIGCONT)
    ended(client, run_id)
    eventually(lambda: figures(client, run_id).get(("site-a", "subscriber_lag_entriessite-b"), 1) == 0)
    client.post(f"/api/v1/runs/{run_id}/cancel")


def test_a_relay_that_cannot_listen_is_said_and_the_run_goes_on_but_nobody_waits_for_a_picture(
    server: tuple[httpx.Client, int], tmp_path: Path
) -> None:
    client, _ = server
    nowhere = f"ipc://{tmp_path}/{'x' * 100}"
    run_id = start(client, **wish(tmp_path, relays=[{"name": "a", "listen": nowhere}], behind="a"))["run_id"]
    run = ended(client, run_id)
    assert run["state"] == "complete"
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
    with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
        with pytest.raises(Exception, match="this run is not drawn any more: relay-a could not start"):
            consume(browser)
        assert browser.protocol.close_code == 4410
    run = client.get(f"/api/v1/runs/{run_id}").json()
    (remark,) = [one for one in run["remarks"] if "relay-a" in one]
    assert "relay-a could not start: the path of" in remark
    states = {part["name"]: part["state"] for part in run["parts"]}
    assert (states["relay-a"], states["streamer"], states["renderer"]) == ("ended", "running", "starting")
    client.post(f"/api/v1/runs/{run_id}/cancel")


def test_a_renderer_that_was_given_up_is_not_waited_for(tmp_path: Path) -> None:
    with control_plane() as (client, server):
        run_id = start(client, **wish(tmp_path, pace_s=3600))["run_id"]
        until(client, run_id, committed=1)

        def lost() -> bool:
            for one in children(server.pid, "renderer", run_id):
                os.kill(one.pid, signal.SIGKILL)
            return any("without a view" in one for one in client.get(f"/api/v1/runs/{run_id}").json()["remarks"])

        eventually(lost)
        address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
        with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
            with pytest.raises(Exception, match="not drawn any more: renderer was ended by SIGKILL"):
                consume(browser)
            assert browser.protocol.close_code == 4410
        assert client.get(f"/api/v1/runs/{run_id}").json()["state"] == "running"


@pytest.mark.parametrize(("request_", "sentence"), [
    ({"relays": [{"name": "a"}, {"name": "a"}]}, "two relays are called 'a'"),
    ({"relays": [{"name": "a", "of": "b"}, {"name": "b"}]}, "'a' is to be one of 'b', which no relay before it is"),
    ({"relays": [{"name": "A/.."}]}, "relays.0.name is 'A/..'"),
    ({"relays": [{"name": "a", "listen": "udp://x"}]}, "an address begins with tcp:// or ipc://"),
    ({"behind": "a"}, "to be behind 'a', which is no relay of this run"),
    ({"relays": [{"name": "a"}], "behind": "a", "view": False}, "but the run has no view"),
])  # fmt: skip
def test_relays_that_make_no_sense_are_refused_in_a_sentence(
    server: tuple[httpx.Client, int], request_: dict[str, Any], sentence: str
) -> None:
    answer = server[0].post("/api/v1/runs", json={"input": "sample:flood2021", **request_})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
