"""What somebody reads who starts a wall's parts for the first time and gets something wrong: one sentence each."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderers.wall.records import TrackerSource
from renderers.wall.write import to_toml
from tests.barrier.house import CAVECAST, same_screen

NOWHERE = "ipc:///tmp/nobody-listens-here"


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """A port at which another program listens, by TCP and by UDP."""
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        port = door.getsockname()[1]
        other.bind(("127.0.0.1", port))
        yield str(port)


@pytest.mark.parametrize(("command", "code", "words"), [
    ("conductor --wall nope", 2, "nope is no preset and no file; presets are desk"),
    ("conductor --wall FOLDER", 2, "is a folder; name the wall file in it"),
    ("conductor --wall desk --listen tcp://127.0.0.1:80x", 2, "the conductor cannot listen at tcp://127.0.0.1:80x"),
    ("conductor --wall desk --listen tcp://127.0.0.1:TAKEN", 2,
     "the conductor cannot listen at tcp://127.0.0.1:TAKEN: Address already in use"),
    ("conductor --wall desk --listen tcp://0.0.0.0:0", 2, "make keys with cavecast keys"),
    ("conductor --wall desk --metrics-port TAKEN", 1,
     "metrics cannot be served on port TAKEN of 127.0.0.1: Address already in use"),
    ("conductor --wall FOLDER/taken.toml", 1,
     "tracker udp://127.0.0.1:TAKEN cannot be listened to: Address already in use; is another program there"),
    ("conductor --wall FOLDER/wrong.toml", 1, "tracker address 'udp://127.0.0.1:x': write it as in"),
    ("conductor --wall desk --replay FOLDER/walk", 1, "FOLDER/walk is no recorded tracker session"),
    ("conductor --wall desk --replay FOLDER/nowhere", 1, "FOLDER/nowhere: No such file or directory"),
    ("conductor --wall desk --record FOLDER/walk", 2,
     "--record FOLDER/walk: there is such a file already, and no session is overwritten"),
    ("conductor --wall desk --record FOLDER/no/walk", 1, "FOLDER/no/walk cannot be written: No such file"),
    ("conductor --wall desk --leader nonsense", 2, "nonsense is no address of a conductor: give the one of"),
    ("conductor --wall desk --keys FOLDER/nokeys", 2, "the keys in FOLDER/nokeys cannot be read"),
    ("tile --wall desk --conductor NOWHERE", 2, "give --tile TILE, --node NODE or --node-from FILE, one of them"),
    ("tile --wall desk --conductor NOWHERE --tile nope", 2, "wall desk has no tile 'nope'; it has monitor-0-0"),
    ("tile --wall desk --conductor NOWHERE --node nope", 2, "wall desk has no node 'nope'; it has localhost"),
    ("tile --wall desk --conductor NOWHERE --tile monitor-0-0 --save FOLDER/no", 2,
     "--save FOLDER/no: there is no such folder"),
    ("tile --wall desk --conductor nonsense --tile monitor-0-0 --offscreen", 2,
     "nonsense is no address of a conductor"),
    ("tile --wall FOLDER/screen.toml --conductor NOWHERE --tile a", 1,
     "tile a: the X display :4711.0 cannot be opened or has no OpenGL"),
    ("tile --wall desk", 2, "Missing option '--conductor' (see cavecast tile --help)"),
    ("conductor --wall desk --deadlin 3", 2, "No such option: --deadlin"),
])  # fmt: skip
def test_what_goes_wrong_at_the_start_is_one_sentence(
    command: str, code: int, words: str, taken: str, tmp_path: Path
) -> None:
    (tmp_path / "walk").write_text("hello")
    for name, address in (("taken", f"udp://127.0.0.1:{taken}"), ("wrong", "udp://127.0.0.1:x")):
        wall = same_screen(["a"])
        source = TrackerSource("dtrack", address)
        (tmp_path / f"{name}.toml").write_text(
            to_toml(type(wall)(wall.name, wall.screens, wall.tiles, wall.nodes, trackers=(source,)))
        )
    (tmp_path / "screen.toml").write_text(to_toml(same_screen(["a"])).replace('display = ""', 'display = ":4711.0"'))

    def real(text: str) -> str:
        return text.replace("FOLDER", str(tmp_path)).replace("TAKEN", taken).replace("NOWHERE", NOWHERE)

    done = subprocess.run(
        [CAVECAST, *map(real, command.split())], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("cavecast: ")
    assert real(words) in line


def test_a_start_that_fails_leaves_no_session_in_the_way_of_the_next(tmp_path: Path) -> None:
    command = ("conductor", "--wall", "desk", "--record", str(tmp_path / "walk"), "--leader", "nonsense")
    for _ in range(2):
        done = subprocess.run([CAVECAST, *command], capture_output=True, text=True, timeout=60, check=False)
        assert "nonsense is no address of a conductor" in done.stderr
    assert not (tmp_path / "walk").exists()
