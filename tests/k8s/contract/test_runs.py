"""A run's objects in a cluster: scaled, failing, placed by label, and gone without a trace."""

from __future__ import annotations

import asyncio

import pytest

from streamer.control.cluster.engine import Engine
from streamer.control.cluster.hearing import Object
from streamer.control.cluster.troubles import Changed, Refused
from tests.k8s.contract.site import IMAGE, Site, closing, config_map, job, owned_by, taken

SELECTOR = "cavecast/run=run-1"
KINDS = ("ConfigMap", "Secret", "Service", "Pod", "Job", "DaemonSet", "StatefulSet", "PersistentVolumeClaim")


def _wait(site: Site, look: object, what: str) -> object:
    assert callable(look)
    return asyncio.run(site.until(look, what))


def _pods(engine: Engine, *phases: str) -> list[Object]:
    found, _ = engine.list_all("Pod", SELECTOR)
    return [
        pod for pod in found
        if (not phases or pod["status"].get("phase") in phases) and "deletionTimestamp" not in pod["metadata"]
    ]  # fmt: skip


def _left(engine: Engine) -> list[str]:
    return [f"{kind} {one['metadata']['name']}" for kind in KINDS for one in engine.list_all(kind, SELECTOR)[0]]


def _index(pod: Object) -> int:
    return int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])


def _run(engine: Engine, script: str = "sleep 3600") -> Object:
    root, _ = engine.create(config_map("cc-run-1-root"), taken)
    owners = owned_by(root)
    service = {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {**config_map("cc-run-1-streamer")["metadata"], "ownerReferences": owners},
        "spec": {"clusterIP": "None", "selector": {"cavecast/run": "run-1"}, "ports": [{"port": 7000}]},
    }  # fmt: skip
    secret = {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {**config_map("cc-run-1-keys")["metadata"], "ownerReferences": owners}, "stringData": {"key": "k"},
    }  # fmt: skip
    for found in (service, secret, job("cc-run-1-workers", 2, script, owners=owners)):
        engine.create(found, taken)
    return root


def test_deleting_the_root_in_the_foreground_leaves_nothing(site: Site) -> None:
    with closing(site.engine()) as engine:
        root = _run(engine)
        _wait(site, lambda: len(_pods(engine, "Running")) == 2, "both workers run")
        assert engine.delete(
            "ConfigMap", "cc-run-1-root",
            {"propagationPolicy": "Foreground", "preconditions": {"uid": root["metadata"]["uid"]}},
        )  # fmt: skip
        found = engine.get("ConfigMap", "cc-run-1-root")
        # The root goes last, so that whoever finds it gone finds nothing else either.
        if found is not None:
            assert found["metadata"]["finalizers"] == ["foregroundDeletion"]
        _wait(site, lambda: engine.get("ConfigMap", "cc-run-1-root") is None, "the root is gone")
        assert _left(engine) == []
        assert not engine.delete("ConfigMap", "cc-run-1-root", {})


def test_a_job_deleted_without_a_policy_leaves_its_pods(site: Site) -> None:
    """The default of batch/v1, which is why nothing of ours is deleted without one."""
    with closing(site.engine()) as engine:
        engine.create(job("workers"), taken)
        _wait(site, lambda: len(_pods(engine, "Running")) == 2, "both workers run")
        engine.delete("Job", "workers", {})
        _wait(site, lambda: engine.get("Job", "workers") is None, "the Job is gone")
        assert len(_pods(engine, "Running")) == 2
        assert all("ownerReferences" not in pod["metadata"] for pod in _pods(engine))


def test_only_the_very_object_that_was_meant_is_deleted(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(config_map("root"), taken)
        with pytest.raises(Changed, match="UID in precondition"):
            engine.delete("ConfigMap", "root", {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}})
        assert engine.get("ConfigMap", "root") is not None


