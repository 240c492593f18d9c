"""Disks without room: a small one, where one may be mounted; and a limit, which can always be had."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Room = Callable[[int], None]
"""Says how large a file may become, as far as that can be set; 0: there is plenty of room."""
PLENTY = "16m"


@contextmanager
def tmpfs(folder: Path) -> Iterator[Room]:
    """A disk of the folder's own, full once it holds 20 KB.  Skips where it cannot be had."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False, text=True, timeout=60) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip("only root may mount a small disk, where it may; the row with the limit on a file's size stands")

    def room(nbytes: int) -> None:
        if not nbytes:
            subprocess.run(["mount", "-o", f"remount,size={PLENTY}", str(folder)], check=True, timeout=60)

    try:
        yield room
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)


@contextmanager
def limited(pid: Callable[[], int]) -> Iterator[Room]:
    """The kernel lets no file of a process grow beyond a size, as a full disk does."""

    def room(nbytes: int) -> None:
        most = resource.prlimit(pid(), resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid(), resource.RLIMIT_FSIZE, (nbytes or most, most))

    yield room
