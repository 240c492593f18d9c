"""Labels leave the log once the real archive serves them; whoever comes later, and every restart, copes with that."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray

from streamer.archive.check import check_store
from streamer.archive.place import Folder
from streamer.wire.batch import BATCH_BYTES, entries_of
from streamer.wire.block import PARTS
from streamer.wire.header import VERSION
from streamer.wire.messages import Credit, Entries, Entry, Hello, Snapshot, Welcome
from streamer.wire.volume import RunSpec
from tests.archive.parts import DEADLINE_S, archive, blobs, line_of, made, part, peer, spec_of, wait_until, work
from tests.archive.test_archive import archived, opened
from tests.assembly.pieces import Piece
from tests.streamer.test_process import Streamer
from tests.streamer.test_relay import RelayProcess
from tests.workers.reference import globe_areas_km2, globe_volume

RETAIN = ("--retain-gb", "0.000004", "--segment-mb", "0.002")


def run_of_blobs() -> tuple[RunSpec, list[Piece]]:
    volume = globe_volume((12, 20, 24))
    spec, field = spec_of(volume, (3, 5, 6)), blobs(volume.shape)
    return spec, made(spec, field, globe_areas_km2(volume))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> xarray.Dataset:
    """The store of the same run, whose log keeps all."""
    folder = tmp_path_factory.mktemp("undisturbed")
    spec, chunks = run_of_blobs()
    archived(folder, spec, chunks)
    return opened(folder / "run.zarr")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Streamer]:
    one = Streamer(tmp_path, run_of_blobs()[0])
    yield one
    if one.process is not None:
        one.stop()


def lean(site: Streamer) -> int:
    """Segments without labels."""
    return len(list((site.folder / "log").glob("*.lean")))


def late_reader(address: str) -> tuple[Snapshot, list[tuple[str, bool]]]:
    """What somebody hears who comes now: where labels are that are gone, and of each entry its kind and whether
    it has labels."""
    found: list[tuple[str, bool]] = []
    with peer(address) as reader:
        reader.say(Hello(VERSION, "notebook", "late", parts=PARTS, batch=BATCH_BYTES))
        welcome, _ = reader.listen()
        assert isinstance(welcome, Welcome)
        snapshot, _ = reader.listen()
        assert isinstance(snapshot, Snapshot)
        reader.say(Credit(1 << 28, 1 << 14))
        while len(found) < welcome.head:
            message, payloads = reader.listen()
            if isinstance(message, Entry | Entries):
                for entry, parts, _ in entries_of(message, payloads):
                    assert entry.number == len(found), "each once, in the order of the log"
                    found.append((entry.kind, len(parts) > 1 and len(parts[1]) > 0))
    return snapshot, found


@pytest.mark.parametrize("shard", [(), ("--shard", "2,2,2")])
def test_a_log_that_loses_its_labels_to_the_archive_ends_in_the_same_store(
    site: Streamer, undisturbed: xarray.Dataset, shard: tuple[str, ...]
) -> None:
    spec, chunks = run_of_blobs()
    out = site.folder / "run.zarr"
    site.start(*RETAIN)
    with part(*archive(site.feed, out), *shard) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks, count=20)
        wait_until(lambda: lean(site) > 1, "labels leave the log")
        snapshot, entries = late_reader(site.feed)
        assert snapshot.store == str(out)
        assert 0 < snapshot.number <= len(entries)
        gone = {kind for kind, labels in entries[: snapshot.number] if kind in ("chunk", "evicted") and not labels}
        assert "evicted" in gone
        before = lean(site)
        assert site.stop(signal.SIGKILL) == -signal.SIGKILL
        site.start(*RETAIN)
        assert lean(site) >= before
        work(site.ingest, chunks, count=20)
        wait_until(lambda: lean(site) > before, "more labels leave it, though the streamer has heard nothing new")
        process.kill()
        process.wait(DEADLINE_S)
    with part(*archive(site.feed, out), *shard) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks)
        assert line_of(process)["chunks"] == spec.grid.size
        assert process.wait(DEADLINE_S) == 0
    sound = check_store(Folder(out))
    assert sound == ("complete", len(undisturbed["object_id"]), spec.grid.size)
    found = opened(out)
    for name in undisturbed.variables:
        same = found[name].values, undisturbed[name].values
        if undisturbed[name].dtype.kind == "f":
            assert np.allclose(*same, rtol=1e-9, equal_nan=True), name
        else:
            assert np.array_equal(*same), name


def test_after_a_power_cut_the_store_keeps_the_labels_that_have_left_the_log(
    site: Streamer, undisturbed: xarray.Dataset
) -> None:
    spec, chunks = run_of_blobs()
    out = site.folder / "run.zarr"
    site.start(*RETAIN)
    with part(*archive(site.feed, out)) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks, count=20)
        wait_until(lambda: lean(site) > 1, "labels leave the log")
        site.stop(signal.SIGKILL)
    (site.folder / "log" / "lock").write_bytes(b"another start of the machine")
    site.start(*RETAIN)
    with part(*archive(site.feed, out)) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks)
        assert line_of(process)["chunks"] == spec.grid.size
        assert process.wait(DEADLINE_S) == 0
    assert check_store(Folder(out)) == ("complete", len(undisturbed["object_id"]), spec.grid.size)
    assert np.array_equal(opened(out)["labels"].values, undisturbed["labels"].values)


def test_a_run_that_was_archived_in_one_go_leaves_the_log_too(site: Streamer, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, chunks = run_of_blobs()
    monkeypatch.chdir(site.folder)
    site.start(*RETAIN[2:])  # keeps all
    work(site.ingest, chunks)

    def archived_now() -> None:
        with part(*archive(site.feed, Path("run.zarr"))) as process:
            assert line_of(process) == {"ready": "archive"}
            assert line_of(process)["chunks"] == spec.grid.size
            assert process.wait(DEADLINE_S) == 0

    archived_now()
    site.stop(signal.SIGTERM)
    site.start(*RETAIN)
    assert lean(site) == 0, "it does not know of the store yet"
    archived_now()  # finds a store that is whole
    wait_until(lambda: lean(site) > 1, "labels leave the log after the run's end")
    assert (site.folder / "log" / "store").read_text() == str(site.folder / "run.zarr")


def test_an_archive_that_comes_when_all_is_done_lets_the_log_become_small(site: Streamer) -> None:
    _, chunks = run_of_blobs()
    site.start(*RETAIN)
    work(site.ingest, chunks)
    with part(*archive(site.feed, site.folder / "run.zarr")) as process:
        process.communicate(timeout=DEADLINE_S)
    wait_until(lambda: lean(site) > 1, "labels leave the log after the run's end")


def test_another_store_cannot_take_the_place_of_the_one_that_has_the_labels(site: Streamer) -> None:
    _, chunks = run_of_blobs()
    site.start(*RETAIN)
    with part(*archive(site.feed, site.folder / "run.zarr")) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks, count=20)
        wait_until(lambda: lean(site) > 0, "labels leave the log")
    with part(*archive(site.feed, site.folder / "other.zarr")) as process:
        _, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 1
        assert "they are in the store that was archived before" in err


def test_a_relay_says_too_where_the_labels_are_that_it_never_had(site: Streamer) -> None:
    _, chunks = run_of_blobs()
    out = site.folder / "run.zarr"
    site.start(*RETAIN)
    with part(*archive(site.feed, out)) as process:
        assert line_of(process) == {"ready": "archive"}
        work(site.ingest, chunks)
        assert process.wait(DEADLINE_S) == 0
    log = site.folder / "log"
    wait_until(lambda: len(list(log.glob("*.log"))) == 1 < lean(site), "all labels that can have left the log")
    snapshot, entries = late_reader(site.feed)
    relay = RelayProcess(site.folder, "r", site.feed)
    try:
        with peer(relay.feed) as early:
            early.say(hello := Hello(VERSION, "notebook", "early", parts=PARTS))
            relay.start()
            early.greeted(hello)
            while isinstance(told := early.hear(), Welcome):
                pass  # each greeting is answered
            assert told == snapshot, "also to those who came before it knew"
        with peer(relay.feed) as reader:
            reader.say(Hello(VERSION, "notebook", "all", parts=PARTS))
            reader.say(Credit(1 << 28, 1 << 14))
            while True:
                message, _ = reader.listen()
                if isinstance(message, Entry) and message.number == len(entries) - 1:
                    break
        for signalled in (signal.SIGKILL, signal.SIGTERM):
            told, found = late_reader(relay.feed)
            assert (told.store, found) == (snapshot.store, entries)
            assert "evicted" not in {kind for kind, _ in found[told.number :]}
            relay.stop(signalled)
            relay.start()
    finally:
        relay.stop()


def test_an_archive_behind_a_relay_is_heard_at_the_streamer(site: Streamer) -> None:
    spec, chunks = run_of_blobs()
    site.start(*RETAIN)
    relay = RelayProcess(site.folder, "r", site.feed)
    relay.start()
    try:
        with part(*archive(relay.feed, site.folder / "run.zarr")) as process:
            assert line_of(process) == {"ready": "archive"}
            work(site.ingest, chunks, count=30)
            wait_until(lambda: lean(site) > 0, "labels leave the streamer's log")
            work(site.ingest, chunks)
            assert line_of(process)["chunks"] == spec.grid.size
            assert process.wait(DEADLINE_S) == 0
        assert check_store(Folder(site.folder / "run.zarr")).chunks == spec.grid.size
    finally:
        relay.stop()
