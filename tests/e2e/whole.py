"""The whole of CaveCast as a user runs it, and what its result must equal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import xarray as xr
from numpy.typing import NDArray

from tests.ending import end, in_time, tied
from tests.workers.reference import label_whole

SAMPLES = Path(__file__).parents[2] / "inference_workers" / "samples"
COMMAND = str(Path(sys.executable).parent / "cavecast")
LIMIT_S = 150


def cavecast(*arguments: str, limit_s: float = LIMIT_S) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=limit_s)


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object that stands alone on stdout."""
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running, its log on our stderr; ended with all its descendants when the test leaves."""
    process = subprocess.Popen(tied(COMMAND, *arguments), stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        for one in descendants(process.pid):
            one.kill()
        end(process, signal.SIGKILL)


def until_heard(api: str, words: str, client: httpx.Client | None = None) -> None:
    """Waits until an event of a run says that; its text is compared without spaces."""
    streamed = httpx.stream if client is None else client.stream
    with streamed("GET", f"{api}/events", timeout=LIMIT_S) as events:
        assert any(words in line.replace(" ", "") for line in in_time(events.iter_lines())), words


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers(pid: int) -> list[psutil.Process]:
    """The workers below a process, by what the process list says."""
    found = []
    for one in descendants(pid):
        try:
            if "cavecast worker" in " ".join(one.cmdline()):
                found.append(one)
        except psutil.NoSuchProcess:
            continue
    return found


def field(sample: str, variable: str) -> NDArray[np.float64]:
    """A sample's voxels, read apart from CaveCast."""
    with xr.open_dataset(SAMPLES / f"{sample}.nc") as data:
        return data[variable].values.astype("f8")


def ids_of_whole(volume: NDArray[np.float64], threshold: float, *, periodic: bool, connectivity: int = 26) -> Any:
    """The volume labelled at once: run-wide ids, (z, y, x)."""
    return label_whole(volume, threshold, connectivity, (False, False, periodic))
