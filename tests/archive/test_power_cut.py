"""What the archive has told the streamer is in its store survives a power cut: labels may have left the log by then.

No test can pull the plug.  Instead each ``os.fsync`` is listened to, and of the store only that is left which was
synced: first as on a disk that writes nothing by itself, then as on one that writes names, but no bytes, early.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.archive.check import check_store
from streamer.archive.place import Folder
from streamer.archive.shards import Shards
from streamer.archive.store import Store
from streamer.archive.writer import Writer
from streamer.wire.grid import Triple
from streamer.wire.volume import RunSpec
from tests.archive.test_resume import SHARDS, Killed, MortalFolder, follow, light, log_of, small, without_labels
from tests.workers.reference import label_whole

Entries = list[tuple[str, list[bytes]]]


class Disk:
    """What has been synced of a folder: bytes by file, and names by folder."""

    def __init__(self, top: Path) -> None:
        top.mkdir()
        self._top = top
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, tuple[int, bool]]] = {}
        self._pins = ExitStack()

    @contextmanager
    def listened_to(self) -> Iterator[None]:
        real = os.fsync

        def fsync(file: int) -> None:
            real(file)
            self._note(file)

        with pytest.MonkeyPatch.context() as patch, self._pins:
            patch.setattr(os, "fsync", fsync)
            yield

    def _note(self, file: int) -> None:
        path, found = f"/proc/self/fd/{file}", os.fstat(file)
        if found.st_ino not in self._names and found.st_ino not in self._bytes:
            self._pins.callback(os.close, os.dup(file))  # so that its number is not given to another file
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = names_in(path)
        else:
            self._bytes[found.st_ino] = Path(path).read_bytes()

    def after_the_cut(self, to: Path, *, names_early: bool) -> Path:
        """The folder as it is found then; ``names_early``: with all names as they are now."""
        if names_early:
            for folder, _, _ in os.walk(self._top):
                self._names[Path(folder).stat().st_ino] = names_in(folder)
        self._restore(self._top.stat().st_ino, to)
        return to

    def _restore(self, folder: int, to: Path) -> None:
        to.mkdir()
        for name, (inode, is_folder) in self._names.get(folder, {}).items():
            if is_folder:
                self._restore(inode, to / name)
            else:
                (to / name).write_bytes(self._bytes.get(inode, b""))


def names_in(folder: str) -> dict[str, tuple[int, bool]]:
    """What is in a folder: the number of each, and whether it is a folder itself."""
    return {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}


def archived(place: Folder, spec: RunSpec, shard: Triple, entries: Entries, told: list[int]) -> None:
    """An archive that notes what it would tell the streamer, as ``streamer.archive.node`` does."""
    store = Store(place, spec, "cavecast test", Shards(spec.grid, shard), "e")
    writer = Writer(store, spec)

    def tell() -> None:
        told.append(min(writer.served, store.progress.next))

    for number, (kind, payloads) in enumerate(entries):
        sent = light(payloads, writer.wants) if kind in ("chunk", "evicted") else payloads
        if writer.entry(kind, sent) is not None:
            told.append(writer.served)
            return
        if number % 3 == 2:
            store.put_progress(writer.next)
            tell()
        if number % 4 == 3:
            writer.refresh()
            tell()


@given(st.integers(0, 500), st.sampled_from(SHARDS), st.booleans(), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_what_the_streamer_was_told_of_is_there_after_a_power_cut_at_any_change(
    tmp_path_factory: pytest.TempPathFactory, changes: int, shard: Triple, names_early: bool, seed: int
) -> None:
    spec, chunks, field = small()
    folder = tmp_path_factory.mktemp("cut")
    entries, told = log_of(chunks, seed), [0]
    disk = Disk(folder / "disk")
    with disk.listened_to(), suppress(Killed):
        archived(MortalFolder(folder / "disk" / "run.zarr", changes), spec, shard, entries, told)
    left = disk.after_the_cut(folder / "after", names_early=names_early) / "run.zarr"
    gone = [without_labels(entry) if n < told[-1] and entry[0] == "chunk" else entry for n, entry in enumerate(entries)]
    again_is_right(left, spec, shard, gone, field, over=told[-1] >= len(entries))


def again_is_right(
    left: Path, spec: RunSpec, shard: Triple, entries: Entries, field: np.ndarray[Any, Any], *, over: bool
) -> None:
    """The archive is started again on what is left, and gets a log from which labels have gone."""
    if not over:
        done, _ = follow(Folder(left), spec, shard, entries)
        assert done.chunks == spec.grid.size
    objects = len(np.unique(label_whole(field, 1.0, 26, spec.grid.periodic))) - 1
    assert check_store(Folder(left)) == ("complete", objects, spec.grid.size)


@pytest.mark.parametrize("shard", SHARDS)
@pytest.mark.parametrize("names_early", [False, True])
def test_an_archive_that_was_killed_before_it_synced_lets_the_next_one_tell_only_what_is_kept(
    tmp_path: Path, shard: Triple, names_early: bool
) -> None:
    spec, chunks, field = small()
    entries, disk = log_of(chunks, 5), Disk(tmp_path / "disk")
    path = tmp_path / "disk" / "run.zarr"
    told: list[int] = [0]
    with disk.listened_to():
        place = Folder(path)
        store = Store(place, spec, "cavecast test", Shards(spec.grid, shard), "e")
        writer = Writer(store, spec)
        for kind, payloads in entries[:7]:
            writer.entry(kind, payloads)
        place.flush()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, "flush", lambda: None)
            store.put_progress(writer.next)  # and there it is killed, before the last sync
        again = Store(Folder(path), spec, "cavecast test", Shards(spec.grid, shard), "e")
        assert again.progress.next == 7
        follower = Writer(again, spec)
        for kind, payloads in entries[:7]:
            follower.entry(kind, light(payloads, follower.wants) if kind == "chunk" else payloads)
        told.append(min(follower.served, again.progress.next))
    left = disk.after_the_cut(tmp_path / "after", names_early=names_early) / "run.zarr"
    gone = [without_labels(entry) if n < told[-1] and entry[0] == "chunk" else entry for n, entry in enumerate(entries)]
    again_is_right(left, spec, shard, gone, field, over=False)
