"""A run that is over, removed while somebody has it served again: one comes first, and no process is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from streamer.control import runs
from streamer.control.folder import Folder
from streamer.control.registry import Registry, open_registry
from streamer.control.schema import Problem, RunRequest
from streamer.settings import Settings
from tests.control.parts import DEADLINE_S, children, volume


async def _put_away(registry: Registry, source: Path) -> str:
    """A run that is over and has no processes."""
    run = await registry.admission.start(RunRequest(input=str(source), threshold=0.55, view=False, workers=1))
    version = run.version
    while run.record.state not in runs.ENDED:
        version = await run.newer(version)
    await run.cancel()
    return run.record.run_id


@pytest.mark.parametrize("first", ["serve", "remove"])
def test_a_run_that_is_removed_while_it_is_served_again_leaves_no_process(tmp_path: Path, first: str) -> None:
    async def told() -> None:
        async with open_registry(Settings(), folder) as registry, asyncio.timeout(DEADLINE_S):
            run_id = await _put_away(registry, source)
            both: dict[str, Awaitable[Any]] = {"serve": registry.serve(run_id), "remove": registry.remove(run_id)}
            names = sorted(both, key=lambda name: name != first)
            ends = await asyncio.gather(*(both[name] for name in names), return_exceptions=True)
            served, removed = (ends[names.index(name)] for name in ("serve", "remove"))
            assert removed is None
            assert isinstance(served, Problem) or (not isinstance(served, BaseException) and served.closed.is_set())
            assert registry.all() == []
            assert not children(os.getpid(), "streamer")
            assert not list(folder.path.glob(f"{run_id}*"))

    source = volume(tmp_path / "blobs.npy", (4, 8, 8))
    folder = Folder(tmp_path / "runs")
    try:
        asyncio.run(told())
    finally:
        folder.close()
