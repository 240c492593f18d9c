"""Deployments make ReplicaSets, and ReplicaSets make pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.k8s.server import podlife
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import finished, leaving, ready, set_condition
from tests.k8s.server.refusals import Refused
from tests.k8s.server.registry import suffix

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

_DEPLOYMENTS, _SETS = BY_RESOURCE["deployments.apps"], BY_RESOURCE["replicasets.apps"]
_HASH = "pod-template-hash"


def deployments(cluster: Cluster) -> None:
    for found in cluster.store.every(_DEPLOYMENTS.resource):
        if not leaving(found) and not found["spec"].get("paused"):
            _sync_deployment(cluster, found)


def _sync_deployment(cluster: Cluster, found: Obj) -> None:
    now, replicas = podlife.template_hash(found), found["spec"]["replicas"]
    sets = podlife.owned(cluster, found, _SETS.resource)
    new = next((one for one in sets if one["metadata"]["labels"].get(_HASH) == now), None)
    if new is None:
        new = _new_set(cluster, found, now)
        if new is None:
            return
    _resize(cluster, new, replicas)
    for old in sets:  # old pods go once the new ones are ready (at once with Recreate)
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            settled = new.get("status", {}).get("readyReplicas", 0) >= replicas
            if settled or found["spec"]["strategy"]["type"] == "Recreate":
                _resize(cluster, old, 0)
    total = [pod for one in podlife.owned(cluster, found, _SETS.resource) for pod in podlife.owned(cluster, one)]
    alive = [pod for pod in total if not finished(pod) and not leaving(pod)]
    able = sum(map(ready, alive))
    status: Obj = {
        "replicas": len(alive), "readyReplicas": able, "availableReplicas": able,
        "updatedReplicas": sum(pod["metadata"]["labels"].get(_HASH) == now for pod in alive),
        "unavailableReplicas": max(replicas - able, 0), "observedGeneration": found["metadata"]["generation"],
    }  # fmt: skip
    status = {key: value for key, value in status.items() if value}
    status["conditions"] = found.get("status", {}).get("conditions") or []
    reason = "MinimumReplicasAvailable" if able >= replicas else "MinimumReplicasUnavailable"
    set_condition(
        status["conditions"], "Available", "True" if able >= replicas else "False", reason, "", cluster.registry.now()
    )
    found["status"] = status
    cluster.keep(_DEPLOYMENTS, found)


def _new_set(cluster: Cluster, found: Obj, now: str) -> Obj | None:
    pod = podlife.from_template(found)
    labels = {**(pod["metadata"].get("labels") or {}), _HASH: now}
    name = f"{found['metadata']['name']}-{now}"
    selector = {
        **found["spec"]["selector"],
        "matchLabels": {**(found["spec"]["selector"].get("matchLabels") or {}), _HASH: now},
    }
    metadata = {"name": name, "labels": labels, "ownerReferences": [podlife.reference(found)]}
    template = {"metadata": {**found["spec"]["template"]["metadata"], "labels": labels}, "spec": pod["spec"]}
    body = {"metadata": metadata, "spec": {"replicas": 0, "selector": selector, "template": template}}
    try:
        return cluster.registry.create(_SETS, found["metadata"]["namespace"], body).obj
    except Refused as refused:
        words = f'Failed to create new replica set "{name}": {refused.message}'
        cluster.registry.event(found, "Warning", "ReplicaSetCreateError", words, "deployment-controller")
        return None


def _resize(cluster: Cluster, found: Obj, replicas: int) -> None:
    now = cluster.get(_SETS.resource, found["metadata"]["namespace"], found["metadata"]["name"])
    if now is not None and now["spec"]["replicas"] != replicas:
        now["spec"]["replicas"] = replicas
        now["metadata"]["generation"] += 1
        cluster.keep(_SETS, now)


def replica_sets(cluster: Cluster) -> None:
    for found in cluster.store.every(_SETS.resource):
        if leaving(found):
            continue
        pods = podlife.owned(cluster, found)
        alive = [pod for pod in pods if not finished(pod) and not leaving(pod)]
        alive.sort(key=lambda pod: (not ready(pod), pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        for pod in alive[found["spec"]["replicas"] :]:
            podlife.delete(cluster, pod)
        name = found["metadata"]["name"]
        for _ in range(found["spec"]["replicas"] - len(alive)):
            pod = podlife.from_template(found)
            pod["metadata"] |= {"name": f"{name}-{suffix()}", "generateName": f"{name}-"}
            if not podlife.create(cluster, found, pod, "replicaset-controller"):
                break
        alive = [pod for pod in podlife.owned(cluster, found) if not finished(pod) and not leaving(pod)]
        able = sum(map(ready, alive))
        status = {
            "replicas": len(alive), "fullyLabeledReplicas": len(alive), "readyReplicas": able,
            "availableReplicas": able, "observedGeneration": found["metadata"]["generation"],
        }  # fmt: skip
        found["status"] = {key: value for key, value in status.items() if value or key == "replicas"}
        cluster.keep(_SETS, found)
