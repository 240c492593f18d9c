"""Serves a cluster's API over HTTPS on loopback, in a thread, and writes kubeconfigs for it.

``python -m tests.k8s.server.serve`` serves one by hand: it prints the path of a kubeconfig, and gives the cluster the
time of the clock.
"""

from __future__ import annotations

import base64
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import yaml

from tests.k8s.server.api import application
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.loopback import certificate

DEADLINE_S = 20.0


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class Served:
    """A cluster with an address."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self._folder = cluster, folder
        self.certificate, key = certificate(folder)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            application(cluster), log_level="critical", lifespan="off", ssl_certfile=self.certificate, ssl_keyfile=key,
            timeout_graceful_shutdown=1, http="h11", ws="none",
        )  # fmt: skip
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._server.ready.wait(DEADLINE_S), "the API server of the tests did not start"

    def stop(self) -> None:
        self.cluster.close()
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the API server of the tests did not stop"
        self._socket.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig(self, token: str = "", namespace: str = "default", port: int = 0, name: str = "kubeconfig") -> Path:
        """A file by which clients find the server; ``port`` is that of a line before it."""
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        found = {
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {
                "server": f"https://127.0.0.1:{port or self.port}", "certificate-authority-data": authority,
            }}],
            "users": [{"name": "tests", "user": {"token": token or self.cluster.admin_token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
        }  # fmt: skip
        path = self._folder / name
        path.write_text(yaml.safe_dump(found))
        path.chmod(0o600)
        return path


@contextmanager
def served(cluster: Cluster | None = None) -> Iterator[Served]:
    """A cluster that is served for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="cavecast-k8s-") as folder:
        found = Served(cluster or Cluster(), Path(folder))
        found.start()
        try:
            yield found
        finally:
            found.stop()


def main() -> None:
    with served(Cluster(time.time())) as found:
        found.cluster.add_node("node-1", gpus=4)
        print(found.kubeconfig(), flush=True)
        try:
            while True:
                found.cluster.tick(time.time())
                time.sleep(0.2)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
