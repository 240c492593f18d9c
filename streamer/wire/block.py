"""A finished chunk: what a segmenter makes of a block, and the parts it becomes on the wire.

Labels are local to the block: 1…``own`` have a voxel in the core, ``own``+1…``components`` live in the
pad only.  The parts, each a zstd frame (or empty where nothing is in it):

``labels``     the core, uint32, padded to the full chunk shape: a Zarr v3 chunk as it is
``seam``       faces, uint32: the core's low ones (z, y, x), then the block's high ones where it has a pad; then, where
               chunks are compared on more than the pad (``Grid.compared``), slabs: the core's layers behind its
               low faces, and what the block says of the layers beyond its high ones
``ids``        uint64, one for each own label: 1 + C-order index in the volume of its lowest voxel
``stats``      rows of ``STAT``, sorted by (label, step): the core's voxels only
``footprint``  cells of each own label seen along axis 0: counts uint32, cells uint32, areas float64 (km²)

A run may ask for layers besides (``EXTRA``; see ``streamer.wire.layers``), which follow in that order:

``labels1``      the labels at half the resolution, uint32, of ``coarse_shape(grid.chunk)``; empty where
                 ``labels`` is, and then as constant
``field``        the input as bytes, the core padded with 0 to the full chunk shape, a Zarr v3 chunk as it is
``probability``  the same of the segmenter's certainty; either is empty where it is 0 all over

The streamer matches seams from ``seam`` alone; it never looks into a volume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.codec import Buffer, Labels, check_frame, compress, crc32c, decode_labels, decompress, encode_labels
from streamer.wire.grid import Box, Grid, Shared, Triple, triple
from streamer.wire.header import Refused
from streamer.wire.layers import Bytes, coarse_shape, coarser, pack_layer
from streamer.wire.messages import Commit, PartInfo

PARTS = ("labels", "seam", "ids", "stats", "footprint")
EXTRA = ("labels1", "field", "probability")
"""Parts that a chunk has only if its run asks for them; they follow those of ``PARTS``, in this order."""

_PASSED_ON = ("labels", *EXTRA)
"""The parts that a streamer does not unpack."""

STAT = np.dtype(
    [
        ("label", "<u4"),
        ("step", "<u4"),  # index along axis 0, in the volume
        ("voxels", "<u8"),
        ("area_km2", "<f8"),  # sum of cell areas; 0 where cells have none
        ("sum", "<f8"),  # of the field
        ("max", "<f8"),
        ("weight", "<f8"),  # sum of the centroid's weights: cell area, or 1
        ("moment", "<f8", (4,)),  # weighted: on the sphere unit vector x, y, z, 0; else (a, b) for y and for x,
        # where (a, b) is (coordinate, 0), or on a periodic axis (cos, sin) of its phase
        ("y_min", "<u4"),
        ("y_max", "<u4"),
        ("x_min", "<u4"),
        ("x_max", "<u4"),
        ("x_min_high", "<u4"),  # smallest x in the volume's upper half of axis 2, or 0xFFFFFFFF
        ("x_max_low", "<i4"),  # largest x in its lower half, or -1
    ]
)
"""Statistics of one component at one step.  Sums and extremes: rows of one object add up in any order."""

NOWHERE = 0xFFFFFFFF
Stats = NDArray[np.void]
Ids = NDArray[np.uint64]


Slabs = tuple[Labels | None, Labels | None, Labels | None]
"""Along z, y and x."""


class Footprint(NamedTuple):
    """The cells (y·nx + x of the volume) that each own label covers at any step, and their areas."""

    counts: NDArray[np.uint32]
    cells: NDArray[np.uint32]
    areas_km2: NDArray[np.float64]


class Segmented(NamedTuple):
    """A block's result, before it is packed."""

    block: Labels
    """Labels of core and pad, (z, y, x) uint32, of ``grid.block_shape(chunk)``."""
    own: int
    components: int
    ids: Ids
    stats: Stats
    footprint: Footprint | None
    field: Bytes | None = None
    """The input as bytes, of the core's shape; needed if the run carries it."""
    probability: Bytes | None = None
    """The segmenter's certainty as bytes, of the core's shape, if it says anything of it."""
    beyond: Slabs = (None, None, None)
    """Labels of ``grid.beyond`` layers beyond the core's high faces, (z, y, x); the first of them is the pad."""


