"""The garbage collector: what no owner wants any more goes, and an owner deleted in the foreground goes last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.k8s.server.given import FOREGROUND, ORPHAN
from tests.k8s.server.kinds import BY_KIND, BY_RESOURCE, Kind, Obj

if TYPE_CHECKING:
    from tests.k8s.server.cluster import Cluster


def collect(cluster: Cluster) -> None:
    everything = list(cluster.store.objects.items())
    owners = {found["metadata"]["uid"]: found for _, found in everything}
    dependents: dict[str, list[Obj]] = {}
    for _, found in everything:
        for reference in found["metadata"].get("ownerReferences") or []:
            dependents.setdefault(reference["uid"], []).append(found)
    for key, found in everything:
        if "deletionTimestamp" in found["metadata"] and (found["metadata"].get("finalizers") or []):
            _process_owner(cluster, BY_RESOURCE[key.resource], found, dependents.get(found["metadata"]["uid"], []))
    for key, found in everything:
        if found["metadata"].get("ownerReferences") and key in cluster.store.objects:
            has = bool(dependents.get(found["metadata"]["uid"]))
            _process_dependent(cluster, BY_RESOURCE[key.resource], found, owners, has)


def _copy(cluster: Cluster, kind: Kind, found: Obj) -> Obj | None:
    data = found["metadata"]
    return cluster.get(kind.resource, data.get("namespace", ""), data["name"])


def _process_owner(cluster: Cluster, kind: Kind, found: Obj, dependents: list[Obj]) -> None:
    finalizers = found["metadata"]["finalizers"]
    uid = found["metadata"]["uid"]
    if ORPHAN in finalizers:
        for dependent in dependents:
            _forget_owner(cluster, dependent, {uid})
        _unhold(cluster, kind, found, ORPHAN)
    elif FOREGROUND in finalizers:
        blocking = [
            one for one in dependents
            if any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in one["metadata"]["ownerReferences"])
        ]  # fmt: skip
        if not blocking:
            _unhold(cluster, kind, found, FOREGROUND)


def _unhold(cluster: Cluster, kind: Kind, found: Obj, finalizer: str) -> None:
    now = _copy(cluster, kind, found)
    if now is not None and finalizer in (now["metadata"].get("finalizers") or []):
        now["metadata"]["finalizers"].remove(finalizer)
        if not now["metadata"]["finalizers"]:
            del now["metadata"]["finalizers"]
        cluster.keep(kind, now)


def _forget_owner(cluster: Cluster, dependent: Obj, uids: set[str]) -> None:
    kind = BY_KIND[dependent["apiVersion"], dependent["kind"]]
    now = _copy(cluster, kind, dependent)
    if now is None:
        return
    left = [one for one in now["metadata"].get("ownerReferences") or [] if one["uid"] not in uids]
    now["metadata"].pop("ownerReferences", None)
    if left:
        now["metadata"]["ownerReferences"] = left
    cluster.keep(kind, now)


def _process_dependent(cluster: Cluster, kind: Kind, found: Obj, owners: dict[str, Obj], has_dependents: bool) -> None:
    data = found["metadata"]
    if "deletionTimestamp" in data and FOREGROUND not in (data.get("finalizers") or []):
        return
    solid, waiting, gone = [], [], []
    for reference in data["ownerReferences"]:
        owner = owners.get(reference["uid"])
        if owner is None or not _reachable(owner, reference, data.get("namespace", "")):
            gone.append(reference)
        elif "deletionTimestamp" in owner["metadata"] and FOREGROUND in (owner["metadata"].get("finalizers") or []):
            waiting.append(reference)
        else:
            solid.append(reference)
    if solid:
        if gone or waiting:
            _forget_owner(cluster, found, {one["uid"] for one in (*gone, *waiting)})
        return
    if "deletionTimestamp" in data:
        return
    kept = data.get("finalizers") or []
    if waiting and has_dependents:
        policy = "Foreground"
    else:
        policy = "Orphan" if ORPHAN in kept else "Foreground" if FOREGROUND in kept else "Background"
    cluster.registry.delete(
        kind, data.get("namespace", ""), data["name"],
        {"propagationPolicy": policy, "preconditions": {"uid": data["uid"]}},
    )  # fmt: skip


def _reachable(owner: Obj, reference: Obj, namespace: str) -> bool:
    """An owner is in the same namespace or in none, and is what the reference says."""
    there = owner["metadata"].get("namespace", "")
    same = (owner["kind"], owner["metadata"]["name"]) == (reference["kind"], reference["name"])
    return same and there in ("", namespace)
