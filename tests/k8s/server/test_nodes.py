"""Where pods go, why they do not, how they end, and what befalls them when their node does."""

from __future__ import annotations

import pytest

from tests.k8s.server.asking import pod
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import OOM, Exit, condition

PODS = BY_RESOURCE["pods"]
_GPU: Obj = {"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}


def _create(cluster: Cluster, body: Obj) -> Obj:
    cluster.registry.create(PODS, "lab", body)
    cluster.tick()
    return _pod(cluster, body["metadata"]["name"])


def _pod(cluster: Cluster, name: str) -> Obj:
    found = cluster.get("pods", "lab", name)
    assert found is not None
    return found


def _why(found: Obj) -> str:
    said = condition(found, "PodScheduled")
    assert said is not None
    assert (said["status"], said["reason"]) == ("False", "Unschedulable")
    assert found["status"]["phase"] == "Pending"
    return str(said["message"])


def _affinity(*expressions: Obj) -> Obj:
    terms = [{"matchExpressions": list(expressions)}]
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


@pytest.mark.parametrize("spec", [
    {"nodeSelector": {"zone": "hall"}},
    _affinity({"key": "zone", "operator": "In", "values": ["hall", "x"]}),
    _affinity({"key": "zone", "operator": "NotIn", "values": ["cave"]}, {"key": "zone", "operator": "Exists"}),
])  # fmt: skip
def test_a_pod_goes_where_it_wants_to(cluster: Cluster, spec: Obj) -> None:
    assert _create(cluster, pod("one", **spec))["spec"]["nodeName"] == "node-b"


def test_why_a_pod_cannot_be_placed_is_counted_in_words(cluster: Cluster) -> None:
    taint = {"key": "reserved", "value": "cave", "effect": "NoSchedule"}
    cluster.add_node("wall", {"zone": "cave"}, taints=[taint])
    found = _create(
        cluster, pod("one", nodeSelector={"zone": "cave"}, container={"resources": {"limits": {"nvidia.com/gpu": "3"}}})
    )
    assert _why(found) == (
        "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {reserved: cave}."
    )
    event = next(one for one in cluster.every("events", "lab") if one["reason"] == "FailedScheduling")
    assert (event["type"], event["message"]) == ("Warning", _why(found))


def test_a_pod_waits_for_gpus_and_gets_them_when_they_are_free(cluster: Cluster) -> None:
    for number in range(4):
        _create(cluster, pod(f"pod-{number}", **_GPU))
    waiting = _create(cluster, pod("late", **_GPU))
    assert "2 Insufficient nvidia.com/gpu" in _why(waiting)
    cluster.end("lab", "pod-0", Exit(0))
    cluster.tick()
    assert _pod(cluster, "late")["status"]["phase"] == "Running"


def test_taints_are_tolerated_by_key_value_and_effect(cluster: Cluster) -> None:
    cluster.add_node(
        "wall",
        {"zone": "wall"},
        taints=[{"key": "nautilus.io/reservation", "value": "suncave", "effect": "NoSchedule"}],
    )
    there: Obj = {"nodeSelector": {"zone": "wall"}}
    wrong = {"key": "nautilus.io/reservation", "operator": "Equal", "value": "other", "effect": "NoSchedule"}
    assert "untolerated taint" in _why(_create(cluster, pod("wrong", tolerations=[wrong], **there)))
    right = {"key": "nautilus.io/reservation", "operator": "Exists"}
    assert _create(cluster, pod("right", tolerations=[right], **there))["spec"]["nodeName"] == "wall"


def test_pods_keep_apart_where_they_say_so_whichever_came_first(cluster: Cluster) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "wall"}}, "topologyKey": "kubernetes.io/hostname"}
    apart: Obj = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    nodes = {_create(cluster, pod(name, labels={"app": "wall"}, **apart))["spec"]["nodeName"] for name in ("a", "b")}
    assert nodes == {"node-a", "node-b"}
    assert "2 node(s) didn't match pod anti-affinity rules" in _why(
        _create(cluster, pod("c", labels={"app": "wall"}, **apart))
    )
    # One that says nothing itself is kept away by those that do.
    assert "2 node(s) didn't satisfy existing pods anti-affinity rules" in _why(
        _create(cluster, pod("d", labels={"app": "wall"}))
    )


def test_host_ports_are_taken_once(cluster: Cluster) -> None:
    port: Obj = {"container": {"ports": [{"containerPort": 80, "hostPort": 8080}]}, "nodeSelector": {"zone": "cave"}}
    _create(cluster, pod("one", **port))
    assert "free ports" in _why(_create(cluster, pod("two", **port)))


def test_a_higher_priority_takes_the_place_of_a_lower(cluster: Cluster) -> None:
    for name, value in (("low", 1), ("high", 10)):
        cluster.create(
            {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value}
        )
    two: Obj = {"container": {"resources": {"limits": {"nvidia.com/gpu": "2"}}}}
    for name in ("one", "two"):
        _create(cluster, pod(name, priorityClassName="low", **two))
    found = _create(cluster, pod("three", priorityClassName="high", **two))
    assert found["status"]["phase"] == "Running"
    left = [one["metadata"]["name"] for one in cluster.pods("lab")]
    assert len(left) == 2
    assert "three" in left
    assert "Preempted" in {one["reason"] for one in cluster.every("events", "lab")}


