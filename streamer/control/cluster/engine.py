"""The one room that knows the official Kubernetes client: single requests, each with a deadline, and watches.

All methods block and may be called from any thread; ``close`` may too, and ends whatever is under way.  Objects go in
and come out as JSON.  What goes in is checked by the client's own models, which refuse fields they do not know; what
comes out is taken as the server sends it, since a newer one may know more.  Every failure is a ``Trouble``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader
from pydantic import ValidationError

from streamer.control.cluster.connections import Sockets, Watch, parsed, proper, reason, whole
from streamer.control.cluster.hearing import Object
from streamer.control.cluster.troubles import (
    AlreadyThere,
    Expired,
    NotThere,
    Refused,
    Taken,
    Trouble,
    Unanswered,
    of_answer,
    of_silence,
    one_line,
)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access(NamedTuple):
    """How to reach a cluster: by a kubeconfig (paths, separated as in KUBECONFIG), else as a pod of it."""

    kubeconfig: str = ""
    context: str = ""
    environment: Mapping[str, str] = {}
    """Of a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT."""
    service_account: Path = SERVICE_ACCOUNT


class Limits(NamedTuple):
    """Bounds of a request."""

    connect_s: float = 1.5
    read_s: float = 10.0
    """Between two pieces of an answer, and before the first."""
    whole_s: float = 30.0
    page: int = 500
    largest_bytes: int = 64 << 20
    most_objects: int = 100_000
    log_bytes: int = 1 << 20
    list_s: float = 120.0
    """All pages of a list together."""


class _Kind(NamedTuple):
    api: str
    stem: str
    namespaced: bool = True


_KINDS = {
    "ConfigMap": _Kind("CoreV1Api", "config_map"), "Secret": _Kind("CoreV1Api", "secret"),
    "Service": _Kind("CoreV1Api", "service"), "Pod": _Kind("CoreV1Api", "pod"),
    "Node": _Kind("CoreV1Api", "node", False), "Event": _Kind("CoreV1Api", "event"),
    "PersistentVolumeClaim": _Kind("CoreV1Api", "persistent_volume_claim"),
    "Namespace": _Kind("CoreV1Api", "namespace", False), "ResourceQuota": _Kind("CoreV1Api", "resource_quota"),
    "ServiceAccount": _Kind("CoreV1Api", "service_account"),
    "DaemonSet": _Kind("AppsV1Api", "daemon_set"), "StatefulSet": _Kind("AppsV1Api", "stateful_set"),
    "Deployment": _Kind("AppsV1Api", "deployment"), "Job": _Kind("BatchV1Api", "job"),
    "NetworkPolicy": _Kind("NetworkingV1Api", "network_policy"), "Lease": _Kind("CoordinationV1Api", "lease"),
}  # fmt: skip
MOST_CONNECTIONS = 32
"""So many are kept open; more are made where more is asked at once."""
LARGEST_REFUSAL, REFUSAL_S = 1 << 20, 10.0
_MERGE = "application/merge-patch+json"


class _Answered(Exception):
    """An answer other than 2xx."""

    def __init__(self, code: int, body: bytes, retry_after: str | None) -> None:
        super().__init__(code)
        self.code, self.body, self.retry_after = code, body, retry_after


class _Client(client.ApiClient):  # type: ignore[misc]
    """The official client, which would read whatever comes with a refusal, however much it is."""

    def call_api(self, *arguments: Any, **more: Any) -> Any:
        answer = super().call_api(*arguments, **more)
        if 200 <= answer.status <= 299:
            return answer
        body = whole("read a refusal", self.configuration.host, answer.response, LARGEST_REFUSAL, REFUSAL_S)
        raise _Answered(answer.status, body, answer.headers.get("Retry-After"))


class Engine:
    """One API server and one identity."""

    def __init__(self, configuration: client.Configuration, namespace: str, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.namespace = namespace
        self.server: str = configuration.host
        # Whoever asks decides on trying again; a client that does so by itself would outlast every deadline.
        configuration.retries = False
        configuration.connection_pool_maxsize = MOST_CONNECTIONS
        self._client = _Client(configuration)
        self._sockets = Sockets()
        self._client.rest_client.pool_manager.pool_classes_by_scheme = self._sockets.classes()
        self._apis = {name: getattr(client, name)(self._client) for name in {kind.api for kind in _KINDS.values()}}
        self._authorization = client.AuthorizationV1Api(self._client)

    @classmethod
    def connect(cls, access: Access, limits: Limits | None = None) -> Engine:
        """Reads the kubeconfig, or the pod's service account; asks nothing of the server.  Raises Refused."""
        configuration = client.Configuration()
        if access.kubeconfig or not access.environment.get("KUBERNETES_SERVICE_HOST"):
            return cls(configuration, _from_kubeconfig(access, configuration), limits)
        account = access.service_account
        try:
            loader = InClusterConfigLoader(
                str(account / "token"), str(account / "ca.crt"), environ=dict(access.environment)
            )
            loader.load_and_set(configuration)
            namespace = (account / "namespace").read_text().strip()
        except (ConfigException, OSError) as error:
            raise Refused(
                f"the pod's service account in {account} cannot be used ({one_line(error)}): let the pod mount it "
                "(automountServiceAccountToken), or name a kubeconfig"
            ) from None
        return cls(configuration, namespace, limits)

    @property
    def closed(self) -> bool:
        return self._sockets.closed

    def close(self) -> None:
        """Ends every request and watch that is under way; later ones are refused.  Does not wait."""
        self._sockets.close()
        self._client.close()

    # ------------------------------------------------------------ single objects

    def create(
        self, manifest: Object, taken: Callable[[Object, Object], str], dry: bool = False
    ) -> tuple[Object, bool]:
        """(the object as it is now, whether it was made just now).

        If one of that name is there, ``taken(found, wanted)`` says in a sentence why it is not to be adopted; if it
        says nothing, the one that is there is returned.  Raises Taken with that sentence, and other Trouble.
        """
        data, what = manifest["metadata"], _named("create", manifest)
        namespace = data.get("namespace") or self.namespace
        options = {"dry_run": "All"} if dry else {}
        try:
            return self._ask(what, manifest["kind"], "create", namespace, body=manifest, **options), True
        except AlreadyThere:
            found = self.get(manifest["kind"], data["name"], namespace)
        except Unanswered as silence:
            # It may have come to pass all the same; if so, it is ours.
            try:
                found = self.get(manifest["kind"], data["name"], namespace)
            except Trouble:
                raise silence from None
        if found is None:
            raise Unanswered(f"{what}: it came and went meanwhile; it is tried again")
        if why := taken(found, manifest):
            raise Taken(why)
        return found, False

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object, or None if it is not there for certain."""
        try:
            return self._ask(f"get {kind} {name}", kind, "read", namespace, name)
        except NotThere:
            return None

    def patch(self, kind: str, name: str, patch: Object, namespace: str = "") -> Object:
        """A merge patch; the object as it is then.  Raises NotThere, Changed where the patch names an old version."""
        return self._ask(f"change {kind} {name}", kind, "patch", namespace, name, body=patch, _content_type=_MERGE)

    def delete(self, kind: str, name: str, options: Object, namespace: str = "") -> bool:
        """Whether there was something to delete; with the foreground policy it is there until all that it owns is gone.

        Raises Changed if ``options`` has a precondition that does not hold.
        """
        try:
            self._ask(f"delete {kind} {name}", kind, "delete", namespace, name, body=options)
        except NotThere:
            return False
        return True

    def log(self, pod: str, container: str, lines: int, namespace: str = "") -> str:
        """The last lines of a container's log.  Raises Refused while it has not started."""
        response = self._send(
            f"read the log of pod {pod}", self._apis["CoreV1Api"].read_namespaced_pod_log, pod,
            namespace or self.namespace, container=container, tail_lines=lines, limit_bytes=self.limits.log_bytes,
        )  # fmt: skip
        return self._whole(f"read the log of pod {pod}", response).decode("utf-8", "replace")

    def may(self, verb: str, group: str, resource: str, namespace: str = "", subresource: str = "") -> bool:
        """Whether we may do something; ``namespace`` "*" is the whole cluster."""
        where = {"namespace": "" if namespace == "*" else namespace or self.namespace}
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, **where}
        body = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }  # fmt: skip
        what = f"ask whether we may {verb} {resource}"
        response = self._send(what, self._authorization.create_self_subject_access_review, body)
        status = parsed(what, self.server, self._whole(what, response)).get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    # ------------------------------------------------------------ collections

    def list_all(self, kind: str, selector: str = "", namespace: str = "") -> tuple[list[Object], str]:
        """(all objects, the version at which they were so), read in pages of one moment.  Raises Trouble."""
        what = f"list {kind} objects"
        for last in (False, True):
            try:
                return self._pages(what, kind, selector, namespace)
            except Expired:  # the pages took so long that their moment is forgotten
                if last:
                    raise
        raise AssertionError

    def _pages(self, what: str, kind: str, selector: str, namespace: str) -> tuple[list[Object], str]:
        found: list[Object] = []
        more: dict[str, str] = {}
        version, until = "", time.monotonic() + self.limits.list_s
        while True:
            page = self._ask(what, kind, "list", namespace, label_selector=selector, limit=self.limits.page, **more)
            items, data = page.get("items") or [], page.get("metadata") or {}
            if not isinstance(items, list) or not all(map(proper, items)) or not data.get("resourceVersion"):
                raise Unanswered(f"{what}: {self.server} answers with no list of an API server")
            # A list names its kind once, for all.
            found += [{"kind": kind, "apiVersion": page.get("apiVersion"), **one} for one in items]
            if len(found) > self.limits.most_objects:
                raise Refused(f"{what}: there are more than {self.limits.most_objects}; narrow the selector")
            version = version or data["resourceVersion"]
            if not data.get("continue"):
                return found, version
            if time.monotonic() > until:
                raise Unanswered(f"{what}: it took longer than {self.limits.list_s:g} s; it is tried again")
            more = {"_continue": data["continue"]}

    def watch(
        self, kind: str, version: str, timeout_s: int, silence_s: float, selector: str = "", namespace: str = ""
    ) -> Watch:
        """Watches from a version until the server ends it after ``timeout_s``; ``silence_s`` of silence break it."""
        what = f"watch {kind} objects"
        response = self._send(
            what, self._method(kind, "list"), *self._place(kind, namespace), label_selector=selector, watch=True,
            resource_version=version, allow_watch_bookmarks=True, timeout_seconds=timeout_s,
            _request_timeout=(self.limits.connect_s, silence_s),
        )  # fmt: skip
        return Watch(what, self.server, response, self.limits.largest_bytes)

    # ------------------------------------------------------------ the client

    def _method(self, kind: str, verb: str) -> Callable[..., Any]:
        if kind not in _KINDS:
            raise Refused(f"{kind} is no kind that CaveCast works with: {', '.join(sorted(_KINDS))}")
        known = _KINDS[kind]
        scope = "namespaced_" if known.namespaced else ""
        method: Callable[..., Any] = getattr(self._apis[known.api], f"{verb}_{scope}{known.stem}")
        return method

    def _place(self, kind: str, namespace: str) -> tuple[str, ...]:
        return (namespace or self.namespace,) if _KINDS[kind].namespaced else ()

    def _ask(self, what: str, kind: str, verb: str, namespace: str, *name: str, **more: Any) -> Object:
        method = self._method(kind, verb)
        response = self._send(what, method, *name, *self._place(kind, namespace), **more)
        return parsed(what, self.server, self._whole(what, response))

    def _whole(self, what: str, response: Any) -> bytes:
        return whole(what, self.server, response, self.limits.largest_bytes, self.limits.whole_s)

    def _send(self, what: str, method: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        if self.closed:
            raise Unanswered(f"{what}: it was ended")
        more.setdefault("_request_timeout", (self.limits.connect_s, self.limits.read_s))
        try:
            return method(*arguments, _preload_content=False, **more)
        except ValidationError as error:
            raise Refused(f"{what}: {_first_complaint(error)}") from None
        except ApiException as error:
            raise of_silence(what, self.server, error.reason) from None  # TLS
        except _Answered as answer:
            raise of_answer(what, self.server, answer.code, answer.body, answer.retry_after) from None
        except (urllib3.exceptions.HTTPError, OSError, ConfigException) as error:
            raise of_silence(what, self.server, reason(error)) from None


def _from_kubeconfig(access: Access, configuration: client.Configuration) -> str:
    where = access.kubeconfig or str(Path.home() / ".kube" / "config")
    try:
        config.load_kube_config(where, access.context or None, configuration, persist_config=False)
        contexts, chosen = config.list_kube_config_contexts(where)
        if access.context:
            chosen = next(one for one in contexts if one["name"] == access.context)
    except Exception as error:  # the client raises whatever it meets in a file: of YAML, of types, of keys
        raise Refused(f"the kubeconfig {where} cannot be used: {one_line(error)}") from None
    return str(chosen.get("context", {}).get("namespace") or "default")


def _named(verb: str, manifest: Object) -> str:
    data = manifest["metadata"]
    return f"{verb} {manifest['kind']} {data.get('name', '')}"


def _first_complaint(error: ValidationError) -> str:
    """What the client's models have against a manifest: the place, and why."""
    first = error.errors(include_url=False)[0]
    steps = [step for step in first["loc"] if step != "body"]
    place = ".".join(map(str, steps[1:] if steps and isinstance(steps[0], int) else steps))
    why = "there is no such field" if first["type"] == "extra_forbidden" else one_line(first["msg"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {why}{more}"
