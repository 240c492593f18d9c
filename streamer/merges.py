"""Which components are one object: a union-find over all components of all committed chunks.

Every component of a block is a node, numbered in the order of arrival.  Components that have a voxel in
their chunk's core carry an id; those that live in the pad only carry none but can join others.  The root
of a tree is its node with the smallest id, so the final state is the same whatever the order of the joins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_ID = 0xFFFF_FFFF_FFFF_FFFF
"""What a node without an id carries, so that any id is smaller."""

Nodes = NDArray[np.int64]
Ids = NDArray[np.uint64]


def grown(array: NDArray[Any], used: int, wanted: int) -> NDArray[Any]:
    """The array, or a copy of its first ``used`` elements with room for ``wanted`` and as much again."""
    if wanted <= len(array):
        return array
    larger = np.empty(max(wanted, 2 * len(array), 1024), array.dtype)
    larger[:used] = array[:used]
    return larger


class Merges:
    """The union-find.  A node is an int64; arrays of nodes have shape (n,)."""

    def __init__(self) -> None:
        self._size = 0
        self._parent: Nodes = np.empty(0, np.int64)
        self._id: Ids = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return self._size

    def add(self, ids: Ids, components: int) -> int:
        """New nodes, each its own root: the first ``len(ids)`` with an id, the others without.  Returns the first."""
        first, self._size = self._size, self._size + components
        self._parent = grown(self._parent, first, self._size)
        self._id = grown(self._id, first, self._size)
        self._parent[first : self._size] = np.arange(first, self._size)
        self._id[first : self._size] = NO_ID
        self._id[first : first + len(ids)] = ids
        return first

    def ids(self, nodes: Nodes) -> Ids:
        """The nodes' own ids, ``NO_ID`` where they have none; those of roots speak for their objects."""
        return np.asarray(self._id[nodes], np.uint64)

    def roots(self, nodes: Nodes) -> Nodes:
        """The root of each node."""
        parent = self._parent
        found = parent[nodes]
        while True:
            above = parent[found]
            if np.array_equal(above, found):
                parent[nodes] = found  # the way is shorter next time
                return np.asarray(found, np.int64)
            found = above

    def join(self, pairs: Nodes) -> Nodes:
        """Makes the nodes of each pair, shape (n, 2), one.  Returns the nodes that were roots and are none now."""
        if not len(pairs):
            return np.empty(0, np.int64)
        ends = np.column_stack((self.roots(pairs[:, 0]), self.roots(pairs[:, 1])))
        ends = np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)
        # A memoryview reads single numbers several times faster than an array does.
        parent, name = self._parent.data, self._id.data
        gone: list[int] = []
        for a, b in ends.tolist():
            while parent[a] != a:
                parent[a] = a = parent[parent[a]]
            while parent[b] != b:
                parent[b] = b = parent[parent[b]]
            if a == b:
                continue
            if (name[b], b) < (name[a], a):
                a, b = b, a
            parent[b] = a
            gone.append(b)
        return np.array(gone, np.int64)
