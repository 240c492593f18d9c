"""Chunks whose labels have left the log, read from the archive's store: the same bytes, at the same price.

The store is a Zarr v3 group in a folder or behind ``s3://``.  Its array ``local`` holds the workers' payloads as they
are, one in a file or many in a shard with an index at its end; those that wait for their shard lie in ``.staging``.
So a chunk's bytes are cut out of a file and compared with its commit, and nothing is decoded here.  One thread reads;
what waits for it is bounded, and a store that cannot be read is tried again, ever more slowly.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from renderers.entries import Arrived, Emptied, Told, restored, wanted_layers
from streamer.wire.codec import crc32c
from streamer.wire.grid import Grid
from streamer.wire.header import Refused

ABOUT = "store"
LOCAL, STAGING = "local", ".staging"
MOST, MOST_BYTES = 64, 16 << 20
"""Chunks that wait here or in front of the drawing thread, and what they may take; one may come alone."""
FIRST_S, LONGEST_S = 1.0, 30.0
"""How long an unreadable store is left alone; twice as long with every failure in a row."""
GRACE_S, TIMEOUT_S = 3.0, 20.0
"""How long the end waits for a read that is under way; how long a bucket has to answer."""
_NONE = 2**64 - 1
_EXCUSED = (OSError, ValueError, KeyError, IndexError, TypeError, Refused)
"""What a file that is missing, cut short or no Zarr array ends in."""


class Unreadable(Exception):
    """Why the store gives no bytes, to stand in a sentence."""


class Files(Protocol):
    """Where a store lies.  Both methods raise Unreadable if it cannot be reached."""

    def whole(self, key: str) -> bytes | None:
        """A file's bytes, or None if there is none."""

    def piece(self, key: str, start: int, size: int) -> bytes | None:
        """``size`` of a file's bytes from ``start`` (from the end if that is negative), or None if there is none."""


