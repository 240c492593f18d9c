"""What a chunk may carry besides its labels: coarser labels, and fields of one byte per voxel.

A coarser voxel stands for 2 × 2 × 2 fine ones of the chunk.  It is background only if all of them are, so
that a sheet or a filament of one voxel keeps all its places and stays in one piece; else it is the label
that most of them carry.  Where voxels that touch by a corner are one object (26 neighbours) there is never
more than one to choose from.

A field is quantised with one range for the whole run: 0 where there is nothing, else 1…255 evenly between
its ends, what lies beyond them clipped.  A range per chunk would show as seams.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.wire.codec import Labels, compress
from streamer.wire.grid import Triple, triple

Bytes = NDArray[np.uint8]
NOTHING = 0
"""The byte of a voxel without a value."""
LEVELS = 254
"""Steps between the two ends of a range."""
_CORNERS = tuple(np.ndindex(2, 2, 2))


def coarse_shape(shape: Triple) -> Triple:
    """Voxels of the coarser labels of an array of ``shape``."""
    return triple(tuple(-(-n // 2) for n in shape))


def coarser(labels: Labels) -> Labels:
    """Labels (z, y, x) at half the resolution, shape ``coarse_shape``; what lies beyond the end is background.

    Of several labels in a cell the most frequent one stays; of equally frequent ones that with fewer voxels
    in the chunk; of equals there the smaller in every other cell, the larger in the rest.  An object that has
    lost all its cells gets back those that others can spare.
    """
    corners = _corners(labels)
    most = corners[0].copy()
    for corner in corners[1:]:
        np.maximum(most, corner, out=most)
    # 0 − 1 is the largest number there is, so that background is never the least label.
    least = corners[0] - np.uint32(1)
    for corner in corners[1:]:
        np.minimum(least, corner - np.uint32(1), out=least)
    mixed = np.flatnonzero((least + np.uint32(1) != most) & (most != 0))
    if len(mixed):
        _settle(labels, most, mixed, np.stack([corner.ravel()[mixed] for corner in corners]))
    return most


def pack_layer(array: NDArray[Any], shape: Triple) -> bytes:
    """An array, padded with 0 at its high ends to ``shape``, as a Zarr v3 chunk."""
    if array.shape != shape:
        full = np.zeros(shape, array.dtype)
        full[tuple(slice(0, n) for n in array.shape)] = array
        array = full
    return compress(array)


def _corners(labels: Labels) -> list[Labels]:
    """The eight voxels of each cell, each an array of the coarser shape."""
    if any(n % 2 for n in labels.shape):
        labels = np.pad(labels, [(0, n % 2) for n in labels.shape])
    return [labels[z::2, y::2, x::2] for z, y, x in _CORNERS]


def _settle(fine: Labels, coarse: Labels, mixed: NDArray[np.int64], voxels: Labels) -> None:
    """Writes the winners of the cells ``mixed``, whose eight voxels are ``voxels`` (8, cells), into ``coarse``."""
    names, rank = np.unique(voxels, return_inverse=True)
    rank = rank.reshape(voxels.shape)
    # A sparse numbering (of a segmenter of one's own) would need a table as long as its largest label.
    sizes = np.searchsorted(names, fine[np.isin(fine, names)])
    voxels_of = np.bincount(sizes, minlength=len(names))
    votes = (voxels[:, None] == voxels[None]).sum(0).astype(np.int64)
    odd = np.indices(coarse.shape).sum(0).ravel()[mixed] % 2
    last = np.where(odd, rank, len(names) - 1 - rank)
    score = (votes * (fine.size + 1) - voxels_of[rank]) * (len(names) + 1) + last
    score[voxels == 0] = np.iinfo(np.int64).min
    winner = np.take_along_axis(voxels, score.argmax(0)[None], 0)[0]
    flat = coarse.reshape(-1)
    flat[mixed] = winner
    lost = names[~np.isin(names, flat)]
    if len(lost):
        place, cell = np.nonzero(np.isin(voxels, lost))
        held = np.bincount(np.searchsorted(names, flat[np.isin(flat, names)]), minlength=len(names))
        wanted = voxels[place, cell]
        asked = np.bincount(np.searchsorted(names, wanted), minlength=len(names))
        spare = held[np.searchsorted(names, winner[cell])] > 2 * asked[np.searchsorted(names, wanted)]
        flat[mixed[cell[spare]]] = wanted[spare]


def quantise(field: NDArray[np.floating[Any]], ends: tuple[float, float]) -> Bytes:
    """A field as bytes, of the same shape: 0 where it is NaN, else 1…255 from the lower end to the upper one."""
    low, high = ends
    scaled = field.astype(np.float64)
    np.subtract(scaled, low, out=scaled)
    np.multiply(scaled, LEVELS / (high - low), out=scaled)
    np.clip(scaled, 0, LEVELS, out=scaled)
    np.rint(scaled, out=scaled)
    np.add(scaled, 1, out=scaled)
    scaled[np.isnan(scaled)] = NOTHING
    return scaled.astype(np.uint8)


def step_and_offset(ends: tuple[float, float]) -> tuple[float, float]:
    """What a byte is multiplied with, and what is added then: ``scale_factor`` and ``add_offset`` as CF has them."""
    low, high = ends
    step = (high - low) / LEVELS
    return step, low - step


def values(quantised: Bytes, ends: tuple[float, float]) -> NDArray[np.float32]:
    """The field again, to within half a step; NaN where there is nothing."""
    step, offset = step_and_offset(ends)
    table = (np.arange(256) * step + offset).astype(np.float32)
    table[NOTHING] = np.nan
    return table[quantised]
