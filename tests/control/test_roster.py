"""What goes wrong where one run is put away ends neither the control plane nor another run."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamer.control import roster, runs
from streamer.control.crew import Crew
from streamer.control.folder import Folder
from streamer.control.local import LocalRun
from streamer.control.local_walls import LocalWalls
from streamer.control.registry import Registry, open_registry
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


async def started(registry: Registry, source: Path, **more: object) -> LocalRun:
    """A run that works."""
    run = await registry.admission.start(
        RunRequest.model_validate({"input": str(source), "threshold": 0.55, "view": False, "workers": 1, **more})
    )
    assert isinstance(run, LocalRun)
    version = run.version
    while run.record.status.committed < 1:
        version = await run.newer(version)
    return run


def test_who_waits_for_a_runs_end_hears_of_it_whatever_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = volume(tmp_path / "blobs.npy", (4, 8, 8))

    def breaks() -> None:
        raise RuntimeError("unforeseen")

    async def told() -> None:
        async with open_registry(Settings(), folder) as registry, asyncio.timeout(DEADLINE_S):
            run = await started(registry, source)
            monkeypatch.setattr(run.said, "close", breaks)
            await run.cancel()
            assert run.closed.is_set()
            assert run.link is None

    folder = Folder(tmp_path / "runs")
    try:
        asyncio.run(told())
    finally:
        folder.close()


def test_a_run_that_does_not_end_is_named_and_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = volume(tmp_path / "blobs.npy", (4, 8, 8))

    async def never(_: Crew) -> None:
        await asyncio.Event().wait()

    async def told() -> str:
        async with asyncio.timeout(DEADLINE_S), open_registry(Settings(stop_s=0.1), folder) as registry:
            run = await started(registry, source)
            monkeypatch.setattr(Crew, "end", never)
        return run.record.run_id

    for name in ("LATE_S", "LAST_S"):
        monkeypatch.setattr(roster, name, 0.1)
    folder = Folder(tmp_path / "runs")
    try:
        with capture_logs() as said:
            run_id = asyncio.run(told())
    finally:
        folder.close()
    assert [(entry["event"], entry["run"]) for entry in said if entry["log_level"] == "error"] == [
        ("a run has not ended in time, and is given up", run_id)
    ]


def test_a_part_that_cannot_be_started_now_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = volume(tmp_path / "blobs.npy", (4, 8, 8))
    real = asyncio.create_subprocess_exec
    refused: list[tuple[str, ...]] = []

    async def starts(*words: str, **more: Any) -> asyncio.subprocess.Process:
        if "worker" in words and not refused:
            refused.append(words)
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await real(*words, **more)

    async def told() -> None:
        async with asyncio.timeout(DEADLINE_S), open_registry(Settings(), folder) as registry:
            run = await started(registry, source)
            version = run.version
            while run.record.state not in runs.ENDED:
                version = await run.newer(version)
            assert (run.record.state, run.record.error) == ("complete", None)
            assert run.record.restarts == {"worker-1": 1}

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    folder = Folder(tmp_path / "runs")
    try:
        with capture_logs() as said:
            asyncio.run(told())
    finally:
        folder.close()
    assert refused
    again = [entry["why"] for entry in said if entry["event"] == "started again"]
    assert again == ["worker-1 ended with exit code 1: it could not be started: Resource temporarily unavailable"]


def test_a_run_that_could_not_be_gone_on_with_says_why_and_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = volume(tmp_path / "blobs.npy", (4, 8, 8))

    def breaks(*_: object) -> None:
        raise ExceptionGroup("of a part", [RuntimeError("unforeseen")])

    async def told() -> None:
        async with asyncio.timeout(DEADLINE_S), open_registry(Settings(), folder) as registry:
            run = await registry.admission.start(RunRequest(input=str(source), threshold=0.55, view=False, workers=1))
            assert isinstance(run, LocalRun)
            await run.closing.wait()
            assert run.record.state == "failed"
            assert run.record.error == "the control plane could not go on with it: unforeseen"

    monkeypatch.setattr(LocalWalls, "start", breaks)
    folder = Folder(tmp_path / "runs")
    try:
        asyncio.run(told())
    finally:
        folder.close()
