"""What the server fills in where an object says nothing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.k8s.server.kinds import Kind, Obj

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def fill(kind: Kind, found: Obj) -> None:
    """Fills in the defaults of an object."""
    spec = found.setdefault("spec", {}) if kind.kind in _SPECS else found
    fill_in = _SPECS.get(kind.kind) or _PLAIN.get(kind.kind)
    if fill_in:
        fill_in(spec)


def _plainly(spec: Obj, **values: Any) -> None:
    for key, value in values.items():
        spec.setdefault(key, value)


def pod(spec: Obj) -> None:
    _plainly(
        spec, restartPolicy="Always", dnsPolicy="ClusterFirst", terminationGracePeriodSeconds=30, securityContext={},
        schedulerName="default-scheduler", enableServiceLinks=True,
    )  # fmt: skip
    if "serviceAccount" in spec:
        spec.setdefault("serviceAccountName", spec["serviceAccount"])
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        _container(container)
    for volume in spec.get("volumes", []):
        if len(volume) == 1:
            volume["emptyDir"] = {}
        for source, key in (("configMap", "defaultMode"), ("secret", "defaultMode"), ("downwardAPI", "defaultMode")):
            if source in volume:
                volume[source].setdefault(key, 420)
        if "hostPath" in volume:
            volume["hostPath"].setdefault("type", "")


def _container(container: Obj) -> None:
    tag = str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[2]
    policy = "Always" if tag in ("", "latest") and "@" not in container.get("image", "") else "IfNotPresent"
    _plainly(
        container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
        imagePullPolicy=policy, resources={},
    )  # fmt: skip
    for port in container.get("ports", []):
        port.setdefault("protocol", "TCP")
    for env in container.get("env", []):
        if "fieldRef" in env.get("valueFrom", {}):
            env["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _plainly(container[probe], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if "httpGet" in container[probe]:
                _plainly(container[probe]["httpGet"], path="/", scheme="HTTP")
    resources = container["resources"]
    for name, value in resources.get("limits", {}).items():
        resources.setdefault("requests", {}).setdefault(name, value)


def _template(spec: Obj) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod(template.setdefault("spec", {}))


def _job(spec: Obj) -> None:
    _template(spec)
    if "completions" not in spec and "parallelism" not in spec and spec.get("completionMode") != "Indexed":
        spec["completions"] = 1
    _plainly(
        spec, parallelism=1, completionMode="NonIndexed", suspend=False,
        backoffLimit=2**31 - 1 if "backoffLimitPerIndex" in spec else 6,
        podReplacementPolicy="Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
    )  # fmt: skip
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        for condition in rule.get("onPodConditions", []):
            condition.setdefault("status", "True")


def _daemon_set(spec: Obj) -> None:
    _template(spec)
    _plainly(spec, updateStrategy={"type": "RollingUpdate"}, revisionHistoryLimit=10)
    if spec["updateStrategy"].setdefault("type", "RollingUpdate") == "RollingUpdate":
        _plainly(spec["updateStrategy"].setdefault("rollingUpdate", {}), maxUnavailable=1, maxSurge=0)


def _stateful_set(spec: Obj) -> None:
    _template(spec)
    _plainly(
        spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10,
        updateStrategy={"type": "RollingUpdate"},
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )  # fmt: skip
    if spec["updateStrategy"].setdefault("type", "RollingUpdate") == "RollingUpdate":
        _plainly(spec["updateStrategy"].setdefault("rollingUpdate", {}), partition=0)
    for claim in spec.get("volumeClaimTemplates", []):
        claim.update({"kind": "PersistentVolumeClaim", "apiVersion": "v1"})
        _claim(claim.setdefault("spec", {}))
        claim.setdefault("status", {"phase": "Pending"})


def _deployment(spec: Obj) -> None:
    _template(spec)
    _plainly(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={"type": "RollingUpdate"})
    if spec["strategy"].setdefault("type", "RollingUpdate") == "RollingUpdate":
        _plainly(spec["strategy"].setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")


def _replica_set(spec: Obj) -> None:
    _template(spec)
    _plainly(spec, replicas=1)


def _service(spec: Obj) -> None:
    _plainly(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    _plainly(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")


def cluster_ip(uid: str) -> str:
    """An address for a service, made of its uid."""
    digest = hashlib.sha256(uid.encode()).digest()
    return f"10.{96 + digest[0] % 16}.{digest[1]}.{1 + digest[2] % 254}"


def _claim(spec: Obj) -> None:
    _plainly(spec, volumeMode="Filesystem")


def _network_policy(spec: Obj) -> None:
    spec.setdefault("podSelector", {})
    spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if "egress" in spec else [])])
    for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
        for port in rule.get("ports", []):
            port.setdefault("protocol", "TCP")


def _secret(found: Obj) -> None:
    found.setdefault("type", "Opaque")
    for key, text in found.pop("stringData", {}).items():
        found.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def _namespace(spec: Obj) -> None:
    if "kubernetes" not in spec.setdefault("finalizers", []):
        spec["finalizers"].append("kubernetes")


def _binding(found: Obj) -> None:
    group = "rbac.authorization.k8s.io"
    found.get("roleRef", {}).setdefault("apiGroup", group)
    for subject in found.get("subjects", []):
        subject.setdefault("apiGroup", "" if subject.get("kind") == "ServiceAccount" else group)
        if not subject["apiGroup"]:
            del subject["apiGroup"]


def _priority_class(found: Obj) -> None:
    _plainly(found, preemptionPolicy="PreemptLowerPriority")


_SPECS = {
    "Pod": pod, "Job": _job, "DaemonSet": _daemon_set, "StatefulSet": _stateful_set, "Deployment": _deployment,
    "ReplicaSet": _replica_set, "Service": _service, "PersistentVolumeClaim": _claim,
    "NetworkPolicy": _network_policy, "Namespace": _namespace,
}  # fmt: skip
_PLAIN = {
    "Secret": _secret, "RoleBinding": _binding, "ClusterRoleBinding": _binding, "PriorityClass": _priority_class,
}  # fmt: skip


def tolerate(spec: Obj) -> None:
    """The admission plugin DefaultTolerationSeconds: five minutes on a node that has gone."""
    tolerations = spec.setdefault("tolerations", [])
    for key in (NOT_READY, UNREACHABLE):
        if not any(
            one.get("key", key) in (key, "") and one.get("effect", "NoExecute") in ("NoExecute", "")
            for one in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
