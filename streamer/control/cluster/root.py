"""The ConfigMap that owns all other objects of a run.

It holds the run's specification and the plan by which its objects were made, and cannot be changed.  All else names
it as its owner, so one foreground delete of it leaves nothing.  Its hash tells whether an object that is there
already is this run's, of this very specification; figures that may change while a run goes on are not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from streamer.control.cluster.names import RUN_ID, SPEC_HASH, labels, name
from streamer.control.cluster.plan import ClusterPlan, NotPossible, Object
from streamer.wire.volume import RunSpec

SPEC_KEY, PLAN_KEY = "RUN.json", "plan.json"
MOST_BYTES = 1_000_000
"""Of a ConfigMap's data; the API server takes 1 MiB."""


def fixed(plan: ClusterPlan) -> ClusterPlan:
    """The plan without what may change while the run goes on: how many workers and renderers."""
    workers = msgspec.structs.replace(plan.workers, count=1)
    renderers = msgspec.structs.replace(plan.renderers, count=1) if plan.renderers is not None else None
    return msgspec.structs.replace(plan, workers=workers, renderers=renderers)


def spec_hash(spec: RunSpec, plan: ClusterPlan) -> str:
    """32 hexadecimal digits that stand for the run's specification and plan."""
    raw = msgspec.json.encode([spec, fixed(plan)], order="deterministic")
    return hashlib.sha256(raw).hexdigest()[:32]


def root(spec: RunSpec, plan: ClusterPlan) -> Object:
    """The root of a run.  Raises NotPossible if the specification is too large for a ConfigMap."""
    if spec.run_id != plan.run_id:
        raise NotPossible(f"the plan is for run {plan.run_id}, the specification is of {spec.run_id}")
    data = {
        SPEC_KEY: msgspec.json.encode(spec).decode(),
        PLAN_KEY: msgspec.json.encode(fixed(plan), order="deterministic").decode(),
    }
    size = sum(len(value.encode()) for value in data.values())
    if size > MOST_BYTES:
        raise NotPossible(
            f"the specification of run {plan.run_id} has {size:,} bytes and a ConfigMap holds {MOST_BYTES:,}: its axes "
            "have too many points; segment a part of the volume"
        )
    found = config_map(plan, "run", "run", data)
    found["metadata"]["annotations"][SPEC_HASH] = spec_hash(spec, plan)
    return {**found, "immutable": True}


def metadata(plan: ClusterPlan, part: str, role: str, extra: dict[str, str] | None = None) -> Object:
    """The metadata of an object of a run."""
    return {
        "name": name(plan.run_id, part),
        "namespace": plan.namespace,
        "labels": {**(extra or {}), **labels(plan.run_id, role, part)},
        "annotations": {RUN_ID: plan.run_id},
    }


def config_map(plan: ClusterPlan, part: str, role: str, data: dict[str, str]) -> Object:
    """A ConfigMap of a run."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(plan, part, role), "data": data}


def owned(objects: Iterable[Object], root: Object) -> list[Object]:
    """The objects with the root as their owner, and with its hash.

    ``root`` is as the API server returned it, with its uid; to be called before they are created.
    """
    of, uid = root["metadata"], root["metadata"].get("uid")
    if not uid:
        raise NotPossible(f"the root {of['name']} has no uid yet: create it before what it owns")
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": of["name"],
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    found = []
    for one in objects:
        annotations = {**one["metadata"].get("annotations", {}), SPEC_HASH: of["annotations"][SPEC_HASH]}
        found.append({**one, "metadata": {**one["metadata"], "annotations": annotations, "ownerReferences": [owner]}})
    return found
