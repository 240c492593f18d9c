"""What happens to the copy of a real relay: damaged on the disk, on a full disk, of a log with a new epoch, flushed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from streamer import relay_main
from streamer.log import Log
from streamer.relay import CopyDamaged, Relay, damage
from streamer.relay_disk import Flusher
from streamer.relay_figures import RelayFigures
from streamer.relay_main import COPY_FILE
from streamer.wire.messages import AskFigures, Figures
from tests.ending import lines_within
from tests.streamer.runs import PLENTY, MemoryLog, hub_of, subscriber_hello, under, worker_hello
from tests.streamer.test_process import DEADLINE_S, MADE, SPEC, Lines, Peer, Streamer, Worker, lines, streamer
from tests.streamer.test_relay import Reader, RelayProcess, log_of, relays

__all__ = ["lines", "relays", "streamer"]
Make = Callable[[str, str], RelayProcess]


def figures_of(peer: Peer) -> RelayFigures | None:
    """The relay in figures; None if it does not answer yet."""
    peer.say(AskFigures(1))
    try:
        _, payloads = peer.wait_for(Figures, limit_s=0.3)
    except TimeoutError:
        return None
    return msgspec.msgpack.decode(payloads[0], type=RelayFigures)


def figures_until(peer: Peer, true: Callable[[RelayFigures], bool]) -> RelayFigures:
    end = time.monotonic() + DEADLINE_S
    while (found := figures_of(peer)) is None or not true(found):
        assert time.monotonic() < end, found
    return found


def segments(relay: RelayProcess) -> list[Path]:
    return sorted((relay.folder / f"log-{relay.name}").glob("*.log"))


def spoil(path: Path, at: float) -> None:
    """Turns a bit; ``at`` is where in the file, from 0 to 1."""
    raw = bytearray(path.read_bytes())
    place = min(64 + round((len(raw) - 65) * at), len(raw) - 1) if at >= 0 else 20
    raw[place] ^= 0x10
    path.write_bytes(raw)


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0, -1.0], ids=["first entry", "middle", "last entry", "file header"])
def test_a_damaged_byte_in_a_stopped_relays_log_is_mended_from_its_source_and_readers_go_on(
    streamer: Streamer, lines: Lines, relays: Make, where: float
) -> None:
    streamer.start()
    relay = relays("m", streamer.feed)
    worker, reader = Worker(lines, streamer.ingest), Reader(lines, relay.feed)
    worker.begin()
    assert worker.work(12)
    reader.until(lambda: len(reader.entries) >= 12)
    relay.stop(signal.SIGKILL)
    spoil(segments(relay)[0], where)
    relay.start()
    reader.turn_to(relay.feed)
    assert not worker.work(1000)
    reader.until(reader.ended)
    assert reader.begun == 1, "the numbers stayed good: nobody begins anew"
    whole = log_of(lines, streamer.feed)
    assert reader.entries == whole == log_of(lines, relay.feed)


def test_an_entry_that_is_damaged_while_the_relay_runs_is_never_served_and_mended_from_its_source(
    streamer: Streamer, lines: Lines, relays: Make
) -> None:
    streamer.start()
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert not worker.work(1000)
    whole = log_of(lines, streamer.feed)
    relay = RelayProcess(streamer.folder, "m", streamer.feed)
    relay.first = "import streamer.recent; streamer.recent.RECENT_BYTES = 0"
    relay.start()
    try:
        early = Reader(lines, relay.feed)
        early.until(early.ended)
        labels = max((payloads[1] for kind, payloads in whole.values() if kind == "chunk"), key=len)
        raw = segments(relay)[0].read_bytes()
        with segments(relay)[0].open("r+b") as file:
            file.seek(raw.index(labels) + len(labels) // 2)
            file.write(b"?!")
        late = Reader(lines, relay.feed)
        late.until(lambda: len(late.entries) > 1)
        relay_says(relay, "of the copy is damaged")
        late.turn_to(relay.feed)
        late.until(late.ended)
        assert (late.entries, early.entries, late.begun) == (whole, whole, 1)
    finally:
        relay.stop()


def relay_says(relay: RelayProcess, words: str) -> None:
    """Waits until a relay has said that."""
    assert relay.process is not None
    assert any(words in line for line in lines_within(relay.process.stderr)), "it has ended"


def test_a_chunk_that_is_not_what_its_header_says_is_not_read_from_a_copy() -> None:
    log = MemoryLog()
    hub = hub_of(SPEC, log)
    hub.ingest(b"w", worker_hello(), [], 0.0)
    for piece in MADE:
        hub.ingest(b"w", *under(piece, 0), 0.0)
    relay = Relay(SPEC, log, 0.0)
    relay.feed(b"r", subscriber_hello(), [], 0.0)
    relay.feed(b"r", PLENTY, [], 0.0)
    assert any(relay.drain_feed(0.0))
    number = next(n for n, (kind, payloads) in enumerate(log.entries) if kind == "chunk" and payloads[1])
    log.entries[number][1][1] = b"?" + log.entries[number][1][1][1:]
    relay.feed(b"q", subscriber_hello(), [], 0.0)
    with pytest.raises(CopyDamaged, match=f"entry {number} of the copy is damaged"):
        relay.feed(b"q", PLENTY, [], 0.0)


@contextmanager
def small_disk(folder: Path, relay: RelayProcess) -> Iterator[Callable[[bool], None]]:
    """A disk of 20 KB for the copy; what is yielded makes it full (True: it is one by itself) or large again."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(folder)]
    if (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False, timeout=DEADLINE_S).returncode == 0
    ):

        def real(full: bool) -> None:
            if not full:
                subprocess.run(["mount", "-o", "remount,size=16m", str(folder)], check=True, timeout=DEADLINE_S)

        try:
            yield real
        finally:
            if relay.process is not None:
                relay.stop()
            subprocess.run(["umount", str(folder)], check=True, timeout=DEADLINE_S)
        return
    print("not root, or without mounts: a limit on the size of files stands in for the full disk")

    def limited(full: bool) -> None:
        assert relay.process is not None
        most = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (5000 if full else most, most))

    yield limited


