"""The streamer and its relays: the run's log, and copies of it.

The streamer is a StatefulSet of one: never two at once, also when nobody knows whether its node is alive.  Its
volume claim is an object of its own, owned by the root like all else: claims made from a template outlive their
StatefulSet unless the cluster is new enough.
"""

from __future__ import annotations

from streamer.control.cluster.commands import FEED, FOLDER, INGEST, of_part
from streamer.control.cluster.names import name, selector
from streamer.control.cluster.plan import ClusterPlan, Object
from streamer.control.cluster.pods import Part, template
from streamer.control.cluster.root import SPEC_KEY, metadata
from streamer.control.parts import SPEC_FILE


def claim(plan: ClusterPlan) -> Object:
    """The volume of the streamer's log."""
    spec: Object = {
        "accessModes": [plan.storage.access],
        "resources": {"requests": {"storage": plan.storage.size}},
    }
    if plan.storage.storage_class:
        spec["storageClassName"] = plan.storage.storage_class
    about = metadata(plan, "log", "streamer")
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": about, "spec": spec}


def streamer(plan: ClusterPlan) -> Object:
    """The streamer."""
    part = Part(
        "streamer", "streamer", "streamer", of_part(plan, "streamer", "streamer"),
        mounts=(
            {"name": "log", "mountPath": f"{FOLDER}/log"},
            {"name": "run", "mountPath": f"{FOLDER}/{SPEC_FILE}", "subPath": SPEC_KEY, "readOnly": True},
        ),
        volumes=(
            {"name": "log", "persistentVolumeClaim": {"claimName": name(plan.run_id, "log")}},
            {"name": "run", "configMap": {"name": name(plan.run_id, "run")}},
        ),
        ports=(("ingest", INGEST), ("feed", FEED)),
    )  # fmt: skip
    spec = {
        "replicas": 1,
        "serviceName": name(plan.run_id, "streamer"),
        "selector": {"matchLabels": selector(plan.run_id, "streamer")},
        "template": template(plan, plan.streamer, part),
    }
    about = metadata(plan, "streamer", "streamer", plan.streamer.labels)
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": about, "spec": spec}


def relays(plan: ClusterPlan) -> list[Object]:
    """The relays, each a Deployment of one."""
    found = []
    for number, relay in enumerate(plan.relays, 1):
        called = f"relay-{number}"
        part = Part(
            called, "relay", "relay", of_part(plan, called, "relay"),
            mounts=({"name": "copy", "mountPath": f"{FOLDER}/log-{relay.name}"},),
            volumes=({"name": "copy", "emptyDir": {"sizeLimit": relay.copy}},),
            ports=(("feed", FEED),),
        )  # fmt: skip
        found.append(deployment(plan, called, "relay", 1, template(plan, relay.pod, part), relay.pod.labels))
    return found


def deployment(
    plan: ClusterPlan,
    part: str,
    role: str,
    replicas: int,
    pods: Object,
    labels: dict[str, str],
    *,
    rolling: bool = False,
) -> Object:
    """A Deployment of a part; an old pod ends before a new one begins, unless it is ``rolling``."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": selector(plan.run_id, part)},
        "strategy": {"type": "RollingUpdate" if rolling else "Recreate"},
        "template": pods,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(plan, part, role, labels), "spec": spec}
