"""What must hold for an object of each kind, when it is created and when it is changed."""

from __future__ import annotations

from tests.k8s.server import validation_job as jobs
from tests.k8s.server import validation_meta as meta
from tests.k8s.server import validation_pod as pods
from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.quantities import quantity
from tests.k8s.server.refusals import Cause, immutable, prohibited, required, too_long, unsupported, wrong
from tests.k8s.server.schema import missing
from tests.k8s.server.selectors import label_selector

_MOST_BYTES = 1024 * 1024


def created(kind: Kind, found: Obj) -> list[Cause]:
    """What is wrong with a new object."""
    causes = meta.metadata(kind, found) + missing(kind, found)
    return causes + (_body(kind, found) if not causes else [])


def changed(kind: Kind, new: Obj, old: Obj) -> list[Cause]:
    """What is wrong with a new version of an object."""
    causes = meta.metadata_update(new, old) + meta.metadata(kind, new) + missing(kind, new)
    if causes:
        return causes
    return _body(kind, new) + _change(kind, new, old)


def _body(kind: Kind, found: Obj) -> list[Cause]:
    spec = found.get("spec", {})
    match kind.kind:
        case "Pod":
            return pods.pod_spec(spec, "spec")
        case "Job":
            return jobs.job(found)
        case "DaemonSet" | "StatefulSet" | "Deployment" | "ReplicaSet":
            return _workload(kind, spec)
        case "ConfigMap" | "Secret":
            return _data(kind, found)
        case "Service":
            return _service(spec)
        case "PersistentVolumeClaim":
            return _claim(spec)
        case "ResourceQuota":
            return _quota(spec)
        case "Node":
            return _node(spec)
        case "NetworkPolicy":
            return pods.label_selector(spec.get("podSelector"), "spec.podSelector")
        case "Lease":
            return _lease(spec)
        case "Role" | "ClusterRole":
            return _role(kind, found)
        case "RoleBinding" | "ClusterRoleBinding":
            return _binding(found)
    return []


