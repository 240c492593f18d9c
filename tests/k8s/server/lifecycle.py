"""What befalls namespaces, nodes, volumes' claims, and pods on nodes that are no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.k8s.server.defaults import UNREACHABLE
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import condition, finished, set_condition
from tests.k8s.server.registry import seconds, stamp
from tests.k8s.server.store import Key
from tests.k8s.server.taints import tolerates

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

MONITOR_GRACE_S = 50.0
"""node-monitor-grace-period: so long may a kubelet be silent."""
GONE_NODE_S = 40.0
"""So long pod garbage collection waits when a pod's node has no object."""
_NODES, _PODS = BY_RESOURCE["nodes"], BY_RESOURCE["pods"]


def namespaces(cluster: Cluster) -> None:
    """Gives each namespace what it has by itself, and empties those that are going away."""
    for found in cluster.store.every("namespaces"):
        name = found["metadata"]["name"]
        if "deletionTimestamp" not in found["metadata"]:
            for resource, own, extra in (
                ("serviceaccounts", "default", {}), ("configmaps", "kube-root-ca.crt", {"data": {"ca.crt": ""}}),
            ):  # fmt: skip
                if cluster.store.get(Key(resource, name, own)) is None:
                    cluster.registry.create(BY_RESOURCE[resource], name, {"metadata": {"name": own}, **extra})
            continue
        inside = [key for key in cluster.store.objects if key.namespace == name]
        for key in inside:
            if "deletionTimestamp" not in cluster.store.objects[key]["metadata"]:
                options = {"propagationPolicy": "Background"}
                cluster.registry.delete(BY_RESOURCE[key.resource], name, key.name, options)
        if not any(key.namespace == name for key in cluster.store.objects):
            found["spec"]["finalizers"] = [one for one in found["spec"]["finalizers"] if one != "kubernetes"]
            cluster.keep(BY_RESOURCE["namespaces"], found)


def nodes(cluster: Cluster) -> None:
    """Kubelets report; those that are silent for too long make their node unreachable."""
    for found in cluster.store.every("nodes"):
        name = found["metadata"]["name"]
        conditions = found.setdefault("status", {}).setdefault("conditions", [])
        ready = condition(found, "Ready")
        if name not in cluster.dead_nodes:
            _heartbeat(cluster, name)
            if ready is None or ready["status"] != "True":
                words = ("KubeletReady", "kubelet is posting ready status")
                set_condition(conditions, "Ready", "True", *words, cluster.registry.now())
            _taint(cluster, found, wanted=False)
        elif ready is not None and ready["status"] == "True" and cluster.now - _beat(cluster, name) > MONITOR_GRACE_S:
            words = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
            set_condition(conditions, "Ready", "Unknown", *words, cluster.registry.now())
            _taint(cluster, found, wanted=True)
            cluster.registry.event(
                found, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady", "node-controller"
            )
            for pod in _on(cluster, name):
                set_condition(
                    pod["status"].setdefault("conditions", []),
                    "Ready",
                    "False",
                    "NodeNotReady",
                    "",
                    cluster.registry.now(),
                )
                cluster.keep(_PODS, pod)
        cluster.keep(_NODES, found)


def _heartbeat(cluster: Cluster, name: str) -> None:
    leases = BY_RESOURCE["leases.coordination.k8s.io"]
    lease = cluster.store.get(Key(leases.resource, "kube-node-lease", name))
    spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": stamp(cluster.now, micro=True)}
    if lease is None:
        if cluster.store.get(Key("namespaces", "", "kube-node-lease")) is not None:
            cluster.registry.create(leases, "kube-node-lease", {"metadata": {"name": name}, "spec": spec})
    elif cluster.now - _beat(cluster, name) >= 10:
        lease["spec"] = spec
        cluster.keep(leases, lease)


def _beat(cluster: Cluster, name: str) -> float:
    lease = cluster.store.get(Key("leases.coordination.k8s.io", "kube-node-lease", name))
    return seconds(lease["spec"]["renewTime"]) if lease else 0.0


def _taint(cluster: Cluster, node: Obj, wanted: bool) -> None:
    taints = [one for one in node["spec"].get("taints") or [] if one["key"] != UNREACHABLE]
    if wanted:
        taints.append({"key": UNREACHABLE, "effect": "NoSchedule", "timeAdded": cluster.registry.now()})
        taints.append({"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": cluster.registry.now()})
    node["spec"].pop("taints", None)
    if taints:
        node["spec"]["taints"] = taints


