"""DaemonSets, StatefulSets and Deployments, with the time given."""

from __future__ import annotations

from tests.k8s.server.asking import workload
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import Exit

MERGE = "application/merge-patch+json"


def _create(cluster: Cluster, body: Obj) -> None:
    cluster.registry.create(BY_RESOURCE[f"{body['kind'].lower()}s.apps"], "lab", body)
    cluster.tick()


def _patch(cluster: Cluster, resource: str, patch: Obj) -> None:
    cluster.registry.patch(BY_RESOURCE[resource], "lab", "one", patch, MERGE)
    cluster.tick()


def _status(cluster: Cluster, resource: str) -> Obj:
    found = cluster.get(resource, "lab", "one")
    assert found is not None
    status: Obj = found["status"]
    return status


def _places(cluster: Cluster) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in cluster.pods("lab") if pod["status"]["phase"] == "Running")


def test_a_daemon_set_is_on_every_node_that_its_selector_names(cluster: Cluster) -> None:
    _create(cluster, workload("DaemonSet", "one", {"nodeSelector": {"zone": "cave"}}))
    assert _places(cluster) == ["node-a"]
    cluster.add_node("node-c", {"zone": "cave"})
    assert _places(cluster) == ["node-a", "node-c"]
    status = _status(cluster, "daemonsets.apps")
    assert (status["desiredNumberScheduled"], status["numberReady"], status["numberMisscheduled"]) == (2, 2, 0)


def test_a_daemon_pod_is_meant_for_one_node_and_stays_with_it(cluster: Cluster) -> None:
    _create(cluster, workload("DaemonSet", "one", {"nodeSelector": {"zone": "cave"}}))
    (pod,) = cluster.pods("lab")
    needed = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert needed == {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-a"]}]}]
    }
    cluster.lose_node("node-a")
    cluster.advance(600)
    assert [one["metadata"]["uid"] for one in cluster.pods("lab")] == [pod["metadata"]["uid"]]
    assert _status(cluster, "daemonsets.apps")["numberReady"] == 0
    cluster.return_node("node-a")
    assert _places(cluster) == ["node-a"]


def test_a_node_that_loses_its_label_loses_its_daemon_pod(cluster: Cluster) -> None:
    _create(cluster, workload("DaemonSet", "one", {"nodeSelector": {"zone": "cave"}}))
    cluster.registry.patch(BY_RESOURCE["nodes"], "", "node-a", {"metadata": {"labels": {"zone": "hall"}}}, MERGE)
    cluster.tick()
    assert cluster.pods("lab") == []


def test_a_taint_keeps_a_daemon_pod_away_unless_it_is_tolerated(cluster: Cluster) -> None:
    cluster.add_node("wall", {"zone": "wall"}, taints=[{"key": "reserved", "value": "cave", "effect": "NoSchedule"}])
    _create(cluster, workload("DaemonSet", "one", {"nodeSelector": {"zone": "wall"}}))
    assert (_places(cluster), _status(cluster, "daemonsets.apps")["desiredNumberScheduled"]) == ([], 0)
    tolerations = [{"key": "reserved", "operator": "Equal", "value": "cave", "effect": "NoSchedule"}]
    _patch(cluster, "daemonsets.apps", {"spec": {"template": {"spec": {"tolerations": tolerations}}}})
    assert _places(cluster) == ["wall"]


def test_a_daemon_pod_that_failed_is_made_anew(cluster: Cluster) -> None:
    _create(cluster, workload("DaemonSet", "one", {"nodeSelector": {"zone": "cave"}}))
    (first,) = cluster.pods("lab")
    first["status"]["phase"] = "Failed"
    cluster.keep(BY_RESOURCE["pods"], first)
    cluster.tick()
    (second,) = cluster.pods("lab")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert _places(cluster) == ["node-a"]


def test_a_changed_template_replaces_pods_one_after_the_other(cluster: Cluster) -> None:
    _create(cluster, workload("DaemonSet", "one"))
    before = {pod["metadata"]["uid"] for pod in cluster.pods("lab")}
    cluster.stubborn |= {pod["metadata"]["name"] for pod in cluster.pods("lab")}
    _patch(cluster, "daemonsets.apps", {"spec": {"template": {"spec": {"hostNetwork": False, "priority": 0}}}})
    leaving = [pod for pod in cluster.pods("lab") if "deletionTimestamp" in pod["metadata"]]
    assert len(leaving) == 1
    cluster.advance(120)
    after = {pod["metadata"]["uid"] for pod in cluster.pods("lab")}
    assert (len(after), before & after) == (2, set())


