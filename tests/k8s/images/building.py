"""The project's images, built as docs/cluster.md says, on a Debian that is made here: no registry is asked.

pip finds its packages as it does outside: its settings are read from the host's and mounted into the build, and the
files that they name with them.  Base and layers are kept by podman, so the next time only CaveCast itself is built.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.control.parts import environment
from tests.k8s.images.podman import Podman

ROOT = Path(__file__).parents[3]
ROLES = ("control", "worker", "renderer")
BASE = "localhost/cavecast-test-base"
BUILD_S = 1800.0
BOOTSTRAP_S = 600.0
KEPT = (
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert", "constraint",
    "timeout", "default-timeout", "retries",
)  # fmt: skip
"""pip's settings that say where packages are; all else is the image's own affair."""
CERTIFICATES = "/run/host-ca.pem"
_SETTING = re.compile(r"^[^=]*?\.([a-z-]+)=(.*)$")


def containerfile(role: str) -> Path:
    return ROOT / "k8s" / "images" / f"{role}.Containerfile"


def suite() -> str:
    """The Debian that the Containerfiles are made for."""
    suites = set()
    for role in ROLES:
        found = re.search(r"^ARG BASE=\S+/debian:([a-z]+)-slim$", containerfile(role).read_text(), re.MULTILINE)
        assert found is not None, f"{role}.Containerfile has no Debian as its base"
        suites.add(found[1])
    (one,) = suites
    return one


def base(podman: Podman) -> str:
    """An image of a small Debian, made with debootstrap if it is not there."""
    called = f"{BASE}:{suite()}"
    if podman.tried("image", "exists", called).returncode == 0:
        return called
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", suite(), root], capture_output=True, text=True, timeout=BOOTSTRAP_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert made.returncode == 0, f"debootstrap (which has to be root) failed:\n{made.stdout[-2000:]}{made.stderr}"
        packed = Path(folder) / "base.tar"
        left_out = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*", "./dev/*", "./proc/*", "./sys/*")
        excluded = [f"--exclude={one}" for one in left_out]
        subprocess.run(["tar", "-C", root, *excluded, "-cf", packed, "."], check=True, timeout=BOOTSTRAP_S)
        podman.done("import", packed, called, within_s=BOOTSTRAP_S)
    return called


def host_settings() -> dict[str, str]:
    """pip's settings here that KEPT names, the environment's before those of files."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=environment()).stdout
    files: dict[str, str] = {}
    variables: dict[str, str] = {}
    for line in said.splitlines():
        found = _SETTING.match(line)
        if found is not None and found[1] in KEPT:
            where = variables if line.startswith(":env:") else files
            where[found[1]] = str(ast.literal_eval(found[2]))
    return files | variables


def pip_mounts(folder: Path) -> list[str]:
    """The options of a build by which pip finds its packages there as it does here."""
    settings, mounts = host_settings(), list[str]()
    if (certificates := settings.get("cert")) is not None:
        mounts.append(f"{certificates}:{CERTIFICATES}:ro")
        settings["cert"] = CERTIFICATES
    for key, value in settings.items():
        for word in value.split() if key != "cert" else ():
            path = Path(word.removeprefix("file://"))
            # The links of an index in a folder lead to files beside it.
            path = path.parent if key.endswith("index-url") else path
            if path.is_absolute() and path.exists():
                mounts.append(f"{path}:{path}:ro")
    conf = folder / "pip.conf"
    lines = (f"{key} = {value.replace(chr(10), chr(10) + '  ')}" for key, value in settings.items())
    conf.write_text("\n".join(["[global]", *lines, ""]))
    mounts.append(f"{conf}:/etc/pip.conf:ro")
    return [word for one in dict.fromkeys(mounts) for word in ("--volume", one)]


def built(podman: Podman, role: str, base: str, folder: Path) -> str:
    """The image of a role."""
    called = f"localhost/cavecast-test-{role}:latest"
    podman.done(
        "build", "--isolation=chroot", "--network=host", "--pull=never", "--build-arg", f"BASE={base}",
        *pip_mounts(folder), "--file", containerfile(role), "--tag", called, ROOT, within_s=BUILD_S,
    )  # fmt: skip
    return called
