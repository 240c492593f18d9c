"""A cluster for the contract tests: the one that CAVECAST_TEST_KUBECONFIG names, else the tests' own server.

Between the tests and the API server stands a line of ours that can fail.  Each test has a namespace of its own, which
is gone afterwards.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml
from kubernetes import client, config

from streamer.control.cluster.changes import taken as taken
from streamer.control.cluster.engine import Access, Engine, Limits
from streamer.control.cluster.following import ClusterLine, SystemClock
from streamer.control.cluster.hearing import Object, Rules
from streamer.control.cluster.names import RUN_ID, SPEC_HASH
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.line import Line
from tests.k8s.server.serve import served

VARIABLE = "CAVECAST_TEST_KUBECONFIG"
DEADLINE_S = 180.0 if VARIABLE in os.environ else 60.0
IMAGE = os.environ.get("CAVECAST_TEST_IMAGE", "busybox:1.37")
USUAL = Limits(connect_s=5.0, read_s=5.0, page=3)
IMPATIENT = Limits(connect_s=0.5, read_s=1.0, page=3)
"""For what the line keeps silent."""
Found = TypeVar("Found")


class SteppedClock:
    """A time that passes only when somebody waits for it, and never beyond what is allowed."""

    def __init__(self) -> None:
        self._now = self._allowed = 100.0
        self._change = threading.Condition()

    def now(self) -> float:
        return self._now

    def wait(self, until: float, stopped: threading.Event) -> None:
        with self._change:
            while not stopped.is_set() and self._allowed < until:
                self._change.wait(0.05)  # `stopped` does not ring
            if not stopped.is_set():
                self._now = max(self._now, until)

    def allow(self, seconds: float) -> None:
        """Lets so much more time pass; it is waited for at once if somebody waits for it."""
        with self._change:
            self._allowed = self._allowed + seconds
            self._change.notify_all()

    def pass_by(self, seconds: float) -> None:
        """So much time has passed, whether anybody waited or not."""
        with self._change:
            self._allowed = max(self._allowed + seconds, self._now + seconds)
            self._now += seconds
            self._change.notify_all()


class Site:
    """What a contract test has."""

    def __init__(self, folder: Path, kubeconfig: Path, line: Line, cluster: Cluster | None) -> None:
        self.cluster, self.line = cluster, line
        self._folder, self._kubeconfig = folder, kubeconfig
        self.namespace = f"cavecast-test-{secrets.token_hex(4)}"

    def engine(self, token: str = "", limits: Limits = USUAL, through_line: bool = True) -> Engine:
        """An engine of ours on the test's namespace; with a token, as whom that belongs to."""
        found = yaml.safe_load(self._kubeconfig.read_text())
        context = next(one for one in found["contexts"] if one["name"] == found["current-context"])["context"]
        cluster = next(one for one in found["clusters"] if one["name"] == context["cluster"])["cluster"]
        if through_line:
            cluster.setdefault("tls-server-name", urlsplit(cluster["server"]).hostname)
            cluster["server"] = f"https://127.0.0.1:{self.line.port}"
        context["namespace"] = self.namespace
        if token:
            next(one for one in found["users"] if one["name"] == context["user"])["user"] = {"token": token}
        path = self._folder / f"config-{secrets.token_hex(4)}"
        path.write_text(yaml.safe_dump(found))
        return Engine.connect(Access(str(path)), limits)

    def settle(self) -> None:
        """Lets the controllers work; a real cluster's do so by themselves."""
        if self.cluster is not None:
            self.cluster.tick()

    async def until(self, look: Callable[[], Found], what: str, line: ClusterLine | None = None) -> Found:
        """What a look finds, once it finds anything."""
        limit = time.monotonic() + DEADLINE_S
        while not (found := look()):
            assert time.monotonic() < limit, f"it did not come to pass that {what}"
            self.settle()
            if line is not None:
                await line.news(0.05)
            else:  # a real cluster is given time, ours needs none
                await asyncio.sleep(0.2 if self.cluster is None else 0)
        return found

    @contextmanager
    def admin(self) -> Iterator[client.ApiClient]:
        """The official client on the same cluster, past the line and past our engine."""
        configuration = client.Configuration()
        config.load_kube_config(str(self._kubeconfig), client_configuration=configuration, persist_config=False)
        with client.ApiClient(configuration) as found:
            yield found

    def account(self, name: str, rules: list[Object]) -> str:
        """A token of a service account of the test's namespace that may do what the rules say, and nothing else."""
        with self.admin() as api:
            core, rbac = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
            metadata = {"name": name}
            core.create_namespaced_service_account(self.namespace, {"metadata": metadata})
            rbac.create_namespaced_role(self.namespace, {"metadata": metadata, "rules": rules})
            binding = {
                "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
            }  # fmt: skip
            rbac.create_namespaced_role_binding(self.namespace, binding)
            asked = {"spec": {"audiences": [], "expirationSeconds": 600}}
            said = core.create_namespaced_service_account_token(name, self.namespace, asked)
        return str(said.status.token)