@pytest.mark.parametrize(("how", "phase", "reason"), [
    (Exit(0), "Succeeded", "Completed"), (Exit(3), "Failed", "Error"), (OOM, "Failed", "OOMKilled"),
])  # fmt: skip
def test_a_pod_ends_in_each_way(cluster: Cluster, how: Exit, phase: str, reason: str) -> None:
    _create(cluster, pod("one"))
    cluster.end("lab", "one", how)
    cluster.tick()
    status = _pod(cluster, "one")["status"]
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], ended["exitCode"], ended["reason"]) == (phase, how.code, reason)


def test_a_command_that_says_how_it_ends_ends_so(cluster: Cluster) -> None:
    _create(cluster, pod("one", "sleep 30; exit 5"))
    cluster.advance(29)
    assert _pod(cluster, "one")["status"]["phase"] == "Running"
    cluster.advance(2)
    assert _pod(cluster, "one")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5


def test_an_image_that_is_not_there_is_waited_for(cluster: Cluster) -> None:
    found = _create(cluster, pod("one", container={"image": "registry.test/does-not-exist:1"}))
    assert found["status"]["phase"] == "Pending"
    waiting = found["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert any("Failed to pull image" in one["message"] for one in cluster.every("events", "lab"))


def test_a_container_that_crashes_is_started_again_later_and_later(cluster: Cluster) -> None:
    _create(cluster, pod("one", restartPolicy="OnFailure"))
    for count, wait in ((1, 10), (2, 20), (3, 40)):
        cluster.end("lab", "one", Exit(1))
        cluster.tick()
        status = _pod(cluster, "one")["status"]["containerStatuses"][0]
        assert (status["restartCount"], status["state"]["waiting"]["reason"]) == (count, "CrashLoopBackOff")
        cluster.tick(cluster.now + wait - 1)
        assert "waiting" in _pod(cluster, "one")["status"]["containerStatuses"][0]["state"]
        cluster.tick(cluster.now + 1)
        assert "running" in _pod(cluster, "one")["status"]["containerStatuses"][0]["state"]


def test_a_silent_node_is_not_ready_then_tainted_and_its_pods_are_evicted_in_their_time(cluster: Cluster) -> None:
    _create(cluster, pod("one", nodeSelector={"zone": "cave"}))
    cluster.lose_node("node-a")
    cluster.advance(49)
    node = cluster.get("nodes", "", "node-a")
    assert node is not None
    assert "taints" not in node["spec"]
    cluster.advance(10)
    node = cluster.get("nodes", "", "node-a")
    assert node is not None
    ready = condition(node, "Ready")
    assert ready is not None
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert {(one["key"], one["effect"]) for one in node["spec"]["taints"]} == {
        ("node.kubernetes.io/unreachable", "NoSchedule"), ("node.kubernetes.io/unreachable", "NoExecute"),
    }  # fmt: skip
    found = _pod(cluster, "one")
    said = condition(found, "Ready")
    assert said is not None
    assert (said["status"], found["status"]["phase"]) == ("False", "Running")
    cluster.advance(290)
    assert "deletionTimestamp" not in _pod(cluster, "one")["metadata"]
    cluster.advance(20)
    found = _pod(cluster, "one")
    assert "deletionTimestamp" in found["metadata"]
    target = condition(found, "DisruptionTarget")
    assert target is not None
    assert target["reason"] == "DeletionByTaintManager"
    cluster.advance(3600)
    assert _pod(cluster, "one")["status"]["phase"] == "Running", "nobody can say that it has stopped"


def test_a_node_that_comes_back_has_its_pods_still_or_ends_them(cluster: Cluster) -> None:
    _create(cluster, pod("one", nodeSelector={"zone": "cave"}))
    cluster.lose_node("node-a")
    cluster.advance(100)
    cluster.return_node("node-a")
    node = cluster.get("nodes", "", "node-a")
    assert node is not None
    assert "taints" not in node["spec"]
    assert _pod(cluster, "one")["status"]["phase"] == "Running"
    cluster.lose_node("node-a")
    cluster.advance(400)
    cluster.return_node("node-a")
    assert cluster.get("pods", "lab", "one") is None


def test_pods_of_a_node_that_was_deleted_are_collected(cluster: Cluster) -> None:
    _create(cluster, pod("one", nodeSelector={"zone": "cave"}))
    cluster.lose_node("node-a")
    cluster.remove_node("node-a")
    cluster.advance(30)
    assert cluster.get("pods", "lab", "one") is not None
    cluster.advance(20)
    assert cluster.get("pods", "lab", "one") is None


def test_a_claim_is_bound_when_used_and_held_while_it_is(cluster: Cluster) -> None:
    claims = BY_RESOURCE["persistentvolumeclaims"]
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume: Obj = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
    assert 'persistentvolumeclaim "data" not found' in _why(_create(cluster, pod("one", **volume)))
    cluster.registry.create(claims, "lab", {"metadata": {"name": "data"}, "spec": spec})
    cluster.tick()
    assert _pod(cluster, "one")["status"]["phase"] == "Running"
    cluster.registry.delete(claims, "lab", "data")
    cluster.tick()
    held = cluster.get("persistentvolumeclaims", "lab", "data")
    assert held is not None
    assert held["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    cluster.registry.delete(PODS, "lab", "one")
    cluster.tick()
    assert cluster.get("persistentvolumeclaims", "lab", "data") is None
