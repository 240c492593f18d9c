"""``cavecast run`` and ``cavecast demo`` as a person or a script starts them: real processes throughout."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from tests.control.parts import CAVECAST, DEADLINE_S, alive, children, environment, volume
from tests.ending import end, ending, lines_within

KEYS = ["run_id", "shape", "chunks", "objects", "voxels", "labelled_voxels", "seconds", "voxels_per_second", "out"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command with its temporary files in ``folder``; killed if the test forgets it."""
    process = subprocess.Popen(
        [CAVECAST, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(folder)),
    )
    with ending(process, signal.SIGKILL):
        yield process


def cavecast(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAVECAST, *arguments],
        capture_output=True,
        text=True,
        env=environment(TMPDIR=str(folder)),
        check=False,
        timeout=DEADLINE_S,
    )


def read_until(stream: IO[str] | None, pattern: str) -> re.Match[str]:
    """The first line that matches."""
    for line in lines_within(stream):
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"the stream ended without {pattern!r}")


def people(stderr: str) -> list[str]:
    """What was said to people, without the log."""
    return [line for line in stderr.splitlines() if not line.startswith("{")]


def test_a_run_prints_one_json_object_alone_and_writes_the_store(path: Path, tmp_path: Path) -> None:
    out, temporary = tmp_path / "x.zarr", tmp_path / "tmp"
    temporary.mkdir()
    done = cavecast(
        temporary, "run", str(path), "--threshold", "0.55", "--chunk", "4,8,8", "--no-view", "--json", "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert list(found) == KEYS
    assert found["shape"] == [16, 24, 24]
    assert (found["chunks"], found["voxels"], found["out"]) == (36, 16 * 24 * 24, str(out))
    with (out / "objects.csv").open() as table:
        assert len(list(csv.DictReader(table))) == found["objects"] > 0
    assert list(temporary.iterdir()) == [], "nothing else is left behind"
    for line in done.stderr.splitlines():
        if line.startswith("{"):
            assert json.loads(line)["event"]


def test_a_real_flood_is_segmented_at_the_threshold_it_suggests(tmp_path: Path) -> None:
    done = cavecast(tmp_path, "run", "sample:flood2021", "--no-view", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labelled_voxels"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere/x.nc"], "/nowhere/x.nc"),
        (["{path}"], "give --threshold"),
        (["{path}", "--threshold", "nan"], "--threshold nan is no number to go by"),
        (["{path}", "--threshold", "1", "--pace", "inf"], "--pace inf is no number to go by"),
        (["{path}", "--threshold", "1", "--segmenter", "magic"], "there is no segmenter 'magic'"),
        (["{path}", "--threshold", "1", "--connectivity", "7"], "one of 6, 18, 26"),
        (["{path}", "--threshold", "1", "--chunk", "99,99,99"], "larger than the volume"),
        (["{path}", "--threshold", "1", "--out", "{path}"], "is there already"),
        (["{path}", "--threshold", "1", "--periodic", "up"], "up"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_left(
    path: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    before = set(path.parent.iterdir())
    words = [word.format(path=path) for word in arguments]
    done = cavecast(tmp_path, "run", *words, "--no-view", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = people(done.stderr)
    assert said.startswith("cavecast: ")
    assert sentence in said
    assert list(tmp_path.iterdir()) == []
    assert set(path.parent.iterdir()) == before


def test_ctrl_c_ends_everything_at_once_with_130(path: Path, tmp_path: Path) -> None:
    with started(tmp_path, "run", str(path), "--threshold", "0.5", "--no-view", "--pace", "60") as process:
        read_until(process.stderr, "running: ")
        found = children(process.pid)
        assert len(found) == 4
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # people press it twice
        _, err = process.communicate(timeout=DEADLINE_S)  # a chunk each minute: it waits for none
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not alive(found, 1)
    assert list(tmp_path.iterdir()) == []


def test_after_kill_9_of_the_demo_no_descendant_lives_and_the_next_start_tidies_up(path: Path, tmp_path: Path) -> None:
    demo = ("demo", "--sample", "flood2021", "--no-browser", "--pace", "60")
    with started(tmp_path, *demo) as process:
        read_until(process.stderr, "running: ")
        deadline = time.monotonic() + DEADLINE_S
        while not children(process.pid, "renderer"):  # where there are few cores it comes after the first worker
            assert time.monotonic() < deadline
        found = children(process.pid)
        names = {
            word for child in found for word in child.cmdline() if word in ("serve", "streamer", "worker", "renderer")
        }
        assert names == {"serve", "streamer", "worker", "renderer"}
        assert len(found) == 5
        end(process, signal.SIGKILL)
        assert not alive(found, 3)
    done = cavecast(tmp_path, "run", str(path), "--threshold", "0.5", "--no-view")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_control_plane_that_is_killed_takes_its_parts_along_and_the_run_says_so(path: Path, tmp_path: Path) -> None:
    with started(tmp_path, "run", str(path), "--threshold", "0.5", "--no-view", "--pace", "60") as process:
        read_until(process.stderr, "running: ")
        found = children(process.pid)
        (serve,) = children(process.pid, "serve")
        os.kill(serve.pid, signal.SIGKILL)
        _, err = process.communicate(timeout=DEADLINE_S)
        assert not alive(found, 3)
    assert process.returncode == 1
    assert people(err)[-1].startswith("cavecast: the control plane is gone")


def test_the_demo_runs_paced_to_its_end_and_says_so(tmp_path: Path) -> None:
    done = cavecast(
        tmp_path, "demo", "--sample", "flood2021", "--no-browser", "--exit-when-complete", "--json", "--pace", "3"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    assert 2 < found["seconds"] < 15
    said = people(done.stderr)
    assert said[0].startswith("The work is spread over about 3 s")
    assert any(re.match(r"The viewer is at http://127\.0\.0\.1:\d+/view/flood2021-", line) for line in said)


def test_the_demo_stays_open_after_the_end_until_ctrl_c(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--sample", "flood2021", "--no-browser", "--pace", "0") as process:
        read_until(process.stderr, "The viewer stays open; Ctrl-C ends it")
        assert len(children(process.pid, "renderer")) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


def test_without_opengl_the_demo_says_what_to_install_before_anything_starts(tmp_path: Path) -> None:
    # Libraries of these names that are none: what a machine without Mesa looks like to the loader.
    for library in ("libEGL.so.1", "libOSMesa.so.8"):
        (tmp_path / library).write_bytes(b"no library")
    done = subprocess.run(
        [CAVECAST, "demo", "--no-browser", "--exit-when-complete", "--json"],
        capture_output=True,
        text=True,
        env=environment(LD_LIBRARY_PATH=str(tmp_path)),
        check=False,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("cavecast: No OpenGL")
    assert "libegl1" in said


CHATTY_BROWSER = """
import sys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
print("Opening in existing browser session.", flush=True)
base, _, run_id = sys.argv[1].rpartition("/view/")
address = base.replace("http", "ws", 1) + "/api/v1/runs/" + run_id + "/view"
with connect(address, compression=None, max_size=None, proxy=None) as line:
    try:
        while True:
            line.recv()
    except ConnectionClosed:
        pass
"""


def test_a_browser_that_talks_and_stays_spoils_nothing(tmp_path: Path) -> None:
    script = tmp_path / "browser.py"
    script.write_text(CHATTY_BROWSER)
    done = subprocess.run(
        [CAVECAST, "demo", "--sample", "flood2021", "--exit-when-complete", "--json", "--pace", "0"],
        capture_output=True,
        text=True,
        env=environment(TMPDIR=str(tmp_path), DISPLAY=":77", BROWSER=f"{sys.executable} {script} %s"),
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)) == KEYS


def test_a_look_for_opengl_that_hangs_ends_with_the_command(tmp_path: Path) -> None:
    # A renderer that never answers, as one does that waits for a graphics driver.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading\n"
        "if 'renderer' in sys.orig_argv:\n"
        "    from streamer import lifeline\n"
        "    lifeline.hold()\n"
        "    threading.Event().wait()\n"
    )
    process = subprocess.Popen(
        [CAVECAST, "demo", "--no-browser"], stderr=subprocess.DEVNULL, env=environment(PYTHONPATH=str(tmp_path))
    )
    with ending(process, signal.SIGKILL):
        found: list[psutil.Process] = []
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not (found := children(process.pid, "renderer")):
                assert time.monotonic() < deadline, "the renderer was never asked"
            end(process, signal.SIGKILL)
            assert not alive(found, 5)
        finally:
            for child in found:
                if child.is_running():
                    child.kill()


def test_on_a_terminal_progress_is_drawn_and_ctrl_c_ends_it(path: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [CAVECAST, "run", str(path), "--threshold", "0.55", "--chunk", "4,8,8", "--no-browser", "--pace", "2"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TMPDIR=str(tmp_path), TERM="xterm-256color", COLUMNS="120", LINES="40"),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + DEADLINE_S

    def more() -> bytes:
        assert select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0], shown
        return os.read(ours, 65536)

    try:
        while b"Ctrl-C ends it" not in shown:
            shown += more()
        os.write(ours, b"\x03")
        with contextlib.suppress(OSError):  # the terminal hangs up when its last process has gone
            while some := more():
                shown += some
        assert process.wait(DEADLINE_S) == 130
    finally:
        end(process, signal.SIGKILL)
        os.close(ours)
    text = shown.decode()
    for word in ("blobs.npy", "worker-1", "36 of 36 chunks", "Complete: ", "http://127.0.0.1:"):
        assert word in text
    assert '"event"' not in text, "the log is for scripts"
    assert "Traceback" not in text


def test_how_a_run_is_kept_arrives_at_its_parts(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.zarr"
    wish = ("--threshold", "0.55", "--chunk", "4,8,8", "--no-view", "--json", "--pace", "12", "--out", str(out))
    kept = ("--shard", "2,3,9", "--durability", "group", "--retain-gb", "0.000001")
    with started(tmp_path, "run", str(path), *wish, *kept) as process:
        read_until(process.stderr, "running: ")
        (streamer,), (archive,) = (children(process.pid, role) for role in ("streamer", "archive"))
        words = {name: " ".join(child.cmdline()) for name, child in (("streamer", streamer), ("archive", archive))}
        read_until(process.stderr, "segment is lean")
        stdout, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert "--durability group --retain-gb 1e-06 --segment-mb 0.001" in words["streamer"]
    assert "--shard 2,3,9" in words["archive"]
    local = json.loads((out / "local" / "zarr.json").read_text())
    assert local["chunk_grid"]["configuration"]["chunk_shape"] == [8, 24, 24], "a shard has no more than the grid"
    assert sum(file.is_file() for file in (out / "local" / "c").rglob("*")) == 2
    with (out / "objects.csv").open() as table:
        assert len(list(csv.DictReader(table))) == json.loads(stdout)["objects"] > 0
    assert cavecast(tmp_path, "archive", "--check", str(out)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--shard", "2,2,2"], "--shard is of no use without a store: give --out as well"),
        (["--retain-gb", "1"], "--retain-gb is of no use without a store"),
        (["--shard", "2,0,2", "--out", "{out}"], "--shard 2,0,2 is not three whole numbers above 0"),
        (["--durability", "never"], "'never' is not one of 'written', 'group', 'each'"),
        (["--out", "gs://somewhere/x.zarr"], "gs://somewhere/x.zarr"),
        (["--out", "s3://"], "s3:// is no place for a store"),
    ],
)
def test_a_run_that_cannot_be_kept_so_is_refused_in_one_sentence(
    path: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    words = [word.format(out=tmp_path / "x.zarr") for word in arguments]
    done = cavecast(tmp_path, "run", str(path), "--threshold", "0.5", "--no-view", "--json", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "run starts" not in done.stderr
    assert list(tmp_path.iterdir()) == []
