"""The DaemonSet controller: one pod for each node that it may be on, bound to that node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.k8s.server import podlife, scheduler
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import finished, leaving, ready
from tests.k8s.server.registry import suffix
from tests.k8s.server.taints import untolerated

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

_KIND = BY_RESOURCE["daemonsets.apps"]
_COMPONENT = "daemonset-controller"
_HASH = "controller-revision-hash"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"), ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"), ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"), ("node.kubernetes.io/unschedulable", "NoSchedule"),
)  # fmt: skip


def daemon_sets(cluster: Cluster) -> None:
    for found in cluster.store.every(_KIND.resource):
        if not leaving(found):
            _sync(cluster, found)


def _pod(found: Obj, node: str) -> Obj:
    """The pod for a node: the template, its tolerations, and an affinity to that node alone."""
    pod = podlife.from_template(found)
    name = found["metadata"]["name"]
    pod["metadata"] |= {"name": f"{name}-{suffix()}", "generateName": f"{name}-"}
    pod["metadata"].setdefault("labels", {})[_HASH] = podlife.template_hash(found)
    tolerations = pod["spec"].setdefault("tolerations", [])
    for key, effect in _TOLERATED:
        one = {"key": key, "operator": "Exists", "effect": effect}
        if one not in tolerations:
            tolerations.append(one)
    needed = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    needed["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [term]}
    return pod


def _aim(pod: Obj) -> str:
    """The node that a pod is meant for."""
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return str(terms[0]["matchFields"][0]["values"][0])


def _sync(cluster: Cluster, found: Obj) -> None:
    now = podlife.template_hash(found)
    nodes = cluster.store.every("nodes")
    template = {"spec": {**found["spec"]["template"]["spec"]}}
    tolerations = [*(template["spec"].get("tolerations") or [])]
    tolerations += [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    tolerations.append({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoSchedule"})
    wanted = {
        node["metadata"]["name"] for node in nodes
        if scheduler.selected(template, node) and untolerated(node, tolerations) is None
    }  # fmt: skip
    stays = {
        node["metadata"]["name"] for node in nodes
        if scheduler.selected(template, node) and untolerated(node, tolerations, ("NoExecute",)) is None
    }  # fmt: skip
    pods: dict[str, list[Obj]] = {}
    for pod in podlife.owned(cluster, found):
        pods.setdefault(_aim(pod), []).append(pod)
    for node, here in pods.items():
        for pod in here:
            if finished(pod) and not leaving(pod):
                place = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                words = f"Found failed daemon pod {place} on node {node}, will try to kill it"
                cluster.registry.event(found, "Warning", "FailedDaemonPod", words, _COMPONENT)
                podlife.delete(cluster, pod)
            elif node not in stays:
                podlife.delete(cluster, pod)
        for pod in [pod for pod in here if not leaving(pod) and not finished(pod)][1:]:
            podlife.delete(cluster, pod)
    for node in sorted(wanted):
        if not pods.get(node) and not podlife.create(cluster, found, _pod(found, node), _COMPONENT):
            break
    _replace_old(cluster, found, now)
    _status(cluster, found, wanted, now)


def _replace_old(cluster: Cluster, found: Obj, now: str) -> None:
    """A changed template: one node after the other."""
    strategy = found["spec"]["updateStrategy"]
    if strategy["type"] != "RollingUpdate":
        return
    pods = podlife.owned(cluster, found)
    out = sum(not ready(pod) or leaving(pod) for pod in pods)
    most = strategy["rollingUpdate"]["maxUnavailable"]
    most = most if isinstance(most, int) else max(1, -(-len(pods) * int(str(most).rstrip("%")) // 100))
    for pod in pods:
        if pod["metadata"]["labels"].get(_HASH) == now or leaving(pod):
            continue
        if not ready(pod):
            podlife.delete(cluster, pod)
        elif out < most:
            podlife.delete(cluster, pod)
            out += 1


def _status(cluster: Cluster, found: Obj, wanted: set[str], now: str) -> None:
    pods = [pod for pod in podlife.owned(cluster, found) if not finished(pod)]
    right = [pod for pod in pods if _aim(pod) in wanted]
    able = sum(map(ready, right))
    status = {
        "currentNumberScheduled": len({_aim(pod) for pod in right}), "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": len({_aim(pod) for pod in pods} - wanted), "numberReady": able, "numberAvailable": able,
        "updatedNumberScheduled": sum(pod["metadata"]["labels"].get(_HASH) == now for pod in right),
        "numberUnavailable": len(wanted) - able, "observedGeneration": found["metadata"]["generation"],
    }  # fmt: skip
    always = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
    found["status"] = {key: value for key, value in status.items() if value or key in always}
    if cluster.get(_KIND.resource, found["metadata"]["namespace"], found["metadata"]["name"]) is not None:
        cluster.keep(_KIND, found)
