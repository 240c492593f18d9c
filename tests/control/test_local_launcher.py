"""What the launcher of one machine keeps of runs in its folder, and removes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq.asyncio

from streamer.control.folder import Folder
from streamer.control.local_launcher import GOING, LocalLauncher
from streamer.lifeline import Lifeline
from streamer.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    found = Folder(tmp_path / "runs")
    (found.run("rivers-1") / "log").mkdir()
    yield found
    found.close()


def launcher_of(folder: Folder, context: zmq.asyncio.Context) -> LocalLauncher:
    return LocalLauncher(Settings(), folder, Lifeline(), context)


async def _forgets_while_the_disk_is_slow(launcher: LocalLauncher) -> None:
    slow = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(threads)
        busy = loop.run_in_executor(threads, slow.wait)
        try:
            assert await launcher.kept("rivers-1")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(launcher.forget("rivers-1"))
                looking = tasks.create_task(launcher.kept("rivers-1"))
                looking.add_done_callback(lambda _: slow.set())
        finally:
            slow.set()  # or the thread is waited for without end
        await busy
        assert not looking.result()


def test_a_run_that_is_being_removed_cannot_be_served_again(folder: Folder) -> None:
    """However long removing it takes: it would be started on what is left of its log."""
    with zmq.asyncio.Context() as context:
        asyncio.run(_forgets_while_the_disk_is_slow(launcher_of(folder, context)))
    assert not list(folder.path.glob("rivers-1*"))


def test_what_was_being_removed_when_its_owner_was_killed_is_removed_by_the_next(folder: Folder) -> None:
    half = folder.path / f"rivers-2{GOING}"
    (half / "log").mkdir(parents=True)
    with zmq.asyncio.Context() as context:
        launcher_of(folder, context)
    assert not half.exists()
    assert (folder.path / "rivers-1" / "log").is_dir()
