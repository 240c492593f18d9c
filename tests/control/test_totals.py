"""Counters do not fall when runs of long ago are forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer.control import roster as module
from streamer.control.folder import Folder
from streamer.control.lives import exited
from streamer.control.local import LocalRun
from streamer.control.metrics import exposition
from streamer.control.parts import Addresses, Plan
from streamer.control.registry import Registry, open_registry
from streamer.control.runs import Run, not_begun
from streamer.lifeline import Lifeline
from streamer.settings import Settings
from streamer.wire.grid import Grid
from streamer.wire.volume import Keep


def past(registry: Registry, name: str, folder: Path, lifeline: Lifeline) -> LocalRun:
    """A run that has ended."""
    grid = Grid((4, 4, 4), (2, 2, 2))
    status = msgspec.structs.replace(not_begun(name, grid), committed=8, failed=1, voxels_done=64, log_bytes=1000)
    record = Run(
        run_id=name, title=name, created="", input="", variable="", units="", segmenter="connect", parameters={},
        keep=Keep(), workers=1, pace_s=0, shape=grid.shape, chunk=grid.chunk, counts=grid.counts,
        periodic=grid.periodic, dims=("z", "y", "x"), on_sphere=False, has_time=False, status=status,
    )  # fmt: skip
    plan = Plan(folder, 1, False, None, False, 0.0)
    at = Addresses("ipc:///i", "ipc:///f", "ipc:///v")
    run = LocalRun(record, plan, at, registry.settings, lifeline, registry.context)
    for _ in range(3):
        run._crew.life = exited(run._crew.life, "worker-1", -9, "", 0.0)[0]
    run.closed.set()
    return run


def test_no_counter_falls_when_runs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_RECORDS", 3)
    seen: list[dict[str, float]] = []

    async def story() -> None:
        folder, lifeline = Folder(tmp_path), Lifeline()
        async with open_registry(Settings(), folder) as registry:
            for number in range(10):
                registry.roster._runs[f"r{number}"] = past(registry, f"r{number}", tmp_path, lifeline)
                registry.roster.forget()
                records, gone = [run.record for run in registry.all()], registry.roster.forgotten
                text = exposition(lambda records=records: records, past=gone).decode()  # type: ignore[misc]
                samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
                seen.append({
                    one.name + one.labels.get("role", ""): one.value for one in samples if one.name.endswith("_total")
                })  # fmt: skip
            assert len(registry.all()) == 3
        lifeline.close()
        folder.close()

    asyncio.run(story())
    for number, found in enumerate(seen, 1):
        assert found["cavecast_chunks_committed_total"] == 8 * number
        assert found["cavecast_chunks_failed_total"] == number
        assert found["cavecast_voxels_segmented_total"] == 64 * number
        assert found["cavecast_log_bytes_total"] == 1000 * number
        assert found["cavecast_part_restarts_totalworker"] == 3 * number
