"""The folder in which runs live: private, found again as left behind, and never taken twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamer.control import folder
from streamer.control.folder import Folder, InUse, address, sweep
from tests.ending import ending, line_within


def test_a_temporary_folder_is_this_users_alone_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Folder(None)
    run = made.run("rivers-1")
    assert made.path.stat().st_mode & 0o777 == 0o700
    assert run.stat().st_mode & 0o777 == 0o700
    made.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_owner_left_behind_is_swept_and_what_lives_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    alive = Folder(None)
    code = "from streamer.control.folder import Folder; print(Folder(None).path, flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ending(child, signal.SIGKILL):
        left = Path(line_within(child.stdout).strip())
        assert sweep(tmp_path, time.time()) == [], "both owners live"
    assert left.is_dir()
    assert sweep(tmp_path, time.time()) == [left]
    assert not left.exists()
    assert alive.path.is_dir()
    alive.close()


def test_a_folder_of_somebody_else_or_without_a_lock_is_left_alone(tmp_path: Path) -> None:
    stranger = tmp_path / f"{folder.PREFIX}other"
    stranger.mkdir()
    (stranger / "work").write_text("mine")
    assert sweep(tmp_path, time.time() + 1e6) == []
    assert (stranger / "work").read_text() == "mine"


def test_a_folder_that_was_asked_for_is_never_swept_wherever_it_lies(tmp_path: Path) -> None:
    mine = tmp_path / f"{folder.PREFIX}runs"
    asked = Folder(mine)
    (asked.run("rivers-1") / "log").write_text("a week of work")
    asked.close()
    assert sweep(tmp_path, time.time() + 1e6) == []
    assert (mine / "rivers-1" / "log").read_text() == "a week of work"


def test_whoever_sweeps_while_a_folder_is_being_made_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    take = folder._take

    def late(lock: int) -> bool:
        monkeypatch.setattr(folder, "_take", take)
        assert sweep(tmp_path, time.time()) == []
        return take(lock)

    monkeypatch.setattr(folder, "_take", late)
    made = Folder(None)
    assert made.path.is_dir()
    made.close()


def test_two_control_planes_do_not_share_a_folder(tmp_path: Path) -> None:
    first = Folder(tmp_path / "runs")
    with pytest.raises(InUse, match="in use by another cavecast serve"):
        Folder(tmp_path / "runs")
    first.close()
    again = Folder(tmp_path / "runs")
    again.close()
    assert (tmp_path / "runs").is_dir(), "a folder that was asked for stays"


def test_sockets_lie_in_the_folder_unless_its_path_is_too_long() -> None:
    assert address(Path("/run/user/1/x"), "feed") == "ipc:///run/user/1/x/feed"
    assert address(Path("/" + "x" * 120), "feed") == "tcp://127.0.0.1:0"
