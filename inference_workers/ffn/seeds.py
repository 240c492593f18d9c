"""Where objects are begun, and in which order: what is filled first has the first claim.

The order follows from the array alone, never from who works on it: equal values are taken in C order, and
the noise that separates equal distances to an edge comes from a fixed seed.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference_workers.ffn.settings import SeedSettings

Seeds = NDArray[np.int64]
GRID_OFFSETS = (0, 8, 4, 12, 2, 10, 14)
EDGE_SIGMA = 49 / 6
NOISE = 1e-4
FEW = 16
"""Where fewer than one in so many voxels could be a maximum, each is looked at by itself."""
MOST_AT_ONCE = 1 << 20


def choose_seeds(
    field: NDArray[np.floating[Any]],
    image: NDArray[np.floating[Any]],
    settings: SeedSettings,
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Seeds:
    """The seeds of a canvas, (n, 3), in their order.  ``field`` in its own units, NaN where no seed may be; ``image``
    is the same as the network sees it.

    Raises ValueError for the policy ``list``, whose seeds are given and not found.
    """
    allowed = np.isfinite(field)
    if settings.policy == "maxima":
        found = maxima(field, settings.threshold, settings.min_distance)
    elif settings.policy == "peaks":
        found = peaks(image, settings.min_distance, voxel_size, excluded=~allowed)
    elif settings.policy == "grid":
        found = grid(field.shape, settings.step)
        found = found[allowed[tuple(found.T)]]
    else:
        raise ValueError("the seeds of the policy list are given, not found")
    return found[::-1] if settings.inverted else found


def maxima(field: NDArray[np.floating[Any]], threshold: float, min_distance: int = 3) -> Seeds:
    """Local maxima of at least ``threshold``, the highest first.  An array's edge is no hindrance: an object that
    reaches across it has a maximum there."""
    found = _local_maxima(np.where(np.isfinite(field), field, -np.inf), min_distance, threshold)
    return _apart(found, field.shape, min_distance)


def peaks(
    image: NDArray[np.floating[Any]],
    min_distance: int = 3,
    voxel_size: tuple[float, float, float] = (1.0, 1.0, 1.0),
    excluded: NDArray[np.bool_] | None = None,
) -> Seeds:
    """Peaks of the distance to the image's edges, sorted by (z, y, x): the published policy.

    Edges are where the gradient is above its own average around.  Peaks keep ``min_distance`` from the array's sides.
    """
    gradient = ndimage.generic_gradient_magnitude(np.asarray(image, np.float32), ndimage.sobel)
    edges = gradient > ndimage.gaussian_filter(gradient, EDGE_SIGMA, mode="reflect")
    if edges.all() or image.size == 0:
        return np.empty((0, 3), np.int64)
    if edges.any():
        distance = ndimage.distance_transform_edt(~edges, sampling=voxel_size)
    else:
        distance = np.full(
            image.shape, np.sqrt(sum((n * s) ** 2 for n, s in zip(image.shape, voxel_size, strict=True)))
        )
    if excluded is not None:
        distance[excluded] = -1
    distance += np.random.RandomState(42).rand(*distance.shape) * NOISE
    found = _local_maxima(distance, min_distance, 0.0, above=True)
    inside = ((found >= min_distance) & (found < np.array(image.shape) - min_distance)).all(axis=1)
    found = _apart(found[inside], image.shape, min_distance)
    return found[np.lexsort(found.T[::-1])]


def grid(shape: tuple[int, ...], step: int = 16, offsets: tuple[int, ...] = GRID_OFFSETS) -> Seeds:
    """Every ``step``-th voxel along each axis; then the same from the next offset (sixteenths of a step), and so on."""
    places = [
        place
        for first in dict.fromkeys(offset * step // 16 for offset in offsets)
        for place in product(*(range(first, side, step) for side in shape))
    ]
    return np.array(places, np.int64).reshape(-1, 3)


def _local_maxima(values: NDArray[Any], distance: int, threshold: float, *, above: bool = False) -> Seeds:
    """Voxels that are the largest within ``distance`` along each axis, the highest first, C order where equal."""
    reached = (values > threshold if above else values >= threshold) & np.isfinite(values)
    if np.count_nonzero(reached) * FEW > values.size:
        reached &= values == ndimage.maximum_filter(values, 2 * distance + 1, mode="nearest")
        found = np.stack(np.unravel_index(np.flatnonzero(reached), values.shape), axis=1)
    else:
        found = _highest_around(values, np.flatnonzero(reached), distance)
    return found[np.argsort(-values[tuple(found.T)], kind="stable")].astype(np.int64)


def _highest_around(values: NDArray[Any], places: NDArray[np.intp], distance: int) -> NDArray[np.int64]:
    """Those of a few places, by their number in C order, that no voxel within ``distance`` along each axis is above;
    (n, 3).  Quicker than a filter of all voxels: next neighbours leave few that have to be looked at farther around."""
    around = np.pad(values, distance, constant_values=-np.inf)
    inside = np.stack(np.unravel_index(places, values.shape), axis=1) + distance
    at, flat = np.ravel_multi_index(tuple(inside.T), around.shape), around.reshape(-1)
    reach = np.indices((2 * distance + 1,) * 3).reshape(3, -1) - distance
    shells, steps = np.abs(reach).max(axis=0), np.array(around.strides) // around.itemsize @ reach
    for shell in range(1, distance + 1):
        near = steps[shells == shell]
        pieces = np.array_split(at, 1 + len(at) * len(near) // MOST_AT_ONCE)
        at = np.concatenate([some[flat[some] >= flat[some[:, None] + near].max(axis=1)] for some in pieces])
    return np.stack(np.unravel_index(at, around.shape), axis=1) - distance


def _apart(found: Seeds, shape: tuple[int, ...], distance: int) -> Seeds:
    """Those that are farther than ``distance`` along some axis from every one before them that stays."""
    taken, kept = np.zeros(shape, bool), []
    for i, (z, y, x) in enumerate(found.tolist()):
        if not taken[z, y, x]:
            near = (slice(max(p - distance, 0), p + distance + 1) for p in (z, y, x))
            taken[tuple(near)] = True
            kept.append(i)
    return found[kept]
