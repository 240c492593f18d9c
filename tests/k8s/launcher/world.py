"""What the tests of the launcher have: a cluster with real parts in its pods, and control planes as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

from tests.control.parts import CAVECAST, DEADLINE_S, control_plane, environment
from tests.ending import end, line_within, tied
from tests.k8s.launcher.machines import Machines
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.kinds import Obj
from tests.k8s.server.line import Line
from tests.k8s.server.serve import Served, served

NAMESPACE = "rivers"
SITE = """
namespace = "rivers"
installation = "{installation}"
idle_s = {idle_s}
finish_s = 10.0
orphans_s = {orphans_s}
kept_s = {kept_s}
most_gpus = 2
{more}

[reach]
feed = "tcp://{{ip}}:{{port}}"
wall = "tcp://{{ip}}:{{port}}"

[lease]
duration_s = 6.0
renew_s = 4.0
retry_s = 0.3

[streamer]
image = "registry.example.org/cavecast-control:test"
[worker]
image = "registry.example.org/cavecast-worker:test"
node_selector = {{ pool = "science" }}
[renderer]
image = "registry.example.org/cavecast-renderer:test"
[archive]
image = "registry.example.org/cavecast-control:test"
volumes = [{{ name = "results", hostPath = {{ path = "{results}" }} }}]
mounts = [{{ name = "results", mountPath = "{results}" }}]
"""
Found = TypeVar("Found")


class World(NamedTuple):
    """A cluster, its machines, and how to reach it."""

    server: Served
    machines: Machines
    line: Line
    folder: Path

    @property
    def cluster(self) -> Cluster:
        return self.server.cluster

    def site(self, name: str = "site", more: str = "", **values: Any) -> Path:
        """A site's file."""
        given = {"installation": "lab", "idle_s": 600, "orphans_s": 600, "kept_s": 86400, **values}
        results = self.folder / "results"
        results.mkdir(exist_ok=True)
        path = self.folder / f"{name}.toml"
        path.write_text(SITE.format(**given, more=more, results=results))
        return path

    def settings(self, site: Path, name: str = "control", token: str = "", **more: str) -> dict[str, str]:
        """The settings of a control plane, which goes through the line."""
        kubeconfig = self.server.kubeconfig(token, NAMESPACE, self.line.port, f"kubeconfig-{name}")
        return {
            "CAVECAST_LAUNCHER": "kubernetes", "CAVECAST_CLUSTER": str(site), "CAVECAST_KUBECONFIG": str(kubeconfig),
            "CAVECAST_DIR": str(self.folder / name), **more,
        }  # fmt: skip

    def objects(self, *kinds: str) -> list[str]:
        """What is there of runs, as ``kind name``."""
        every = kinds or (
            "configmaps", "secrets", "persistentvolumeclaims", "services", "pods", "statefulsets.apps",
            "deployments.apps", "replicasets.apps", "daemonsets.apps", "jobs.batch",
            "networkpolicies.networking.k8s.io",
        )  # fmt: skip
        return [
            f"{kind} {one['metadata']['name']}" for kind in every for one in self.cluster.every(kind, NAMESPACE)
            if one["metadata"]["name"].startswith("cc-")
        ]  # fmt: skip

    def get(self, kind: str, run_id: str, part: str) -> Obj | None:
        return self.cluster.get(kind, NAMESPACE, f"cc-{run_id}-{part}")

    def must(self, kind: str, run_id: str, part: str) -> Obj:
        found = self.get(kind, run_id, part)
        assert found is not None, f"no {kind} of {part}"
        return found


@contextmanager
def world(folder: Path, machines_of: Callable[[Cluster, Path], Machines] = Machines) -> Iterator[World]:
    """A namespace, two nodes for workers with GPUs, one for all else."""
    with ExitStack() as stack:
        server = stack.enter_context(served(Cluster(time.time())))
        server.cluster.namespace(NAMESPACE)
        for name in ("gpu-a", "gpu-b"):
            server.cluster.add_node(name, {"pool": "science", "nvidia.com/gpu.product": "NVIDIA-A10"}, gpus=2)
        server.cluster.add_node("plain")
        pods = folder / "pods"
        pods.mkdir()
        machines = machines_of(server.cluster, pods)
        stack.callback(machines.close)
        line = Line("127.0.0.1", server.port)
        stack.callback(line.close)
        yield World(server, machines, line, folder)


def until(look: Callable[[], Found], what: str | Callable[[], str], within_s: float = DEADLINE_S) -> Found:
    """What a look finds, once it finds anything."""
    limit, waiting = time.monotonic() + within_s, _pause()
    while not (found := look()):
        assert time.monotonic() < limit, f"it did not come to pass that {what if isinstance(what, str) else what()}"
        next(waiting)
    return found


def _pause() -> Iterator[None]:
    # The cluster and the control plane are other threads and processes: they are given the processor.
    import select

    while True:
        select.select([], [], [], 0.05)
        yield


@contextmanager
def serving(
    world: World, site: Path, *, name: str = "control", said: Path | None = None, token: str = "", **more: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A control plane that leads."""
    with control_plane(said=said, **world.settings(site, name, token, **more)) as (client, process):
        until(lambda: client.get("/healthz").json()["state"] == "leading", "it leads")
        yield client, process


class Killed:
    """A control plane that is to be killed; its client is good until then."""

    def __init__(self, world: World, site: Path, name: str = "control", **more: str) -> None:
        self.said = world.folder / f"{name}.log"
        with self.said.open("a") as log:
            self.process = subprocess.Popen(
                tied(CAVECAST, "serve", "--port", "0", "--log-level", "info"), stdout=subprocess.PIPE, stderr=log,
                text=True, env=environment(**world.settings(site, name, **more)),
            )  # fmt: skip
        try:
            url = json.loads(line_within(self.process.stdout))["url"]
        except BaseException:
            end(self.process, signal.SIGKILL)
            raise
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_S)

    def leads(self) -> None:
        until(lambda: self.client.get("/healthz").json()["state"] == "leading", "it leads")

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        self.client.close()
        return end(self.process, None, log=self.said)


def state(client: httpx.Client, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/runs/{run_id}").json()
    return found
