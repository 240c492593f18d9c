"""Resource quotas: what a namespace uses, and the refusal of what would exceed it."""

from __future__ import annotations

from decimal import Decimal

from tests.k8s.server.kinds import BY_RESOURCE, Kind, Obj
from tests.k8s.server.quantities import Amounts, added, asked, quantity, written
from tests.k8s.server.refusals import Refused, forbidden
from tests.k8s.server.store import Key, Store

_COUNTED = ("pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas")


def of(kind: Kind, found: Obj) -> Amounts:
    """What an object takes of a quota."""
    one = Decimal(1)
    taken: Amounts = {f"count/{kind.resource}": one}
    if kind.plural in _COUNTED:
        taken[kind.plural] = one
    if kind.kind == "Pod":
        if found.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return {f"count/{kind.resource}": one}
        requests, limits = asked(found), asked(found, "limits")
        taken |= {f"requests.{name}": amount for name, amount in requests.items()}
        taken |= {name: amount for name, amount in requests.items() if "/" not in name}
        taken |= {f"limits.{name}": amount for name, amount in limits.items() if "/" not in name}
    if kind.kind == "PersistentVolumeClaim":
        taken["requests.storage"] = quantity(found["spec"]["resources"]["requests"]["storage"])
    return taken


def used(store: Store, namespace: str, hard: Obj) -> Amounts:
    total: Amounts = dict.fromkeys(hard, Decimal(0))
    for resource, kind in BY_RESOURCE.items():
        if kind.namespaced and kind.kind != "Event":
            total = added(total, *(of(kind, found) for found in store.every(resource, namespace)))
    return {name: total[name] for name in hard}


def refusal(store: Store, kind: Kind, namespace: str, found: Obj) -> Refused | None:
    """What a quota says against a new object."""
    wanted = of(kind, found)
    for limit in store.every("resourcequotas", namespace):
        hard = limit["spec"].get("hard") or {}
        if kind.kind == "Pod" and (lacking := _unspecified(found, hard)):
            said = f"failed quota: {limit['metadata']['name']}: must specify {lacking}"
            return forbidden(kind, found["metadata"]["name"], said)
        concerned = sorted(name for name in hard if name in wanted)
        counted = limit.get("status", {}).get("used") or {}
        if unknown := [name for name in concerned if name not in counted]:  # its controller has not been there yet
            said = f"status unknown for quota: {limit['metadata']['name']}, resources: {','.join(unknown)}"
            return forbidden(kind, found["metadata"]["name"], said)
        now = used(store, namespace, hard) if concerned else {}
        over = [name for name in concerned if now[name] + wanted[name] > quantity(hard[name])]
        if over:
            asks = ",".join(f"{name}={written(wanted[name])}" for name in over)
            uses = ",".join(f"{name}={written(now[name])}" for name in over)
            limits = ",".join(f"{name}={hard[name]}" for name in over)
            said = f"exceeded quota: {limit['metadata']['name']}, requested: {asks}, used: {uses}, limited: {limits}"
            return forbidden(kind, found["metadata"]["name"], said)
    return None


def _unspecified(pod: Obj, hard: Obj) -> str:
    lacking = []
    for name in sorted(hard):
        which, resource = ("limits", name.removeprefix("limits.")) if name.startswith("limits.") else (
            "requests", name.removeprefix("requests."))  # fmt: skip
        if resource not in ("cpu", "memory"):
            continue
        without = [
            c["name"] for c in pod["spec"]["containers"] if resource not in c.get("resources", {}).get(which, {})
        ]
        if without:
            lacking.append(f"{name} for: {','.join(without)}")
    return "; ".join(lacking)


def refresh(store: Store) -> None:
    """Brings the status of every quota up to date."""
    for limit in store.every("resourcequotas"):
        namespace = limit["metadata"]["namespace"]
        hard = limit["spec"].get("hard") or {}
        shown = {name: written(amount) for name, amount in used(store, namespace, hard).items()}
        limit["status"] = {"hard": hard, "used": shown}
        store.put(Key("resourcequotas", namespace, limit["metadata"]["name"]), limit)