class Seam(NamedTuple):
    """The faces of a block that its neighbours touch or own; arrays are in the order of the axes left."""

    low: tuple[Labels, Labels, Labels]
    high: tuple[Labels | None, Labels | None, Labels | None]
    within: Slabs = (None, None, None)
    """Layers of the core behind its low faces, (z, y, x); None where the pad is enough."""
    beyond: Slabs = (None, None, None)
    """The same layers of its neighbours, as this block labels them."""

    def pad(self, shared: Shared) -> Labels:
        """This block's labels on a piece of its pad, shape of ``shared.in_block``."""
        return _on_face(self.high, shared.in_block, shared)

    def owned(self, shared: Shared) -> Labels:
        """The same voxels as their owner labels them; called on the owner's seam."""
        return _on_face(self.low, shared.in_owner, shared)


def _on_face(faces: tuple[Labels | None, ...], box: Box, shared: Shared) -> Labels:
    """The voxels of a box, cut from the first face that holds them."""
    axis = next(a for a, start in enumerate(shared.in_block.start) if start > 0)
    face = faces[axis]
    assert face is not None, "a piece of the pad lies on a face that the block has"
    return np.expand_dims(face[box.slices[:axis] + box.slices[axis + 1 :]], axis)


def pack(
    grid: Grid,
    chunk: int,
    lease: int,
    done: Segmented,
    *,
    read_s: float = 0.0,
    segment_s: float = 0.0,
    layers: Sequence[str] = (),
) -> tuple[Commit, list[bytes]]:
    """A commit and its payloads: ``PARTS``, then ``layers`` (some of ``EXTRA``, in that order).

    Raises ValueError if the result does not fit the grid.
    """
    if done.block.shape != grid.block_shape(chunk):
        raise ValueError(f"chunk {chunk}: the block is {grid.block_shape(chunk)}, the labels are {done.block.shape}")
    if len(done.ids) != done.own:
        raise ValueError(f"chunk {chunk}: {done.own} own labels but {len(done.ids)} ids")
    core = done.block[tuple(slice(0, n) for n in grid.core(chunk).shape)]
    labels, constant = encode_labels(core, grid.chunk)
    seam = seam_of(grid, chunk, done.block, done.beyond)
    cells = done.footprint
    payloads = [
        labels,
        pack_seam(seam),
        compress(done.ids.astype("<u8")) if done.own else b"",
        compress(done.stats.astype(STAT)) if len(done.stats) else b"",
        b"" if cells is None or not len(cells.cells) else _pack_footprint(cells),
    ]
    for name in layers:
        if name == "labels1":
            payloads.append(pack_layer(coarser(core), coarse_shape(grid.chunk)) if constant < 0 else b"")
        else:
            payloads.append(_pack_bytes(grid, chunk, name, done.field if name == "field" else done.probability))
    names = (*PARTS, *layers)
    infos = tuple(PartInfo(name, len(raw), crc32c(raw)) for name, raw in zip(names, payloads, strict=True))
    commit = Commit(
        chunk=chunk,
        lease=lease,
        parts=infos,
        own=done.own,
        components=done.components,
        stat_rows=len(done.stats),
        footprint_cells=0 if cells is None else len(cells.cells),
        labelled=int(np.count_nonzero(core)),
        constant=constant,
        read_s=read_s,
        segment_s=segment_s,
    )
    return commit, payloads


def _pack_bytes(grid: Grid, chunk: int, name: str, array: Bytes | None) -> bytes:
    core = grid.core(chunk).shape
    if array is None and name == "probability":
        return b""  # not every segmenter knows
    if array is None or array.shape != core or array.dtype != np.uint8:
        there = "missing" if array is None else f"{array.dtype} of {array.shape}"
        raise ValueError(f"chunk {chunk}: the layer {name} is {there} where uint8 of {core} belongs")
    return pack_layer(array, grid.chunk) if array.any() else b""


def check(grid: Grid, commit: Commit, payloads: Sequence[Buffer], layers: Sequence[str] = ()) -> None:
    """Raises Refused, naming the chunk, unless the payloads are those that the commit announces.

    Of the parts that nobody unpacks before they are acknowledged, the zstd frames must state the size that
    their readers will expect.
    ``layers`` are those of the run (``RunSpec.layers``): each of its chunks has just these.
    """
    check_header(grid, commit, len(payloads), layers)
    for info, raw in zip(commit.parts, payloads, strict=True):
        if len(raw) != info.size:
            raise Refused(f"chunk {commit.chunk}: part {info.name} has {len(raw)} bytes, announced were {info.size}")
        if (crc32c(raw) if info.size else 0) != info.crc:
            raise Refused(f"chunk {commit.chunk}: part {info.name} arrived damaged (CRC-32C differs)")
        if info.size and info.name in _PASSED_ON:
            check_frame(raw, _unpacked_bytes(grid, info.name), f"chunk {commit.chunk}: part {info.name}")


