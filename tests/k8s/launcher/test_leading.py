"""Two control planes with one database: one leads, the other stands by and takes over; no run is begun twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamer.control.leading import LeadLost
from tests.control.parts import volume
from tests.control.postgresql import postgresql
from tests.k8s.launcher.test_lives import begin, said, workers
from tests.k8s.launcher.world import Killed, World, state, until


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as url:
        yield url


def pair(shell: World, database: str) -> tuple[Killed, Killed]:
    first = Killed(shell, shell.site(), "first", CAVECAST_DATABASE=database)
    first.leads()
    return first, Killed(shell, shell.site(), "second", CAVECAST_DATABASE=database)


def test_one_leads_and_when_it_is_killed_the_other_goes_on_with_its_runs(shell: World, database: str) -> None:
    first, second = pair(shell, database)
    until(lambda: "leads" in second.client.get("/healthz").json()["note"], "it knows who leads")
    refused = second.client.get("/api/v1/runs")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "this control plane stands by" in refused.json()["detail"]
    assert second.client.get("/healthz").json()["state"] == "standby"
    source = volume(shell.folder / "a.npy")
    run_id = begin(first.client, source)
    until(lambda: len(workers(shell, run_id)) == 2, "both run")
    root = shell.must("configmaps", run_id, "run")["metadata"]["uid"]
    pods = shell.objects("pods")
    first.kill()
    second.leads()
    until(lambda: len(state(second.client, run_id)["parts"]) == 3, "it is looked after again")
    assert shell.must("configmaps", run_id, "run")["metadata"]["uid"] == root
    assert (shell.objects("pods"), len(shell.objects("jobs.batch"))) == (pods, 1)
    assert "the control plane was started again" in said(second.client, run_id)[0]
    # One that ends in order lets the next one lead at once.
    third = Killed(shell, shell.site(), "third", CAVECAST_DATABASE=database)
    second.process.send_signal(signal.SIGTERM)
    assert second.ended() == 0
    third.leads()
    third.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    third.client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
    third.kill()


@pytest.mark.long
def test_one_that_stood_still_and_was_followed_ends_without_having_changed_anything(
    shell: World, database: str
) -> None:
    first, second = pair(shell, database)
    run_id = begin(first.client, volume(shell.folder / "a.npy"))
    until(lambda: len(workers(shell, run_id)) == 2, "both run")
    first.process.send_signal(signal.SIGSTOP)
    second.leads()
    second.client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 3}).raise_for_status()
    until(lambda: len(workers(shell, run_id)) == 3, "three run")
    # What it is asked while it stands still it finds when it wakes, and may not do any more.
    with pytest.raises(httpx.ReadTimeout):
        first.client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 1}, timeout=0.5)
    os.kill(first.process.pid, signal.SIGCONT)
    assert first.ended() == LeadLost.exit_code
    assert "cavecast: this control plane does not lead any more and ends" in Path(first.said).read_text()
    assert state(second.client, run_id)["workers"] == 3
    assert shell.must("jobs.batch", run_id, "workers")["spec"]["completions"] == 3
    second.client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
    second.kill()
