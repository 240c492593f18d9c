"""The objects of a run as a renderer knows them: which ids speak for which, how large they are, and where.  Pure.

Every id knows the chunks that carry it, so that whatever happens to an object names exactly the chunks that are to be
coloured anew.  Ids that have merged count as the one that speaks for them.
"""

from __future__ import annotations

from heapq import nlargest


class Objects:
    """Ids and what is known of them."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._voxels: dict[int, int] = {}
        self._where: dict[int, set[int]] = {}
        self._dropped: set[int] = set()

    # ------------------------------------------------------------------ what happens

    def come(self, object_id: int, voxels: int, chunk: int) -> None:
        """A chunk has brought some voxels of an object; none, if it only sees it beyond its high sides."""
        root = self.speaks(object_id)
        if voxels:
            self._voxels[root] = self._voxels.get(root, 0) + voxels
        self._where.setdefault(root, set()).add(chunk)

    def go(self, object_id: int, voxels: int, chunk: int) -> None:
        """What a chunk had brought of an object is gone."""
        root = self.speaks(object_id)
        self._voxels[root] = self._voxels.get(root, 0) - voxels
        self._where.get(root, set()).discard(chunk)

    def join(self, a: int, b: int) -> tuple[int, int, frozenset[int]] | None:
        """Two ids turned out to be one object: which speaks now, which is gone, and the chunks that look different.

        None if they were one already.
        """
        one, other = self.speaks(a), self.speaks(b)
        if one == other:
            return None
        root, gone = min(one, other), max(one, other)
        self._parent[gone] = root
        self._voxels[root] = self._voxels.get(root, 0) + self._voxels.pop(gone, 0)
        chunks = self._where.pop(gone, set())
        changed = frozenset(chunks)
        here = self._where.setdefault(root, set())
        here.update(chunks)
        if gone in self._dropped:
            self._dropped.discard(gone)
            self._dropped.add(root)
            changed |= here
        return root, gone, changed

    def judge(self, object_id: int, *, kept: bool) -> frozenset[int]:
        """An object is kept, or dropped.  Returns the chunks that look different."""
        root = self.speaks(object_id)
        if kept == (root not in self._dropped):
            return frozenset()
        (self._dropped.discard if kept else self._dropped.add)(root)
        return self.where(root)

    # ------------------------------------------------------------------ what is so

    def speaks(self, object_id: int) -> int:
        """The id that speaks for an id."""
        parent = self._parent
        root = object_id
        while (above := parent.get(root)) is not None:
            root = above
        while object_id != root:
            parent[object_id], object_id = root, parent[object_id]
        return root

    def dropped(self, root: int) -> bool:
        """Whether an object that speaks for itself has been judged not to be kept."""
        return root in self._dropped

    def where(self, object_id: int) -> frozenset[int]:
        """The chunks that carry an object."""
        return frozenset(self._where.get(self.speaks(object_id), ()))

    def voxels(self, object_id: int) -> int:
        """The size of an object so far."""
        return self._voxels.get(self.speaks(object_id), 0)

    def largest(self, count: int) -> tuple[tuple[int, int], ...]:
        """(id, voxels) of the largest objects so far, the largest first."""
        rows = ((n, -i) for i, n in self._voxels.items() if n and i not in self._dropped)
        return tuple((-i, n) for n, i in nlargest(count, rows))

    @property
    def count(self) -> int:
        """Objects that are not dropped."""
        return sum(1 for i, n in self._voxels.items() if n and i not in self._dropped)
