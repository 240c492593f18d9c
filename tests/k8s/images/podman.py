"""podman for the tests: its own settings, a time limit for each command, and nothing left but the images.

What is started carries a label of this process, by which all of it is found again and removed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.control.parts import environment

# runc and cgroupfs also work where systemd does not, and these limits where the user's own are lower than podman's.
SETTINGS = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""
LABEL = f"cavecast-test={os.getpid()}"
LIFE_S = 900
"""podman ends a container after so long, should nobody be left to remove it."""
SHORT_S = 60.0


class Podman(NamedTuple):
    """Calls podman, with settings from a file of the tests' own."""

    settings: Path

    @property
    def environment(self) -> dict[str, str]:
        return environment(CONTAINERS_CONF=str(self.settings))

    def tried(self, *words: str | Path, within_s: float = SHORT_S) -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        return subprocess.run(
            ["podman", *words], capture_output=True, text=True, timeout=within_s, env=self.environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def done(self, *words: str | Path, within_s: float = SHORT_S) -> str:
        """What a command prints that has to work."""
        found = self.tried(*words, within_s=within_s)
        said = "\n".join(found.stderr.splitlines()[-40:])
        assert found.returncode == 0, f"podman {' '.join(map(str, words))} ended with {found.returncode}:\n{said}"
        return found.stdout

    def inspected(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """The facts of images, containers or networks."""
        found: list[dict[str, Any]] = json.loads(self.done(kind, "inspect", *names))
        return found

    def names(self) -> list[str]:
        """The names of all containers of these tests."""
        return self.done("ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}").split()

    @contextmanager
    def network(self, subnet: str) -> Iterator[str]:
        """A network from which nothing leads out, with a name server; its containers go with it."""
        name = f"cavecast-test-{os.getpid()}"
        self.done("network", "create", "--internal", "--subnet", subnet, "--label", LABEL, name)
        try:
            yield name
        finally:
            self.remove()
            self.done("network", "rm", "--force", name)

    def remove(self) -> None:
        """All containers of these tests."""
        self.done("rm", "--force", "--time", "0", "--filter", f"label={LABEL}")


def locked(image: str, *arguments: str, more: tuple[str, ...] = ()) -> list[str]:
    """The words that run an image as a pod is: nothing can be written but /tmp, no capabilities, no network."""
    return [
        "run", "--rm", "--label", LABEL, "--timeout", str(LIFE_S), "--pull", "never", "--network", "none",
        "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--tmpfs", "/tmp",  # noqa: S108
        "--security-opt", "no-new-privileges", "--env", "HOME=/tmp", *more, image, *arguments,
    ]  # fmt: skip
