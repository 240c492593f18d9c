"""From a block of the field to canvases, and from what was filled back to the block's labels.

A canvas is the block with all of its halo, so that objects are followed beyond the chunk's faces and its
labels there are as good as its neighbours'.  Where there is nothing (beyond the volume's edges, or voxels
that are not numbers) the image goes on as its nearest voxel does, so that fields of view reach the last
voxel of the volume; nothing is labelled there, and nothing is begun there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference_workers.ffn.canvas import Canvas, Filled, Predict
from inference_workers.ffn.consensus import split_consensus
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.parts import by_contact
from inference_workers.ffn.reconcile import joined, without_small
from inference_workers.ffn.seeds import Seeds, choose_seeds
from inference_workers.ffn.settings import FloodFillSettings
from inference_workers.segmenter import Block, Labelling
from streamer.wire.grid import Grid, Triple, triple

Sides = tuple[tuple[bool, bool], ...]
Field = NDArray[np.floating[Any]]


class Piece(NamedTuple):
    """A block made ready: what a canvas of it is made from.  Arrays are (z, y, x)."""

    image: NDArray[np.float32]
    """Core, pad and halo, normalised; every voxel a number."""
    known: NDArray[np.bool_]
    """Where the field is a number."""
    seeds: Seeds
    open_sides: Sides
    """Where the volume goes on beyond the canvas: (low, high) for each axis."""


def halo_of(settings: FloodFillSettings, reach: int) -> Triple:
    """Half a field of view, so that its centre comes to every voxel of core and pad, and ``reach`` steps more."""
    return triple(m + reach * d for m, d in zip(settings.margin, settings.deltas, strict=True))


def prepare(block: Block, config: ModelConfig) -> Piece | None:
    """A block as a network sees it, with its seeds; None if no voxel of core and pad is a number."""
    known = np.isfinite(block.field)
    if not known[block.inner.slices].any():
        return None
    image = ((filled_up(block.field, known) - config.mean) / config.std).astype(np.float32)
    # Seeds are looked for where fields of view can stand: an object that comes in from beyond has a maximum there.
    reached = tuple(slice(m, n - m) for m, n in zip(config.flood.margin, image.shape, strict=True))
    wanted = np.where(known[reached], block.field[reached], np.nan)
    seeds = choose_seeds(wanted, image[reached], config.seeds) + np.array(config.flood.margin)
    return Piece(image, known, seeds, open_sides(block))


def filled_up(field: Field, known: NDArray[np.bool_]) -> Field:
    """The field with the nearest voxel's value wherever it is not a number; there is at least one."""
    if known.all():
        return field
    along = [np.flatnonzero(known.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(int(there[0]), int(there[-1]) + 1) for there in along)
    inside, there = field[box], known[box]
    if not there.all():
        nearest = ndimage.distance_transform_edt(~there, return_distances=False, return_indices=True)
        inside = inside[tuple(nearest)]
    return np.pad(inside, [(side.start, n - side.stop) for side, n in zip(box, field.shape, strict=True)], mode="edge")


def open_sides(block: Block) -> Sides:
    """Where the volume goes on beyond a block's halo."""
    grid, core = block.grid, block.grid.core(block.chunk)
    sides = []
    for axis in range(3):
        first = core.start[axis] - block.inner.start[axis]
        stop = first + block.field.shape[axis]
        wraps = grid.periodic[axis]
        sides.append((wraps or first > 0, wraps or stop < grid.shape[axis]))
    return tuple(sides)


def canvases(piece: Piece, predict: Predict, settings: FloodFillSettings, *, both: bool) -> list[tuple[Canvas, Seeds]]:
    """The canvas of a block with its seeds; ``both``: and one with the seeds in inverted order."""
    orders = [piece.seeds, piece.seeds[::-1]] if both else [piece.seeds]
    return [(Canvas(piece.image, predict, settings, open_sides=piece.open_sides), order) for order in orders]


def labelling(
    block: Block, piece: Piece, filled: list[Filled], settings: FloodFillSettings, *, join: bool = True
) -> Labelling:
    """What the block's core and pad are labelled as; of two fillings, their consensus."""
    labels, *others = (joined(each) if join else each.labels for each in filled)
    for other in others:
        labels = split_consensus(labels, other, 1)
        labels = without_small(labels, settings.min_segment_size, settings.margin, piece.open_sides)
    if settings.connected:
        labels = without_small(by_contact(labels), settings.min_segment_size, settings.margin, piece.open_sides)
    everywhere = labels.astype(np.uint32)
    everywhere[~piece.known] = 0
    kept = everywhere[block.inner.slices]
    probability = filled[0].probability[block.inner.slices].copy()
    probability[kept == 0] = 0
    return Labelling(kept, probability, everywhere)


def voxels_missing(block: Block, known: NDArray[np.bool_]) -> int:
    """Voxels of core and pad that are not numbers, though they are the volume's."""
    return int(np.count_nonzero(~known[block.inner.slices]))


def two_fields(grid: Grid, fov: Triple) -> bool:
    """Whether chunks have at least twice the field of view along each axis that is cut at all."""
    return all(size >= 2 * side or size >= n for size, side, n in zip(grid.chunk, fov, grid.shape, strict=True))
