"""The StatefulSet controller: pods with names and claims of their own, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.k8s.server import podlife
from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.podlife import finished, leaving, ready
from tests.k8s.server.refusals import Refused
from tests.k8s.server.store import Key

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

_KIND = BY_RESOURCE["statefulsets.apps"]
_CLAIMS = BY_RESOURCE["persistentvolumeclaims"]
_COMPONENT = "statefulset-controller"
_HASH, _INDEX, _NAME = "controller-revision-hash", "apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name"


def stateful_sets(cluster: Cluster) -> None:
    for found in cluster.store.every(_KIND.resource):
        if not leaving(found):
            _sync(cluster, found)


def _sync(cluster: Cluster, found: Obj) -> None:
    spec, name = found["spec"], found["metadata"]["name"]
    first, now = spec.get("ordinals", {}).get("start", 0), podlife.template_hash(found)
    wanted = [f"{name}-{first + number}" for number in range(spec["replicas"])]
    pods = {pod["metadata"]["name"]: pod for pod in podlife.owned(cluster, found)}
    ordered = spec["podManagementPolicy"] == "OrderedReady"
    for number, own in enumerate(wanted):
        pod = pods.get(own)
        if pod is None:
            if not _create(cluster, found, own, first + number, now) or ordered:
                break
        elif finished(pod):
            podlife.delete(cluster, pod)  # the same name comes again once it has gone
            break
        elif ordered and (leaving(pod) or not ready(pod)):
            break
    else:
        extra = sorted((own for own in pods if own not in wanted), key=lambda own: int(own.rpartition("-")[2]))
        if extra:
            podlife.delete(cluster, pods[extra[-1]])
        elif spec["updateStrategy"]["type"] == "RollingUpdate":
            _replace_old(cluster, wanted, pods, now)
    _status(cluster, found, now)


def _replace_old(cluster: Cluster, wanted: list[str], pods: dict[str, Obj], now: str) -> None:
    for own in reversed(wanted):
        pod = pods.get(own)
        if pod is None or leaving(pod) or not ready(pod):
            return
        if pod["metadata"]["labels"][_HASH] != now:
            podlife.delete(cluster, pod)
            return


def _create(cluster: Cluster, found: Obj, own: str, number: int, now: str) -> bool:
    pod = podlife.from_template(found)
    pod["metadata"]["name"] = own
    pod["metadata"].setdefault("labels", {}).update({_HASH: now, _INDEX: str(number), _NAME: own})
    pod["spec"] |= {"hostname": own}
    if found["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = found["spec"]["serviceName"]
    for template in found["spec"].get("volumeClaimTemplates", []):
        claim = f"{template['metadata']['name']}-{own}"
        namespace = found["metadata"]["namespace"]
        if cluster.store.get(Key(_CLAIMS.resource, namespace, claim)) is None:
            labels = {
                **(template["metadata"].get("labels") or {}),
                **(found["spec"]["selector"].get("matchLabels") or {}),
            }
            try:
                cluster.registry.create(
                    _CLAIMS, namespace, {"metadata": {"name": claim, "labels": labels}, "spec": template["spec"]}
                )
            except Refused as refused:
                words = (
                    f"create Claim {claim} for Pod {own} in StatefulSet {found['metadata']['name']} failed error: "
                    f"{refused.message}"
                )
                cluster.registry.event(found, "Warning", "FailedCreate", words, _COMPONENT)
                return False
        volumes = [v for v in pod["spec"].get("volumes", []) if v["name"] != template["metadata"]["name"]]
        source = {"persistentVolumeClaim": {"claimName": claim}}
        pod["spec"]["volumes"] = [*volumes, {"name": template["metadata"]["name"], **source}]
    return podlife.create(cluster, found, pod, _COMPONENT)


def _status(cluster: Cluster, found: Obj, now: str) -> None:
    pods = [pod for pod in podlife.owned(cluster, found) if not finished(pod)]
    able = sum(ready(pod) and not leaving(pod) for pod in pods)
    updated = sum(pod["metadata"]["labels"].get(_HASH) == now for pod in pods)
    status = {
        "replicas": len(pods), "readyReplicas": able, "availableReplicas": able, "currentReplicas": updated,
        "updatedReplicas": updated, "observedGeneration": found["metadata"]["generation"], "collisionCount": 0,
        "currentRevision": f"{found['metadata']['name']}-{now}", "updateRevision": f"{found['metadata']['name']}-{now}",
    }  # fmt: skip
    always = ("replicas", "availableReplicas", "collisionCount")
    found["status"] = {key: value for key, value in status.items() if value or key in always}
    cluster.keep(_KIND, found)