@pytest.mark.parametrize("policy", ["written", "group"])
def test_a_relay_whose_disk_is_full_says_so_waits_and_goes_on_when_there_is_room(
    streamer: Streamer, lines: Lines, policy: str
) -> None:
    streamer.start()
    relay = RelayProcess(streamer.folder, "m", streamer.feed)
    with small_disk(streamer.folder / "log-m", relay) as disk:
        relay.start("--durability", policy)
        disk(True)
        try:
            worker, reader = Worker(lines, streamer.ingest), Reader(lines, relay.feed)
            worker.begin()
            assert not worker.work(1000), "the run does not wait for a relay"
            watch = Peer(lines, relay.feed)
            stuck = figures_until(watch, lambda one: one.full and one.lag_bytes > 0)
            assert 0 < stuck.position < stuck.position + stuck.lag_entries
            reader.until(lambda: len(reader.entries) >= stuck.position)
            disk(False)
            reader.until(reader.ended)
            assert reader.begun == 1
            whole = log_of(lines, streamer.feed)
            assert reader.entries == whole
            mended = figures_until(watch, lambda one: one.kept == len(whole))
            assert (mended.full, mended.lag_entries, mended.lag_bytes, mended.position) == (False, 0, 0, len(whole))
        finally:
            if relay.process is not None:
                relay.stop()


def test_a_streamers_new_epoch_goes_through_a_chain_and_all_begin_anew(
    streamer: Streamer, lines: Lines, relays: Make
) -> None:
    streamer.start()
    middle = relays("m", streamer.feed)
    outer = relays("o", middle.feed)
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert worker.work(12)
    readers = [Reader(lines, middle.feed), Reader(lines, outer.feed)]
    for reader in readers:
        reader.until(lambda reader=reader: len(reader.entries) >= 12)  # type: ignore[misc]
    streamer.stop(signal.SIGKILL)
    spoil(streamer.folder / "log" / f"{0:020}.log", 0.5)
    streamer.start()
    again = Worker(lines, streamer.ingest)
    again.begin()
    assert not again.work(1000)
    whole = log_of(lines, streamer.feed)
    for reader in readers:
        reader.until(lambda reader=reader: reader.ended() and reader.begun == 2)  # type: ignore[misc]
        assert reader.entries == whole
    assert figures_until(Peer(lines, outer.feed), lambda one: one.position == len(whole)).begun == 2