def _on(cluster: Cluster, node: str) -> list[Obj]:
    return [pod for pod in cluster.store.every("pods") if pod["spec"].get("nodeName") == node]


def evictions(cluster: Cluster) -> None:
    """Pods on a node with a NoExecute taint go once their toleration is over."""
    for node in cluster.store.every("nodes"):
        for taint in node["spec"].get("taints") or []:
            if taint["effect"] != "NoExecute":
                continue
            for pod in _on(cluster, node["metadata"]["name"]):
                if "deletionTimestamp" in pod["metadata"] or finished(pod):
                    continue
                if (until := _tolerated_until(pod, taint)) is None or cluster.now < until:
                    continue
                words = ("DeletionByTaintManager", f"Taint manager: deleting due to NoExecute taint {taint['key']}")
                disrupt(cluster, pod, *words)
                cluster.registry.event(
                    pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod", "taint-eviction-controller"
                )
                data = pod["metadata"]
                cluster.registry.delete(_PODS, data["namespace"], data["name"], {"propagationPolicy": "Background"})


def _tolerated_until(pod: Obj, taint: Obj) -> float | None:
    """None: for ever."""
    able = [one for one in pod["spec"].get("tolerations") or [] if tolerates(one, taint)]
    since = seconds(taint["timeAdded"]) if "timeAdded" in taint else 0.0
    if not able:
        return since
    limits = [one["tolerationSeconds"] for one in able if "tolerationSeconds" in one]
    return since + max(min(limits), 0) if limits else None


def disrupt(cluster: Cluster, pod: Obj, reason: str, message: str) -> None:
    """Says on a pod that it ends through no fault of its own."""
    conditions = pod["status"].setdefault("conditions", [])
    set_condition(conditions, "DisruptionTarget", "True", reason, message, cluster.registry.now())
    cluster.keep(_PODS, pod)


def pods(cluster: Cluster) -> None:
    """Pod garbage collection: nodes that have no object, and pods that were never placed."""
    known = {node["metadata"]["name"] for node in cluster.store.every("nodes")}
    for name in known & cluster.missing_nodes.keys():
        del cluster.missing_nodes[name]
    for pod in cluster.store.every("pods"):
        data, node = pod["metadata"], pod["spec"].get("nodeName")
        if not node and "deletionTimestamp" in data and not finished(pod):
            pod["status"]["phase"] = "Failed"
            cluster.keep(_PODS, pod)
        elif node and node not in known:
            since = cluster.missing_nodes.setdefault(node, cluster.now)
            if cluster.now - since >= GONE_NODE_S:
                if not finished(pod):
                    pod["status"]["phase"] = "Failed"
                    disrupt(cluster, pod, "DeletionByPodGC", "PodGC: node no longer exists")
                if "deletionTimestamp" not in data or data.get("deletionGracePeriodSeconds"):
                    options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
                    cluster.registry.delete(_PODS, data["namespace"], data["name"], options)


def claims(cluster: Cluster) -> None:
    """A claim is bound once a pod that uses it has a node, and stays until no pod uses it."""
    kind = BY_RESOURCE["persistentvolumeclaims"]
    for claim in cluster.store.every(kind.resource):
        data = claim["metadata"]
        users = [pod for pod in cluster.store.every("pods", data["namespace"]) if data["name"] in claimed(pod)]
        if "deletionTimestamp" in data:
            if not any(not finished(pod) for pod in users):
                data["finalizers"] = [
                    one for one in data.get("finalizers", []) if one != "kubernetes.io/pvc-protection"
                ]
                cluster.keep(kind, claim)
        elif claim["status"]["phase"] == "Pending" and any(pod["spec"].get("nodeName") for pod in users):
            claim["spec"]["volumeName"] = f"pvc-{data['uid']}"
            claim["status"] = {
                "phase": "Bound", "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            }  # fmt: skip
            cluster.keep(kind, claim)


def claimed(pod: Obj) -> list[str]:
    return [
        v["persistentVolumeClaim"]["claimName"] for v in pod["spec"].get("volumes", []) if "persistentVolumeClaim" in v
    ]
