"""The HTTP of the API server: paths, who asks, which verb that is, and the answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import yaml
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.k8s.server import access, kinds, listing, openapi, scale
from tests.k8s.server.access import User
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import BY_PLURAL, Kind, Obj
from tests.k8s.server.refusals import Refused, bad_request, method_not_allowed, unauthorized
from tests.k8s.server.registry import Kept
from tests.k8s.server.selectors import named
from tests.k8s.server.watching import watch

VERSION = {
    "major": "1", "minor": "37", "gitVersion": "v1.37.0", "gitCommit": "0" * 40, "gitTreeState": "clean",
    "buildDate": "2026-08-26T00:00:00Z", "goVersion": "go1.26", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip
LARGEST_BODY = 3 * 1024 * 1024
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json")
_CHANGING = ("get", "patch", "update")
_SUBRESOURCE_VERBS = {
    "status": _CHANGING, "scale": _CHANGING, "log": ("get",), "finalize": ("update",), "token": ("create",),
}  # fmt: skip
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class Target(NamedTuple):
    """What a path means."""

    kind: Kind
    namespace: str
    name: str
    sub: str


def target(path: str) -> Target | None:
    """The resource of a path, or None if it is no resource's."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3 and parts[2] == "v1":
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (group, rest[2]) in BY_PLURAL:
        namespace, rest = rest[1], rest[2:]
    kind = BY_PLURAL.get((group, rest[0])) if rest else None
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        return None
    name, sub = [*rest[1:], "", ""][:2]
    if (sub and sub not in kind.subresources) or (name and kind.namespaced and not namespace):
        return None
    return Target(kind, namespace, name, sub)


def _unknown_format(*accepted: str) -> Refused:
    words = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return Refused(415, "UnsupportedMediaType", words, {})


def application(cluster: Cluster) -> Starlette:
    async def answer(request: Request) -> Response:
        return await Api(cluster).answer(request)

    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])