@pytest.mark.parametrize("policy", ["group", "each"])
def test_a_relay_that_keeps_gives_room_back_only_for_what_is_flushed(
    streamer: Streamer, lines: Lines, relays: Make, policy: str
) -> None:
    streamer.start()
    relay = relays("m", streamer.feed)
    relay.stop()
    relay.start("--durability", policy)
    worker = Worker(lines, streamer.ingest)
    worker.begin()
    assert not worker.work(1000)
    whole = log_of(lines, streamer.feed)
    found = figures_until(Peer(lines, relay.feed), lambda one: one.kept == len(whole))
    assert found.position == len(whole)
    assert log_of(lines, relay.feed) == whole


def test_room_is_held_until_the_flush_is_done_and_an_emptied_copy_starts_anew(tmp_path: Path) -> None:
    log = Log.open(tmp_path, copy=True)
    flusher = Flusher(log, "group")
    try:
        for number in range(3):
            assert log.append("end", [b"x"]) == number
            assert not flusher.wrote(number, 10 + number, 0.0)
        assert flusher.kept == 0
        assert flusher.turn(0.001) == [], "others may come within 20 ms"
        assert flusher.turn(1.0) == []
        freed: list[int] = []
        end = time.monotonic() + DEADLINE_S
        while not freed:
            assert time.monotonic() < end
            freed = flusher.turn(1.0)
        assert (freed, flusher.kept) == ([10, 11, 12], 3)
        log.append("end", [b"x"])
        flusher.wrote(3, 13, 2.0)
        assert flusher.anew() == [13]
        log.copy_of("ab" * 16)
        assert flusher.kept == 0
    finally:
        flusher.close()
        log.close()


def test_a_relay_does_not_take_the_folder_of_a_streamers_own_log(streamer: Streamer, lines: Lines) -> None:
    streamer.start()
    streamer.stop(signal.SIGTERM)
    relay = RelayProcess(streamer.folder, "m", streamer.feed)
    (streamer.folder / "log").rename(streamer.folder / "log-m")
    with pytest.raises(AssertionError, match="has a streamer's own log, which a relay would overwrite"):
        relay.start()
    relay.stop()


def test_a_relay_that_dies_while_it_throws_its_damaged_copy_away_does_so_when_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(tmp_path, 100)
    for _ in range(9):
        log.append("merges", [bytes(32)])
    log.close()
    (tmp_path / COPY_FILE).write_text("{}")
    first = min(tmp_path.glob("*.log"))
    first.write_bytes(b"?" * 100)
    unlink, left = Path.unlink, [2]

    def dying(path: Path, missing_ok: bool = False) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as here:
        here.setattr(Path, "unlink", dying)
        with pytest.raises(KeyboardInterrupt):
            relay_main._copy(tmp_path, 100)
    again = relay_main._copy(tmp_path, 100)
    assert again.head == 0
    again.close()


@pytest.mark.parametrize(
    ("kind", "payloads", "why"),
    [
        ("merges", [bytes(16)], ""),
        ("failed", [bytes(4), b"a reason"], ""),
        ("merges", [bytes(15)], "an entry of merges that is not made of rows"),
        ("end", [], "an entry of end that is not made of rows"),
        ("song", [bytes(16)], "an entry of kind 'song' is not known here: update CaveCast on this side"),
    ],
)
def test_what_a_log_cannot_hold_is_refused_in_words(kind: str, payloads: list[bytes], why: str) -> None:
    assert damage(kind, payloads) == why