def test_a_stateful_pod_keeps_its_name_and_its_claim(cluster: Cluster) -> None:
    claim = {
        "metadata": {"name": "log"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    _create(cluster, workload("StatefulSet", "one", serviceName="one", volumeClaimTemplates=[claim]))
    (pod,) = cluster.pods("lab")
    assert (pod["metadata"]["name"], pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("one-0", "one-0", "one")
    bound = cluster.get("persistentvolumeclaims", "lab", "log-one-0")
    assert bound is not None
    assert bound["status"]["phase"] == "Bound"
    cluster.end("lab", "one-0", Exit(1))
    cluster.tick()
    crashed = cluster.pods("lab")[0]["status"]["containerStatuses"][0]
    assert crashed["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert (crashed["restartCount"], crashed["lastState"]["terminated"]["exitCode"]) == (1, 1)
    cluster.advance(11)
    assert "running" in cluster.pods("lab")[0]["status"]["containerStatuses"][0]["state"]
    _patch(cluster, "statefulsets.apps", {"spec": {"replicas": 0}})
    assert cluster.pods("lab") == []
    assert cluster.get("persistentvolumeclaims", "lab", "log-one-0") is not None


def test_stateful_pods_come_one_after_the_other(cluster: Cluster) -> None:
    body = workload("StatefulSet", "one", {"container": {"image": "does-not-exist:1"}}, replicas=2)
    _create(cluster, body)
    assert [pod["metadata"]["name"] for pod in cluster.pods("lab")] == ["one-0"]


def test_a_stateful_pod_on_a_lost_node_is_not_replaced_until_it_is_let_go(cluster: Cluster) -> None:
    """A dead node frees neither the pod nor its volume; an administrator deletes the node."""
    tolerations = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]
    _create(cluster, workload("StatefulSet", "one", {"tolerations": tolerations}))
    (pod,) = cluster.pods("lab")
    node = pod["spec"]["nodeName"]
    cluster.lose_node(node)
    cluster.advance(100)
    assert "deletionTimestamp" not in cluster.pods("lab")[0]["metadata"]
    cluster.advance(500)
    (still,) = cluster.pods("lab")
    assert still["metadata"]["uid"] == pod["metadata"]["uid"]
    assert "deletionTimestamp" in still["metadata"]
    cluster.remove_node(node)
    cluster.advance(60)
    (new,) = cluster.pods("lab")
    assert new["metadata"]["uid"] != pod["metadata"]["uid"]
    assert new["spec"]["nodeName"] != node


def test_a_deployment_has_its_replicas_and_scales_to_none(cluster: Cluster) -> None:
    _create(cluster, workload("Deployment", "one", replicas=3))
    assert len(_places(cluster)) == 3
    status = _status(cluster, "deployments.apps")
    assert (status["replicas"], status["readyReplicas"], status["conditions"][0]["status"]) == (3, 3, "True")
    _patch(cluster, "deployments.apps", {"spec": {"replicas": 0}})
    assert cluster.pods("lab") == []
    assert "replicas" not in _status(cluster, "deployments.apps")


def test_a_pod_of_a_deployment_that_is_deleted_is_replaced_at_once(cluster: Cluster) -> None:
    _create(cluster, workload("Deployment", "one", replicas=1))
    (pod,) = cluster.pods("lab")
    cluster.stubborn.add(pod["metadata"]["name"])
    cluster.registry.delete(BY_RESOURCE["pods"], "lab", pod["metadata"]["name"])
    cluster.tick()
    assert len(cluster.pods("lab")) == 2


def test_a_new_template_makes_new_pods_and_then_ends_the_old(cluster: Cluster) -> None:
    _create(cluster, workload("Deployment", "one", replicas=2))
    bad = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "does-not-exist:2"}]}}}}
    _patch(cluster, "deployments.apps", bad)
    assert len(_places(cluster)) == 2, "the old ones stay while the new ones cannot start"
    good = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "registry.test/it:2"}]}}}}
    _patch(cluster, "deployments.apps", good)
    assert {pod["spec"]["containers"][0]["image"] for pod in cluster.pods("lab")} == {"registry.test/it:2"}
