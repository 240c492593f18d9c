"""The surface of one chunk: triangles between labelled voxels and what is not theirs.

vtkDiscreteFlyingEdges3D runs over core and pad; background is added only beyond the volume's ends, so
the chunks' triangles together are those of the whole volume: no cracks, nothing twice.  Where no two
labels share a cell of eight voxels, which is nearly always, one pass over "labelled or not" gives every
label's triangles at once; labels that touch get a pass each, over their own box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersGeneral import vtkDiscreteFlyingEdges3D

from renderers.coarse import places
from streamer.wire.codec import Labels
from streamer.wire.grid import Grid, Triple

NOWHERE = np.uint32(0xFFFFFFFF)


class Surface(NamedTuple):
    """Triangles of one chunk."""

    halves: NDArray[np.int16]
    """Points, (n, 3) in (z, y, x): twice the voxel index, relative to the core's start."""
    labels: NDArray[np.uint32]
    """The local label that each point belongs to, (n,)."""
    triangles: NDArray[np.int32]
    """Rows of three points, (m, 3), anticlockwise seen from outside (in x, y, z)."""


EMPTY = Surface(np.zeros((0, 3), np.int16), np.zeros(0, np.uint32), np.zeros((0, 3), np.int32))


def surface(grid: Grid, chunk: int, block: Labels) -> Surface:
    """The surface of a chunk from its core and pad, (z, y, x) uint32 of ``grid.block_shape(chunk)``.

    A periodic axis is drawn open: the box ends there, and both ends are closed.
    """
    index, counts = grid.index(chunk), grid.counts
    cut = tuple(
        slice(0, n) if at == count - 1 else slice(None)
        for n, at, count in zip(grid.core(chunk).shape, index, counts, strict=True)
    )
    return _between(block[cut], _ends(grid, chunk))


def coarse_surface(grid: Grid, chunk: int, lattice: Labels) -> Surface:
    """The surface of a chunk from its lattice at half the resolution; points are as those of ``surface``."""
    # Nearly all labels touch at half the resolution, and a lattice is small: one pass for all of them.
    made = _between(lattice, _ends(grid, chunk), apart=False)
    return made._replace(halves=places(grid, chunk, made.halves))


def _between(labels: Labels, ends: list[tuple[int, int]], *, apart: bool = True) -> Surface:
    """The surfaces between labels, with so many layers of background below and above along (z, y, x).

    Labels that touch get a pass each over their box (``apart``), or one together over everything.
    """
    first = labels.flat[0]
    if bool((labels == first).all()) and (first == 0 or not any(low or high for low, high in ends)):
        return EMPTY
    padded = np.pad(labels, ends)
    low_z, low_y, low_x = (low for low, _ in ends)
    touching = _touching(padded)
    alone = padded != 0 if not len(touching) else (padded != 0) & ~np.isin(padded, touching)
    pieces = [_of_mask(alone, padded, (-low_z, -low_y, -low_x))] if alone.any() else []
    if len(touching) and not apart:
        pieces.append(_of_labels(np.where(alone, 0, padded), touching, (-low_z, -low_y, -low_x)))
        return _joined(pieces)
    boxes = find_objects(padded.astype(np.int32)) if len(touching) else []
    for label in touching:
        box = boxes[int(label) - 1]
        grown = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        start = (grown[0].start - low_z, grown[1].start - low_y, grown[2].start - low_x)
        pieces.append(_of_mask(padded[grown] == label, np.where(padded[grown] == label, label, 0), start))
    return _joined(pieces)


def _ends(grid: Grid, chunk: int) -> list[tuple[int, int]]:
    """Layers of background to add below and above along (z, y, x): one where the volume ends."""
    return [(int(i == 0), int(i == n - 1)) for i, n in zip(grid.index(chunk), grid.counts, strict=True)]


