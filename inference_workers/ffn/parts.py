"""Objects that fell into parts which do not touch: each part is an object of its own then.

Where the truth is connectivity, a network that has filled one object often goes on in the next one, across
a gap that it rightly leaves free.  What lies beyond the gap is another object (``separate`` in the settings).
"""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray


def separated(labels: NDArray[np.int32], least: int = 0) -> NDArray[np.int32]:
    """Labels (z, y, x) of which each is connected (26 neighbours): the largest part of an object keeps its number (the
    first in C order of equal ones), the others get the next free ones.  Parts of fewer than ``least`` voxels are 0."""
    at = np.flatnonzero(labels != 0)  # a few of a hundred: what follows looks at nothing else
    given = labels.reshape(-1)[at]
    parts = cc3d.connected_components(labels, connectivity=26, out_dtype=np.uint32).reshape(-1)[at]
    sizes = np.bincount(parts, minlength=1)
    owner = np.zeros(len(sizes), np.int32)
    owner[parts] = given
    owner[sizes < least] = 0
    order = np.lexsort((np.arange(len(sizes)), -sizes, owner))
    is_first = np.append(True, owner[order][1:] != owner[order][:-1])
    names = owner.copy()
    beyond = np.sort(order[~is_first & (owner[order] > 0)])
    names[beyond] = int(given.max(initial=0)) + 1 + np.arange(len(beyond))
    found = np.zeros(labels.shape, np.int32)
    found.reshape(-1)[at] = names[parts]
    return found
