"""A control plane that is asked to end is gone after a bounded time, whatever holds it up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil

from streamer.control.last_moment import STUCK, sentence
from tests.control.parts import DEADLINE_S, alive, children, environment, start, until, volume
from tests.control.postgresql import postgresql
from tests.ending import ending, line_within

IN_SHORT = "from streamer.control import main; main.END_S = 2.0; from streamer.cli import main; main()"
"""The command, with less patience."""


@contextmanager
def silent(url: str) -> Iterator[None]:
    """The database is there and says nothing; no deadline that it keeps itself can help."""
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    first = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
    every = [first, *first.children(recursive=True)]
    for process in every:
        process.suspend()
    try:
        yield
    finally:
        for process in every:
            process.resume()


def test_a_control_plane_whose_database_is_silent_ends_and_says_what_did_not(tmp_path: Path) -> None:
    path, said, home = volume(tmp_path / "blobs.npy", (4, 8, 8)), tmp_path / "said", tmp_path / "home"
    with postgresql() as url, said.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", IN_SHORT, "serve", "--port", "0", "--log-level", "error", "--dir", home],
            stdout=subprocess.PIPE, stderr=file, text=True,
            env=environment(CAVECAST_DATABASE=url, CAVECAST_STOP_S="0.5"),
        )  # fmt: skip
        with ending(server, signal.SIGKILL):
            there = json.loads(line_within(server.stdout))["url"]
            with httpx.Client(base_url=there, trust_env=False, timeout=DEADLINE_S) as client:
                run = start(client, input=str(path), threshold=0.55, chunk=[2, 4, 4], view=False, pace_s=60)
                until(client, run["run_id"], committed=1)
            parts = children(server.pid)
            with silent(url):
                server.terminate()
                assert server.wait(DEADLINE_S) == STUCK
    assert not alive(parts, 5)
    lines = said.read_text().splitlines()
    assert lines[-1].startswith("cavecast: asked to end 2.5 s ago and not ended, so it ends at once: threads ")
    assert "books_0" in lines[-1]
    assert any("desk.py" in line for line in lines), "where each thread is"


def test_what_did_not_end_is_named_once() -> None:
    assert sentence(16, ["books_0"], ["live", "live", "a"]).endswith("threads books_0 and tasks a, live left")
    assert sentence(2.5, [], []) == "asked to end 2.5 s ago and not ended, so it ends at once: nothing left"