def _workload(kind: Kind, spec: Obj) -> list[Cause]:
    causes = pods.label_selector(spec.get("selector"), "spec.selector")
    selector = spec.get("selector") or {}
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(wrong("spec.selector", selector, "empty selector is invalid for " + kind.kind.lower()))
    elif not label_selector(selector)(labels):
        causes.append(wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    causes += pods.template(spec["template"], "spec.template")
    policy = spec["template"]["spec"].get("restartPolicy")
    if policy in pods.POLICIES and policy != "Always":
        causes.append(unsupported("spec.template.spec.restartPolicy", policy, ("Always",)))
    causes += pods.integer(spec, "replicas", "spec")
    choices: dict[str, tuple[str, tuple[str, ...]]] = {
        "DaemonSet": ("updateStrategy", ("RollingUpdate", "OnDelete")),
        "StatefulSet": ("updateStrategy", ("RollingUpdate", "OnDelete")),
        "Deployment": ("strategy", ("Recreate", "RollingUpdate")),
    }
    if kind.kind in choices:
        name, allowed = choices[kind.kind]
        if spec.get(name, {}).get("type") not in allowed:
            causes.append(unsupported(f"spec.{name}.type", spec.get(name, {}).get("type"), allowed))
    if kind.kind == "StatefulSet" and spec.get("podManagementPolicy") not in ("OrderedReady", "Parallel"):
        causes.append(
            wrong("spec.podManagementPolicy", spec.get("podManagementPolicy"), "must be 'OrderedReady' or 'Parallel'")
        )
    return causes


def _data(kind: Kind, found: Obj) -> list[Cause]:
    causes = []
    size = 0
    for part in ("data", "binaryData"):
        for key, value in (found.get(part) or {}).items():
            size += len(str(value).encode())
            if not key or len(key) > 253 or not all(c.isalnum() or c in "-_." for c in key) or key in (".", ".."):
                causes.append(
                    wrong(
                        f"{part}[{key}]", key,
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
                        "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                    )
                )  # fmt: skip
    if kind.kind == "Secret":
        size = size * 3 // 4
    if size > _MOST_BYTES:
        causes.append(too_long("" if kind.kind == "ConfigMap" else "data", _MOST_BYTES))
    return causes


def _service(spec: Obj) -> list[Cause]:
    causes: list[Cause] = []
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        causes.append(required("spec.ports"))
    for number, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{number}].name"))
        if not 0 < port.get("port", 0) < 65536:
            causes.append(
                wrong(f"spec.ports[{number}].port", port.get("port"), "must be between 1 and 65535, inclusive")
            )
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in kinds:
        causes.append(unsupported("spec.type", spec.get("type"), kinds))
    return causes


def _claim(spec: Obj) -> list[Cause]:
    causes = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    storage = spec.get("resources", {}).get("requests", {}).get("storage")
    if storage is None:
        causes.append(required("spec.resources[storage]"))
    return causes


def _quota(spec: Obj) -> list[Cause]:
    causes = []
    for name, value in (spec.get("hard") or {}).items():
        try:
            quantity(value)
        except ValueError:
            causes.append(wrong(f"spec.hard[{name}]", value, pods.QUANTITY_WORDS))
    return causes


def _node(spec: Obj) -> list[Cause]:
    causes = []
    for number, taint in enumerate(spec.get("taints") or []):
        if why := meta.key_complaint(taint.get("key", "")):
            causes.append(wrong(f"metadata.taints[{number}].key", taint.get("key"), why))
        if taint.get("effect") not in pods.EFFECTS:
            causes.append(unsupported(f"metadata.taints[{number}].effect", taint.get("effect"), pods.EFFECTS))
    return causes


def _lease(spec: Obj) -> list[Cause]:
    if "leaseDurationSeconds" in spec and spec["leaseDurationSeconds"] <= 0:
        return [wrong("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0")]
    return pods.integer(spec, "leaseTransitions", "spec")


def _role(kind: Kind, found: Obj) -> list[Cause]:
    causes = []
    for number, rule in enumerate(found.get("rules") or []):
        path = f"rules[{number}]"
        if not rule.get("verbs"):
            causes.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if kind.namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                causes.append(wrong(f"{path}.nonResourceURLs", rule["nonResourceURLs"], why))
            continue
        if not rule.get("apiGroups"):
            causes.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            causes.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return causes


def _binding(found: Obj) -> list[Cause]:
    causes = []
    kind = found.get("roleRef", {}).get("kind")
    if kind not in ("Role", "ClusterRole"):
        causes.append(unsupported("roleRef.kind", kind, ("ClusterRole", "Role")))
    for number, subject in enumerate(found.get("subjects") or []):
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            causes.append(required(f"subjects[{number}].namespace"))
    return causes


_STATEFUL = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def _change(kind: Kind, new: Obj, old: Obj) -> list[Cause]:
    now, was = new.get("spec", {}), old.get("spec", {})
    match kind.kind:
        case "Pod":
            return pods.pod_update(new, old)
        case "Job":
            return jobs.job_update(now, was)
        case "DaemonSet" | "Deployment" | "ReplicaSet":
            return meta.immutable_fields(now, was, "spec", ("selector",))
        case "StatefulSet":
            if {k: v for k, v in now.items() if k not in _STATEFUL} != {
                k: v for k, v in was.items() if k not in _STATEFUL
            }:
                named = ", ".join(f"'{name}'" for name in _STATEFUL[:-1])
                said = f"updates to statefulset spec for fields other than {named} and 'minReadySeconds' are forbidden"
                return [prohibited("spec", said)]
        case "Secret" | "ConfigMap":
            return _kept_data(kind, new, old)
        case "Service":
            if was.get("clusterIP") and now.get("clusterIP") != was["clusterIP"]:
                return [wrong("spec.clusterIPs[0]", [now.get("clusterIP")], "may not change once set")]
        case "PersistentVolumeClaim":
            fixed = ("accessModes", "selector", "storageClassName", "volumeMode", "dataSource")
            if any(now.get(key) != was.get(key) for key in fixed) or (
                was.get("volumeName") and now.get("volumeName") != was["volumeName"]
            ):
                return [
                    prohibited(
                        "spec",
                        "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                        "bound claims",
                    )
                ]
        case "RoleBinding" | "ClusterRoleBinding":
            if new.get("roleRef") != old.get("roleRef"):
                return [wrong("roleRef", new.get("roleRef"), "cannot change roleRef")]
        case "PriorityClass":
            if new.get("value") != old.get("value"):
                return [prohibited("value", "may not be changed in an update.")]
    return []


def _kept_data(kind: Kind, new: Obj, old: Obj) -> list[Cause]:
    causes = []
    if old.get("immutable"):
        if not new.get("immutable"):
            causes.append(prohibited("immutable", "field is immutable when `immutable` is set"))
        changed = [part for part in ("data", "binaryData") if new.get(part) != old.get(part)]
        causes += [prohibited(part, "field is immutable when `immutable` is set") for part in changed]
    if kind.kind == "Secret" and new.get("type") != old.get("type"):
        causes.append(immutable("type", new.get("type")))
    return causes