class Folder:
    """A store in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def whole(self, key: str) -> bytes | None:
        return self.piece(key, 0, -1)

    def piece(self, key: str, start: int, size: int) -> bytes | None:
        try:
            with (self._path / key).open("rb") as file:
                file.seek(start, os.SEEK_END if start < 0 else os.SEEK_SET)
                return file.read(size)
        except FileNotFoundError:
            if self._path.is_dir():
                return None
            raise Unreadable("there is no such folder here") from None
        except OSError as why:
            raise Unreadable(why.strerror or str(why)) from None


class Bucket:
    """A store in a bucket, by obstore; its credentials come from the environment and appear in no message."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise Unreadable("it needs the package obstore: pip install 'cavecast[s3]'") from None
        self._obstore = obstore
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        patience = timedelta(seconds=TIMEOUT_S)
        self._store: Any = self._tried(
            lambda: S3Store.from_url(
                url,
                client_options={"allow_http": endpoint.startswith("http://"), "timeout": patience},
                retry_config={"max_retries": 2, "retry_timeout": patience},
                **settings,
            )
        )

    def whole(self, key: str) -> bytes | None:
        got = self._tried(lambda: self._obstore.get(self._store, key).bytes())
        return None if got is None else bytes(got)

    def piece(self, key: str, start: int, size: int) -> bytes | None:
        if start < 0:
            head = self._tried(lambda: self._obstore.head(self._store, key))
            if head is None:
                return None
            start += int(head["size"])
        got = self._tried(lambda: self._obstore.get_range(self._store, key, start=start, length=size))
        return None if got is None else bytes(got)

    def _tried(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except FileNotFoundError:
            return None
        except Exception as why:
            # The library's own errors: the first line names the request and never a credential.
            first = next(iter(str(why).strip().splitlines()), "")[:160]
            raise Unreadable(f"{type(why).__name__}: {first}") from None


class Layout(NamedTuple):
    """How the chunks of ``local`` lie in files."""

    shard: tuple[int, int, int]
    """Chunks in a file along (z, y, x)."""
    plain: bool
    """A file holds one chunk and no index."""


def layout_of(grid: Grid, raw: bytes, array: str = LOCAL) -> Layout:
    """From the array's ``zarr.json``.  Raises Refused if it is no array of this grid."""
    try:
        told = json.loads(raw)
        z, y, x = (int(n) for n in told["chunk_grid"]["configuration"]["chunk_shape"])
        codec = told["codecs"][0]
        sharded = codec["name"] == "sharding_indexed"
        chunk = tuple(codec["configuration"]["chunk_shape"]) if sharded else (z, y, x)
        at_end = not sharded or codec["configuration"].get("index_location", "end") == "end"
        fits = tuple(told["shape"]) == grid.shape and chunk == grid.chunk and at_end
    except (ValueError, KeyError, IndexError, TypeError):
        fits = False
    if not fits:
        raise Refused(f"its array {array} is not that of this run")
    (a, b, c) = grid.chunk
    return Layout((z // a, y // b, x // c), not sharded)


class Store:
    """The payloads in a store: ``where`` is a path or an ``s3://`` URL.  Raises Unreadable."""

    def __init__(self, where: str, grid: Grid) -> None:
        self._grid = grid
        self._files: Files = Bucket(where) if where.startswith("s3://") else Folder(Path(where))
        self._layouts: dict[str, Layout] = {}

    def payload(self, chunk: int, array: str = LOCAL) -> bytes:
        """The bytes of a chunk in an array.  Raises Unreadable."""
        try:
            # A chunk leaves the staging when it is in its shard, so what is not there is looked for there once more.
            for look in (self._staged, self._filed, self._staged):
                raw = look(chunk, array)
                if raw is not None:
                    return raw
        except _EXCUSED as why:
            raise Unreadable(str(why)) from None
        raise Unreadable(f"chunk {chunk} is not in it")

    def _staged(self, chunk: int, array: str) -> bytes | None:
        return self._files.whole(f"{STAGING}/{array}/{chunk}")

    def _filed(self, chunk: int, array: str) -> bytes | None:
        if array not in self._layouts:
            told = self._files.whole(f"{array}/zarr.json")
            if told is None:
                raise Unreadable(f"it has no array {array}")
            self._layouts[array] = layout_of(self._grid, told, array)
        shard, plain = self._layouts[array]
        index = self._grid.index(chunk)
        key = "/".join((array, "c", *(str(i // s) for i, s in zip(index, shard, strict=True))))
        if plain:
            return self._files.whole(key)
        places = shard[0] * shard[1] * shard[2]
        tail = self._files.piece(key, -(16 * places + 4), 16 * places + 4)
        if tail is None:
            return None
        if len(tail) != 16 * places + 4 or struct.unpack("<I", tail[-4:])[0] != crc32c(tail[:-4]):
            raise Refused(f"the index of {key} is damaged")
        z, y, x = (i % s for i, s in zip(index, shard, strict=True))
        start, size = np.frombuffer(tail, "<u8", 2 * places).reshape(*shard, 2)[z, y, x].tolist()
        return None if start == size == _NONE else self._files.piece(key, start, size)


class Shelf:
    """Reads what ``put`` names in a thread of its own; what comes of it goes to ``give``, from that thread."""

    def __init__(self, give: Callable[[Arrived | Told], None]) -> None:
        self._give = give
        self._lock = threading.Condition()
        self._where = ""
        self._grid: Grid | None = None
        self._waiting: deque[Emptied] = deque()
        self._held = self._held_bytes = 0
        self._generation = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def open(self, grid: Grid) -> None:
        """A run's log has been opened; what waited belongs to another one."""
        with self._lock:
            self._generation += 1
            self._grid, self._where = grid, ""
            self._waiting.clear()
            self._held = self._held_bytes = 0
            self._lock.notify()

    def at(self, where: str) -> None:
        """That is where the store lies."""
        with self._lock:
            self._where = where
            self._lock.notify()

    @property
    def room(self) -> bool:
        """Whether another chunk may be put."""
        with self._lock:
            return not self._held or (self._held < MOST and self._held_bytes < MOST_BYTES)

    def put(self, emptied: Emptied) -> None:
        """A chunk to be read."""
        with self._lock:
            self._held += 1
            self._held_bytes += emptied.nbytes
            self._waiting.append(emptied)
            if self._thread.ident is None:
                self._thread.start()
            self._lock.notify()

    def used(self, arrived: Arrived) -> None:
        """A chunk that was given has been used up."""
        with self._lock:
            self._held = max(0, self._held - 1)
            self._held_bytes = max(0, self._held_bytes - arrived.nbytes)

    def stop(self) -> None:
        """Ends the thread; returns when it has ended."""
        with self._lock:
            self._stop = True
            self._lock.notify()
        if self._thread.ident is not None:
            # A bucket that does not answer is given up later; nobody waits for it.
            self._thread.join(GRACE_S)

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        store: tuple[int, str, Store] | None = None
        failures = 0
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stop or (self._waiting and self._where))
                if self._stop:
                    return
                emptied, grid, where, generation = self._waiting[0], self._grid, self._where, self._generation
            assert grid is not None, "entries come after the run's specification"
            try:
                if store is None or store[:2] != (generation, where):
                    store = generation, where, Store(where, grid)
                arrived = _again(grid, emptied, store[2])
            except (Unreadable, *_EXCUSED) as why:
                store = None
                wait_s = patience_s(failures)
                failures += 1
                self._give(Told(complaint(emptied.number, where, str(why), wait_s), ABOUT))
                with self._lock:
                    # Another chunk may be there already, or this one be whole the next time.
                    if generation == self._generation:
                        self._waiting.rotate(-1)
                    self._rest(generation, wait_s)
                continue
            with self._lock:
                if generation != self._generation:
                    continue
                with suppress(ValueError):
                    self._waiting.remove(emptied)
            if failures:
                failures = 0
                self._give(Told("", ABOUT))
            self._give(arrived)

    def _rest(self, generation: int, wait_s: float) -> None:
        """Waits, unless it is to end or another log has been opened meanwhile."""
        self._lock.wait_for(lambda: self._stop or self._generation != generation, wait_s)


def _again(grid: Grid, emptied: Emptied, store: Store) -> Arrived:
    """The chunk with its labels and layers from the store.  Raises Unreadable, or Refused if they are others."""
    commit = emptied.commit
    sizes = {info.name: info.size for info in commit.parts}
    layers = [store.payload(commit.chunk, name) if sizes[name] else b"" for name in wanted_layers(commit)]
    return restored(grid, emptied, store.payload(commit.chunk), *layers)


def patience_s(failures: int) -> float:
    """How long to leave an unreadable store alone after so many failures before this one."""
    return min(FIRST_S * float(2 ** min(failures, 10)), LONGEST_S)


def complaint(number: int, where: str, why: str, wait_s: float) -> str:
    """What viewers are told when the labels of an entry cannot be had."""
    return (
        f"The labels of entry {number} and others have left the streamer's log, and the store {where} cannot be read "
        f"({why.rstrip('.')}): their places stay empty; it is tried again every {wait_s:g} s. "
        "Make the store reachable from the renderer under that name."
    )