@contextmanager
def _namespaced(site: Site) -> Iterator[Site]:
    with site.admin() as api:
        client.CoreV1Api(api).create_namespace({"metadata": {"name": site.namespace}})
    try:
        site.settle()
        yield site
    finally:
        site.line.mend()
        with site.admin() as api, suppress(client.ApiException):
            client.CoreV1Api(api).delete_namespace(site.namespace)
        site.settle()


@contextmanager
def sites() -> Iterator[Callable[[], Any]]:
    """Makes a site for each test; the cluster and the line are one for all."""
    with tempfile.TemporaryDirectory(prefix="cavecast-contract-") as name:
        folder = Path(name)
        given = os.environ.get(VARIABLE)
        if given:
            found = yaml.safe_load(Path(given).read_text())
            context = next(one for one in found["contexts"] if one["name"] == found["current-context"])["context"]
            server = next(one for one in found["clusters"] if one["name"] == context["cluster"])["cluster"]["server"]
            address = urlsplit(server)
            line = Line(address.hostname or "", address.port or 443)
            try:
                yield lambda: _namespaced(Site(folder, Path(given), line, None))
            finally:
                line.close()
            return
        with served() as server_of_ours:
            server_of_ours.cluster.add_node("node-a", {"topology.kubernetes.io/zone": "lab"}, gpus=2)
            server_of_ours.cluster.add_node("node-b", {"topology.kubernetes.io/zone": "lab"}, gpus=2)
            line = Line("127.0.0.1", server_of_ours.port)
            try:
                yield lambda: _namespaced(Site(folder, server_of_ours.kubeconfig(), line, server_of_ours.cluster))
            finally:
                line.close()


@contextmanager
def closing(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.close()


def story(
    site: Site,
    told: Callable[[ClusterLine], Awaitable[None]],
    rules: Rules | None = None,
    clock: Any = None,
    **how: Any,
) -> None:
    """Runs a test's body with a line to the cluster, which is closed in time whatever happens."""

    async def run() -> None:
        line = ClusterLine(site.engine(**how), rules, clock or SystemClock())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await told(line)
        finally:
            before = time.monotonic()
            await line.close()
            took_s = time.monotonic() - before
            assert took_s < 2.0, f"closing took {took_s:.1f} s"
            left = [t.name for t in threading.enumerate() if t.name.startswith(("follow ", "ask the API"))]
            assert not left, f"threads are left: {left}"

    asyncio.run(run())


# ---------------------------------------------------------------- objects


def config_map(name: str, run: str = "run-1", spec: str = "abc", **more: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name, "labels": {"cavecast/run": run}, "annotations": {RUN_ID: run, SPEC_HASH: spec}, **more,
        },
        "data": {"spec.json": "{}"},
    }  # fmt: skip


def owned_by(owner: Object) -> list[Object]:
    return [{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True, "controller": True,
    }]  # fmt: skip


def job(name: str, count: int = 2, script: str = "sleep 3600", run: str = "run-1", **more: Any) -> Object:
    """An elastic Indexed Job as CaveCast has them."""
    pod = {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "worker", "image": IMAGE, "command": ["sh", "-c", script]}],
    }  # fmt: skip
    labels = {"cavecast/run": run}
    found = config_map(name, run)
    metadata = {**found["metadata"], **({"ownerReferences": more.pop("owners")} if "owners" in more else {})}
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": {
            "completionMode": "Indexed", "completions": count, "parallelism": count, "backoffLimitPerIndex": 1,
            "podReplacementPolicy": "Failed", "template": {"metadata": {"labels": labels}, "spec": pod}, **more,
        },
    }  # fmt: skip


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
