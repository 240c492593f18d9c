"""What the server itself gives an object, and what it keeps of it."""

from __future__ import annotations

from tests.k8s.server import defaults
from tests.k8s.server.kinds import Kind, Obj

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def generate_selector(found: Obj) -> None:
    """A Job's selector and labels are made by the server."""
    spec, uid, name = found["spec"], found["metadata"]["uid"], found["metadata"].get("name", "")
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    for prefix in ("batch.kubernetes.io/", ""):
        labels[f"{prefix}controller-uid"] = uid
        labels[f"{prefix}job-name"] = name
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def initial_status(kind: Kind, found: Obj) -> None:
    match kind.kind:
        case "Pod":
            found["status"] = {"phase": "Pending", "qosClass": _qos(found["spec"])}
        case "Namespace":
            found["status"] = {"phase": "Active"}
            labels = found["metadata"].setdefault("labels", {})
            labels["kubernetes.io/metadata.name"] = found["metadata"]["name"]
        case "PersistentVolumeClaim":
            found["status"] = {"phase": "Pending"}
            found["metadata"].setdefault("finalizers", []).append("kubernetes.io/pvc-protection")
        case "Service":
            found["status"] = {"loadBalancer": {}}
            address = found["spec"].setdefault("clusterIP", defaults.cluster_ip(found["metadata"]["uid"]))
            found["spec"].setdefault("clusterIPs", [address])
        case "DaemonSet":
            counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
            found["status"] = dict.fromkeys(counts, 0)
        case "StatefulSet" | "ReplicaSet":
            found["status"] = {"replicas": 0}
        case _ if "status" in kind.subresources:
            found.setdefault("status", {})


def _qos(spec: Obj) -> str:
    every = [c.get("resources", {}) for c in spec["containers"]]
    if not any(one.get("limits") or one.get("requests") for one in every):
        return "BestEffort"
    sure = all({"cpu", "memory"} <= set(r.get("limits", {})) and r["limits"] == r.get("requests") for r in every)
    return "Guaranteed" if sure else "Burstable"


def keep_given(kind: Kind, new: Obj, old: Obj) -> None:
    """What the server has given an object is kept where a client leaves it out."""
    given = {
        "Service": ("clusterIP", "clusterIPs"), "Job": ("selector",), "PersistentVolumeClaim": ("volumeName",),
        "Pod": ("nodeName", "serviceAccountName", "serviceAccount", "priority", "preemptionPolicy"),
    }  # fmt: skip
    for key in given.get(kind.kind, ()):
        if key in old["spec"]:
            new["spec"].setdefault(key, old["spec"][key])


def set_finalizers(kind: Kind, data: Obj, policy: str | None) -> None:
    kept = data.get("finalizers") or []
    if policy is None:
        if ORPHAN in kept or FOREGROUND in kept:
            return
        policy = kind.default_propagation
    kept = [one for one in kept if one not in (ORPHAN, FOREGROUND)]
    kept += {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    data.pop("finalizers", None)
    if kept:
        data["finalizers"] = kept


def grace(kind: Kind, found: Obj, wanted: int | None) -> int:
    """How many seconds a pod has to end itself; nothing else has any."""
    if kind.kind != "Pod":
        return 0
    if not found["spec"].get("nodeName") or found["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    if wanted is not None and wanted < 0:
        wanted = 1
    return int(found["spec"]["terminationGracePeriodSeconds"] if wanted is None else wanted)