def _unpacked_bytes(grid: Grid, part: str) -> int:
    z, y, x = coarse_shape(grid.chunk) if part == "labels1" else grid.chunk
    return z * y * x * (4 if part in ("labels", "labels1") else 1)


def check_header(grid: Grid, commit: Commit, payloads: int, layers: Sequence[str] = ()) -> None:
    """Raises Refused unless a commit of so many payloads can be one of the grid's; looks at no payload."""
    if not 0 <= commit.chunk < grid.size:
        raise Refused(f"chunk {commit.chunk} is not one of the grid's {grid.size}")
    names = (*PARTS, *layers)
    if tuple(info.name for info in commit.parts) != names:
        raise Refused(f"chunk {commit.chunk}: parts {[info.name for info in commit.parts]}, expected {list(names)}")
    if payloads != len(names):
        raise Refused(f"chunk {commit.chunk}: {payloads} payloads for {len(names)} parts")
    z, y, x = grid.block_shape(commit.chunk)
    if not 0 <= commit.own <= commit.components <= z * y * x or commit.stat_rows < commit.own:
        raise Refused(f"chunk {commit.chunk}: {commit.own} of {commit.components} components in {z * y * x} voxels")


def seam_of(grid: Grid, chunk: int, block: Labels, beyond: Slabs = (None, None, None)) -> Seam:
    """The faces of a block, and the slabs that it is compared on.  Raises ValueError if those beyond are of another
    shape than the grid says."""
    nz, ny, nx = grid.core(chunk).shape
    pz, py, px = grid.pad(chunk)
    core = block[:nz, :ny, :nx]
    depth = grid.within(chunk)
    there = [None if slab is None else slab.shape for slab in beyond]
    if there != _slab_shapes(grid.core(chunk).shape, grid.beyond(chunk)):
        raise ValueError(f"chunk {chunk}: slabs of {there} where the grid says {grid.beyond(chunk)} layers")
    return Seam(
        (core[0], core[:, 0], core[:, :, 0]),
        (block[nz] if pz else None, block[:, ny] if py else None, block[:, :, nx] if px else None),
        (core[: depth[0]] if depth[0] else None, core[:, : depth[1]] if depth[1] else None,
         core[:, :, : depth[2]] if depth[2] else None),
        beyond,
    )  # fmt: skip


def _slab_shapes(core: Triple, layers: Triple) -> list[Triple | None]:
    """Shapes of the slabs of so many layers along z, y and x."""
    return [
        triple(depth if a == axis else n for a, n in enumerate(core)) if depth else None
        for axis, depth in enumerate(layers)
    ]


def _seam_shapes(grid: Grid, chunk: int) -> list[tuple[int, ...] | None]:
    """Shapes of all arrays of a seam, in order; None where there is none."""
    core, block, pad = grid.core(chunk).shape, grid.block_shape(chunk), grid.pad(chunk)
    low = [tuple(np.delete(core, axis).tolist()) for axis in range(3)]
    high = [tuple(np.delete(block, axis).tolist()) if pad[axis] else None for axis in range(3)]
    return [*low, *high, *_slab_shapes(core, grid.within(chunk)), *_slab_shapes(core, grid.beyond(chunk))]


def pack_seam(seam: Seam) -> bytes:
    """The part ``seam``; empty if no face and no slab carries a label."""
    arrays = [array for array in (*seam.low, *seam.high, *seam.within, *seam.beyond) if array is not None]
    raw = np.concatenate([array.ravel() for array in arrays]).astype("<u4", copy=False)
    return compress(raw) if raw.any() else b""


