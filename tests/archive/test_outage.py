"""A store that cannot be written for a while: the archive stands still, says so, and ends with all that there is."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.archive.bucket import _of_bucket
from streamer.archive.check import check_store
from streamer.archive.place import Folder, PlaceError, patiently
from streamer.archive.shards import Shards
from streamer.archive.store import Store
from streamer.archive.writer import Writer
from streamer.retention import STUCK_S, Retention
from streamer.wire.grid import Triple
from tests.archive.parts import archive, line_of, note_of, part, streamer, wait_until, work
from tests.archive.test_archive import globe_run, opened
from tests.archive.test_resume import SHARDS, light, log_of, small
from tests.workers.reference import label_whole


class FlakyFolder(Folder):
    """A folder that refuses some of what is done to it, in the middle of it where it can."""

    def __init__(self, path: Path, seed: int) -> None:
        super().__init__(path)
        self.random, self.failing = np.random.default_rng(seed), False
        self.calm = 0
        """So often nothing goes wrong: reading a whole store would else come to no end."""

    def _maybe(self) -> None:
        self.calm -= 1
        if self.failing and self.calm < 0 and self.random.random() < 0.5:
            self.calm = int(self.random.integers(0, 200))
            with self.spoken():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def get(self, key: str) -> bytes | None:
        self._maybe()
        return super().get(key)

    def set(self, key: str, raw: bytes, *, safely: bool = False) -> None:
        self._maybe()
        super().set(key, raw, safely=safely)
        self._maybe()

    def delete(self, key: str) -> None:
        self._maybe()
        super().delete(key)
        self._maybe()

    def clear(self, prefix: str) -> None:
        super().clear(prefix)
        self._maybe()

    def flush(self) -> None:
        self._maybe()
        super().flush()


@given(st.integers(0, 9999), st.sampled_from(SHARDS))
@settings(max_examples=10, deadline=None)
def test_whatever_fails_for_a_while_the_store_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shard: Triple
) -> None:
    spec, chunks, field = small()
    place = FlakyFolder(tmp_path_factory.mktemp("flaky") / "run.zarr", seed)
    tries: list[int] = []

    def wait(why: str, number: int) -> None:
        assert number == 0 or "No space left on device" in why
        assert number in (0, (tries[-1] if tries else 0) + 1), "the first after all was well, or one more"
        tries.append(number)

    store = Store(place, spec, "cavecast test", Shards(spec.grid, shard), "e", wait)
    writer = Writer(store, spec)
    place.failing = True
    done = None
    for number, (kind, payloads) in enumerate(log_of(chunks, seed)):
        done = writer.entry(kind, light(payloads, writer.wants) if kind == "chunk" else payloads)
        if number % 3 == 2:
            store.put_progress(writer.next)
        if number % 5 == 4:
            writer.refresh()
    place.failing = False
    whole = label_whole(field, 1.0, 26, spec.grid.periodic)
    assert done is not None
    assert check_store(Folder(place.path)) == ("complete", len(np.unique(whole)) - 1, spec.grid.size)
    assert tries, "it failed at least once"
    assert tries[-1] == 0, "and all was well at last"
    assert not list(place.path.rglob("*.partial"))


def test_tables_and_states_are_written_when_they_change_and_only_then(tmp_path: Path) -> None:
    spec, chunks, _ = small()
    store = Store(Folder(tmp_path / "run.zarr"), spec, "t", Shards(spec.grid, (1, 1, 1)), "e")
    writer = Writer(store, spec)
    entries = log_of(chunks, 1)
    watched = [tmp_path / "run.zarr" / name for name in ("objects.csv", "object_steps.csv", "chunk_state/c/0/0/0")]

    def refreshed() -> list[tuple[int, int]]:
        writer.refresh()
        return [(at.st_ino, at.st_mtime_ns) for at in map(Path.stat, watched)]  # one that is replaced is another file

    for kind, payloads in entries[:6]:
        writer.entry(kind, payloads)
    first = refreshed()
    assert refreshed() == first
    writer.entry("merges", [b""])  # says nothing that does not follow from the chunks
    assert refreshed()[:2] == first[:2]
    for kind, payloads in entries[6:-1]:
        writer.entry(kind, payloads)
    assert not set(refreshed()) & set(first)


def test_what_the_archive_said_of_its_trouble_does_not_outlive_it() -> None:
    retention = Retention("")
    assert retention.stuck(5.0) == ""
    retention.stands_still("the disk is full", 5.0)
    assert retention.stuck(5.0 + STUCK_S / 2) == "the disk is full"
    assert retention.stuck(5.0 + STUCK_S) == ""
    retention.stands_still("the disk is full", 30.0)
    retention.stands_still("", 31.0)
    assert retention.stuck(31.0) == ""


def test_a_place_that_does_not_come_back_is_an_error_for_who_does_not_wait(tmp_path: Path) -> None:
    spec, _, _ = small()
    place = FlakyFolder(tmp_path / "run.zarr", 1)
    store = Store(place, spec, "t", Shards(spec.grid, (1, 1, 1)), "e")
    place.failing = True

    def go_on() -> None:
        for _ in range(100):
            place.get("zarr.json")

    with pytest.raises(PlaceError, match=r"run\.zarr cannot be used: No space left on device; mend it and start again"):
        store.insist(go_on)


def test_what_passes_is_waited_for_and_what_is_wrong_is_said_at_once() -> None:
    said: list[tuple[str, int]] = []
    ends = [PlaceError("it is away", "; mend it"), PlaceError("it is away", "; mend it"), None]

    def act() -> str:
        if why := ends.pop(0):
            raise why
        return "done"

    assert patiently(act, lambda why, tries: said.append((why, tries)), wrong_too=False) == "done"
    away = "the archive stands still, and the log keeps what it lacks: it is away"
    assert said == [(away, 1), (away, 2), ("", 0)]
    ends[:] = [PlaceError("it is no place", ": choose another", passes=False)]
    with pytest.raises(PlaceError, match="it is no place: choose another"):
        patiently(act, lambda *_: pytest.fail("nobody waits"), wrong_too=False)


@pytest.mark.parametrize(("said", "passes"), [
    ("error sending request for url (http://10.0.0.9:9000/runs)", True),
    ("Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>", True),
    ("Server returned non-2xx status code: 429 Too Many Requests", True),
    ("Server returned non-2xx status code: 301 Moved Permanently: <Code>PermanentRedirect</Code>", False),
    ("Client error with status code: 403 Forbidden: <Code>AccessDenied</Code>", False),
    ("Client error with status code: 404 Not Found: <Code>NoSuchBucket</Code>", False),
])  # fmt: skip
def test_it_is_known_what_a_bucket_gets_over(said: str, passes: bool) -> None:
    assert _of_bucket("s3://runs/x.zarr", said)[2] is passes


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A disk of 4 MB."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here ({done.stderr.strip()}); the folder that fails at random stands in")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)


def fill(path: Path) -> None:
    """Takes all the room that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match="No space left"):
        path.with_name("more").write_bytes(bytes(1))
    path.with_name("more").unlink()


