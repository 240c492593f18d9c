"""Plain HTTP to a server, without any Kubernetes client."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.k8s.server.kinds import Obj
from tests.k8s.server.serve import Served

DEADLINE_S = 30.0


class Api:
    """One identity's requests to a server, in one namespace."""

    def __init__(self, served: Served, namespace: str, token: str = "") -> None:
        self.served, self.namespace = served, namespace
        context = ssl.create_default_context(cafile=str(served.certificate))
        headers = {"Authorization": f"Bearer {token or served.cluster.admin_token}"}
        self._client = httpx.Client(base_url=served.url, verify=context, headers=headers, timeout=DEADLINE_S)

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def path(self, resource: str, name: str = "", sub: str = "") -> str:
        """``jobs.batch`` of this namespace."""
        plural, _, group = resource.partition(".")
        root = f"/apis/{group}/v1" if group else "/api/v1"
        where = (
            ""
            if resource in ("nodes", "namespaces", "priorityclasses.scheduling.k8s.io")
            else f"/namespaces/{self.namespace}"
        )
        return f"{root}{where}/{plural}" + f"/{name}" * bool(name) + f"/{sub}" * bool(sub)

    def ask(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: Any
    ) -> httpx.Response:
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if content is not None else {}
        return self._client.request(method, path, content=content, headers=headers, params=query)

    def done(self, method: str, resource: str, name: str = "", body: Any = None, sub: str = "", **more: Any) -> Obj:
        """The answer to a request that must not fail."""
        answer = self.ask(method, self.path(resource, name, sub), body, **more)
        assert answer.is_success, answer.text
        found: Obj = answer.json()
        return found

    def refused(self, method: str, resource: str, name: str = "", body: Any = None, sub: str = "", **more: Any) -> Obj:
        """The Status of a request that must fail."""
        answer = self.ask(method, self.path(resource, name, sub), body, **more)
        assert not answer.is_success, answer.text
        found: Obj = answer.json()
        assert (found["kind"], found["apiVersion"], found["status"]) == ("Status", "v1", "Failure")
        assert found["code"] == answer.status_code
        return found

    def create(self, resource: str, body: Obj, **query: Any) -> Obj:
        return self.done("POST", resource, body=body, **query)

    def get(self, resource: str, name: str) -> Obj | None:
        answer = self.ask("GET", self.path(resource, name))
        if answer.status_code == 404:
            return None
        found: Obj = answer.json()
        return found

    def names(self, resource: str, **query: Any) -> list[str]:
        return [one["metadata"]["name"] for one in self.done("GET", resource, **query)["items"]]

    @contextmanager
    def watch(self, resource: str, **query: Any) -> Iterator[Iterator[Obj]]:
        """The events of a watch."""
        with self._client.stream("GET", self.path(resource), params={"watch": "true", **query}) as answer:
            assert answer.is_success, answer.read()
            yield (json.loads(line) for line in answer.iter_lines() if line)


MERGE, JSON_PATCH, STRATEGIC = (
    f"application/{kind}+json" for kind in ("merge-patch", "json-patch", "strategic-merge-patch")
)  # fmt: skip


def config_map(name: str, labels: dict[str, str] | None = None, **more: Any) -> Obj:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}, **more},
        "data": {"a": "1"},
    }  # fmt: skip


def pod_spec(script: str = "", **more: Any) -> Obj:
    container: Obj = {"name": "main", "image": "registry.test/it:1", **more.pop("container", {})}
    if script:
        container["command"] = ["sh", "-c", script]
    return {"restartPolicy": "Never", "containers": [container], **more}


def pod(name: str, script: str = "", **more: Any) -> Obj:
    labels = more.pop("labels", {"app": name})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": pod_spec(script, **more),
    }


def job(name: str, count: int = 2, script: str = "", pods: Obj | None = None, **spec: Any) -> Obj:
    """An elastic Indexed Job."""
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(script, **(pods or {}))}
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"completionMode": "Indexed", "completions": count, "parallelism": count, "template": template, **spec},
    }  # fmt: skip


def workload(kind: str, name: str, pods: Obj | None = None, **spec: Any) -> Obj:
    """A DaemonSet, StatefulSet or Deployment."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {**pod_spec(**(pods or {})), "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }  # fmt: skip
