"""Small walls for the tests, and what is asked of one again and again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx

from tests.control.parts import DEADLINE_S, control_plane

DEADLINE_MS = "10000"
SLOW = {"CAVECAST_WALL_SCREENS": "none", "CAVECAST_WALL_DEADLINE_MS": DEADLINE_MS}
"""The environment of a control plane on a machine that draws without a graphics card."""


def slow_walls(
    *flags: str, screens: str = "none"
) -> AbstractContextManager[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A control plane in that environment."""
    return control_plane(*flags, CAVECAST_WALL_SCREENS=screens, CAVECAST_WALL_DEADLINE_MS=DEADLINE_MS)


def wall(name: str, columns: int = 2, nodes: str = "panel", more: str = "") -> str:
    """A wall of a row of panels, each a process of its own, whose pictures stay in memory."""
    return f"""name = "{name}"
title = "A row of {columns}"
[[grids]]
name = "p"
rows = 1
columns = {columns}
size = [1018, 573]
bezel = 3
pixels = [96, 54]
nodes = "{nodes}"
display = ""
[fit]
size_mm = 1500
centre = [0, 0, -2000]
{more}"""


def put(client: httpx.Client, text: str) -> dict[str, Any]:
    """Keeps a wall that is not there yet."""
    answer = client.post("/api/v1/walls", content=text, headers={"content-type": "application/toml"})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def detail(answer: httpx.Response, status: int) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def eventually(client: httpx.Client, run_id: str, so: Callable[[dict[str, Any]], bool], words: str) -> dict[str, Any]:
    """The run, once it stands as ``so`` says: also one that is over, which sends no events."""
    deadline = time.monotonic() + 2 * DEADLINE_S
    while not so(run := client.get(f"/api/v1/runs/{run_id}").json()):
        assert time.monotonic() < deadline, f"in vain: {words}: {run['walls']} {run['parts']} {run['remarks']}"
        time.sleep(0.05)
    return dict(run)


def on(run: dict[str, Any], name: str) -> dict[str, Any]:
    """How a run stands on a wall; empty if it is not to be shown there."""
    return next((dict(one) for one in run["walls"] if one["name"] == name), {})


def showing(client: httpx.Client, run_id: str, name: str) -> dict[str, Any]:
    """How a run stands on a wall, once all of its tiles show it."""
    return on(eventually(client, run_id, lambda run: on(run, name).get("state") == "showing", f"on {name}"), name)