class Api:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def answer(self, request: Request) -> Response:
        try:
            body = await self._body(request)
            with self.cluster.lock:
                self.cluster.requests.append(f"{request.method} {request.url.path}?{request.url.query}".rstrip("?"))
                if self.cluster.failing is not None:
                    raise self.cluster.failing
                user = self._user(request)
                return self._answer(request, user, body)
        except Refused as refused:
            retry = (refused.details or {}).get("retryAfterSeconds")
            headers = {"Retry-After": str(retry)} if retry else None
            return JSONResponse(refused.status, refused.code, headers=headers)
        except ClientDisconnect:
            return Response(status_code=499)

    def _user(self, request: Request) -> User:
        said = request.headers.get("authorization", "")
        if not said:
            return User("system:anonymous", ("system:unauthenticated",))
        scheme, _, token = said.partition(" ")
        user = self.cluster.users.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    async def _body(self, request: Request) -> Any:
        raw = b""
        async for part in request.stream():
            raw += part
            if len(raw) > LARGEST_BODY:
                raise Refused(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LARGEST_BODY}", {})
        if not raw:
            return None
        content_type = request.headers.get("content-type", "application/json")
        try:
            if "yaml" in content_type:
                return yaml.safe_load(raw)
            if "json" not in content_type:
                raise _unknown_format("application/json", "application/yaml")
            return json.loads(raw)
        except (ValueError, yaml.YAMLError) as error:
            words = "the object provided is unrecognized (must be of type Object): couldn't get version/kind"
            raise bad_request(f"{words}; json parse error: {error}") from None

    def _answer(self, request: Request, user: User, body: Any) -> Response:
        path = request.url.path.rstrip("/") or "/"
        found = target(path)
        if found is not None:
            return self._resource(request, user, found, body)
        if "system:unauthenticated" in user.groups and path not in ("/healthz", "/livez", "/readyz", "/version"):
            why = f'forbidden: User "{user.name}" cannot {request.method.lower()} path "{path}"'
            raise Refused(403, "Forbidden", why, {})
        if path.startswith("/apis/authorization.k8s.io/v1/") and request.method == "POST":
            return self._review(user, path.rpartition("/")[2], body)
        return self._plain(path)

    def _plain(self, path: str) -> Response:
        if path in ("/healthz", "/livez", "/readyz"):
            return PlainTextResponse("ok")
        simple: dict[str, Any] = {"/version": VERSION, "/apis": kinds.group_list(), "/api": {
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
        }, "/api/v1": kinds.discovery("")}  # fmt: skip
        for group in kinds.GROUPS:
            simple[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **kinds.api_group(group)}
            simple[f"/apis/{group}/v1"] = kinds.discovery(group)
        if path in simple:
            return JSONResponse(simple[path])
        if (document := openapi.document(path)) is not None:
            return JSONResponse(document)
        return PlainTextResponse("404 page not found\n", 404)

    def _review(self, user: User, plural: str, body: Any) -> Response:
        if plural not in kinds.REVIEWS:
            return PlainTextResponse("404 page not found\n", 404)
        spec = (body or {}).get("spec", {})
        asked = spec.get("resourceAttributes")
        if plural == "subjectaccessreviews":
            needed = access.Request("create", "authorization.k8s.io", plural)
            if not access.allowed(self.cluster.store, user, needed):
                raise access.refusal(user, needed, None)
            user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
        may = False
        if asked:
            resource = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
            wanted = access.Request(
                asked.get("verb", ""),
                asked.get("group", ""),
                resource,
                asked.get("namespace", ""),
                asked.get("name", ""),
            )
            may = access.allowed(self.cluster.store, user, wanted)
        return JSONResponse({**body, "status": {"allowed": may}}, 201)

    # ------------------------------------------------------------ resources

    def _resource(self, request: Request, user: User, to: Target, body: Any) -> Response:
        query, kind = request.query_params, to.kind
        watching = query.get("watch", "").lower() in ("true", "1")
        by_method = {
            "GET": "get" if to.name else "watch" if watching else "list", "POST": "create", "PUT": "update",
            "PATCH": "patch", "DELETE": "delete" if to.name else "deletecollection",
        }  # fmt: skip
        verb = by_method.get(request.method)
        if to.sub:
            verb = verb if verb in _SUBRESOURCE_VERBS[to.sub] else None
        elif verb == "create" and to.name:
            verb = None
        if verb is None or (verb in ("update", "patch") and not to.name):
            raise method_not_allowed()
        resource = kind.plural + f"/{to.sub}" * bool(to.sub)
        name = to.name or named(query.get("fieldSelector", ""))
        # For RBAC a namespace is an object in itself.
        scope = to.namespace or (to.name if kind.kind == "Namespace" else "")
        asks = access.Request(verb, kind.group, resource, scope, name)
        if not access.allowed(self.cluster.store, user, asks):
            raise access.refusal(user, asks, kind)
        if verb in ("list", "watch"):
            return self._list(request, to, watching)
        if to.sub == "log":
            return self._log(request, to)
        if kind.namespaced and not to.namespace and verb == "create":
            raise method_not_allowed()
        if to.sub == "token":
            self.cluster.registry.get(kind, to.namespace, to.name)
            token = self.cluster.account_token(to.namespace, to.name)
            return JSONResponse({**(body or {}), "status": {"token": token, "expirationTimestamp": None}}, 201)
        if to.sub == "scale":
            return self._scale(request, user, to, verb, body)
        registry, dry = self.cluster.registry, query.get("dryRun") == "All"
        strictness = query.get("fieldValidation") or "Warn"
        match verb:
            case "get":
                return JSONResponse(registry.get(kind, to.namespace, to.name))
            case "create":
                kept = registry.create(kind, to.namespace, body, user, strictness, dry)
                return self._kept(kept, 201)
            case "update":
                if to.sub == "finalize":
                    return self._kept(self._finalize(to, body))
                return self._kept(registry.update(kind, to.namespace, to.name, body, to.sub, user, strictness, dry))
            case "patch":
                content_type = self._patch_type(request)
                kept = registry.patch(kind, to.namespace, to.name, body, content_type, to.sub, user, strictness, dry)
                return self._kept(kept)
            case "delete":
                return self._deleted(
                    kind, registry.delete(kind, to.namespace, to.name, self._options(request, body), dry)
                )
        gone = [
            registry.delete(
                kind, one["metadata"].get("namespace", ""), one["metadata"]["name"], self._options(request, body)
            )
            for one in listing.listed(self.cluster.store, self._wanted(request, to))["items"]
        ]
        return JSONResponse({
            "kind": f"{kind.kind}List", "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(self.cluster.store.revision)}, "items": [one.obj for one in gone],
        })  # fmt: skip

    def _patch_type(self, request: Request) -> str:
        said = request.headers.get("content-type", "").partition(";")[0].strip()
        if said not in _PATCHES:
            raise _unknown_format(*_PATCHES)
        return said

    def _options(self, request: Request, body: Any) -> Obj:
        options: Obj = dict(body or {})
        if "propagationPolicy" in request.query_params:
            options.setdefault("propagationPolicy", request.query_params["propagationPolicy"])
        if "gracePeriodSeconds" in request.query_params:
            options.setdefault("gracePeriodSeconds", int(request.query_params["gracePeriodSeconds"]))
        return options

    def _kept(self, kept: Kept, code: int = 200) -> Response:
        return self._warned(JSONResponse(kept.obj, code), kept.warnings)

    def _warned(self, response: Response, warnings: tuple[str, ...]) -> Response:
        for words in warnings:
            quoted = words.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.append("Warning", f'299 - "{quoted}"')
        return response

    def _deleted(self, kind: Kind, kept: Kept) -> Response:
        data = kept.obj["metadata"]
        # What is gone is told of with a Status, except a pod, which is shown as it was.
        if kept.there or kind.kind == "Pod":
            return self._warned(JSONResponse(kept.obj), kept.warnings)
        details = {
            "name": data["name"],
            **({"group": kind.group} if kind.group else {}),
            "kind": kind.plural,
            "uid": data["uid"],
        }
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return self._warned(JSONResponse(status), kept.warnings)

    def _finalize(self, to: Target, body: Obj) -> Kept:
        found = self.cluster.registry.get(to.kind, "", to.name)
        found["spec"]["finalizers"] = body.get("spec", {}).get("finalizers") or []
        return self.cluster.registry.keep(to.kind, found)

    def _scale(self, request: Request, user: User, to: Target, verb: str, body: Any) -> Response:
        registry = self.cluster.registry
        found = registry.get(to.kind, to.namespace, to.name)
        if verb == "get":
            return JSONResponse(scale.of(found))
        if verb == "patch":
            body = scale.patched(found, body, self._patch_type(request))
        new = scale.applied(found, body)
        kept = registry.update(to.kind, to.namespace, to.name, new, "", user)
        return JSONResponse(scale.of(kept.obj))

    def _log(self, request: Request, to: Target) -> Response:
        pod = self.cluster.registry.get(to.kind, to.namespace, to.name)
        names = [c["name"] for c in pod["spec"]["containers"]]
        container = request.query_params.get("container") or names[0]
        if container not in names:
            raise bad_request(f"container {container} is not valid for pod {to.name}")
        if len(names) > 1 and "container" not in request.query_params:
            raise bad_request(
                f"a container name must be specified for pod {to.name}, choose one of: [{' '.join(names)}]"
            )
        states = {s["name"]: s.get("state", {}) for s in pod["status"].get("containerStatuses", [])}
        waiting = states.get(container, {"waiting": {"reason": "ContainerCreating"}}).get("waiting")
        if waiting and waiting["reason"] != "CrashLoopBackOff":
            why = {"ContainerCreating": "ContainerCreating"}.get(
                waiting["reason"], f"trying and failing to pull image: {waiting['reason']}"
            )
            raise bad_request(f'container "{container}" in pod "{to.name}" is waiting to start: {why}')
        lines = self.cluster.logs.get((to.namespace, to.name), "").splitlines(keepends=True)
        if "tailLines" in request.query_params:
            tail = int(request.query_params["tailLines"])
            lines = lines[-tail:] if tail else []
        text = "".join(lines)
        if "limitBytes" in request.query_params:
            text = text.encode()[: int(request.query_params["limitBytes"])].decode(errors="ignore")
        return PlainTextResponse(text)

    def _wanted(self, request: Request, to: Target) -> listing.Wanted:
        query = request.query_params
        selector, name = query.get("fieldSelector", ""), to.name
        if name:
            selector = f"metadata.name={name}"
        try:
            limit = int(query.get("limit") or 0)
        except ValueError:
            raise bad_request(f"limit: {query.get('limit')!r} is no number") from None
        return listing.Wanted(
            to.kind, to.namespace, query.get("labelSelector", ""), selector, limit, query.get("continue", ""),
            query.get("resourceVersion", ""), query.get("resourceVersionMatch", ""),
        )  # fmt: skip

    def _list(self, request: Request, to: Target, watching: bool) -> Response:
        wanted, store = self._wanted(request, to), self.cluster.store
        if not watching:
            return JSONResponse(listing.listed(store, wanted))
        match = wanted.match
        version = listing.number(to.kind, wanted.version)
        initial_wanted = request.query_params.get("sendInitialEvents", "").lower() in ("true", "1")
        bookmarks = request.query_params.get("allowWatchBookmarks", "").lower() in ("true", "1")
        first: list[Obj] = []
        if initial_wanted or not version:
            here = [store.objects[key] for key in sorted(store.objects) if wanted.concerns(key)]
            first = [{"type": "ADDED", "object": one} for one in here if match(one)]
            if initial_wanted and bookmarks:
                first.append(listing.bookmark(to.kind, store.revision, initial=True))
            version = store.revision
        try:
            timeout_s = float(request.query_params.get("timeoutSeconds") or 1800)
        except ValueError:
            raise bad_request("timeoutSeconds is no number") from None
        stream = watch(self.cluster, wanted, version, first, bookmarks, timeout_s)
        return StreamingResponse(stream, media_type="application/json")
