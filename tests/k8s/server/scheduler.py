"""The scheduler: which node a pod goes to, and in its words why to none."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.k8s.server import lifecycle
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import PODS, condition, delete, finished, leaving, set_condition
from tests.k8s.server.quantities import Amounts, added, amounts, asked
from tests.k8s.server.selectors import label_selector, requirements
from tests.k8s.server.taints import untolerated

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

_MISMATCH = "node(s) didn't match Pod's node affinity/selector"


def schedule(cluster: Cluster) -> None:
    waiting = [
        pod for pod in cluster.store.every("pods")
        if not pod["spec"].get("nodeName") and not leaving(pod) and not finished(pod)
        and not pod["spec"].get("schedulingGates") and pod["spec"]["schedulerName"] == "default-scheduler"
    ]  # fmt: skip
    waiting.sort(key=lambda pod: (-pod["spec"].get("priority", 0), pod["metadata"]["creationTimestamp"]))
    for pod in waiting:
        _place(cluster, pod)


def _place(cluster: Cluster, pod: Obj) -> None:
    nodes = cluster.store.every("nodes")
    placed = [one for one in cluster.store.every("pods") if one["spec"].get("nodeName") and not finished(one)]
    missing = _missing_claim(cluster, pod)
    reasons = {node["metadata"]["name"]: missing or unfit(pod, node, nodes, placed) for node in nodes}
    fits = [node for node in nodes if not reasons[node["metadata"]["name"]]]
    conditions = pod["status"].setdefault("conditions", [])
    if fits:
        load = Counter(one["spec"]["nodeName"] for one in placed)
        best = min(fits, key=lambda node: (load[node["metadata"]["name"]], node["metadata"]["name"]))
        name = best["metadata"]["name"]
        pod["spec"]["nodeName"] = name
        set_condition(conditions, "PodScheduled", "True", "", "", cluster.registry.now())
        cluster.keep(PODS, pod)
        data = pod["metadata"]
        words = f"Successfully assigned {data['namespace']}/{data['name']} to {name}"
        cluster.registry.event(pod, "Normal", "Scheduled", words, "default-scheduler")
        return
    counted = Counter(reason for reason in reasons.values() if reason)
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()))
    said = f"0/{len(nodes)} nodes are available: {listed}." if nodes else "no nodes available to schedule pods"
    was = condition(pod, "PodScheduled")
    set_condition(conditions, "PodScheduled", "False", "Unschedulable", said, cluster.registry.now())
    pod = cluster.keep(PODS, pod)
    if was is None or was.get("message") != said:
        cluster.registry.event(pod, "Warning", "FailedScheduling", said, "default-scheduler")
    _preempt(cluster, pod, nodes, placed)


def _missing_claim(cluster: Cluster, pod: Obj) -> str:
    for name in lifecycle.claimed(pod):
        if cluster.get(BY_RESOURCE["persistentvolumeclaims"].resource, pod["metadata"]["namespace"], name) is None:
            return f'persistentvolumeclaim "{name}" not found'
    return ""


def unfit(pod: Obj, node: Obj, nodes: list[Obj], placed: list[Obj]) -> str:
    """Why a pod cannot go to a node, or nothing."""
    if not selected(pod, node):
        return _MISMATCH
    if (taint := untolerated(node, pod["spec"].get("tolerations") or [])) is not None:
        if taint["key"] == "node.kubernetes.io/unschedulable":
            return "node(s) were unschedulable"
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    here = [one for one in placed if one["spec"]["nodeName"] == node["metadata"]["name"]]
    if lacking := _lacking(pod, node, here):
        return lacking
    if _ports(pod) & {port for one in here for port in _ports(one)}:
        return "node(s) didn't have free ports for the requested pod ports"
    return _pod_affinity(pod, node, nodes, placed)


def selected(pod: Obj, node: Obj) -> bool:
    """Whether nodeSelector and the required node affinity allow a node."""
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return False
    needed = (
        (pod["spec"].get("affinity") or {})
        .get("nodeAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    if needed is None:
        return True
    name = {"metadata.name": node["metadata"]["name"]}
    return any(
        (term.get("matchExpressions") or term.get("matchFields"))
        and requirements(term.get("matchExpressions") or [])(labels)
        and requirements(term.get("matchFields") or [])(name)
        for term in needed["nodeSelectorTerms"]
    )


def _lacking(pod: Obj, node: Obj, here: list[Obj]) -> str:
    able: Amounts = amounts(node["status"].get("allocatable"))
    used = added(*(asked(one) for one in here))
    if len(here) + 1 > able.get("pods", 0):
        return "Too many pods"
    for name, amount in sorted(asked(pod).items()):
        if amount and used.get(name, 0) + amount > able.get(name, 0):
            return f"Insufficient {name}"
    return ""


def _ports(pod: Obj) -> set[tuple[str, int]]:
    every = (port for c in pod["spec"]["containers"] for port in c.get("ports", []))
    if pod["spec"].get("hostNetwork"):
        return {(port["protocol"], port["containerPort"]) for port in every}
    return {(port["protocol"], port["hostPort"]) for port in every if port.get("hostPort")}


def _pod_affinity(pod: Obj, node: Obj, nodes: list[Obj], placed: list[Obj]) -> str:
    places = {one["metadata"]["name"]: one["metadata"].get("labels") or {} for one in nodes}
    here = node["metadata"].get("labels") or {}

    def met(subject: Obj, term: Obj, target: Obj) -> bool:
        spaces = term.get("namespaces") or [subject["metadata"]["namespace"]]
        labels = target["metadata"].get("labels") or {}
        return target["metadata"]["namespace"] in spaces and label_selector(term.get("labelSelector"))(labels)

    def together(term: Obj, other: Obj) -> bool:
        key, there = term["topologyKey"], places.get(other["spec"]["nodeName"], {})
        return key in here and here[key] == there.get(key)

    for term in _terms(pod, "podAntiAffinity"):
        if any(met(pod, term, one) and together(term, one) for one in placed):
            return "node(s) didn't match pod anti-affinity rules"
    for other in placed:
        if any(met(other, term, pod) and together(term, other) for term in _terms(other, "podAntiAffinity")):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
    for term in _terms(pod, "podAffinity"):
        first = not any(met(pod, term, one) for one in placed) and met(pod, term, pod)
        if not (first and term["topologyKey"] in here) and not any(
            met(pod, term, one) and together(term, one) for one in placed
        ):
            return "node(s) didn't match pod affinity rules"
    return ""


def _terms(pod: Obj, which: str) -> list[Obj]:
    found: list[Obj] = (pod["spec"].get("affinity") or {}).get(which, {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or []
    return found


def _preempt(cluster: Cluster, pod: Obj, nodes: list[Obj], placed: list[Obj]) -> None:
    """A pod of higher priority takes the place of lower ones, on the node where the fewest must go."""
    mine = pod["spec"].get("priority", 0)
    if pod["spec"].get("preemptionPolicy") == "Never" or pod["status"].get("nominatedNodeName"):
        return
    plans = []
    for node in nodes:
        name = node["metadata"]["name"]
        lower = [one for one in placed if one["spec"]["nodeName"] == name and one["spec"].get("priority", 0) < mine]
        if not lower or unfit(pod, node, nodes, [one for one in placed if one not in lower]):
            continue
        victims: list[Obj] = []
        for one in sorted(lower, key=lambda found: found["spec"].get("priority", 0)):
            if not unfit(pod, node, nodes, [other for other in placed if other not in victims]):
                break
            victims.append(one)
        plans.append((len(victims), name, victims))
    if not plans:
        return
    _, name, victims = min(plans, key=lambda plan: plan[:2])
    for victim in victims:
        if not leaving(victim):
            lifecycle.disrupt(
                cluster,
                victim,
                "PreemptionByScheduler",
                "default-scheduler: preempting to accommodate a higher priority pod",
            )
            cluster.registry.event(
                victim,
                "Normal",
                "Preempted",
                f"Preempted by pod {pod['metadata']['uid']} on node {name}",
                "default-scheduler",
            )
            delete(cluster, victim)
    pod["status"]["nominatedNodeName"] = name
    cluster.keep(PODS, pod)