def unpack_seam(grid: Grid, chunk: int, raw: Buffer) -> Seam:
    """The faces and slabs from the part ``seam``.  Raises Refused if they are not those of the chunk."""
    shapes = _seam_shapes(grid, chunk)
    total = sum(math.prod(shape) for shape in shapes if shape is not None)
    flat = (
        np.frombuffer(decompress(raw, 4 * total, f"chunk {chunk}: seam"), "<u4") if len(raw) else np.zeros(total, "<u4")
    )
    found: list[Labels | None] = []
    at = 0
    for shape in shapes:
        size = 0 if shape is None else math.prod(shape)
        found.append(None if shape is None else flat[at : at + size].reshape(shape))
        at += size
    z, y, x = found[:3]
    assert z is not None and y is not None and x is not None, "each chunk has low faces"  # noqa: PT018
    return Seam(
        (z, y, x), (found[3], found[4], found[5]), (found[6], found[7], found[8]), (found[9], found[10], found[11])
    )


def unpack_block(grid: Grid, commit: Commit, labels: Buffer, seam: Buffer) -> Labels:
    """Core and pad as one array of ``grid.block_shape(chunk)``, (z, y, x) uint32, from the parts."""
    nz, ny, nx = grid.core(commit.chunk).shape
    block = np.zeros(grid.block_shape(commit.chunk), "<u4")
    block[:nz, :ny, :nx] = decode_labels(labels, commit.constant, grid.chunk)[:nz, :ny, :nx]
    faces = unpack_seam(grid, commit.chunk, seam).high
    if faces[0] is not None:
        block[nz] = faces[0]
    if faces[1] is not None:
        block[:, ny] = faces[1]
    if faces[2] is not None:
        block[:, :, nx] = faces[2]
    return block


def unpack_coarse(grid: Grid, commit: Commit, labels1: Buffer) -> Labels:
    """The core's labels at half the resolution, ``coarse_shape`` of the core, uint32, from the part ``labels1``."""
    shape, core = coarse_shape(grid.chunk), coarse_shape(grid.core(commit.chunk).shape)
    if commit.constant >= 0:
        return np.full(core, commit.constant, "<u4")
    raw = decompress(labels1, 4 * shape[0] * shape[1] * shape[2], f"chunk {commit.chunk}: labels1")
    return np.frombuffer(raw, "<u4").reshape(shape)[tuple(slice(0, n) for n in core)]


def unpack_layer(grid: Grid, chunk: int, raw: Buffer) -> Bytes:
    """The core's bytes (z, y, x) from the part ``field`` or ``probability``; 0 where there is nothing."""
    core, (z, y, x) = grid.core(chunk).shape, grid.chunk
    if not len(raw):
        return np.zeros(core, np.uint8)
    flat = np.frombuffer(decompress(raw, z * y * x, f"chunk {chunk}: a layer of bytes"), np.uint8)
    return flat.reshape(grid.chunk)[tuple(slice(0, n) for n in core)]


def unpack_ids(commit: Commit, raw: Buffer) -> Ids:
    """The provisional run-wide id of each own label, shape (own,), uint64."""
    if not commit.own:
        return np.zeros(0, "<u8")
    return np.frombuffer(decompress(raw, 8 * commit.own, f"chunk {commit.chunk}: ids"), "<u8")


def unpack_stats(commit: Commit, raw: Buffer) -> Stats:
    """The rows of ``STAT``."""
    if not commit.stat_rows:
        return np.zeros(0, STAT)
    size = STAT.itemsize * commit.stat_rows
    return np.frombuffer(decompress(raw, size, f"chunk {commit.chunk}: stats"), STAT)


def _pack_footprint(cells: Footprint) -> bytes:
    return compress(
        cells.counts.astype("<u4").tobytes()
        + cells.cells.astype("<u4").tobytes()
        + cells.areas_km2.astype("<f8").tobytes()
    )


def unpack_footprint(commit: Commit, raw: Buffer) -> Footprint | None:
    """The cells of each own label, or None where cells have no area.  Raises Refused if they do not add up."""
    if not commit.footprint_cells:
        return None
    own, cells = commit.own, commit.footprint_cells
    flat = decompress(raw, 4 * own + 12 * cells, f"chunk {commit.chunk}: footprint")
    counts = np.frombuffer(flat, "<u4", own)
    if int(counts.sum()) != cells:
        raise Refused(f"chunk {commit.chunk}: footprints of {int(counts.sum())} cells, announced were {cells}")
    return Footprint(
        counts,
        np.frombuffer(flat, "<u4", cells, 4 * own),
        np.frombuffer(flat, "<f8", cells, 4 * own + 4 * cells),
    )
