"""Entries of the log as the drawing thread wants them: unpacked, and compared with what their headers say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.coarse import lattice_from
from renderers.follow import LAYERS, PARTS, Take
from renderers.hues import APART, near
from renderers.scene import Piece
from streamer.wire.batch import Present
from streamer.wire.block import unpack_block, unpack_coarse, unpack_ids, unpack_layer, unpack_seam
from streamer.wire.codec import Buffer, Labels, crc32c
from streamer.wire.grid import Grid
from streamer.wire.header import Refused, decode
from streamer.wire.messages import FETCHED, Commit
from streamer.wire.volume import RunSpec


class Started(NamedTuple):
    """A run's log has been opened; the scene starts anew."""

    spec: RunSpec
    epoch: str = ""
    """Tells one log from another."""


class Arrived(NamedTuple):
    """An entry of the log, unpacked.  What it says depends on ``kind``."""

    number: int
    kind: str
    nbytes: int
    piece: Piece | None = None
    pairs: NDArray[np.uint64] | None = None
    chunks: tuple[int, ...] = ()
    state: str = ""
    fetched: bool = False
    """It was there before; it stands outside the order of the log."""
    stored: bool = False
    """Its labels come from the archive's store."""


class There(NamedTuple):
    """What is there, as of its head; its chunks follow as ``Arrived``."""

    present: Present


class Told(NamedTuple):
    """Something that a person should know; empty when all is well again."""

    sentence: str
    about: str = "feed"
    """What it is about: what is said of one thing leaves what was said of others."""


Event = Started | There | Arrived | Told


class Emptied(NamedTuple):
    """A chunk whose labels have left the log: all the rest of it."""

    number: int
    commit: Commit
    seam: Buffer
    ids: Buffer

    @property
    def nbytes(self) -> int:
        """Bytes that it takes to keep it."""
        return len(self.seam) + len(self.ids)


def unpack(grid: Grid, take: Take) -> Arrived | Emptied:
    """An entry as the drawing thread wants it.  Raises Refused if its bytes are not what they should be."""
    number, kind, payloads = take.entry.number, take.entry.kind, take.payloads
    arrived = Arrived(number, kind, take.nbytes, fetched=take.entry.prev == FETCHED)
    if kind in ("chunk", "evicted"):
        commit = _commit(grid, payloads)
        labels, seam, ids, *layers = payloads[1:]
        if kind == "evicted" and commit.constant < 0:
            _compare(commit, (("seam", seam), ("ids", ids)))
            return Emptied(number, commit, bytes(seam), bytes(ids))
        return arrived._replace(piece=_piece(grid, commit, labels, seam, ids, take.level, *layers))
    if kind in ("merges", "verdicts"):
        raw = _one(kind, payloads)
        if len(raw) % 16:
            raise Refused(f"{kind} of {len(raw)} bytes; a row has 16")
        return arrived._replace(pairs=np.frombuffer(raw, "<u8").reshape(-1, 2))
    if kind == "failed":
        raw = _one(kind, payloads[:1])  # the reason follows
        if len(raw) % 4:
            raise Refused(f"failed chunks in {len(raw)} bytes; a number has 4")
        return arrived._replace(chunks=tuple(c for c in np.frombuffer(raw, "<u4").tolist() if c < grid.size))
    if kind == "end":
        return arrived._replace(state=bytes(_one(kind, payloads)).decode("utf-8", "replace"))
    return arrived  # of a kind that a later version knows


def restored(grid: Grid, emptied: Emptied, labels: Buffer, *layers: Buffer) -> Arrived:
    """The chunk again, with its labels and ``wanted_layers`` from elsewhere.

    Raises Refused if they are not those of its commit.
    """
    piece = _piece(grid, emptied.commit, labels, emptied.seam, emptied.ids, 0, *layers)
    return Arrived(emptied.number, "chunk", emptied.nbytes, piece, fetched=True, stored=True)


def _one(kind: str, payloads: Sequence[Buffer]) -> Buffer:
    if len(payloads) != 1:
        raise Refused(f"an entry of kind {kind} with {len(payloads)} payloads; it has one")
    return payloads[0]


def wanted_layers(commit: Commit) -> tuple[str, ...]:
    """The layers of a chunk that a renderer wants."""
    return tuple(info.name for info in commit.parts if info.name in LAYERS)


def _commit(grid: Grid, payloads: Sequence[Buffer]) -> Commit:
    if not payloads:
        raise Refused("a chunk without a header")
    commit, _ = decode([memoryview(payloads[0])])
    if not isinstance(commit, Commit) or not 0 <= commit.chunk < grid.size:
        raise Refused("a chunk whose header is no commit of this grid")
    expected = 1 + len(PARTS) + len(wanted_layers(commit))
    if len(payloads) != expected:
        raise Refused(f"a chunk with {len(payloads)} payloads; {expected} were asked for")
    z, y, x = grid.block_shape(commit.chunk)
    if not 0 <= commit.own <= commit.components <= z * y * x or commit.constant > commit.own:
        raise Refused(f"chunk {commit.chunk}: {commit.own} of {commit.components} components in {z * y * x} voxels")
    return commit


def _compare(commit: Commit, parts: Sequence[tuple[str, Buffer]]) -> None:
    infos = {info.name: info for info in commit.parts}
    for name, raw in parts:
        info = infos.get(name)
        if info is None or info.size != len(raw) or info.crc != crc32c(raw):
            raise Refused(f"chunk {commit.chunk}: part {name} differs from what its header says")


def _piece(grid: Grid, commit: Commit, labels: Buffer, seam: Buffer, ids: Buffer, level: int, *layers: Buffer) -> Piece:
    _compare(commit, list(zip(wanted_layers(commit), layers, strict=False)))
    coarse = level > 0 and any(info.name == "labels1" for info in commit.parts)
    _compare(commit, (("labels1" if coarse else "labels", labels), ("seam", seam), ("ids", ids)))
    if coarse:
        core = unpack_coarse(grid, commit, labels)
        block = lattice_from(grid, commit.chunk, core, _faces(grid, commit.chunk, seam))
    else:
        block = unpack_block(grid, commit, labels, seam)
        core = block[tuple(slice(0, n) for n in grid.core(commit.chunk).shape)]
    if int(block.max()) > commit.components:
        raise Refused(f"chunk {commit.chunk}: labels beyond its {commit.components} components")
    voxels = np.bincount(core.ravel(), minlength=commit.components + 1)
    if coarse:
        # About as many; an object of a few voxels may have lost all of its cells to others.
        voxels = 8 * voxels
        voxels[1 : commit.own + 1] = np.maximum(voxels[1 : commit.own + 1], 1)
    named = unpack_ids(commit, ids)
    apart = APART if coarse else near(block, commit.components)
    field = unpack_layer(grid, commit.chunk, layers[0]) if layers else None
    return Piece(
        commit.chunk, block, commit.own, commit.components, named, bytes(seam), voxels, int(coarse), apart, field
    )


def _faces(grid: Grid, chunk: int, raw: Buffer) -> Labels:
    """The core's low faces and the pad in a block that is empty otherwise."""
    block = np.zeros(grid.block_shape(chunk), "<u4")
    nz, ny, nx = grid.core(chunk).shape
    seam = unpack_seam(grid, chunk, raw)
    block[0, :ny, :nx], block[:nz, 0, :nx], block[:nz, :ny, 0] = seam.low
    if seam.high[0] is not None:
        block[nz] = seam.high[0]
    if seam.high[1] is not None:
        block[:, ny] = seam.high[1]
    if seam.high[2] is not None:
        block[:, :, nx] = seam.high[2]
    return block
