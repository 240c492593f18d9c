"""Who gets in, who does not, and what both sides say about it; real processes, real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import zmq

from streamer.keys import make
from streamer.wire.keys import Role, read
from streamer.wire.messages import Ack, Ask, Command, Credit, Drain, Entry, Hello, Lease, Refuse, Welcome
from tests.security.parties import Part, Peer, opened, streamer
from tests.streamer.runs import made, spec_of, under

SPEC = spec_of((4, 6, 6), (2, 3, 3))
MADE = made(SPEC)
SOON_S = 8.0
"""A few seconds, on a machine that is busy."""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def parts() -> Iterator[list[Part]]:
    found: list[Part] = []
    yield found
    for part in found:
        part.end()


def work(peer: Peer) -> None:
    """The whole run, by one worker that has asked for leases."""
    while True:
        message, _ = peer.wait_for(Lease, Ack, Drain)
        if isinstance(message, Drain):
            return
        if isinstance(message, Lease):
            commit, payloads = under(MADE[message.chunk], message.lease)
            peer.say(commit, [bytes(raw) for raw in payloads])


def follow(peer: Peer, role: Role) -> list[str]:
    """The kinds of all entries to the end."""
    peer.say(Hello(1, role, "s"))
    peer.wait_for(Welcome)
    peer.say(Credit(1 << 30, 1000))
    kinds = []
    while "end" not in kinds:
        entry, _ = peer.wait_for(Entry)
        assert isinstance(entry, Entry)
        kinds.append(entry.kind)
    return kinds


def test_a_run_goes_its_way_under_keys_and_only_control_commands(tmp_path: Path, keys: Path, parts: list[Part]) -> None:
    parts.append(served := streamer(tmp_path, SPEC, keys, "--hold"))
    at = served.ready()
    with opened() as sockets:
        worker = Peer(sockets, at["ingest"], keys, "worker")
        worker.say(Hello(1, "worker", "w"))
        worker.wait_for(Welcome)
        renderer = Peer(sockets, at["feed"], keys, "renderer")
        renderer.say(Command("start"))
        refusal, _ = renderer.wait_for(Refuse)
        assert isinstance(refusal, Refuse)
        assert "from the control plane's key only; this is the renderer's" in refusal.reason
        renderer.say(Hello(1, "control", "I am the boss"))
        refusal, _ = renderer.wait_for(Refuse)
        assert isinstance(refusal, Refuse)
        assert "a peer with the renderer's key calls itself 'control'" in refusal.reason
        worker.say(Ask(2))
        assert not worker.hears(0.3), "the run has not been started"
        control = Peer(sockets, at["feed"], keys, "control")
        control.say(Command("start"))
        work(worker)
        for role in ("archive", "relay"):
            assert follow(Peer(sockets, at["feed"], keys, role), role).count("chunk") == SPEC.grid.size


@pytest.mark.parametrize(("door", "role", "opens"), [
    ("ingest", "worker", True), ("ingest", "renderer", False), ("ingest", "archive", False),
    ("ingest", "control", False), ("ingest", "relay", False), ("feed", "worker", False), ("feed", "renderer", True),
])  # fmt: skip
def test_a_roles_key_opens_its_own_door_only(
    tmp_path: Path, keys: Path, parts: list[Part], door: str, role: Role, opens: bool
) -> None:
    parts.append(served := streamer(tmp_path, SPEC, keys))
    at = served.ready()
    with opened() as sockets:
        peer = Peer(sockets, at[door], keys, role)
        peer.say(Hello(1, role, "p"))
        if opens:
            peer.wait_for(Welcome)
        else:
            served.says(f"it has the {role}'s key, and the door {door} is for", within_s=SOON_S)
            assert not peer.hears(0.2)


def test_a_key_that_nobody_knows_is_refused(tmp_path: Path, keys: Path, parts: list[Part]) -> None:
    parts.append(served := streamer(tmp_path, SPEC, keys))
    at = served.ready()
    with opened() as sockets:
        stranger = sockets.dealer()
        stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
        stranger.curve_serverkey = read(keys / "streamer.toml", "streamer").public
        stranger.connect(at["ingest"])
        stranger.send(b"hello")
        served.says("it has a key that this run does not know", within_s=SOON_S)
        assert not stranger.poll(200)


@pytest.mark.parametrize(("mine", "theirs", "client_says", "server_says"), [
    ("other", "keys", "hung up on this worker: its key is another", "took this side for somebody"),
    ("mixed", "keys", "does not know this worker's key: make keys", "key that this run does not know"),
    ("", "keys", "asks for keys, and this worker has none", "it has no keys, or took this side for"),
    ("keys", "", "uses no keys", "it uses keys and this side does not"),
])  # fmt: skip
def test_a_wrong_key_is_said_in_words_on_both_sides(
    tmp_path: Path, keys: Path, parts: list[Part], mine: str, theirs: str, client_says: str, server_says: str
) -> None:
    make(tmp_path / "other")
    mixed = (
        (tmp_path / "other" / "worker.toml").read_text().split("[peers]")[0]
        + "[peers]"
        + (keys / "worker.toml").read_text().split("[peers]")[1]
    )
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "worker.toml").touch(0o600)
    (tmp_path / "mixed" / "worker.toml").write_text(mixed)
    parts.append(served := streamer(tmp_path, SPEC, tmp_path / theirs if theirs else None))
    at = served.ready()
    locked = ("--keys", str(tmp_path / mine / "worker.toml")) if mine else ()
    parts.append(worker := Part("worker", "--ingest", at["ingest"], "--name", "w", "--patience", "5", *locked))
    worker.says(client_says, at["ingest"], within_s=SOON_S + 5)  # it loads its libraries first
    served.says(server_says, within_s=SOON_S)
    for path in (keys, tmp_path / "other"):
        for file in path.iterdir():
            secret = file.read_text().split('secret = "')[1][:40]
            assert secret not in worker.said + served.said
    assert worker.wait() == 1
    assert client_says in worker.said.splitlines()[-1], "its last sentence says why"


def test_peers_that_see_first_that_the_keys_differ_and_hang_up_are_told_of(
    tmp_path: Path, keys: Path, parts: list[Part]
) -> None:
    parts.append(served := streamer(tmp_path, SPEC, keys))
    host, port = served.ready()["ingest"].removeprefix("tcp://").split(":")
    for _ in range(2):
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03")  # ZMTP's greeting up to the version; the keys come after it
            assert peer.recv(1)
    served.says("it has no keys, or took this side for", within_s=SOON_S)


def test_a_worker_gets_in_once_the_streamer_has_the_right_keys(tmp_path: Path, keys: Path, parts: list[Part]) -> None:
    make(tmp_path / "other")
    mixed = tmp_path / "other" / "streamer.toml"
    right = (keys / "streamer.toml").read_text()
    # The streamer has its own pair, but does not know the others' keys.
    mixed.write_text(right.split("[peers]")[0] + "[peers]" + mixed.read_text().split("[peers]")[1])
    parts.append(wrong := streamer(tmp_path, SPEC, tmp_path / "other"))
    at = wrong.ready()
    parts.append(worker := Part("worker", "--ingest", at["ingest"], "--keys", str(keys / "worker.toml")))
    worker.says("does not know this worker's key", within_s=SOON_S + 5)
    wrong.end()
    parts.append(served := streamer(tmp_path, SPEC, keys, "--ingest", at["ingest"]))
    served.ready()
    assert worker.wait() == 1
    assert "nowhere.npy" in worker.said.splitlines()[-1], "it was let in, and learned that the volume is not there"


def test_an_archive_and_a_renderer_say_a_wrong_key_in_words(tmp_path: Path, keys: Path, parts: list[Part]) -> None:
    parts.append(served := streamer(tmp_path, SPEC, keys))
    at = served.ready()
    out = str(tmp_path / "a.zarr")
    parts.append(archive := Part("archive", "--feed", at["feed"], "--out", out, "--patience", "6"))
    archive.says("asks for keys, and this archive has none", within_s=SOON_S + 5)
    assert archive.wait() == 1
    parts.append(renderer := Part("renderer", "--feed", at["feed"]))
    renderer.says("asks for keys, and this renderer has none", within_s=SOON_S + 5)


@pytest.mark.parametrize("door", ["--ingest", "--feed"])
def test_an_address_that_others_can_reach_needs_keys(tmp_path: Path, keys: Path, parts: list[Part], door: str) -> None:
    parts.append(refused := streamer(tmp_path, SPEC, None, door, "tcp://0.0.0.0:0"))
    assert refused.wait() == 2
    assert "make them with cavecast keys" in refused.said
    assert len(refused.said.splitlines()) == 1


class Land(NamedTuple):
    """Two machines on one wire: how a command is run on each, and the address of the first."""

    here: tuple[str, ...]
    there: tuple[str, ...]
    address: str


@pytest.fixture
def land() -> Iterator[Land]:
    """Two network namespaces with a wire between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("networks of one's own need root and the command ip; that keys are needed is tested above")
    near, away = (f"cavecast{os.getpid()}{end}" for end in "ab")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=60)

    try:
        for name in (near, away):
            ip("netns", "add", name)
        ip("-n", near, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", away)
        for name, device, address in ((near, "v0", "10.99.0.1/24"), (away, "v1", "10.99.0.2/24")):
            ip("-n", name, "addr", "add", address, "dev", device)
            for one in ("lo", device):
                ip("-n", name, "link", "set", one, "up")
    except subprocess.CalledProcessError as why:
        _remove(near, away)
        pytest.skip(f"this machine does not allow network namespaces: {why.stderr.strip()}")
    yield Land(("ip", "netns", "exec", near), ("ip", "netns", "exec", away), "10.99.0.1")
    _remove(near, away)


def _remove(*names: str) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True, timeout=60)