def test_workers_are_scaled_up_and_down_by_both_numbers_at_once(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(job("workers", 1), taken)
        for count in (3, 2):
            engine.patch("Job", "workers", {"spec": {"parallelism": count, "completions": count}})
            _wait(
                site,
                lambda count=count: sorted(map(_index, _pods(engine, "Running"))) == list(range(count)),
                f"{count} workers run",
            )
        with pytest.raises(Refused, match=r"can only be modified in tandem with spec\.parallelism"):
            engine.patch("Job", "workers", {"spec": {"completions": 5}})


def test_workers_that_fail_once_too_often_are_failed_indexes(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(job("workers", 2, "exit 3", backoffLimitPerIndex=0), taken)

        def failed() -> bool:
            found = engine.get("Job", "workers")
            assert found is not None
            ends = [one.get("reason") for one in found["status"].get("conditions") or [] if one["type"] == "Failed"]
            return ends == ["FailedIndexes"] and bool(found["status"]["failedIndexes"] == "0,1")

        _wait(site, failed, "both indexes have failed")


def test_an_exit_code_that_the_policy_knows_fails_the_index_at_once(site: Site) -> None:
    policy = {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [7]}}]}
    with closing(site.engine()) as engine:
        engine.create(job("workers", 1, "exit 7", backoffLimitPerIndex=5, podFailurePolicy=policy), taken)

        def failed() -> bool:
            found = engine.get("Job", "workers")
            return found is not None and found["status"].get("failedIndexes") == "0" and found["status"]["failed"] == 1

        _wait(site, failed, "the index has failed after one attempt")


def test_an_image_that_is_not_there_and_a_node_that_is_not_there_are_seen_on_the_pods(site: Site) -> None:
    bad_image, nowhere = job("image", 1), job("nowhere", 1)
    bad_image["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/does-not-exist:1"
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"example.com/no-such": "node"}
    with closing(site.engine()) as engine:
        engine.create(bad_image, taken)
        engine.create(nowhere, taken)

        def reasons() -> set[str]:
            found = set()
            for pod in _pods(engine, "Pending"):
                for status in pod["status"].get("containerStatuses") or []:
                    found.add(status["state"].get("waiting", {}).get("reason"))
                found |= {one.get("reason") for one in pod["status"].get("conditions") or []}
            return found

        _wait(
            site,
            lambda: {"Unschedulable"} < reasons() and reasons() & {"ErrImagePull", "ImagePullBackOff"},
            "both are said",
        )


def _wall(selector: dict[str, str]) -> Object:
    labels = {"cavecast/run": "run-1", "cavecast/part": "wall-1"}
    return {
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": config_map("wall")["metadata"],
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "nodeSelector": selector, "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "tile", "image": IMAGE, "command": ["sh", "-c", "sleep 3600"]}],
            }},
        },
    }  # fmt: skip


def test_a_wall_is_on_exactly_the_nodes_that_its_selector_names(site: Site) -> None:
    with closing(site.engine()) as engine:
        nodes = [node for node in engine.list_all("Node")[0] if not node["spec"].get("taints")]
        chosen = nodes[0]["metadata"]["labels"]["kubernetes.io/hostname"]
        engine.create(_wall({"kubernetes.io/hostname": chosen}), taken)
        _wait(site, lambda: len(_pods(engine, "Running")) == 1, "the wall runs")
        assert [pod["spec"]["nodeName"] for pod in _pods(engine)] == [nodes[0]["metadata"]["name"]]
        assert site.cluster is None or len(nodes) == 2


def test_a_node_that_is_lost_and_comes_back(site: Site) -> None:
    if site.cluster is None:
        pytest.skip("a real cluster's node is not ours to take away")
    cluster = site.cluster
    with closing(site.engine()) as engine:
        patient = job("workers", 1)
        patient["spec"]["template"]["spec"]["tolerations"] = [
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 60,
            }
        ]
        engine.create(patient, taken)
        cluster.tick()
        (pod,) = _pods(engine, "Running")
        node = pod["spec"]["nodeName"]
        try:
            cluster.lose_node(node)
            cluster.advance(60)  # past the grace of the node's silence, within the pod's toleration
            assert [one["metadata"]["name"] for one in _pods(engine)] == [pod["metadata"]["name"]]
            cluster.advance(60)
            # It is on its way out and cannot be: with the policy Failed no other takes its place.
            found = engine.get("Pod", pod["metadata"]["name"])
            assert found is not None
            assert "deletionTimestamp" in found["metadata"]
            assert _pods(engine) == []
        finally:
            cluster.return_node(node)
        cluster.advance(20)
        assert len(_pods(engine, "Running")) == 1
        assert engine.get("Pod", pod["metadata"]["name"]) is None


def test_the_log_of_a_pod_is_read_from_its_end(site: Site) -> None:
    with closing(site.engine()) as engine:
        engine.create(job("workers", 1, "echo first; echo last; sleep 3600"), taken)
        _wait(site, lambda: _pods(engine, "Running"), "it runs")
        name = _pods(engine)[0]["metadata"]["name"]
        _wait(site, lambda: engine.log(name, "worker", 1) == "last\n", "it has spoken")
        assert engine.log(name, "worker", 10) == "first\nlast\n"
