"""As much of the OpenAPI documents as kubectl asks for: which paths take ``fieldValidation``, and of which kind."""

from __future__ import annotations

from tests.k8s.server.kinds import GROUPS, KINDS, Obj

_OPTION = {"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def document(path: str) -> Obj | None:
    """The document at a path, or None."""
    if path == "/openapi/v3":
        paths = ["api/v1", *(f"apis/{group}/v1" for group in GROUPS)]
        return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}"} for one in paths}}
    if path.startswith("/openapi/v3/"):
        where = path.removeprefix("/openapi/v3/")
        group = "" if where == "api/v1" else where.split("/")[1]
        if group not in ("", *GROUPS):
            return None
        return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.37.0"}, "paths": dict(_paths(group))}
    return None


def _paths(group: str) -> list[tuple[str, Obj]]:
    found = []
    for kind in (kind for kind in KINDS if kind.group == group):
        base = f"/apis/{group}/v1" if group else "/api/v1"
        if kind.namespaced:
            base += "/namespaces/{namespace}"
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        one = {"parameters": [_OPTION], "x-kubernetes-group-version-kind": gvk, "responses": {}}
        found.append((f"{base}/{kind.plural}", {"post": {**one, "x-kubernetes-action": "post"}}))
        found.append((f"{base}/{kind.plural}/{{name}}", {
            "put": {**one, "x-kubernetes-action": "put"}, "patch": {**one, "x-kubernetes-action": "patch"},
        }))  # fmt: skip
    return found
