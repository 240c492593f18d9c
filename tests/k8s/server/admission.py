"""The admission plugins that matter here: namespaces, service accounts, priority classes, tolerations."""

from __future__ import annotations

from tests.k8s.server.defaults import tolerate
from tests.k8s.server.kinds import BY_RESOURCE, Kind, Obj
from tests.k8s.server.refusals import Cause, forbidden, not_found
from tests.k8s.server.store import Key, Store

_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def namespace(store: Store, kind: Kind, found: Obj) -> None:
    """Raises Refused 404 where there is no such namespace, 403 where it is going away."""
    name = found["metadata"]["namespace"]
    there = store.get(Key("namespaces", "", name))
    if there is None:
        raise not_found(BY_RESOURCE["namespaces"], name)
    if "deletionTimestamp" in there["metadata"]:
        why = f"unable to create new content in namespace {name} because it is being terminated"
        cause: Obj = {
            "reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated",
            "field": "metadata.namespace",
        }  # fmt: skip
        raise forbidden(kind, found["metadata"].get("name", ""), why, [cause])


def admit(store: Store, kind: Kind, found: Obj) -> list[Cause]:
    """Changes a new object as the plugins do.  Raises Refused 403; returns what will be said with the validation."""
    if kind.kind != "Pod":
        return []
    spec, data = found["spec"], found["metadata"]
    account = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = account
    if store.get(Key("serviceaccounts", data["namespace"], account)) is None:
        why = f'error looking up service account {data["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise forbidden(kind, data.get("name", ""), why)
    _priority(store, kind, found)
    tolerate(spec)
    return []


def _priority(store: Store, kind: Kind, found: Obj) -> None:
    spec, name = found["spec"], found["spec"].get("priorityClassName", "")
    classes = store.every("priorityclasses.scheduling.k8s.io")
    chosen = next(
        (one for one in classes if (one["metadata"]["name"] == name) or (not name and one.get("globalDefault"))), None
    )
    if chosen is None and name in _SYSTEM_PRIORITIES:
        value, policy = _SYSTEM_PRIORITIES[name], "PreemptLowerPriority"
    elif chosen is None and name:
        why = f"no PriorityClass with name {name} was found"
        raise forbidden(kind, found["metadata"].get("name", ""), why)
    else:
        value = (chosen or {}).get("value", 0)
        policy = (chosen or {}).get("preemptionPolicy", "PreemptLowerPriority")
    given = spec.get("priority")
    if given is not None and given != value:
        why = (
            f"the integer value of priority ({given}) must not be provided in pod spec; priority admission controller "
            f"computed {value} from the given PriorityClass name"
        )
        raise forbidden(kind, found["metadata"].get("name", ""), why)
    if chosen is not None:
        spec["priorityClassName"] = chosen["metadata"]["name"]
    spec["priority"], spec["preemptionPolicy"] = value, policy