def _touching(labels: Labels) -> NDArray[np.uint32]:
    """The labels that share a cell of 2×2×2 voxels with another label."""
    most = labels
    least = np.where(labels == 0, NOWHERE, labels)
    for axis in range(3):
        lower, upper = _pair(most, axis)
        most = np.maximum(lower, upper)
        lower, upper = _pair(least, axis)
        least = np.minimum(lower, upper)
    mixed = (most != 0) & (least != most)
    if not mixed.any():
        return np.zeros(0, np.uint32)
    at = np.argwhere(mixed)
    corners = np.array(list(np.ndindex(2, 2, 2)))
    cells = (at[:, None] + corners).reshape(-1, 3)
    found = np.unique(labels[cells[:, 0], cells[:, 1], cells[:, 2]])
    labelled: NDArray[np.uint32] = found[found != 0]
    return labelled


def _pair(values: Labels, axis: int) -> tuple[Labels, Labels]:
    n = values.shape[axis]
    low: list[slice] = [slice(None)] * 3
    high: list[slice] = [slice(None)] * 3
    low[axis], high[axis] = slice(0, n - 1), slice(1, n)
    return values[tuple(low)], values[tuple(high)]


def _of_mask(mask: NDArray[np.bool_], labels: Labels, start: Triple) -> Surface:
    """The surface of a mask whose first voxel is ``start``; each point takes the label on its labelled side."""
    if min(mask.shape) < 2:
        return EMPTY
    doubled, triangles, _ = _contour(np.ascontiguousarray(mask).view(np.uint8), [1])
    if not len(doubled):
        return EMPTY
    low, high = doubled // 2, -(-doubled // 2)
    masked = np.where(mask, labels, 0)
    owner = np.maximum(masked[low[:, 0], low[:, 1], low[:, 2]], masked[high[:, 0], high[:, 1], high[:, 2]])
    halves = (doubled + 2 * np.array(start)).astype(np.int16)
    return Surface(halves, owner.astype(np.uint32), triangles)


def _of_labels(labels: Labels, values: NDArray[np.uint32], start: Triple) -> Surface:
    """The surfaces of some labels, all over the same voxels; where two of them touch, each has its own."""
    if min(labels.shape) < 2:
        return EMPTY
    # The filter looks for its values among single-precision numbers: small ones are exact.
    narrow = np.searchsorted(values, labels).astype(np.uint32)
    narrow = np.where(labels == 0, 0, narrow + 1).astype(np.uint32)
    doubled, triangles, owner = _contour(narrow, range(1, len(values) + 1))
    if not len(doubled):
        return EMPTY
    halves = (doubled + 2 * np.array(start)).astype(np.int16)
    return Surface(halves, values[owner - 1], triangles)


def _contour(
    scalars: NDArray[np.unsignedinteger], values: Sequence[int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Points as twice the index (n, 3) in (z, y, x), triangles (m, 3), and the value that each point belongs to."""
    image = vtkImageData()
    image.SetDimensions(scalars.shape[2], scalars.shape[1], scalars.shape[0])
    image.GetPointData().SetScalars(numpy_to_vtk(scalars.ravel()))
    edges = vtkDiscreteFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetNumberOfContours(len(values))
    for i, value in enumerate(values):
        edges.SetValue(i, value)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.SetComputeScalars(len(values) > 1)
    edges.Update()
    out = edges.GetOutput()
    if out.GetNumberOfPoints() == 0:
        return np.zeros((0, 3), np.int32), np.zeros((0, 3), np.int32), np.zeros(0, np.int64)
    doubled = np.rint(vtk_to_numpy(out.GetPoints().GetData())[:, ::-1] * 2).astype(np.int32)
    triangles = vtk_to_numpy(out.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int32)
    if len(values) == 1:
        return doubled, triangles, np.full(len(doubled), values[0], np.int64)
    owner = np.rint(vtk_to_numpy(out.GetPointData().GetScalars())).astype(np.int64)
    return doubled, triangles, owner


def _joined(pieces: list[Surface]) -> Surface:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return EMPTY
    shift = np.cumsum([0, *(len(piece.labels) for piece in pieces)])
    return Surface(
        np.concatenate([piece.halves for piece in pieces]),
        np.concatenate([piece.labels for piece in pieces]),
        np.concatenate([piece.triangles + np.int32(n) for piece, n in zip(pieces, shift, strict=False)]),
    )
