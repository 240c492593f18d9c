"""What may be done to an example without making it untrue.

Water vapour moves through longitude the same way everywhere, so that longitude may be mirrored; time has a
direction and is reversed only if asked; latitude may be mirrored where north and south are alike.  Nothing
is rotated or scaled: axes have different units.  (Rolling longitude is in the choice of places: examples
reach across the seam of a periodic axis.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mirrored = tuple[bool, bool, bool]
"""Which axes (z, y, x) may be mirrored."""


def choose_mirrors(allowed: Mirrored, random: np.random.Generator) -> Mirrored:
    """Each axis that may be mirrored is, in half of the examples."""
    tossed = random.integers(0, 2, 3).tolist()
    z, y, x = (may and bool(toss) for may, toss in zip(allowed, tossed, strict=True))
    return z, y, x


def mirror(array: NDArray[Any], mirrors: Mirrored) -> NDArray[Any]:
    """An array (z, y, x) mirrored along these axes; contiguous."""
    turned = array[tuple(slice(None, None, -1) if is_mirrored else slice(None) for is_mirrored in mirrors)]
    return np.ascontiguousarray(turned)