@pytest.mark.parametrize("options", [(), ("--shard", "2,2,2")])
def test_a_disk_that_becomes_full_stops_the_archive_until_there_is_room(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    spec, chunks, field = globe_run()
    out, filler = tmp_path / "disk" / "run.zarr", tmp_path / "disk" / "filler"
    with disk(tmp_path / "disk"), streamer(tmp_path, spec) as at:
        with part(*archive(at["feed"], out), *options) as process:
            assert line_of(process) == {"ready": "archive"}
            work(at["ingest"], chunks, count=4)
            fill(filler)
            work(at["ingest"], chunks)  # the run does not wait for its archive
            note = wait_until(lambda: note_of(at["feed"]), "the archive's trouble is shown")
            assert note.startswith("the archive stands still, and the log keeps what it lacks: ")
            assert note.endswith(f"{out} cannot be used: No space left on device")
            process.kill()
            process.wait(60)
        with part(*archive(at["feed"], out), *options) as process:
            assert line_of(process) == {"ready": "archive"}, "a new one waits as the old one did"
            wait_until(lambda: note_of(at["feed"]), "the trouble of the new one is shown")
            assert process.poll() is None
            filler.unlink()
            assert line_of(process)["chunks"] == spec.grid.size
            assert process.wait(60) == 0
            wait_until(lambda: not note_of(at["feed"]), "nothing is wrong any more")
        whole = label_whole(field, 1.0, 26, spec.grid.periodic)
        assert check_store(Folder(out)).chunks == spec.grid.size
        assert np.array_equal(opened(out)["labels"].values, whole.astype(np.int64))
        assert not list(out.rglob("*.partial"))
