"""Files of keys: made once, for their owner alone, and refused in words that never say what a secret is."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zmq
import zmq.utils.z85
from hypothesis import given
from hypothesis import strategies as st

from streamer.keys import NotMade, make
from streamer.wire.keys import DOORS, MEETS, ROLES, BadKeys, beyond_loopback, judge, out_of_role, parse, read, unpack
from streamer.wire.messages import AskStatus, Command, Hello

DEADLINE_S = 30


def cavecast(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from streamer.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


def test_the_command_makes_a_file_for_each_role_which_only_the_owner_can_read(tmp_path: Path) -> None:
    done = cavecast("keys", "--out", str(tmp_path / "k"))
    assert (done.returncode, done.stderr) == (0, "")
    made = [Path(line) for line in done.stdout.splitlines()]
    assert sorted(path.stem for path in made) == sorted(ROLES)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700
    secrets = set()
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = read(path, *ROLES)
        assert keys.role == path.stem
        assert zmq.curve_public(keys.secret) == keys.public
        assert set(keys.peers) == set(MEETS[keys.role])
        for other, public in keys.peers.items():
            assert public == read(tmp_path / "k" / f"{other}.toml", other).public
        secrets.add(keys.secret)
    assert len(secrets) == len(ROLES)
    for path in made:
        assert sum(secret.decode() in path.read_text() for secret in secrets) == 1, "nobody gets another's secret"


def test_the_command_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert cavecast("keys", str(tmp_path / "run")).returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "keys").iterdir()}
    again = cavecast("keys", str(tmp_path / "run"))
    assert again.returncode == 2
    assert "is there already: remove the old keys, or give another folder" in again.stderr
    assert before == {path: path.read_bytes() for path in (tmp_path / "run" / "keys").iterdir()}


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "give a run's folder or --out DIR"),
    (("a", "--out", "b"), "give a run's folder or --out DIR"),
    (("/no/such/run",), "there is no folder /no/such/run"),
])  # fmt: skip
def test_wrong_use_of_the_command_is_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    done = cavecast("keys", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_half_a_folder_of_keys_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text("")
    with pytest.raises(NotMade, match=r"relay.toml is there already"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["relay.toml"]


@given(st.binary(min_size=32, max_size=32))
def test_texts_of_z85_are_read_as_zeromq_reads_them(raw: bytes) -> None:
    assert unpack(zmq.utils.z85.encode(raw)) == raw


@given(st.binary(max_size=60))
def test_what_is_no_key_is_refused(text: bytes) -> None:
    reason = ""
    try:
        assert zmq.utils.z85.encode(unpack(text)) == text
    except BadKeys as why:
        reason = str(why)
    assert len(text) == 40 or "40 characters" in reason


@pytest.mark.parametrize(("change", "said"), [
    (("role = ", "role = 3 #"), "does not say for which role"),
    (("[peers]", "[others]"), "lacks the public key of the streamer"),
    (('secret = "', 'secret = "x'), "secret: a key has 40 characters, not 41"),
    (('streamer = "', 'streamer = "\'"#'), "streamer: a key has 40 characters, not 1"),
    (('secret = "', "secret = "), "is no TOML"),
    (("secret", "sacred"), "secret is no key"),
])  # fmt: skip
def test_a_damaged_file_is_refused_without_saying_its_secret(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    make(tmp_path)
    path = tmp_path / "worker.toml"
    keys = read(path, "worker")
    with pytest.raises(BadKeys) as why:
        parse(path.read_text().replace(*change).encode(), "worker.toml")
    assert said in str(why.value)
    assert "worker.toml" in str(why.value)
    assert keys.secret.decode() not in str(why.value)
    assert keys.secret.decode() not in repr(why.value.__cause__) + repr(keys)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_keys_with_a_reason(raw: bytes) -> None:
    with pytest.raises(BadKeys, match=r".+"):
        parse(raw, "file")


def test_a_file_that_everybody_can_read_or_of_another_role_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(BadKeys, match=r"has the keys of a renderer; this part needs worker.toml"):
        read(tmp_path / "renderer.toml", "worker")
    with pytest.raises(BadKeys, match=r"none.toml cannot be read: No such file"):
        read(tmp_path / "none.toml", "worker")
    (tmp_path / "worker.toml").chmod(0o644)
    with pytest.raises(BadKeys, match=r"everybody on this machine can read"):
        read(tmp_path / "worker.toml", "worker")


def test_each_door_opens_to_its_own_roles_only(tmp_path: Path) -> None:
    make(tmp_path)
    everybody = {role: read(tmp_path / f"{role}.toml", role) for role in ROLES}
    streamer = {door: everybody["streamer"].admitted(door) for door in ("ingest", "feed")}
    doors = {**streamer, **{door: everybody["renderer"].admitted(door) for door in ("views", "wall")}}
    for door, roles in DOORS.items():
        for role, keys in everybody.items():
            request = [b"1.0", b"7", door.encode(), b"10.0.0.3", b"", b"CURVE", unpack(keys.public)]
            reply, why = judge(request, doors)
            assert reply[:2] == [b"1.0", b"7"]
            if role in roles:
                assert (reply[2], reply[4], why) == (b"200", role.encode(), "")
            else:
                assert (reply[2], reply[4]) == (b"400", b"")
                assert "10.0.0.3 was not let in" in why
                assert "cavecast keys" in why


@given(st.lists(st.binary(max_size=40), max_size=9))
def test_no_request_that_is_made_up_is_let_in(frames: list[bytes]) -> None:
    reply, _ = judge(frames, {"ingest": {b"k" * 32: "worker"}})
    assert reply[2] in (b"400", b"500")


def test_a_mechanism_without_keys_is_not_let_in() -> None:
    reply, why = judge(
        [b"1.0", b"7", b"ingest", b"10.0.0.3", b"", b"NULL", b"k" * 32], {"ingest": {b"k" * 32: "worker"}}
    )
    assert reply[2] == b"400"
    assert why


def test_only_the_control_planes_key_commands_and_nobody_takes_anothers_name() -> None:
    assert out_of_role("control", Command("cancel")) == ""
    assert "from the control plane's key only" in out_of_role("renderer", Command("cancel"))
    assert out_of_role("renderer", AskStatus(1)) == ""
    assert out_of_role("renderer", Hello(1, "renderer", "r")) == ""
    assert "calls itself 'archive'" in out_of_role("renderer", Hello(1, "archive", "r"))


@pytest.mark.parametrize(("address", "beyond"), [
    ("tcp://0.0.0.0:1", True), ("tcp://*:1", True), ("tcp://10.1.2.3:*", True), ("tcp://eth0:1", True),
    ("tcp://[::]:1", True), ("tcp://127.evil.org:1", True), ("tcp://127.0.0.1:1", False), ("tcp://localhost:1", False),
    ("tcp://[::1]:1", False), ("ipc:///tmp/x", False),
])  # fmt: skip
def test_addresses_that_others_can_reach_are_told_from_those_that_they_cannot(address: str, beyond: bool) -> None:
    assert beyond_loopback(address) is beyond
