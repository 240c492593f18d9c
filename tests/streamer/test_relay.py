"""A relay as a process: a copy of the log that serves others, through kills of whatever stands in the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from streamer.wire.batch import BATCH_BYTES
from streamer.wire.block import PARTS
from streamer.wire.follow import Anew, Ask, Begin, Follower, Stand, Step, Take, Tell, Wants
from streamer.wire.header import decode, encode
from streamer.wire.messages import Ack, Command, Drain, Focus, Hello, Lease, Message, Welcome
from streamer.wire.messages import Ask as AskLeases
from tests import nursery
from tests.ending import line_within
from tests.streamer.runs import made, spec_of, under, worker_hello
from tests.streamer.test_process import DEADLINE_S, Lines, Peer, Process, Streamer, Worker, lines, status_of, streamer

__all__ = ["lines", "streamer"]
SPEC = spec_of((12, 9, 9), (4, 3, 3))
MADE = made(SPEC)


class RelayProcess(Streamer):
    """A relay, which can be started and killed as a streamer can; ``first`` is what its Python does before."""

    first = ""

    def __init__(self, folder: Path, name: str, source: str) -> None:
        self.folder, self.source, self.name = folder, source, name
        self.feed = f"ipc://{folder}/{name}"
        self.process: Process | None = None

    def start(self, *options: str) -> None:
        files = ["--relay-of", self.source, "--log", str(self.folder / f"log-{self.name}"), "--feed", self.feed]
        arguments = ["streamer", *files, *options]
        if self.first:
            command = [sys.executable, "-c", f"{self.first}; from streamer.cli import main; main()", *arguments]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        else:
            self.process = nursery.Part(arguments)
        assert self.process.stdout is not None
        ready = line_within(self.process.stdout)
        assert ready, self.process.stderr and self.process.stderr.read()
        assert json.loads(ready) == {"ready": "relay", "feed": self.feed}


@pytest.fixture
def relays(streamer: Streamer) -> Iterator[Callable[[str, str], RelayProcess]]:
    with ExitStack() as stop:

        def make(name: str, source: str) -> RelayProcess:
            one = RelayProcess(streamer.folder, name, source)
            stop.callback(lambda: one.stop() if one.process is not None else None)
            one.start()
            return one

        yield make


class Reader:
    """What a renderer is to a feed: the shared follower, a socket, and the entries that it took."""

    def __init__(self, lines: Lines, address: str, *, late: bool = False) -> None:
        self.lines, self.address = lines, address
        self.follower = Follower(Wants("renderer", "r", PARTS, 1 << 20, 8, BATCH_BYTES, late=late), time.monotonic())
        self.entries: dict[int, tuple[str, list[bytes]]] = {}
        self.begun = 0
        self.call()

    def call(self) -> None:
        self.socket = self.lines.dealer(self.address)
        self.socket.send(encode(self.follower.hello(time.monotonic())))

    def turn_to(self, address: str) -> None:
        """Goes on at another address."""
        self.address = address
        self.call()

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not done():
            now = time.monotonic()
            assert now < end, f"only {len(self.entries)} entries came"
            if self.socket.poll(int(1000 * max(0.0, min(self.follower.deadline(), end) - now))):
                message, payloads = decode(self.socket.recv_multipart())
                assert message is not None
                self.carry_out(self.follower.receive(message, payloads, time.monotonic()))
            if time.monotonic() >= self.follower.deadline():
                self.carry_out(self.follower.tick(time.monotonic()))

    def carry_out(self, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Take(entry, payloads, nbytes):
                    assert entry.number not in self.entries, "exactly once"
                    self.entries[entry.number] = entry.kind, [bytes(raw) for raw in payloads]
                    self.carry_out(self.follower.used(nbytes))
                case Begin():
                    self.begun += 1
                    self.entries.clear()
                case Anew():
                    self.call()
                    return
                case Ask(message, payloads):
                    self.socket.send_multipart([encode(message), *payloads])
                case Message() as message:
                    self.socket.send(encode(message))
                case Stand() | Tell():
                    pass

    def ended(self) -> bool:
        return any(kind == "end" for kind, _ in self.entries.values())


def log_of(lines: Lines, address: str) -> dict[int, tuple[str, list[bytes]]]:
    """All entries, as the feed at an address has them."""
    reader = Reader(lines, address)
    reader.until(reader.ended)
    return reader.entries


def test_a_chain_of_two_relays_passes_the_log_on_while_the_middle_one_is_killed(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    streamer.start()
    middle = relays("m", streamer.feed)
    outer = relays("o", middle.feed)
    worker, reader = Worker(lines, streamer.ingest), Reader(lines, outer.feed)
    worker.begin()
    assert worker.work(9)
    reader.until(lambda: len(reader.entries) >= 5)
    middle.stop(signal.SIGKILL)
    assert worker.work(9), "the run does not wait for a relay"
    middle.start()
    assert not worker.work(1000)
    reader.until(reader.ended)
    assert reader.begun == 1, "its number stayed good"
    whole = log_of(lines, streamer.feed)
    assert sorted(reader.entries) == sorted(whole)
    assert reader.entries == whole
    assert log_of(lines, middle.feed) == whole


def test_a_relay_serves_what_it_has_while_its_source_is_away_and_goes_on_with_it(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    streamer.start()
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert worker.work(9)
    relay = relays("m", streamer.feed)
    early = Reader(lines, relay.feed)
    early.until(lambda: len(early.entries) >= 9)
    streamer.stop(signal.SIGKILL)
    relay.stop(signal.SIGKILL)
    relay.start()
    late = Reader(lines, relay.feed, late=True)
    late.until(lambda: sum(kind == "chunk" for kind, _ in late.entries.values()) >= 8)
    streamer.start()
    worker.begin()
    assert not worker.work(1000)
    for reader in (early, late):
        reader.until(reader.ended)
    assert log_of(lines, streamer.feed) == early.entries


def test_a_subscriber_moves_from_the_streamer_to_its_relay_and_back(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    streamer.start()
    relay = relays("m", streamer.feed)
    worker, reader = Worker(lines, streamer.ingest), Reader(lines, streamer.feed)
    worker.begin()
    for address in (relay.feed, streamer.feed, relay.feed):
        assert worker.work(5)
        last = max(worker.acknowledged.values())
        reader.until(partial(reader.entries.__contains__, last))
        reader.turn_to(address)
    assert not worker.work(1000)
    reader.until(reader.ended)
    assert reader.begun == 1
    assert reader.entries == log_of(lines, streamer.feed)


def test_a_relay_of_another_log_begins_anew_and_so_do_its_subscribers(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    streamer.start()
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert worker.work(9)
    relay = relays("m", streamer.feed)
    reader = Reader(lines, relay.feed)
    reader.until(lambda: len(reader.entries) >= 9)
    streamer.stop(signal.SIGKILL)
    (streamer.folder / "log").rename(streamer.folder / "lost")
    streamer.start()
    worker.acknowledged.clear()
    worker.begin()
    assert not worker.work(1000)
    reader.until(lambda: reader.ended() and reader.begun == 2)
    assert reader.entries == log_of(lines, streamer.feed)


def test_questions_focus_and_commands_reach_the_streamer_through_two_relays(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    streamer.start("--hold")
    outer = relays("o", relays("m", streamer.feed).feed)
    worker = Peer(lines, streamer.ingest)
    worker.say(worker_hello())
    control = Peer(lines, outer.feed)
    end = time.monotonic() + DEADLINE_S
    while True:  # a relay that does not know its run yet answers nobody
        control.say(Hello(1, "control", "c"))
        if control.socket.poll(200):
            break
        assert time.monotonic() < end
    control.wait_for(Welcome)
    assert status_of(control).state == "waiting"
    control.say(Focus(11, 8, 8))
    status_of(control)  # on the same way, so it arrived after the focus
    worker.say(AskLeases(1))
    control.say(Command("start"))
    lease, _ = worker.wait_for(Lease)
    assert isinstance(lease, Lease)
    assert lease.chunk == SPEC.grid.size - 1, "the nearest to where somebody looks"
    worker.say(*under(MADE[lease.chunk], lease.lease))
    worker.wait_for(Ack)
    assert status_of(control).committed == 1
    control.say(Command("cancel"))
    worker.wait_for(Drain)
    assert status_of(control).state == "cancelled"


def test_a_relay_without_a_source_is_ready_and_serves_once_it_is_there(
    streamer: Streamer, lines: Lines, relays: Callable[[str, str], RelayProcess]
) -> None:
    relay = relays("m", streamer.feed)
    reader = Reader(lines, relay.feed)
    streamer.start()
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert not worker.work(1000)
    reader.until(reader.ended)
    assert reader.entries == log_of(lines, streamer.feed)


def test_a_streamer_is_told_of_which_run_it_is_or_whose_relay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from streamer.cli import main; main()", "streamer", "--log", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--relay-of ADDRESS" in done.stderr