def test_parts_on_two_machines_meet_with_keys_and_not_without(
    tmp_path: Path, keys: Path, parts: list[Part], land: Land
) -> None:
    everywhere = ("--ingest", "tcp://0.0.0.0:7101", "--feed", "tcp://0.0.0.0:7102")
    parts.append(served := streamer(tmp_path, SPEC, keys, *everywhere, prefix=land.here))
    served.ready()
    ingest = f"tcp://{land.address}:7101"
    parts.append(without := Part("worker", "--ingest", ingest, "--patience", "4", prefix=land.there))
    locked = ("--keys", str(keys / "worker.toml"))
    parts.append(worker := Part("worker", "--ingest", ingest, *locked, prefix=land.there))
    parts.append(
        archive := Part(
            "archive",
            "--feed",
            f"tcp://{land.address}:7102",
            "--out",
            str(tmp_path / "a.zarr"),
            "--keys",
            str(keys / "archive.toml"),
            prefix=land.there,
        )
    )
    assert worker.wait() == 1
    assert "nowhere.npy" in worker.said.splitlines()[-1], "it was let in, and learned that the volume is not there"
    assert archive.ready() == {"ready": "archive"}
    assert without.wait() == 1
    assert "asks for keys, and this worker has none" in without.said.splitlines()[-1]
