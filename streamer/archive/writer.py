"""A run's entries, in order, written to its store.  The objects come from the same assembly as the streamer's.

Every chunk is written when it arrives, with the ids that speak at that moment.  What was written is
remembered as a digest per chunk: at the end only the chunks whose ids have changed since (by merges or
verdicts) are translated again, from ``local`` in the store.  Then the whole store is read back once.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.archive.calendar import iso_times
from streamer.archive.store import Store
from streamer.archive.tables import Column, csv_text, object_columns, step_columns
from streamer.assembly import Assembly
from streamer.wire.block import PARTS, check
from streamer.wire.codec import Buffer, decode_labels
from streamer.wire.messages import COMMITTED, FAILED, PENDING, Commit, Refused, decode
from streamer.wire.volume import RunSpec


class Summary(NamedTuple):
    """What a finished store holds."""

    state: str
    objects: int
    chunks: int


class Writer:
    """Takes the entries of one run, each once, from the first one on."""

    def __init__(self, store: Store, spec: RunSpec) -> None:
        self._store, self._spec, self._grid = store, spec, spec.grid
        self._assembly = Assembly(spec.volume, spec.grid, spec.keep)
        self._times = iso_times(spec.volume.axes[0]) if spec.volume.has_time else []
        size = spec.grid.size
        self._states = np.full(size, PENDING, np.uint8)
        self._crc = np.zeros(size, np.uint32)
        self._constant = np.full(size, -1, np.int64)
        self._written = np.zeros(size, "V16")

    def entry(self, kind: str, payloads: Sequence[Buffer]) -> Summary | None:
        """One entry of the log; what the store holds if it was the last.

        Raises Refused, with nothing changed, if it is damaged: it may be asked for again.  Raises ArchiveError
        if it contradicts the run.
        """
        if kind == "chunk":
            self._chunk(payloads)
        elif kind == "failed":
            for chunk in np.frombuffer(payloads[0], "<u4").tolist():
                self._assembly.fail(chunk)
                self._states[chunk] = FAILED
        elif kind == "end":
            return self._finish(bytes(payloads[0]).decode())
        # Merges and verdicts follow from the commits: they are derived here as the streamer derived them.
        return None

    def refresh(self) -> None:
        """Brings states and CSV tables up to what has arrived."""
        self._store.put_states(self._states)
        self._put_csv(*self._tables())

    def _chunk(self, payloads: Sequence[Buffer]) -> None:
        commit, _ = decode([memoryview(payloads[0])])
        if not isinstance(commit, Commit):
            raise Refused("a chunk's entry without a commit")
        # Layers that were not asked for stay in the log.
        commit = msgspec.structs.replace(commit, parts=commit.parts[: len(PARTS)])
        check(self._grid, commit, list(payloads[1:]))
        local = decode_labels(payloads[1], commit.constant, self._grid.chunk)
        chunk = commit.chunk
        self._assembly.commit(commit, payloads[1:])
        self._store.put_local(chunk, payloads[1], commit.constant)
        self._crc[chunk], self._constant[chunk] = commit.parts[0].crc, commit.constant
        self._states[chunk] = COMMITTED
        self._translate(chunk, local)

    def _translate(self, chunk: int, local: NDArray[np.uint32] | None) -> None:
        """Writes ``labels`` of a chunk unless they are there as they are to be."""
        ids = self._assembly.chunk_ids(chunk)
        digest = np.void(blake2b(ids.tobytes(), digest_size=16).digest())
        if local is None:
            if self._written[chunk] == digest:
                return
            _, local = self._store.local(chunk)
        self._store.put_labels(chunk, local, ids)
        self._written[chunk] = digest

    def _finish(self, state: str) -> Summary:
        done = np.flatnonzero(self._states == COMMITTED).tolist()
        for chunk in done:
            self._translate(chunk, None)
        self._store.put_states(self._states)
        objects, steps = self._tables()
        self._put_csv(objects, steps)
        self._store.put_tables(objects, steps)
        for chunk in done:
            self._store.check(chunk, int(self._crc[chunk]), int(self._constant[chunk]), self._assembly.chunk_ids(chunk))
        self._store.finish(state)
        return Summary(state, len(objects[0].values), len(done))

    def _tables(self) -> tuple[list[Column], list[Column]]:
        found = self._assembly.columns()
        return object_columns(self._spec.volume, found), step_columns(self._spec.volume, found.steps)

    def _put_csv(self, objects: Sequence[Column], steps: Sequence[Column]) -> None:
        self._store.put_csv(
            {"objects.csv": csv_text(objects, self._times), "object_steps.csv": csv_text(steps, self._times)}
        )
