"""Taints and tolerations."""

from __future__ import annotations

from collections.abc import Sequence

from tests.k8s.server.kinds import Obj


def tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("value", "") == taint.get("value", ""))


def untolerated(
    node: Obj, tolerations: Sequence[Obj], effects: Sequence[str] = ("NoSchedule", "NoExecute")
) -> Obj | None:
    """The first taint of a node that keeps a pod with these tolerations away."""
    taints = list(node["spec"].get("taints") or [])
    if node["spec"].get("unschedulable"):
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    wanted = (taint for taint in taints if taint["effect"] in effects)
    return next((taint for taint in wanted if not any(tolerates(one, taint) for one in tolerations)), None)
