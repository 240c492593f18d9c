"""Parts end with their parent, however it ended, down to the grandchildren."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streamer import lifeline
from streamer.lifeline import Lifeline
from tests.ending import end, ending, line_within

DEADLINE_S = 3.0

CHAIN = """
import os, subprocess, sys
from streamer import lifeline
lifeline.hold()
depth = int(sys.argv[1])
print(os.getpid(), flush=True)
if depth:
    line = lifeline.Lifeline()
    subprocess.Popen([sys.executable, *sys.orig_argv[1:-1], str(depth - 1)], pass_fds=(line.fd,),
                     env=line.environment(dict(os.environ)), start_new_session=True)
{body}
"""
WAIT = "import threading; threading.Event().wait()"
STUBBORN = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT


def chain(depth: int, body: str = WAIT) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A process with a child with a child…, each tied to the one above."""
    head = subprocess.Popen(
        [sys.executable, "-c", CHAIN.format(body=body), str(depth)], stdout=subprocess.PIPE, text=True
    )
    found = [psutil.Process(int(line_within(head.stdout))) for _ in range(depth + 1)]
    return head, found


@pytest.fixture
def processes() -> Iterator[list[psutil.Process]]:
    found: list[psutil.Process] = []
    yield found
    for process in found:
        if process.is_running():
            process.kill()


@pytest.mark.parametrize("body", [WAIT, STUBBORN], ids=["that end when asked", "that ignore SIGTERM"])
def test_grandchildren_end_when_the_head_is_killed(processes: list[psutil.Process], body: str) -> None:
    head, found = chain(2, body)
    processes += found
    end(head, signal.SIGKILL)
    gone, alive = psutil.wait_procs(found, timeout=DEADLINE_S + lifeline.GRACE_S * (body == STUBBORN))
    assert not alive, f"{alive} outlived the head"
    assert len(gone) == 3


def test_a_parent_that_lives_keeps_its_children(processes: list[psutil.Process]) -> None:
    head, found = chain(1)
    processes += found
    with ending(head), pytest.raises(psutil.TimeoutExpired):
        found[1].wait(timeout=0.3)
    psutil.wait_procs(found, timeout=DEADLINE_S)
    assert not found[1].is_running()


def test_a_child_born_after_its_parent_died_ends_at_once() -> None:
    line = Lifeline()
    code = f"from streamer import lifeline; lifeline.hold(); {WAIT}"
    child = subprocess.Popen([sys.executable, "-c", code], pass_fds=(line.fd,), env=line.environment(dict(os.environ)))
    line.close()  # most likely before the child has read its own name
    assert child.wait(DEADLINE_S) != 0


def test_closing_the_line_ends_the_children_of_a_parent_that_lives_on() -> None:
    line = Lifeline()
    code = f"from streamer import lifeline; lifeline.hold(); print('up', flush=True); {WAIT}"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        pass_fds=(line.fd,),
        env=line.environment(dict(os.environ)),
        stdout=subprocess.PIPE,
    )
    with ending(child):
        line_within(child.stdout)
        line.close()
        assert child.wait(DEADLINE_S) == -signal.SIGTERM


def test_a_process_without_a_parent_that_asks_is_not_tied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lifeline.VARIABLE, raising=False)
    assert lifeline.hold() is False


@pytest.mark.parametrize("text", ["x", "99999", "-1", str(10**30)])
def test_a_variable_that_names_no_pipe_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(lifeline.VARIABLE, text)
    with pytest.raises(ValueError, match="no pipe of a parent"):
        lifeline.hold()


def test_a_file_is_no_lifeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setenv(lifeline.VARIABLE, str(file.fileno()))
        with pytest.raises(ValueError, match="no pipe of a parent"):
            lifeline.hold()
