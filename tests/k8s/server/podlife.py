"""What all controllers ask of a pod, and how they make one."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from tests.k8s.server.kinds import BY_RESOURCE, Obj
from tests.k8s.server.refusals import Refused

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster

PODS = BY_RESOURCE["pods"]


class Exit(NamedTuple):
    """How a container ends."""

    code: int
    reason: str = ""
    message: str = ""
    """Its last words."""


OOM = Exit(137, "OOMKilled")


def finished(pod: Obj) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def leaving(pod: Obj) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def ready(pod: Obj) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def condition(found: Obj, kind: str) -> Obj | None:
    """A condition of an object's status."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), None)


def set_condition(conditions: list[Obj], kind: str, status: str, reason: str, message: str, now: str) -> None:
    old = next((one for one in conditions if one["type"] == kind), None)
    changed = old["lastTransitionTime"] if old and old["status"] == status else now
    new = {"type": kind, "status": status, "lastTransitionTime": changed}
    new |= {key: value for key, value in (("reason", reason), ("message", message)) if value}
    if old is None:
        conditions.append(new)
    else:
        conditions[conditions.index(old)] = new


def owned(cluster: Cluster, owner: Obj, resource: str = "pods") -> list[Obj]:
    """What an object controls."""
    uid = owner["metadata"]["uid"]
    return [
        found for found in cluster.store.every(resource, owner["metadata"]["namespace"])
        if any(one["uid"] == uid and one.get("controller") for one in found["metadata"].get("ownerReferences") or [])
    ]  # fmt: skip


def reference(owner: Obj) -> Obj:
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def from_template(owner: Obj) -> Obj:
    """A pod of a workload, without a name."""
    template = copy.deepcopy(owner["spec"]["template"])
    data = {key: template["metadata"][key] for key in ("labels", "annotations") if key in template["metadata"]}
    return {"metadata": {**data, "ownerReferences": [reference(owner)]}, "spec": template["spec"]}


def create(cluster: Cluster, owner: Obj, pod: Obj, component: str) -> bool:
    """Creates a pod; a refusal becomes an event of its owner."""
    namespace = owner["metadata"]["namespace"]
    try:
        found = cluster.registry.create(PODS, namespace, pod).obj
    except Refused as refused:
        cluster.registry.event(owner, "Warning", "FailedCreate", f"Error creating: {refused.message}", component)
        return False
    made = f"Created pod: {found['metadata']['name']}"
    cluster.registry.event(owner, "Normal", "SuccessfulCreate", made, component)
    return True


def delete(cluster: Cluster, pod: Obj, **options: object) -> None:
    data = pod["metadata"]
    if not leaving(pod):
        cluster.registry.delete(PODS, data["namespace"], data["name"], {"propagationPolicy": "Background", **options})


def template_hash(owner: Obj) -> str:
    said = json.dumps(owner["spec"]["template"], sort_keys=True).encode()
    return hashlib.sha256(said).hexdigest()[:10]
