"""What goes wrong where one run is put away ends neither the control plane nor another run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.control import runs
from streamer.control.folder import Folder
from streamer.control.registry import open_registry
from streamer.control.schema import RunRequest
from streamer.settings import Settings
from tests.control.parts import DEADLINE_S, volume


def test_a_run_that_cannot_be_put_away_ends_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = volume(tmp_path / "blobs.npy", (4, 8, 8))
    asked = RunRequest(input=str(source), threshold=0.55, view=False, workers=1)
    left = asyncio.Event()

    async def unreadable(run_id: str) -> None:
        left.set()
        raise OSError(5, "Input/output error", run_id)

    async def told() -> None:
        async with open_registry(Settings(), folder) as registry, asyncio.timeout(DEADLINE_S):
            monkeypatch.setattr(registry.launcher, "left", unreadable)
            for _ in range(2):
                run = await registry.admission.start(asked)
                version = run.version
                while run.record.state not in runs.ENDED:
                    version = await run.newer(version)
                assert run.record.state == "complete"
                await run.cancel()
                await left.wait()
                left.clear()

    folder = Folder(tmp_path / "runs")
    try:
        with capture_logs() as said:
            asyncio.run(told())
    finally:
        folder.close()
    assert [entry["event"] for entry in said if entry["log_level"] == "error"] == 2 * ["run was not put away whole"]
