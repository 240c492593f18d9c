"""A cluster in one process: the store, the controllers, the nodes, and the handle by which tests make things happen.

``tick(now)`` gives the time and lets every controller work until nothing changes any more.  Nothing happens by itself.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.k8s.server import (
    daemons,
    deployments,
    garbage,
    job_controller,
    kubelet,
    lifecycle,
    quota,
    scheduler,
    stateful,
)
from tests.k8s.server.access import ADMIN, User, service_account
from tests.k8s.server.kinds import BY_KIND, BY_RESOURCE, Kind, Obj
from tests.k8s.server.podlife import Exit
from tests.k8s.server.refusals import Refused
from tests.k8s.server.registry import Registry
from tests.k8s.server.store import Key, Store

START = 1_767_225_600.0
"""The time at which a cluster begins: 2026-01-01T00:00:00Z."""
MOST_ROUNDS = 500


class Cluster:
    def __init__(self, now: float = START) -> None:
        self.lock = threading.RLock()
        self.now = now
        self.store = Store()
        self.registry = Registry(self.store, lambda: self.now)
        self.users: dict[str, User] = {}
        self.requests: deque[str] = deque(maxlen=10_000)
        """What clients have asked, oldest first."""
        self.logs: dict[tuple[str, str], str] = {}
        self.failing: Refused | None = None
        """What every request is answered with, if anything."""
        self.silent_watches = False
        self.closing = False
        self.drops = 0
        self.dead_nodes: set[str] = set()
        self.missing_nodes: dict[str, float] = {}
        """Since when pods are on nodes that have no object."""
        self.network = "10.244"
        """The first half of the pods' addresses."""
        self._addresses: dict[tuple[str, str], str] = {}
        self.exits: dict[str, Exit] = {}
        """What the pods of these uids are about to end with."""
        self.exit_on_term = Exit(143, "Error")
        self.stubborn: set[str] = set()
        """Names of pods that use all of their grace period."""
        self.missing_images = re.compile(r"does-not-exist")
        self.admin_token = self.token(ADMIN)
        for name in ("default", "kube-system", "kube-node-lease"):
            self.namespace(name)

    # ------------------------------------------------------------ time

    def tick(self, now: float | None = None) -> float:
        """Sets the time (never back) and lets the controllers come to rest; returns the time."""
        with self.lock:
            self.now = max(self.now, self.now if now is None else now)
            for _ in range(MOST_ROUNDS):
                before = self.store.revision
                for controller in CONTROLLERS:
                    controller(self)
                if self.store.revision == before:
                    break
            else:
                raise AssertionError(f"the controllers do not come to rest; last {self.store.history[-3:]}")
            quota.refresh(self.store)
            self.ring()
            return self.now

    def advance(self, seconds: float) -> float:
        """Lets time pass, with a round of the controllers at least every five seconds."""
        with self.lock:
            end = self.now + seconds
            while self.now + 5 < end:
                self.tick(self.now + 5)
            return self.tick(end)

    @property
    def listeners(self) -> set[Callable[[], None]]:
        return self.store.listeners

    def ring(self) -> None:
        for listener in tuple(self.listeners):
            listener()

    # ------------------------------------------------------------ who asks

    def token(self, user: User) -> str:
        """A bearer token of a user."""
        token = secrets.token_urlsafe(24)
        self.users[token] = user
        return token

    def account_token(self, namespace: str, name: str) -> str:
        """A token of a service account."""
        return self.token(service_account(namespace, name))

    # ------------------------------------------------------------ objects, past the HTTP

    def create(self, found: Obj) -> Obj:
        """Creates an object as the cluster's administrator."""
        kind = BY_KIND[found["apiVersion"], found["kind"]]
        with self.lock:
            return self.registry.create(kind, found["metadata"].get("namespace", ""), found, ADMIN).obj

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        with self.lock:
            return self.store.get(Key(resource, namespace, name))

    def every(self, resource: str, namespace: str = "") -> list[Obj]:
        with self.lock:
            return self.store.every(resource, namespace)

    def namespace(self, name: str) -> None:
        """A namespace with what every namespace has."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.tick()

    def keep(self, kind: Kind, found: Obj) -> Obj:
        """Keeps what a controller has changed."""
        return self.registry.keep(kind, found).obj

    # ------------------------------------------------------------ nodes

    def add_node(
        self, name: str, labels: Mapping[str, str] | None = None, gpus: int = 0, cpu: int = 16, memory: str = "64Gi",
        taints: Sequence[Obj] = (), resource: str = "nvidia.com/gpu",
    ) -> None:  # fmt: skip
        """A node that is ready at once."""
        capacity = {"cpu": str(cpu), "memory": memory, "pods": "110", "ephemeral-storage": "500Gi"}
        if gpus:
            capacity[resource] = str(gpus)
        own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})}
        with self.lock:
            found = self.create({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": own},
                "spec": {"taints": list(taints)} if taints else {},
            })  # fmt: skip
            found["status"] = {"capacity": capacity, "allocatable": capacity, "conditions": [], "addresses": []}
            self.keep(BY_RESOURCE["nodes"], found)
            self.tick()

    def lose_node(self, name: str) -> None:
        """The node's kubelet says nothing any more; its containers may still run."""
        with self.lock:
            self.dead_nodes.add(name)

    def return_node(self, name: str) -> None:
        with self.lock:
            self.dead_nodes.discard(name)
            self.tick()

    def remove_node(self, name: str) -> None:
        """The node's object is deleted, as an administrator does with one that will not come back."""
        with self.lock:
            self.dead_nodes.discard(name)
            self.registry.delete(BY_RESOURCE["nodes"], "", name)
            self.tick()

    # ------------------------------------------------------------ pods

    def pods(self, namespace: str, **labels: str) -> list[Obj]:
        """The pods of a namespace with these labels."""
        wanted = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
        return [
            pod for pod in self.every("pods", namespace)
            if wanted.items() <= (pod["metadata"].get("labels") or {}).items()
        ]  # fmt: skip

    def address(self, namespace: str, name: str) -> str:
        """A pod's own address; one that is made again under its name has the same."""
        number = len(self._addresses) + 1
        return self._addresses.setdefault((namespace, name), f"{self.network}.{number // 250}.{number % 250 + 1}")

    def end(self, namespace: str, name: str, how: Exit) -> None:
        """A pod's containers end so at the next tick."""
        found = self.get("pods", namespace, name)
        assert found is not None, f"no pod {namespace}/{name}"
        with self.lock:
            self.exits[found["metadata"]["uid"]] = how

    # ------------------------------------------------------------ faults of the API

    def compact(self) -> None:
        """The history is forgotten: old resource versions are too old from now on."""
        with self.lock:
            self.store.compact()

    def drop_watches(self) -> None:
        """Cuts the connection of every watch in the middle."""
        with self.lock:
            self.drops += 1
            self.ring()

    @contextmanager
    def watches_silent(self) -> Iterator[None]:
        """Watches stay connected and say nothing, not even that their time is over."""
        self.silent_watches = True
        try:
            yield
        finally:
            self.silent_watches = False
            self.ring()

    @contextmanager
    def answering(self, refused: Refused) -> Iterator[None]:
        """Every request is answered so."""
        self.failing = refused
        try:
            yield
        finally:
            self.failing = None

    def close(self) -> None:
        with self.lock:
            self.closing = True
            self.ring()


UNAVAILABLE = Refused(503, "ServiceUnavailable", "apiserver not ready", {"retryAfterSeconds": 1})
OVERLOADED = Refused(429, "TooManyRequests", "Too many requests, please try again later.", {"retryAfterSeconds": 1})
BROKEN = Refused(500, "InternalError", "Internal error occurred: etcdserver: request timed out", {})

CONTROLLERS: tuple[Callable[[Cluster], None], ...] = (
    lifecycle.namespaces, lifecycle.nodes, lifecycle.evictions, lifecycle.pods, garbage.collect, lifecycle.claims,
    job_controller.jobs, daemons.daemon_sets, stateful.stateful_sets, deployments.deployments,
    deployments.replica_sets, scheduler.schedule, kubelet.kubelets,
)  # fmt: skip
