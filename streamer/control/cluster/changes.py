"""What is said to the API server after a run was created: scale, delete, and whether what is there is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from streamer.control.cluster.affinity import NEEDED
from streamer.control.cluster.jobs import checked
from streamer.control.cluster.names import ENDED_AT, RUN_ID, SPEC_HASH, name
from streamer.control.cluster.plan import NotPossible, Object

MERGE_PATCH = "application/merge-patch+json"
"""How patches are to be sent."""
MOST_RENDERERS = 64


class Patch(NamedTuple):
    """A merge patch of one object."""

    kind: Literal["Job", "Deployment", "StatefulSet", "ConfigMap", "DaemonSet"]
    name: str
    body: Object


def scale_workers(run_id: str, count: int) -> Patch:
    """Both numbers of an elastic Indexed Job at once: one alone is refused.  Raises NotPossible."""
    count = checked(count)
    return Patch("Job", name(run_id, "workers"), {"spec": {"parallelism": count, "completions": count}})


def scale_renderers(run_id: str, count: int) -> Patch:
    """Renderers for browsers; none when nobody looks.  Raises NotPossible."""
    if not 0 <= count <= MOST_RENDERERS:
        raise NotPossible(f"{count} renderers are not possible: give 0 to {MOST_RENDERERS}")
    return Patch("Deployment", name(run_id, "renderers"), {"spec": {"replicas": count}})


def scale_streamer(run_id: str, count: int) -> Patch:
    """The streamer, or none: its log stays on its volume."""
    assert count in (0, 1), count
    return Patch("StatefulSet", name(run_id, "streamer"), {"spec": {"replicas": count}})


def start_relay(run_id: str, number: int) -> Patch:
    """A relay, of a run that is served again; its copy is had again from the streamer."""
    return Patch("Deployment", name(run_id, f"relay-{number}"), {"spec": {"replicas": 1}})


def ended(run_id: str, at: str) -> Patch:
    """Writes into a run's root when it ended (ISO 8601)."""
    return Patch("ConfigMap", name(run_id, "run"), {"metadata": {"annotations": {ENDED_AT: at}}})


def seats(run_id: str, number: int, old: Mapping[str, str], new: Mapping[str, str]) -> Patch:
    """Who shows what of a wall from now on; nodes that have gone lose their key."""
    data = {**dict.fromkeys(old.keys() - new.keys()), **new}
    return Patch("ConfigMap", name(run_id, f"seats-{number}"), {"data": data})


def placed(run_id: str, number: int, terms: Sequence[Object]) -> Patch:
    """On which nodes a wall's tiles are from now on (``affinity.terms``)."""
    affinity = {"nodeAffinity": {NEEDED: {"nodeSelectorTerms": list(terms)}}}
    body = {"spec": {"template": {"spec": {"affinity": affinity}}}}
    return Patch("DaemonSet", name(run_id, f"wall-{number}"), body)


def delete(root: Object) -> Object:
    """The body of the DELETE of a run's root: what it owns goes first, and only this very root is meant.

    Without it a Job's pods would stay, and a root of the same name that was made since might go.
    """
    uid = root["metadata"]["uid"]
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": uid},
    }


def taken(found: Object, wanted: Object) -> str:
    """Why an object that is there already (409) is not the one that was to be made; empty if it is to be adopted."""
    what, of = f"{wanted['kind']} {wanted['metadata']['name']}", found.get("metadata", {})
    if of.get("deletionTimestamp"):
        return f"{what} is still being deleted: try again when it is gone"
    here, there = (one.get("annotations") or {} for one in (wanted["metadata"], of))
    if there.get(RUN_ID) != here[RUN_ID]:
        whose = f"run {there[RUN_ID]}" if there.get(RUN_ID) else "nobody that CaveCast knows"
        return f"{what} is there already and belongs to {whose}: delete it, or take another namespace"
    if there.get(SPEC_HASH) != here[SPEC_HASH]:
        return f"{what} is there already, of the same run with another specification: delete that run first"
    owners = {one.get("uid") for one in wanted["metadata"].get("ownerReferences", [])}
    if owners and not owners & {one.get("uid") for one in of.get("ownerReferences") or []}:
        return f"{what} is there already and belongs to an earlier root of this run: wait until it is gone"
    return ""
