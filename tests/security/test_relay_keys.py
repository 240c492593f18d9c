"""Through a chain of relays under keys: whoever follows finds out by itself whose key the feed has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.keys import make
from streamer.wire.messages import Ack, Ask, Command, Drain, Hello, Lease, Refuse, Welcome
from tests.security.parties import Part, Peer, opened, streamer
from tests.streamer.runs import made, spec_of, under

SPEC = spec_of((4, 6, 6), (2, 3, 3))
MADE = made(SPEC)


@pytest.fixture
def parts() -> Iterator[list[Part]]:
    found: list[Part] = []
    yield found
    for part in reversed(found):
        part.end()


def test_an_archive_reads_a_run_through_two_relays_under_keys(tmp_path: Path, parts: list[Part]) -> None:
    make(tmp_path / "keys")
    parts.append(served := streamer(tmp_path, SPEC, tmp_path / "keys"))
    at = served.ready()
    feed = at["feed"]
    for number in (1, 2):
        parts.append(
            relay := Part(
                "streamer", "--relay-of", feed, "--log", str(tmp_path / f"relay{number}"),
                "--keys", str(tmp_path / "keys" / "relay.toml"),
            )
        )  # fmt: skip
        feed = relay.ready()["feed"]
    out, locked = str(tmp_path / "a.zarr"), ("--keys", str(tmp_path / "keys" / "archive.toml"))
    parts.append(archive := Part("archive", "--feed", feed, "--out", out, *locked))
    with opened() as sockets:
        worker = Peer(sockets, at["ingest"], tmp_path / "keys", "worker")
        worker.say(Hello(1, "worker", "w"))
        worker.wait_for(Welcome)
        worker.say(Ask(2))
        while True:
            message, _ = worker.wait_for(Lease, Ack, Drain)
            if isinstance(message, Drain):
                break
            if isinstance(message, Lease):
                commit, payloads = under(MADE[message.chunk], message.lease)
                worker.say(commit, [bytes(raw) for raw in payloads])
    assert archive.wait() == 0, archive.said
    assert (tmp_path / "a.zarr").is_dir()


def test_a_relay_passes_no_commands_on_under_keys(tmp_path: Path, parts: list[Part]) -> None:
    make(tmp_path / "keys")
    parts.append(served := streamer(tmp_path, SPEC, tmp_path / "keys"))
    source, own = served.ready()["feed"], str(tmp_path / "keys" / "relay.toml")
    parts.append(relay := Part("streamer", "--relay-of", source, "--log", str(tmp_path / "relay"), "--keys", own))
    relay_feed = relay.ready()["feed"]
    with opened() as sockets:
        renderer = Peer(sockets, relay_feed, tmp_path / "keys", "renderer", server="relay")
        renderer.say(Hello(1, "renderer", "r"))
        while not renderer.hears(0.2):  # until the relay knows the run
            renderer.say(Hello(1, "renderer", "r"))
        renderer.wait_for(Welcome)
        renderer.say(Command("cancel"))
        refusal, _ = renderer.wait_for(Refuse)
        assert isinstance(refusal, Refuse)
        assert "from the control plane's key only" in refusal.reason
        control = Peer(sockets, relay_feed, tmp_path / "keys", "control", server="relay")
        for _ in range(4):
            control.say(Command("cancel"))
            refusal, _ = control.wait_for(Refuse)
            assert isinstance(refusal, Refuse)
            assert "tell the streamer" in refusal.reason
