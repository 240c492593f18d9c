"""The client for programs, and the commands that are made of it, against a real control plane."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.client import Client, Lost, Refused
from tests.control.parts import CAVECAST, DEADLINE_S, control_plane, environment, volume
from tests.ending import ending, lines_within


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with control_plane() as (http, _), Client(str(http.base_url)) as client:
        yield client


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume(tmp_path_factory.mktemp("input") / "blobs.npy")


def start(client: Client, path: Path, pace_s: float = 0.0) -> str:
    wish = {"input": str(path), "threshold": 0.55, "chunk": [4, 8, 8], "view": False, "workers": 1}
    return client.start(wish, pace_s=pace_s).run_id


def cavecast(*words: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run([CAVECAST, *words], env=environment(), capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_a_program_starts_follows_and_reads_a_run(client: Client, path: Path) -> None:
    run_id = start(client, path)
    *_, last = client.follow(run_id)
    assert last.state == "complete"
    assert client.run(run_id).status.objects == last.status.objects == client.objects(run_id).total
    largest = client.objects(run_id, limit=1).objects[0]
    assert sum(step.voxels for step in client.track(run_id, largest.id).life) == largest.voxels
    table = list(csv.DictReader(io.StringIO(client.table(run_id).decode())))
    assert len(table) == last.status.objects
    printed, said = cavecast("runs", "objects", run_id, "--limit", "1", "--server", client.url)
    assert len(printed.splitlines()) == 2
    assert f"These are the largest 1 of {last.status.objects:,} objects." in said
    assert client.table(run_id, object_id=largest.id).startswith(b"step_object_id,")
    assert {line.part for line in client.logs(run_id)} >= {"streamer"}
    twin = client.clone(run_id, threshold=0.6)
    assert twin.parameters["threshold"] == 0.6
    *_, last = client.follow(twin.run_id)
    assert [run.run_id for run in client.runs(["complete"], limit=2)] == [twin.run_id, run_id]
    assert [run.run_id for run in client.runs(words="blobs")] == [twin.run_id, run_id]
    client.remove(twin.run_id)
    assert [run.run_id for run in client.runs()] == [run_id]
    assert client.inspect(str(path)).voxels == 16 * 24 * 24
    assert "connect" in {entry.name for entry in client.segmenters()}
    assert client.system().runs == 0


def test_refusals_are_raised_with_their_own_sentence(client: Client, path: Path) -> None:
    with pytest.raises(Refused, match="there is no run nobody") as refused:
        client.run("nobody")
    assert (refused.value.status, refused.value.exit_code) == (404, 1)
    with pytest.raises(Refused, match="there is no run nobody"):
        next(client.follow("nobody"))
    with pytest.raises(Refused, match="there is no segmenter 'magic'") as refused:
        client.start(input=str(path), segmenter="magic")
    assert refused.value.exit_code == 2
    run_id = start(client, path, pace_s=60)
    client.pause(run_id)
    with pytest.raises(Refused, match="is of generation 2, not 1"):
        client.resume(run_id, generation=1)
    assert client.resume(run_id, generation=2).generation == 3
    assert client.scale(run_id, 2).workers == 2
    assert client.cancel(run_id).state == "cancelled"


def test_who_does_not_answer_or_is_somebody_else_is_said_to_be(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as nobody, pytest.raises(Lost, match=f"127.0.0.1:{port} does not answer"):
        nobody.run("x")
    with Client(f"{client.url}/static") as other, pytest.raises(Refused, match="/static/api/v1/system"):
        other.system()
    with pytest.raises(Lost, match="is no address of a control plane"):
        Client("http://[::1")


def test_runs_are_managed_from_the_command_line(client: Client, path: Path) -> None:
    at = ("--server", client.url)
    run_id = start(client, path, pace_s=600)
    assert run_id in cavecast("runs", "list", *at, "--state", "running", "--state", "starting")[0]
    assert json.loads(cavecast("runs", "list", *at, "--json", "--limit", "1")[0])[0]["run_id"] == run_id
    assert "There are no such runs." in cavecast("runs", "list", *at, "--words", "nothing like it")[0]
    assert "chunks" in cavecast("runs", "show", run_id, *at)[0]
    assert json.loads(cavecast("runs", "show", run_id, "--json", *at)[0])["run_id"] == run_id
    assert "works with 2 workers" in cavecast("runs", "scale", run_id, "2", *at)[0]
    assert "pauses" in cavecast("runs", "pause", run_id, *at)[0]
    assert "goes on" in cavecast("runs", "resume", run_id, *at)[0]
    assert "streamer" in cavecast("runs", "logs", run_id, "--part", "streamer", *at)[0]
    assert cavecast("runs", "objects", run_id, *at)[0].startswith("object_id,")
    assert f"{run_id} is cancelled" in cavecast("runs", "cancel", run_id, *at)[0]
    assert "is forgotten" in cavecast("runs", "remove", run_id, *at)[0]
    assert f"cavecast: there is no run {run_id}" in cavecast("runs", "show", run_id, *at, code=1)[1]
    assert "there is no state 'lost'" in cavecast("runs", "list", *at, "--state", "lost", code=2)[1]


def test_a_run_may_be_another_control_planes_and_outlives_the_command(client: Client, path: Path) -> None:
    words = ("run", str(path), "--threshold", "0.55", "--chunk", "4,8,8", "--no-view", "--server", client.url)
    done = json.loads(cavecast(*words, "--json")[0])
    assert client.run(done["run_id"]).state == "complete"
    process = subprocess.Popen([CAVECAST, *words, "--pace", "60"], env=environment(), stderr=subprocess.PIPE, text=True)
    with ending(process, signal.SIGKILL):
        assert any(line.startswith("running") for line in lines_within(process.stderr))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 130
    run = next(client.runs(limit=1))
    assert f"The run goes on: cavecast runs show {run.run_id} --server {client.url}" in said
    assert run.state in ("running", "starting")
    client.cancel(run.run_id)
    lost = cavecast("run", str(path), "--no-view", "--server", "http://127.0.0.1:9", code=1)[1]
    assert "cavecast: the control plane at http://127.0.0.1:9 does not answer" in lost
