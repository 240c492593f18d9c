"""Chunks whose labels have left the log, read from the archive's store: the same bytes, at the same price.

The store is a Zarr v3 group in a folder or behind ``s3://``.  Its array ``local`` holds the workers' payloads as they
are, one in a file or many in a shard with an index at its end; those that wait for their shard lie in ``.staging``.
So a chunk's bytes are cut out of a file, and nothing is decoded here.  Who reads when is said in ``renderers.shelf``.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from streamer.wire.codec import crc32c
from streamer.wire.grid import Grid
from streamer.wire.header import Refused

LOCAL, STAGING = "local", ".staging"
TIMEOUT_S = 20.0
"""How long a bucket has to answer."""
_NONE = 2**64 - 1
EXCUSED = (OSError, ValueError, KeyError, IndexError, TypeError, Refused)
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
        except EXCUSED as why:
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
