"""The range of a volume's values, so that one byte can stand for a voxel all over a run.

What the file says of itself is taken if the values bear it out: MERRA-2, for one, states ±10¹⁵ as valid.
Else it comes from a sample: boxes of bounded size, spread evenly and the same at every look, so that a
volume of terabytes is looked at as quickly as one of gigabytes.  The sample's ends are moved outwards a
little for what it has missed; values beyond are clipped, in the picture alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Box, Triple

Ends = tuple[float, float]
READS = 64
SIDE = 256
"""A box of the sample is one step along axis 0 and at most so many voxels along the others."""
MARGIN = 0.1
"""How much of the sample's extent is added above, and below unless nothing lies below 0."""
CREDIBLE = 4.0
"""What a file states may span so many times the extent of the sample."""
_PLASTIC = (0.7548776662466927, 0.5698402909980532)
"""1/p and 1/p², p³ = p + 1: multiples of these, modulo 1, cover a square evenly (R2 sequence of M. Roberts)."""


def sample(shape: Triple) -> Iterator[Box]:
    """At most ``READS`` boxes of a volume, first and last step among them."""
    nz, ny, nx = shape
    count = min(nz, READS)
    height, width = min(ny, SIDE), min(nx, SIDE)
    for i in range(count):
        z = i * (nz - 1) // max(count - 1, 1)
        y, x = (
            int((i * p % 1) * (n - side + 1)) for p, n, side in zip(_PLASTIC, (ny, nx), (height, width), strict=True)
        )
        yield Box((z, y, x), (z + 1, y + height, x + width))


def seen(arrays: Iterable[NDArray[np.floating[Any]]]) -> Ends | None:
    """The least and the greatest finite value of some arrays, or None if there is none."""
    found = [part for part in (array[np.isfinite(array)] for array in arrays) if part.size]
    if not found:
        return None
    return float(min(part.min() for part in found)), float(max(part.max() for part in found))


def stated(attributes: Mapping[str, Any], packed: bool) -> Ends | None:
    """The range that a variable's attributes give, or None.  ``valid_range`` of packed data is of the packed values."""
    for name in ("actual_range",) if packed else ("actual_range", "valid_range"):
        given = np.asarray(attributes.get(name, ()))
        if given.size == 2 and given.dtype.kind in "iuf":
            low, high = (float(n) for n in given.ravel())
            if isfinite(low) and isfinite(high) and low < high:
                return low, high
    return None


def settle(said: Ends | None, found: Ends | None) -> tuple[Ends, str]:
    """The range of a run, from what the file states and what the sample holds, and a sentence on where it is from."""
    if found is None:
        return said or (0.0, 1.0), "from the file's attributes" if said else "of a volume without values"
    low, high = found
    if said is not None and said[0] <= low and high <= said[1] and said[1] - said[0] <= CREDIBLE * (high - low):
        return said, "from the file's attributes"
    if low == high:
        return (low, low + max(1.0, abs(low))), "found in a sample with one value only"
    margin = MARGIN * (high - low)
    return (low if 0 <= low < margin else low - margin, high + margin), "found in a sample of it and widened by a tenth"
