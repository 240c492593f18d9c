"""What becomes of a run when something happens to it: the control plane is a process, the pods only say they run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.control.parts import start, volume
from tests.k8s.launcher.world import NAMESPACE, Killed, World, serving, state, until
from tests.k8s.server.kinds import Obj
from tests.k8s.server.podlife import OOM, Exit


@pytest.fixture
def source(shell: World) -> Path:
    return volume(shell.folder / "a.npy")


def begin(client: httpx.Client, source: Path, **more: Any) -> str:
    asked = {"input": str(source), "threshold": 0.6, "chunk": [8, 12, 12], "workers": 2, "view": False, **more}
    run_id: str = start(client, **asked)["run_id"]
    return run_id


def workers(shell: World, run_id: str, phase: str = "Running") -> list[Obj]:
    return [
        pod for pod in shell.cluster.pods(NAMESPACE, cavecast__part="workers")
        if pod["metadata"]["labels"]["cavecast/run"] == run_id and pod["status"]["phase"] == phase
        and "deletionTimestamp" not in pod["metadata"]
    ]  # fmt: skip


def said(client: httpx.Client, run_id: str) -> list[str]:
    """The remarks, without what the reader had to say of the input."""
    return [one for one in state(client, run_id)["remarks"] if not one.startswith("The file has no coordinates")]


def remark(client: httpx.Client, run_id: str, words: str) -> str:
    def look() -> str:
        return next((one for one in state(client, run_id)["remarks"] if words in one), "")

    return until(look, f"the run says {words!r}")


def test_workers_are_placed_by_label_with_gpus_and_scaled_both_ways(shell: World, source: Path) -> None:
    with serving(shell, shell.site()) as (client, _):
        refused = client.post("/api/v1/runs", json={"input": str(source), "threshold": 0.6, "gpus": 3})
        assert (refused.status_code, "this site allows 2" in refused.text) == (422, True)
        assert shell.objects() == []
        run_id = begin(client, source, gpus=1, gpu_product="NVIDIA-A10")
        for count in (2, 4, 1):
            client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": count}).raise_for_status()
            until(lambda count=count: len(workers(shell, run_id)) == count, f"{count} workers run")  # type: ignore[misc]
        (pod,) = workers(shell, run_id)
        assert pod["spec"]["nodeName"] in ("gpu-a", "gpu-b")
        assert pod["spec"]["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
        until(
            lambda: [one["name"] for one in state(client, run_id)["parts"]] == ["streamer", "worker-1"], "it is shown"
        )
        # A run that was not even begun ends at once, with its processes; what it is made of stays until it is removed.
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        assert state(client, run_id)["state"] == "cancelled"
        until(lambda: shell.objects("pods") == [], "no process is left")
        assert shell.must("statefulsets.apps", run_id, "streamer")["spec"]["replicas"] == 0
        assert shell.get("persistentvolumeclaims", run_id, "log") is not None
        root = shell.must("configmaps", run_id, "run")
        until(
            lambda: "cavecast/ended-at" in shell.must("configmaps", run_id, "run")["metadata"]["annotations"], "noted"
        )
        assert root["immutable"] is True
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: shell.objects() == [], "nothing is left")


def test_what_is_wrong_with_pods_is_said_and_unsaid(shell: World, source: Path) -> None:
    cluster = shell.cluster
    cluster.create({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": NAMESPACE},
        "spec": {"hard": {"requests.nvidia.com/gpu": "3"}},
    })  # fmt: skip
    with serving(shell, shell.site()) as (client, _):
        run_id = begin(client, source, gpus=1, workers=4)
        remark(client, run_id, "the quota few of namespace rivers refuses a pod of workers")
        client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 3}).raise_for_status()
        until(lambda: len(workers(shell, run_id)) == 3, "three run")
        one, other, third = workers(shell, run_id)
        cluster.end(NAMESPACE, one["metadata"]["name"], OOM)
        cluster.end(NAMESPACE, other["metadata"]["name"], Exit(3, message="cavecast: the volume cannot be read"))
        remark(client, run_id, "took more memory than the limit allows")
        remark(client, run_id, "a worker pod ended with exit code 3: the volume cannot be read")
        until(lambda: len(workers(shell, run_id)) == 3, "they are replaced")
        until(lambda: state(client, run_id)["restarts"], "restarts are counted")
        until(lambda: state(client, run_id)["state"] == "starting", "it goes on")
        cluster.end(NAMESPACE, third["metadata"]["name"], Exit(2, message="cavecast: there is no segmenter 'x'"))
        until(lambda: state(client, run_id)["state"] == "failed", "it has failed")
        assert state(client, run_id)["error"].endswith("could not start: there is no segmenter 'x'")
        until(lambda: shell.objects("pods") == [], "no process is left")


@pytest.mark.long
def test_an_image_that_is_not_there_is_named_until_it_is(shell: World, source: Path) -> None:
    site = shell.site()
    text = site.read_text()
    site.write_text(text.replace("cavecast-worker:test", "cavecast-worker:does-not-exist"))
    with serving(shell, site) as (client, _):
        run_id = begin(client, source)
        words = remark(client, run_id, "cannot get the image registry.example.org/cavecast-worker:does-not-exist")
        assert words.startswith("2 worker pods")
        assert "imagePullSecret" in words
        shell.cluster.missing_images = re.compile("nothing")
        until(lambda: len(workers(shell, run_id)) == 2, "it can be had")
        until(lambda: not said(client, run_id), "nothing is said any more")


@pytest.mark.long
def test_a_node_that_is_lost_and_comes_back(shell: World, source: Path) -> None:
    with serving(shell, shell.site()) as (client, _):
        run_id = begin(client, source, gpus=1)
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        node = workers(shell, run_id)[0]["spec"]["nodeName"]
        before = {pod["metadata"]["uid"] for pod in workers(shell, run_id)}
        shell.cluster.lose_node(node)
        shell.machines.pass_time(55)
        remark(client, run_id, f"ran on {node}, which does not answer")
        shell.machines.pass_time(400)
        shell.cluster.return_node(node)
        until(lambda: len(workers(shell, run_id)) == 2, "both run again")
        until(lambda: not said(client, run_id), "nothing is said any more")
        assert {pod["metadata"]["uid"] for pod in workers(shell, run_id)} != before


@pytest.mark.long
def test_what_somebody_deletes_is_made_again_and_without_its_root_the_run_is_over(shell: World, source: Path) -> None:
    from kubernetes import client as official
    from kubernetes import config

    def delete(kind: str, name: str) -> None:
        configuration = official.Configuration()
        config.load_kube_config(str(shell.server.kubeconfig(namespace=NAMESPACE)), client_configuration=configuration)
        with official.ApiClient(configuration) as api:
            core = official.CoreV1Api(api)
            getattr(core, f"delete_namespaced_{kind}")(name, NAMESPACE, propagation_policy="Foreground")

    with serving(shell, shell.site()) as (client, _):
        run_id = begin(client, source)
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        before = shell.must("services", run_id, "streamer")["metadata"]["uid"]
        until(lambda: state(client, run_id)["parts"], "it is shown")
        delete("service", f"cc-{run_id}-streamer")
        until(
            lambda: (
                (shell.get("services", run_id, "streamer") or {"metadata": {"uid": before}})["metadata"]["uid"]
                != before
            ),
            "the Service is there again",
        )
        assert state(client, run_id)["state"] == "starting"
        delete("config_map", f"cc-{run_id}-run")
        until(lambda: state(client, run_id)["state"] == "cancelled", "the run is over")
        assert f"ConfigMap cc-{run_id}-run" in said(client, run_id)[0]
        until(lambda: shell.objects() == [], "nothing is left")
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()


def test_an_api_server_that_does_not_answer_means_nothing(shell: World, source: Path) -> None:
    """It is away for longer than the Lease may be without a renewal."""
    with serving(shell, shell.site()) as (client, _):
        run_id = begin(client, source)
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        there = {kind: shell.must(kind, run_id, part)["metadata"]["uid"] for kind, part in (
            ("configmaps", "run"), ("statefulsets.apps", "streamer"), ("jobs.batch", "workers"),
        )}  # fmt: skip
        until(lambda: state(client, run_id)["parts"], "it is shown")
        shell.cluster.requests.clear()
        with shell.line.out():
            words = remark(client, run_id, "the run goes on, and is shown as it was before that")
            assert "does not answer" in words

            def scale() -> list[httpx.Response]:
                answer = client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 3})
                return [answer] if answer.status_code == 503 else []

            (scaled,) = until(scale, "it is not known any more who leads")
            assert scaled.headers["retry-after"] == "5"
            assert "nothing can be changed before it is known again" in scaled.json()["detail"]
            assert state(client, run_id)["state"] == "starting"
        until(lambda: client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 3}).is_success, "it leads again")
        until(lambda: len(workers(shell, run_id)) == 3, "three run")
        until(lambda: not said(client, run_id), "nothing is said any more")
        made = [one for one in shell.cluster.requests if one.startswith("POST") and "selfsubject" not in one]
        assert made == []
        assert there == {kind: shell.must(kind, run_id, part)["metadata"]["uid"] for kind, part in (
            ("configmaps", "run"), ("statefulsets.apps", "streamer"), ("jobs.batch", "workers"),
        )}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("when", ["configmaps", "secrets", "networkpolicies", "statefulsets", "jobs"])
def test_a_control_plane_that_is_killed_while_it_creates_is_followed_by_one_that_goes_on(
    shell: World, source: Path, when: str
) -> None:
    first = Killed(shell, shell.site())
    first.leads()
    shell.cluster.requests.clear()
    run_id = begin(first.client, source)
    until(
        lambda: any(one.startswith("POST") and f"/{when}" in one for one in shell.cluster.requests), f"{when} are made"
    )
    first.kill()
    root = shell.get("configmaps", run_id, "run")
    with serving(shell, shell.site()) as (client, _):
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        assert state(client, run_id)["state"] == "starting"
        if root is not None:
            assert shell.must("configmaps", run_id, "run")["metadata"]["uid"] == root["metadata"]["uid"]
        names = shell.objects("configmaps", "secrets", "statefulsets.apps", "jobs.batch")
        assert names == [
            f"configmaps cc-{run_id}-run", f"secrets cc-{run_id}-keys", f"statefulsets.apps cc-{run_id}-streamer",
            f"jobs.batch cc-{run_id}-workers",
        ]  # fmt: skip


@pytest.mark.long
def test_a_control_plane_that_is_killed_while_it_scales_or_cancels_is_followed_by_one_that_does_it(
    shell: World, source: Path
) -> None:
    first = Killed(shell, shell.site())
    first.leads()
    run_id = begin(first.client, source)
    until(lambda: len(workers(shell, run_id)) == 2, "both run")
    shell.line.cut()  # it is written down and cannot be done
    first.client.post(f"/api/v1/runs/{run_id}/scale", json={"workers": 4}).raise_for_status()
    first.kill()
    shell.line.mend()
    second = Killed(shell, shell.site())
    second.leads()
    until(lambda: len(workers(shell, run_id)) == 4, "four run")
    assert state(second.client, run_id)["workers"] == 4
    shell.line.cut()
    with pytest.raises(httpx.HTTPError):
        second.client.post(f"/api/v1/runs/{run_id}/cancel", timeout=0.5)
    second.kill()
    shell.line.mend()
    with serving(shell, shell.site()) as (client, _):
        until(lambda: state(client, run_id)["state"] == "cancelled", "it is over")
        until(lambda: shell.objects("pods", "jobs.batch") == [], "no process is left")


@pytest.mark.long
def test_runs_go_on_while_there_is_no_control_plane(shell: World, source: Path) -> None:
    with serving(shell, shell.site()) as (client, _):
        run_id = begin(client, source)
        until(lambda: len(workers(shell, run_id)) == 2, "both run")
        pods = shell.objects("pods")
    shell.machines.pass_time(30)
    assert shell.objects("pods") == pods
    with serving(shell, shell.site()) as (client, _):
        until(lambda: len(state(client, run_id)["parts"]) == 3, "it is known again")
        assert "the control plane was started again" in said(client, run_id)[0]
        assert shell.objects("pods") == pods


def test_the_relays_of_a_run_that_is_served_again_are_there_again(shell: World, source: Path) -> None:
    with serving(shell, shell.site(), CAVECAST_READY_S="1") as (client, _):
        run_id = begin(
            client, source, relays=[{"name": "far"}, {"name": "farther", "of": "far"}], behind="farther", view=True
        )
        names = [f"cc-{run_id}-{part}" for part in ("streamer-0", "relay-1", "relay-2")]

        def there() -> list[str]:
            pods = [one["metadata"]["name"] for one in shell.cluster.every("pods", NAMESPACE)]
            return [name for name in names if any(pod.startswith(name) for pod in pods)]

        until(lambda: there() == names, "all are there")
        client.post(f"/api/v1/runs/{run_id}/cancel").raise_for_status()
        until(lambda: shell.objects("pods") == [], "no process is left")
        # Nobody answers in these pods, but they are there to do so.
        answer = client.get(f"/api/v1/runs/{run_id}/objects")
        assert answer.status_code == 503, answer.text
        until(lambda: there() == names, "all are there again")
        client.delete(f"/api/v1/runs/{run_id}").raise_for_status()
        until(lambda: shell.objects() == [], "nothing is left")
