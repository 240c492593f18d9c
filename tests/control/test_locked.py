"""Runs whose parts meet over TCP under keys: who gets in, who does not, and that nobody says a secret."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest
import zmq.asyncio
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from streamer.control.link import NoAnswer, StreamerLink
from streamer.keyring import make
from streamer.wire.keys import ROLES, Role, read
from streamer.wire.messages import Hello
from streamer.wire.view import Camera, Input, Opened, encode_input, encode_opened
from tests.control.parts import (
    CAVECAST,
    DEADLINE_S,
    children,
    control_plane,
    ended,
    environment,
    eventually,
    start,
    until,
    volume,
)  # fmt: skip
from tests.security.parties import Part, Peer, opened, streamer
from tests.streamer.runs import spec_of

LOOK = encode_input(Input(1, 320, 200, False, Camera(0.3, 0.4, 3.0, (0, 0, 0))))


class Locked(NamedTuple):
    """A control plane that gives its parts keys, and a run of it that takes its time."""

    client: httpx.Client
    pid: int
    run_id: str
    keys: Path
    said: Path

    def listens(self, name: str) -> dict[str, str]:
        run = self.client.get(f"/api/v1/runs/{self.run_id}").json()
        (found,) = [part["listens"] for part in run["parts"] if part["name"] == name]
        return dict(found)

    def refused(self) -> float:
        """Connections that the streamer did not let in, as Prometheus hears."""
        for family in text_string_to_metric_families(self.client.get("/metrics").text):
            for sample in family.samples:
                if sample.labels.get("reason") == "not_let_in" and sample.labels.get("run") == self.run_id:
                    return float(sample.value)
        return 0.0


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    path, said = volume(folder / "blobs.npy"), folder / "said"
    flags = ("--keys", "auto", "--parts-host", "127.0.0.1", "--dir", str(folder / "runs"))
    with control_plane(*flags, said=said) as (client, server):
        run = start(
            client, input=str(path), threshold=0.55, chunk=[4, 8, 8], workers=1, pace_s=3600,
            out=str(folder / "x.zarr"), relays=[{"name": "site"}],
        )  # fmt: skip
        until(client, run["run_id"], committed=1)
        found = Locked(client, server.pid, run["run_id"], folder / "runs" / run["run_id"] / "keys", said)
        eventually(lambda: "views" in found.listens("renderer"), "the renderer, which nobody has waited for yet")
        yield found


def test_a_whole_run_goes_over_tcp_under_keys_and_its_pictures_arrive(tmp_path: Path) -> None:
    flags = ("--keys", "auto", "--parts-host", "127.0.0.1")
    with control_plane(*flags) as (client, _):
        run_id = start(
            client, input=str(volume(tmp_path / "blobs.npy")), threshold=0.55, chunk=[4, 8, 8], workers=2,
            start="first_viewer", out=str(tmp_path / "x.zarr"),
        )["run_id"]  # fmt: skip
        address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view"
        with connect(address, compression=None, max_size=None, proxy=None, open_timeout=DEADLINE_S) as browser:
            browser.send(LOOK)
            assert len(browser.recv(timeout=DEADLINE_S)) > 40
            run = ended(client, run_id)
        assert (run["state"], run["error"]) == ("complete", None)
        assert run["status"]["committed"] == 36
        doors = [at for part in run["parts"] for at in part["listens"].values()]
        assert len(doors) == 3
        assert all(at.startswith("tcp://127.0.0.1:") for at in doors)
    done = subprocess.run(
        [CAVECAST, "archive", "--check", str(tmp_path / "x.zarr")], env=environment(), check=False, timeout=DEADLINE_S
    )
    assert done.returncode == 0


def test_keys_are_their_owners_alone_and_stand_on_no_command_line_in_no_environment_and_no_log(locked: Locked) -> None:
    files = sorted(locked.keys.iterdir())
    assert [path.stem for path in files] == sorted(ROLES)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    assert locked.keys.stat().st_mode & 0o777 == 0o700
    secrets = [read(path, path.stem).secret.decode() for path in files]  # type: ignore[arg-type]
    assert len(set(secrets)) == len(ROLES)
    parts = children(locked.pid)
    assert len(parts) == 5
    for process in parts:
        (role,) = {word for word in process.cmdline() if word.endswith(".toml")}
        assert Path(role).parent == locked.keys
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not any(secret in shown for secret in secrets)
    assert not any(secret in locked.said.read_text() for secret in secrets)


def test_each_run_has_keys_of_its_own(locked: Locked, tmp_path: Path) -> None:
    other = start(
        locked.client, input=str(volume(tmp_path / "b.npy")), threshold=0.55, view=False, workers=1, pace_s=3600
    )["run_id"]  # fmt: skip
    theirs = locked.keys.parents[1] / other / "keys"
    assert read(theirs / "worker.toml", "worker").public != read(locked.keys / "worker.toml", "worker").public
    locked.client.post(f"/api/v1/runs/{other}/cancel")


def test_a_worker_with_another_runs_key_is_refused_in_words_on_both_sides_and_counted(
    locked: Locked, tmp_path: Path
) -> None:
    make(tmp_path / "other")
    before = locked.refused()
    ingest = locked.listens("streamer")["ingest"]
    stranger = Part("worker", "--ingest", ingest, "--keys", str(tmp_path / "other" / "worker.toml"), "--patience", "60")
    try:
        stranger.says("hung up on this worker: its key is another", within_s=DEADLINE_S)
        eventually(lambda: "took this side for somebody with another key" in locked.said.read_text())
        eventually(lambda: locked.refused() > before)
    finally:
        stranger.end()


@pytest.mark.parametrize(("part", "door", "role", "server"), [
    ("streamer", "feed", "worker", "streamer"), ("relay-site", "feed", "worker", "relay"),
    ("renderer", "views", "worker", "renderer"), ("renderer", "views", "archive", "renderer"),
])  # fmt: skip
def test_a_roles_key_opens_no_other_roles_door_of_a_run(
    locked: Locked, part: str, door: str, role: Role, server: Role
) -> None:
    at = locked.listens(part)[door]
    with opened() as sockets:
        peer = Peer(sockets, at, locked.keys, "control", server)
        peer.socket.send(encode_opened(Opened())) if door == "views" else peer.say(Hello(1, "control", "c"))
        assert door == "views" or peer.hears(DEADLINE_S), "the control plane's key opens it"
        wrong = sockets.dealer()
        mine = read(locked.keys / f"{role}.toml", role)
        wrong.curve_publickey, wrong.curve_secretkey = mine.public, mine.secret
        wrong.curve_serverkey = read(locked.keys / f"{server}.toml", server).public
        wrong.connect(at)
        wrong.send(b"\x91\xa5hello")
        words = f"it has the {role}'s key, and the door {door} is for"
        eventually(lambda: words in locked.said.read_text() or "has a key that this run does not know" in said(locked))
        assert not wrong.poll(100)


def said(locked: Locked) -> str:
    """What has been said of the views' door, which knows the control plane's key alone."""
    return "\n".join(line for line in locked.said.read_text().splitlines() if "the door views" in line)


def test_the_control_planes_own_link_says_that_a_key_is_wrong(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    make(tmp_path / "other")
    served = streamer(tmp_path, spec_of(), tmp_path / "keys")
    feed = served.ready()["feed"]

    async def ask(folder: str) -> str:
        context = zmq.asyncio.Context()
        link = StreamerLink(context, feed, keys=read(tmp_path / folder / "control.toml", "control"))
        why = ""
        try:
            for _ in range(3):
                try:
                    return (await link.status(deadline_s=1.0))[0].run_id
                except NoAnswer as no:
                    why = str(no)
        finally:
            link.close()
            context.destroy(linger=0)
        return why

    try:
        assert asyncio.run(ask("keys")) == "run-1"
        assert "hung up on this control plane: its key is another" in asyncio.run(ask("other"))
        served.says("took this side for somebody with another key")
    finally:
        served.end()


def test_keys_of_a_folder_are_given_to_every_run_and_a_part_from_elsewhere_can_join_with_them(tmp_path: Path) -> None:
    make(tmp_path / "keys")
    with control_plane("--keys", str(tmp_path / "keys"), "--parts-host", "0.0.0.0") as (client, _):
        run_id = start(
            client, input=str(volume(tmp_path / "b.npy")), threshold=0.55, chunk=[4, 8, 8], view=False, workers=1,
            pace_s=20,
        )["run_id"]  # fmt: skip
        ingest = until(client, run_id, committed=1)["parts"][0]["listens"]["ingest"]
        assert ingest.startswith("tcp://0.0.0.0:")
        here = ingest.replace("0.0.0.0", "127.0.0.1")
        guest = Part(
            "worker", "--ingest", here, "--name", "guest", "--keys", str(tmp_path / "keys" / "worker.toml"),
        )  # fmt: skip
        try:
            eventually(
                lambda: any(
                    part["name"] == "guest" and part["done"]
                    for part in client.get(f"/api/v1/runs/{run_id}").json()["status"]["parts"]
                )
            )
        finally:
            guest.end()


@pytest.mark.parametrize(("flags", "sentence"), [
    (("--parts-host", "0.0.0.0"), "parts are to listen at 0.0.0.0 (parts_host), which other machines can reach"),
    (("--keys", "nowhere"), "the keys in nowhere/streamer.toml cannot be read: No such file"),
])  # fmt: skip
def test_a_control_plane_that_would_leave_its_parts_open_does_not_start(
    tmp_path: Path, flags: tuple[str, ...], sentence: str
) -> None:
    done = subprocess.run(
        [CAVECAST, "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_relay_beyond_loopback_is_refused_without_keys(tmp_path: Path) -> None:
    with control_plane() as (client, server):
        wish: dict[str, Any] = {"input": str(volume(tmp_path / "b.npy")), "threshold": 0.5, "view": False}
        refused = client.post("/api/v1/runs", json={**wish, "relays": [{"name": "a", "listen": "tcp://0.0.0.0:0"}]})
        assert refused.status_code == 422
        assert "start cavecast serve with --keys auto" in refused.json()["detail"]
        assert psutil.Process(server.pid).children() == []
