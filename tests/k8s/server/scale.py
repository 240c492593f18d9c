"""The scale subresource: the number of replicas as an object of its own."""

from __future__ import annotations

from typing import Any

from tests.k8s.server.kinds import Obj
from tests.k8s.server.patches import json_patch, merge_patch
from tests.k8s.server.refusals import bad_request


def of(found: Obj) -> Obj:
    data = found["metadata"]
    selector = found["spec"].get("selector", {}).get("matchLabels") or {}
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {key: data[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")},
        "spec": {"replicas": found["spec"].get("replicas", 0)},
        "status": {
            "replicas": found.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(selector.items())),
        },
    }  # fmt: skip


def patched(found: Obj, patch: Any, content_type: str) -> Obj:
    scale = of(found)
    if content_type == "application/json-patch+json":
        return json_patch(scale, patch)
    result: Obj = merge_patch(scale, patch)
    return result


def applied(found: Obj, scale: Any) -> Obj:
    """The workload with the replicas of a Scale.  Raises Refused 400."""
    replicas = (scale or {}).get("spec", {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(
            'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal string into Go struct field '
            "ScaleSpec.spec.replicas of type int32"
        )
    version = scale.get("metadata", {}).get("resourceVersion")
    new = {**found, "spec": {**found["spec"], "replicas": replicas}}
    new["metadata"] = {key: value for key, value in found["metadata"].items() if key != "resourceVersion"}
    if version:
        new["metadata"]["resourceVersion"] = version
    return new
