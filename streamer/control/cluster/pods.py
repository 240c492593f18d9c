"""A pod of a run: what is the same for all of them.

Pods are as Kubernetes' *restricted* Pod Security wants them: no root, no capabilities, no writable root file system;
what must be written goes to /tmp or to a volume.  They have no token of the cluster's API.  Environment variables
that describe the namespace's Services are switched off, because that of a Service called ``cavecast`` would be read
as a setting (``CAVECAST_PORT``).
"""

from __future__ import annotations

from typing import NamedTuple

from streamer.control.cluster.affinity import of_run, spread_of_run
from streamer.control.cluster.names import RUN_ID, labels, name
from streamer.control.cluster.plan import ClusterPlan, Object, Pod
from streamer.control.cluster.quantity import resources

KEYS = "/etc/cavecast/keys"
READ_ONLY = 0o440
"""Of keys: their owner is root, and the pod's group reads them; a file that all can read is refused."""
PROBE_S = 10
"""Not more often: a door remembers for 5 s that somebody only looked whether it is open."""


class Part(NamedTuple):
    """What one part of a run has besides what all have."""

    part: str
    """As in names: ``streamer``, ``relay-1``."""
    role: str
    key: str
    """Whose keys it has: the role of a file that ``cavecast keys`` makes."""
    arguments: list[str]
    env: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    restart: str = "Always"
    away: bool = True
    """Whether it may run elsewhere when its node is lost."""


def template(plan: ClusterPlan, pod: Pod, part: Part) -> Object:
    """The template of a part's pods.  Raises NotPossible."""
    metadata: Object = {
        "labels": {**pod.labels, **labels(plan.run_id, part.role, part.part, plan.installation)},
        "annotations": {**pod.annotations, RUN_ID: plan.run_id},
    }
    return {"metadata": metadata, "spec": _spec(plan, pod, part)}


def _spec(plan: ClusterPlan, pod: Pod, part: Part) -> Object:
    keys = {
        "name": "keys",
        "secret": {
            "secretName": name(plan.run_id, "keys"),
            "defaultMode": READ_ONLY,
            "items": [{"key": f"{part.key}.toml", "path": f"{part.key}.toml"}],
        },
    }
    tmp = {"name": "tmp", "emptyDir": {"sizeLimit": pod.tmp}}
    spec: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": part.restart,
        "terminationGracePeriodSeconds": plan.grace_s,
        "securityContext": _of_pod(pod),
        "containers": [_container(pod, part)],
        "volumes": [tmp, keys, *part.volumes, *pod.volumes],
    }
    selector = {**pod.node_selector, **(pod.gpu.product if pod.gpu.count else {})}
    tolerations = [*pod.tolerations, *(_away(plan.away_s) if part.away else ())]
    optional: Object = {
        "nodeSelector": selector,
        "tolerations": tolerations,
        "affinity": of_run(pod.affinity, plan.run_id),
        "topologySpreadConstraints": spread_of_run(pod.spread, plan.run_id),
        "runtimeClassName": pod.runtime_class,
        "priorityClassName": pod.priority_class,
        "serviceAccountName": pod.service_account,
        "imagePullSecrets": [{"name": one} for one in plan.pull_secrets],
    }
    return spec | {key: value for key, value in optional.items() if value}


def _of_pod(pod: Pod) -> Object:
    found: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if pod.user is not None:
        whose = {"runAsUser": pod.user, "runAsGroup": pod.user, "fsGroup": pod.user}
        found |= whose | {"fsGroupChangePolicy": "OnRootMismatch"}
    return found


def _container(pod: Pod, part: Part) -> Object:
    given = [{"name": key, "value": value} for key, value in sorted(pod.env.items())]
    own = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        {"name": "CAVECAST_LOG_FORMAT", "value": "json"},
    ]
    container: Object = {
        "name": part.role,
        "image": pod.image,
        "args": part.arguments,
        # What the site gives comes last, and so has the last word.
        "env": [*own, *part.env, *given],
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "keys", "mountPath": KEYS, "readOnly": True},
            *part.mounts,
            *pod.mounts,
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if found := resources(f"the {part.role}", pod.needs, pod.gpu):
        container["resources"] = found
    if pod.pull_policy:
        container["imagePullPolicy"] = pod.pull_policy
    if pod.env_from:
        container["envFrom"] = list(pod.env_from)
    if part.ports:
        container["ports"] = [{"name": door, "containerPort": port} for door, port in part.ports]
        container["readinessProbe"] = {"tcpSocket": {"port": part.ports[0][0]}, "periodSeconds": PROBE_S}
    return container


def _away(seconds: int) -> list[Object]:
    return [
        {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for why in ("not-ready", "unreachable")
    ]
