"""One bit that is turned on its way: refused and sent again without keys, a new connection with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_workers.source import inspect
from inference_workers.source.records import InspectRequest
from streamer.keys import make
from streamer.wire.header import decode
from streamer.wire.messages import Commit, Credit, Entry, Hello, Welcome
from streamer.wire.volume import Keep, Parameter, RunSpec
from tests.control.parts import volume
from tests.security.parties import Part, Peer, Wire, opened, streamer

PARAMETERS: dict[str, Parameter] = {"threshold": 0.5, "connectivity": 26}
GREETING, LONG = 64, 200
"""Bytes of ZMTP's greeting; and those of a frame that is a payload and no header (RFC 23)."""


class Turner:
    """Turns one bit, once: in the middle of a long frame after the greeting, so that frames stay in step.

    ``passes`` long frames go by before.
    """

    def __init__(self, passes: int = 0) -> None:
        self.turned = 0
        self._passes = passes
        self._seen = bytearray()
        self._frame = GREETING

    def __call__(self, raw: bytes) -> bytes:
        start, spoiled = len(self._seen), bytearray(raw)
        self._seen += raw
        while not self.turned and self._frame + 9 <= len(self._seen):
            long = self._seen[self._frame] & 2
            size = int.from_bytes(self._seen[self._frame + 1 : self._frame + (9 if long else 2)], "big")
            body = self._frame + (9 if long else 2)
            middle = body + size // 2
            if size > LONG and self._seen[self._frame] & 4 == 0 and self._passes:
                self._passes -= 1
            elif size > LONG and self._seen[self._frame] & 4 == 0:
                if middle >= len(self._seen):
                    break  # it is still to come
                if middle >= start:
                    spoiled[middle - start] ^= 0x10
                    self.turned += 1
            self._frame = body + size
        return bytes(spoiled)


@pytest.fixture
def parts() -> Iterator[list[Part]]:
    found: list[Part] = []
    yield found
    for part in found:
        part.end()


def spec(tmp_path: Path) -> RunSpec:
    path = volume(tmp_path / "v.npy", (24, 32, 32))
    found = inspect(InspectRequest(str(path), chunk=(12, 16, 16)))
    return RunSpec("r", found.source, found.volume, found.grid, "connect", PARAMETERS, Keep(), "")


def entries(
    tmp_path: Path, parts: list[Part], keys: Path | None, spoil: Turner | None, log: str
) -> tuple[dict[int, list[bytes]], Part, Wire]:
    """All chunks of a run by one worker behind the wire, the streamer, and the wire."""
    parts.append(served := streamer(tmp_path, spec(tmp_path), keys, log=log))
    at = served.ready()
    wire = Wire(int(at["ingest"].rpartition(":")[2]), spoil or bytes)
    locked = ("--keys", str(keys / "worker.toml")) if keys else ()
    parts.append(worker := Part("worker", "--ingest", f"tcp://127.0.0.1:{wire.port}", "--patience", "20", *locked))
    found = {}
    with opened() as sockets:
        peer = Peer(sockets, at["feed"], keys, "renderer")
        peer.say(Hello(1, "renderer", "s", parts=("labels", "seam", "ids", "stats", "footprint")))
        peer.wait_for(Welcome)
        peer.say(Credit(1 << 30, 10_000))
        while True:
            entry, payloads = peer.wait_for(Entry)
            assert isinstance(entry, Entry)
            if entry.kind == "end":
                break
            if entry.kind == "chunk":
                commit, _ = decode(payloads[:1])
                assert isinstance(commit, Commit)
                assert commit.chunk not in found
                found[commit.chunk] = payloads[1:]
    assert worker.wait() == 0, worker.said
    return found, served, wire


def test_a_bit_that_turns_without_keys_is_refused_with_a_reason_and_sent_again(
    tmp_path: Path, parts: list[Part]
) -> None:
    right, _, wire = entries(tmp_path, parts, None, None, "undisturbed")
    wire.close()
    turner = Turner()
    found, _, wire = entries(tmp_path, parts, None, turner, "disturbed")
    wire.close()
    assert turner.turned == 1
    assert "refused" in parts[-1].said
    assert found == right


def test_a_bit_that_turns_under_keys_costs_a_connection_and_nothing_else(tmp_path: Path, parts: list[Part]) -> None:
    make(tmp_path / "keys")
    right, _, wire = entries(tmp_path, parts, tmp_path / "keys", None, "undisturbed")
    assert wire.connections == 1
    wire.close()
    turner = Turner()
    found, _, wire = entries(tmp_path, parts, tmp_path / "keys", turner, "disturbed")
    assert turner.turned == 1
    assert wire.connections == 2
    wire.close()
    assert "connected again" in parts[-1].said
    assert found == right
