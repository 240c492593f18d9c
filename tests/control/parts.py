"""Real parts for the tests: a control plane as a process, and a small input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from websockets.sync.client import ClientConnection

from tests.ending import PATIENCE_S, ending, in_time, line_within, tied

CAVECAST = Path(sys.executable).parent / "cavecast"
DEADLINE_S = 60.0


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests.  A SIGABRT shows the stacks of what runs in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAVECAST_")}
    return {**kept, "PYTHONFAULTHANDLER": "1", **more}


def volume(path: Path, shape: tuple[int, int, int] = (16, 24, 24), seed: int = 1) -> Path:
    """A .npy file of smooth blobs between 0 and 1."""
    noise = np.random.default_rng(seed).random(shape)
    for axis in range(3):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    low, high = noise.min(), noise.max()
    np.save(path, ((noise - low) / (high - low)).astype("f4"))
    return path


@contextmanager
def control_plane(
    *flags: str, said: Path | None = None, **variables: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A running ``cavecast serve`` and a client of it; ended with SIGTERM afterwards.  Its log goes to ``said``."""
    with ExitStack() as files:
        server = subprocess.Popen(
            tied(CAVECAST, "serve", "--port", "0", "--log-level", "warning", *flags),
            stdout=subprocess.PIPE,
            stderr=None if said is None else files.enter_context(said.open("w")),
            text=True,
            env=environment(**variables),
        )
    with ending(server, log=said):
        url = json.loads(line_within(server.stdout))["url"]
        with httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_S) as client:
            yield client, server


def start(client: httpx.Client, **request: Any) -> dict[str, Any]:
    """A run, which must be accepted."""
    answer = client.post("/api/v1/runs", json=request)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(client: httpx.Client, run_id: str, within_s: float = PATIENCE_S) -> Iterator[tuple[str, dict[str, Any]]]:
    """The run's events until the server ends the stream, which fails if it does not within a time."""
    name = ""
    with client.stream("GET", f"/api/v1/runs/{run_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in in_time(answer.iter_lines(), within_s):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def ended(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """The run, once it has ended."""
    *_, (name, run), (last, _) = events(client, run_id)
    assert (name, last) == ("run", "end")
    return run


def until(client: httpx.Client, run_id: str, committed: int) -> dict[str, Any]:
    """The run, once so many chunks have been committed (or it has ended)."""
    run: dict[str, Any] = {}
    for name, run in events(client, run_id):
        if name == "run" and run["status"]["committed"] >= committed:
            break
    return run


def standing(client: httpx.Client, run_id: str, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The run, once it stands as ``so`` says; fails if it ends without."""
    for name, run in events(client, run_id):
        if name == "run" and so(run):
            return run
    raise AssertionError(f"{run_id} ended without that")


def alive(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Those that still run after a time.  One that has ended, and that nobody has asked how yet, does not."""
    found = []
    for process in psutil.wait_procs(processes, timeout=within_s)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def children(pid: int, role: str = "", run_id: str = "") -> list[psutil.Process]:
    """The processes below ``pid`` whose command line says ``cavecast ROLE …`` and names the run's folder."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            words = process.cmdline()
            if (not role or role in words) and run_id in " ".join(words):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def eventually(true: Callable[[], bool], what: str = "what is waited for") -> None:
    """Waits until something is true of which nobody tells when it becomes so."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.05)


def consume(browser: ClientConnection) -> None:
    """Takes all that comes until the line is closed.  Raises ConnectionClosed."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        browser.recv(timeout=max(0.0, deadline - time.monotonic()))
