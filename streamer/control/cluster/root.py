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
    """The plan without what may change while the run goes on: how many workers and renderers, and which walls."""
    workers = msgspec.structs.replace(plan.workers, count=1)
    renderers = msgspec.structs.replace(plan.renderers, count=1) if plan.renderers is not None else None
    return msgspec.structs.replace(plan, workers=workers, renderers=renderers, walls=())


def spec_hash(spec: RunSpec, plan: ClusterPlan) -> str:
    """32 hexadecimal digits that stand for the run's specification and plan."""
    return hash_of(_written(spec), _written(fixed(plan)))


def hash_of(spec: str, plan: str) -> str:
    """The same of what stands in a root: also of one that another version of CaveCast has made."""
    return hashlib.sha256(f"[{spec},{plan}]".encode()).hexdigest()[:32]


def _written(record: RunSpec | ClusterPlan) -> str:
    return msgspec.json.encode(record, order="deterministic").decode()


def read(root: Object, spec: RunSpec) -> ClusterPlan:
    """The plan by which a run's objects were made, from its root.  Raises NotPossible if that is not of this run."""
    name_of, data = root["metadata"]["name"], root.get("data") or {}
    kept, planned = str(data.get(SPEC_KEY, "")), str(data.get(PLAN_KEY, ""))
    annotations = root["metadata"].get("annotations") or {}
    if annotations.get(RUN_ID) != spec.run_id or annotations.get(SPEC_HASH) != hash_of(kept, planned):
        raise NotPossible(f"ConfigMap {name_of} is not the root of run {spec.run_id}, or was changed: delete that run")
    try:
        same = msgspec.json.decode(kept, type=RunSpec) == spec
        plan = msgspec.json.decode(planned, type=ClusterPlan)
    except msgspec.MsgspecError as why:
        raise NotPossible(f"ConfigMap {name_of} holds what this CaveCast does not read: {why}") from None
    if not same:
        raise NotPossible(f"ConfigMap {name_of} holds another specification of run {spec.run_id}: delete that run")
    return plan


def root(spec: RunSpec, plan: ClusterPlan) -> Object:
    """The root of a run.  Raises NotPossible if the specification is too large for a ConfigMap."""
    if spec.run_id != plan.run_id:
        raise NotPossible(f"the plan is for run {plan.run_id}, the specification is of {spec.run_id}")
    data = {
        SPEC_KEY: _written(spec),
        PLAN_KEY: _written(fixed(plan)),
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
        "labels": {**(extra or {}), **labels(plan.run_id, role, part, plan.installation)},
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
