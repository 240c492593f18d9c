"""Objects by contact: what touches is one, and what does not is not.

Where the truth is connectivity, a network that has filled one object often goes on in the next one, across
a gap that it rightly leaves free; and from two seeds, or two chunks, it fills one object in two pieces that
touch.  Both are mended by what an object is there (``connected`` in the settings).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.components import connected


def by_contact(labels: NDArray[np.int32], least: int = 0) -> NDArray[np.int32]:
    """The connected parts (26 neighbours) of what is labelled at all (z, y, x).

    A part goes by the smallest number in it; of several with the same one, the largest does (the first in C order of
    equal ones), and the others get the next free numbers.  Parts of fewer than ``least`` voxels are 0.
    """
    every = connected(labels > 0).reshape(-1)
    at = np.flatnonzero(every)  # a few of a hundred: what follows looks at nothing else
    parts, given = every[at], labels.reshape(-1)[at]
    sizes = np.bincount(parts, minlength=1)
    owner = np.full(len(sizes), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(owner, parts, given)
    owner[sizes < max(least, 1)] = 0
    order = np.lexsort((np.arange(len(sizes)), -sizes, owner))
    is_first = np.append(True, owner[order][1:] != owner[order][:-1])
    names = owner.copy()
    beyond = np.sort(order[~is_first & (owner[order] > 0)])
    names[beyond] = int(given.max(initial=0)) + 1 + np.arange(len(beyond))
    found = np.zeros(labels.shape, np.int32)
    found.reshape(-1)[at] = names[parts]
    return found
