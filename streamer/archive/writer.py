"""A run's entries, in order, written to its store.  The objects come from the same assembly as the streamer's.

A chunk is in the store when its entry has been dealt with: in its own file, or, in a sharded store, kept
aside until its shard is written (when it is full, or at the next ``refresh``).  ``labels`` are written with
the ids that speak at that moment, remembered as a digest per chunk: at the end only chunks whose ids have
changed since (by merges or verdicts) are translated again.  Then the whole store is read back once.

After a restart the assembly is built anew from the first entry, but payloads that are in the store already
are not asked for: ``wants`` says which parts the next entries need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.archive.calendar import iso_times
from streamer.archive.check import check_chunks
from streamer.archive.place import ArchiveError
from streamer.archive.store import Store
from streamer.archive.tables import Column, csv_text, object_columns, step_columns
from streamer.assembly import Assembly
from streamer.seams import RULES
from streamer.wire.block import PARTS, check_header
from streamer.wire.codec import Buffer, compress, crc32c
from streamer.wire.header import Refused, decode
from streamer.wire.messages import Commit
from streamer.wire.status import COMMITTED, FAILED, PENDING
from streamer.wire.volume import RunSpec

_LIGHT = tuple(name for name in PARTS if name != "labels")


class Summary(NamedTuple):
    """What a finished store holds."""

    state: str
    objects: int
    chunks: int


class Writer:
    """Takes the entries of one run, each once, from the first one on."""

    def __init__(self, store: Store, spec: RunSpec) -> None:
        self._store, self._spec, self._grid = store, spec, spec.grid
        self._assembly = Assembly(spec.volume, spec.grid, spec.keep, RULES[spec.joins])
        self._times = iso_times(spec.volume.axes[0]) if spec.volume.has_time else []
        size = spec.grid.size
        self._states = np.full(size, PENDING, np.uint8)
        self._crc = np.zeros(size, np.uint32)
        self._own = np.zeros(size, np.uint32)
        self._written = np.zeros(size, "V16")
        self._constant: tuple[int, bytes] = -1, b""
        self._next = 0
        """Number of the entry that comes next."""
        self._refreshed = 0
        """Up to which entry shards, states and tables have been brought."""
        self._open = np.zeros(store.shards.size, np.uint32)
        """Chunks of each shard that are still to come."""
        for shard in range(store.shards.size):
            self._open[shard] = sum(1 for _ in store.shards.members(shard))
        self._aside: dict[int, dict[int, int]] = {}
        """By shard: the chunks that are not in its file yet, and the numbers of their entries."""
        for chunk in store.waiting():
            self._aside.setdefault(store.shards.of(chunk)[0], {})[chunk] = 0
        self._kept: dict[int, dict[str, int]] = {}
        """Chunks whose labels are in the store alone, and the CRC-32C of their bytes in some of its arrays."""

    @property
    def next(self) -> int:
        """The number of the entry that comes next: all before it are in the store."""
        return self._next

    @property
    def served(self) -> int:
        """All chunks of entries before this one are in their place, where readers find them."""
        return min((number for chunks in self._aside.values() for number in chunks.values()), default=self._next)

    @property
    def wants(self) -> tuple[str, ...]:
        """The parts that are needed of the entry that comes next, and of those after it until this changes."""
        return _LIGHT if self._next < self._store.progress.next else (*PARTS, *self._store.layers)

    def entry(self, kind: str, payloads: Sequence[Buffer]) -> Summary | None:
        """One entry of the log, with the parts that ``wants`` named; what the store holds if it was the last.

        Raises Refused, with nothing changed, if it is damaged: it may be asked for again.  Raises ArchiveError
        if it contradicts the run.
        """
        done = None
        if self._store.left and kind in ("chunk", "end"):
            # Labels leave the oldest entries first: which ones have is known now.
            self._store.keep(self._kept, self._next)
            self._kept.clear()
        if kind in ("chunk", "evicted"):
            if kind == "evicted" and "labels" in self.wants and not self._store.left:
                raise ArchiveError(
                    f"the log does not hold the labels of entry {self._next} any more: they are in the store that was"
                    " archived before; start the archive with that store as --out"
                )
            self._chunk(payloads, emptied=kind == "evicted")
        elif kind == "failed":
            for chunk in np.frombuffer(payloads[0], "<u4").tolist():
                self._assembly.fail(chunk)
                self._states[chunk] = FAILED
                self._settled(chunk)
        elif kind == "end":
            done = self._finish(bytes(payloads[0]).decode())
        # Merges and verdicts follow from the commits: they are derived here as the streamer derived them.
        self._next += 1
        return done

    @property
    def stale(self) -> bool:
        """Whether ``refresh`` would bring anything up to date."""
        return self._next > self._refreshed and self._next >= self._store.progress.next  # else what is there is newer

    def refresh(self) -> None:
        """Brings shards, states and CSV tables up to what has arrived."""
        if not self.stale:
            return
        self._fill(*self._aside)
        self._store.put_states(self._states, self._crc, self._own)
        self._put_csv(*self._tables())
        self._refreshed = self._next

    def _chunk(self, payloads: Sequence[Buffer], *, emptied: bool) -> None:
        commit, _ = decode([memoryview(payloads[0])])
        if not isinstance(commit, Commit):
            raise Refused("a chunk's entry without a commit")
        check_header(self._grid, commit, len(commit.parts), self._spec.layers)
        part = _parts(commit, self.wants, payloads[1:], emptied=emptied)
        self._assembly.commit(commit, [part.get(name, b"") for name in PARTS])
        chunk = commit.chunk
        constant = self._filled(commit.constant) if commit.constant >= 0 else b""
        self._crc[chunk] = crc32c(constant) if constant else commit.parts[0].crc
        self._own[chunk], self._states[chunk] = commit.own, COMMITTED
        if emptied and "labels" in self.wants:
            layers = {info.name: info.crc for info in commit.parts if info.name in self._store.layers}
            self._kept[chunk] = {"local": int(self._crc[chunk]), **layers}
        if "labels" in part:
            store, (shard, _) = self._store, self._store.shards.of(chunk)
            if store.shards.plain:
                for name in store.layers:
                    if len(part[name]):
                        store.put_shard(name, shard, [bytes(part[name])])
                local = constant or bytes(part["labels"])
                store.put_shard("local", shard, [local])
                store.put_shard("labels", shard, [self._translated(chunk, local)])
            else:
                for name in store.layers:
                    if len(part[name]):
                        store.stage(name, chunk, bytes(part[name]))
                store.stage("local", chunk, constant or bytes(part["labels"]))
                self._aside.setdefault(shard, {})[chunk] = self._next
        self._settled(chunk)

    def _filled(self, label: int) -> bytes:
        """A chunk of one label, as a Zarr chunk; most are background."""
        if self._constant[0] != label:
            self._constant = label, compress(np.full(self._grid.chunk, label, "<u4"))
        return self._constant[1]

    def _settled(self, chunk: int) -> None:
        shard, _ = self._store.shards.of(chunk)
        self._open[shard] -= 1
        if not self._open[shard]:
            self._fill(shard)

    def _fill(self, *shards: int) -> None:
        """Writes shards with the chunks that were kept aside for them."""
        done = [chunk for shard in shards for chunk in self._filled_up(shard)]
        if not done:
            return
        self._store.unstage(done)
        for chunk in done:
            shard, _ = self._store.shards.of(chunk)
            del self._aside[shard][chunk]
            if not self._aside[shard]:
                del self._aside[shard]

    def _filled_up(self, shard: int) -> list[int]:
        """Writes a shard; the chunks that are in it now and were not before."""
        # One that is left from before a restart waits until its entry has come again.
        fresh = [chunk for chunk in self._aside.get(shard, {}) if self._states[chunk] == COMMITTED]
        if not fresh:
            return []
        store = self._store
        places = {chunk: place for chunk, place in store.shards.members(shard) if chunk in fresh}
        local = store.shard("local", shard)
        for name in ("local", *store.layers):
            parts = local if name == "local" else store.shard(name, shard)
            for chunk, place in places.items():
                parts[place] = store.staged(name, chunk) or parts[place]
            store.put_shard(name, shard, parts)
        labels = store.shard("labels", shard)
        for chunk, place in places.items():
            labels[place] = self._translated(chunk, local[place])
        store.put_shard("labels", shard, labels)
        return fresh

    def _translated(self, chunk: int, local: bytes | None) -> bytes:
        ids = self._assembly.chunk_ids(chunk)
        self._written[chunk] = _digest(ids)
        return self._store.translate(chunk, local, ids)

    def _finish(self, state: str) -> Summary:
        store = self._store
        self._fill(*self._aside)
        for shard in range(store.shards.size):
            self._translate_again(shard)
        store.put_states(self._states, self._crc, self._own)
        objects, steps = self._tables()
        self._put_csv(objects, steps)
        done = np.flatnonzero(self._states == COMMITTED)
        ids = [self._assembly.chunk_ids(chunk)[1:] for chunk in done.tolist()]
        store.put_tables(
            objects, steps, np.concatenate([np.zeros(0, np.int64), *(each.astype(np.int64) for each in ids)])
        )
        store.insist(lambda: check_chunks(store.place))
        store.finish(state)
        return Summary(state, len(objects[0].values), len(done))

    def _translate_again(self, shard: int) -> None:
        """Brings a shard of ``labels`` up to the ids that speak at last."""
        changed = []
        for chunk, place in self._store.shards.members(shard):
            if self._states[chunk] == COMMITTED and self._written[chunk] != _digest(self._assembly.chunk_ids(chunk)):
                changed.append((chunk, place))
        if not changed:
            return
        local, labels = self._store.shard("local", shard), self._store.shard("labels", shard)
        fresh = list(labels)
        for chunk, place in changed:
            fresh[place] = self._translated(chunk, local[place])
        if fresh != labels:
            self._store.put_shard("labels", shard, fresh)

    def _tables(self) -> tuple[list[Column], list[Column]]:
        found = self._assembly.columns()
        return object_columns(self._spec.volume, found), step_columns(self._spec.volume, found.steps)

    def _put_csv(self, objects: Sequence[Column], steps: Sequence[Column]) -> None:
        self._store.put_csv(
            {"objects.csv": csv_text(objects, self._times), "object_steps.csv": csv_text(steps, self._times)}
        )


def _digest(ids: NDArray[np.uint64]) -> np.void:
    return np.void(blake2b(ids.tobytes(), digest_size=16).digest())


def _parts(commit: Commit, names: Sequence[str], payloads: Sequence[Buffer], *, emptied: bool) -> Mapping[str, Buffer]:
    """The payloads by name; only those that stay in the log if it was ``emptied``.

    Raises Refused unless they are what the commit announces.
    """
    told = {info.name: info for info in commit.parts}
    if len(names) != len(payloads):
        raise Refused(f"chunk {commit.chunk}: {len(payloads)} payloads for the {len(names)} parts that were asked for")
    part = {name: raw for name, raw in zip(names, payloads, strict=True) if name in _LIGHT or not emptied}
    for name, raw in part.items():
        if len(raw) != told[name].size or (len(raw) and crc32c(raw) != told[name].crc):
            raise Refused(f"chunk {commit.chunk}: part {name} arrived damaged (CRC-32C differs)")
    return part
