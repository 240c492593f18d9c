"""What may leave the log and when; and that a log without labels still makes the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.hub import Hub
from streamer.lean import LASTING
from streamer.log import Log
from streamer.retention import MOST_STORE, Piece, Retention
from streamer.wire.block import PARTS
from streamer.wire.header import decode
from streamer.wire.messages import Archived, Commit, Entry, Hello, Refuse, Snapshot, Welcome
from tests.streamer.runs import PLENTY, SETTINGS, made, of, spec_of, subscriber_hello, under, worker_hello

SPEC = spec_of((12, 9, 9), (4, 3, 3))
MADE = made(SPEC)
PIECES = [Piece(0, 10, 100, False), Piece(10, 20, 100, False), Piece(20, 25, 50, False)]


def test_all_stays_without_a_limit_or_below_it() -> None:
    retention = Retention("")
    assert retention.told(25, "/store", 25) == ""
    assert retention.next(PIECES, None) is None
    assert retention.next(PIECES, 250) is None


def test_the_oldest_goes_once_the_archive_serves_all_of_it_and_the_newest_never() -> None:
    retention = Retention("")
    assert retention.next(PIECES, 0) is None
    retention.told(9, "/store", 25)
    assert retention.next(PIECES, 0) is None
    retention.told(10, "/store", 25)
    assert retention.next(PIECES, 249) == 0
    lean = [PIECES[0]._replace(lean=True, nbytes=10), *PIECES[1:]]
    assert retention.next(lean, 0) is None
    retention.told(25, "/store", 25)
    assert retention.next(lean, 159) == 10
    assert retention.next(lean, 160) is None
    assert retention.next([piece._replace(lean=True) for piece in PIECES[:2]] + PIECES[2:], 0) is None


def test_an_archive_that_says_what_cannot_be_is_told_so() -> None:
    retention = Retention("/first")
    assert "ends before entry 5" in retention.told(6, "/first", 5)
    assert "cannot take its place" in retention.told(5, "/second", 5)
    assert "at most" in retention.told(5, "/" + "x" * MOST_STORE, 5)
    assert retention.archived == 0


def written(folder: Path) -> tuple[Log, Hub]:
    """A finished run in segments of a few entries."""
    log = Log.open(folder, 2000)
    hub = Hub(SPEC, log, SETTINGS, 0.0)
    hub.ingest(b"w", worker_hello(), [], 0.0)
    for piece in MADE:
        hub.ingest(b"w", *under(piece, 0), 0.0)
    assert hub.state == "complete"
    assert len(log.pieces) > 4
    return log, hub


def thinned(log: Log, segments: int) -> None:
    for piece in log.pieces[:segments]:
        log.replace(log.leaner(piece.first, "/the/store")(), "/the/store")()


def entries(hub: Hub, hello: Hello) -> tuple[list[Entry], list[list[bytes]], list[Snapshot]]:
    sends = hub.feed(b"s", hello, [], 1.0)
    assert isinstance(sends[0].message, Welcome)
    hub.feed(b"s", PLENTY, [], 1.0)
    sent = list(hub.drain_feed(1.0))
    headers = [one.message for one in sent]
    return (
        headers,  # type: ignore[return-value]
        [[bytes(raw) for raw in one.payloads] for one in sent],
        [one.message for one in of(Snapshot, sends)],  # type: ignore[misc]
    )


def test_a_lean_log_has_the_same_numbers_and_all_but_the_labels(tmp_path: Path) -> None:
    log, hub = written(tmp_path)
    before, payloads, none = entries(hub, subscriber_hello())
    assert none == []
    size = log.nbytes
    thinned(log, 3)
    assert log.nbytes < size
    hub = Hub(SPEC, log, SETTINGS, 0.0)  # the other one has some in memory
    after, lean, snapshot = entries(hub, subscriber_hello())
    assert snapshot == [Snapshot(log.evicted, "/the/store")]
    assert log.evicted == log.pieces[2].stop
    assert [(one.number, one.prev) for one in after] == [(one.number, one.prev) for one in before]
    gone = 0
    for entry, now, then, was in zip(after, lean, payloads, before, strict=True):
        if was.kind != "chunk" or entry.number >= log.evicted:
            assert (entry.kind, now) == (was.kind, then)
            continue
        assert entry.kind == "evicted"
        assert now[0] == then[0]
        for part, left, was_there in zip(PARTS, now[1:], then[1:], strict=True):
            assert left == (was_there if part in LASTING else b"")
        gone += 1
    assert gone > 2
    _, _, snapshot = entries(hub, subscriber_hello(log.epoch, log.evicted))
    assert snapshot == [], "nothing is missing to who has read that far"
    log.close()


def test_a_restart_from_a_lean_log_makes_the_same_objects_and_goes_on(tmp_path: Path) -> None:
    log, hub = written(tmp_path)
    objects = hub._record.assembly.page(1000)
    thinned(log, len(log.pieces) - 1)
    epoch, head, evicted = log.epoch, log.head, log.evicted
    log.close()
    log = Log.open(tmp_path, 2000)
    assert (log.epoch, log.head, log.cut, log.evicted, log.store) == (epoch, head, "", evicted, "/the/store")
    hub = Hub(SPEC, log, SETTINGS, 0.0)
    assert hub._record.assembly.page(1000) == objects
    assert (hub.state, hub.status(0.0).committed, log.head) == ("complete", SPEC.grid.size, head)
    log.close()


def test_only_an_archive_is_believed_and_only_what_can_be(tmp_path: Path) -> None:
    log, hub = written(tmp_path)
    told = Archived(log.head, "/the/store")
    hub.feed(b"r", subscriber_hello(), [], 1.0)
    assert hub.feed(b"r", told, [], 1.0) == []
    assert hub.retention.archived == 0
    hub.feed(b"a", Hello(1, "archive", "a", log.epoch, 0, PARTS), [], 1.0)
    (refusal,) = hub.feed(b"a", Archived(log.head + 1, "/the/store"), [], 1.0)
    assert isinstance(refusal.message, Refuse)
    assert hub.feed(b"a", told, [], 1.0) == []
    assert hub.retention.archived == log.head
    log.close()


def test_a_crash_between_the_lean_segment_and_the_end_of_the_full_one_leaves_one_of_them(tmp_path: Path) -> None:
    log, _ = written(tmp_path)
    first = log.pieces[0].first
    log.leaner(first, "/the/store")()
    log.close()
    log = Log.open(tmp_path, 2000)
    assert [piece.lean for piece in log.pieces][:2] == [True, False]
    assert len(list(tmp_path.glob(f"{first:020}.*"))) == 1
    commit, _ = decode([log.read(0)[1][0]])
    assert isinstance(commit, Commit)
    log.close()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_lean_segment_cuts_the_log_there_and_begins_a_new_epoch(tmp_path: Path, which: int) -> None:
    log, _ = written(tmp_path)
    thinned(log, 3)
    epoch, piece = log.epoch, log.pieces[which]
    log.close()
    path = tmp_path / f"{piece.first:020}.lean"
    raw = bytearray(path.read_bytes())
    raw[70] ^= 1  # in its first record
    path.write_bytes(raw)
    log = Log.open(tmp_path, 2000)
    assert (log.head, log.epoch != epoch) == (piece.first, True)
    assert "computed again" in log.cut
    hub = Hub(SPEC, log, SETTINGS, 0.0)
    hub.ingest(b"w", worker_hello(), [], 0.0)
    for one in MADE:
        hub.ingest(b"w", *under(one, 0), 0.0)
    assert hub.state == "complete"
    head = log.head
    log.close()
    log = Log.open(tmp_path, 2000)
    assert (log.head, log.cut) == (head, "")
    log.close()
