"""What has arrived and what it means, as of a position in the log: the scene before anything is drawn.

Chunks bring local labels with provisional ids; merges join ids (the smaller one speaks); verdicts drop
objects (``renderers.objects``).  So a merge names exactly the chunks whose colours change, and no geometry is made
twice.  A label that a chunk has in its pad only gets its id from the chunk that owns those voxels, as soon as that has
arrived; until then it is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.hues import APART, Hues, Pairs
from renderers.objects import Objects
from streamer.wire.block import Ids, unpack_seam
from streamer.wire.codec import Buffer, Labels
from streamer.wire.colour import object_colour, rgb_of
from streamer.wire.grid import Grid
from streamer.wire.viewing import ObjectLook


class Piece(NamedTuple):
    """A chunk as it comes from the feed, unpacked."""

    chunk: int
    block: Labels
    """Core and pad, (z, y, x) uint32; at level 1 their lattice (``renderers.coarse``)."""
    own: int
    components: int
    ids: Ids
    """Provisional id of each own label, (own,)."""
    seam: Buffer
    """The part ``seam`` as it came; unpacked only where it is looked at."""
    voxels: NDArray[np.int64]
    """Voxels of the core that carry each label, (components + 1,); at level 1 about so many."""
    level: int = 0
    """0: the whole; 1: half the resolution, until the whole comes."""
    near: Pairs = APART
    """Pairs of labels, (n, 2), that come close to each other (``renderers.hues.near``)."""
    field: NDArray[np.uint8] | None = None
    """The core's field as bytes, (z, y, x), if the run has that layer and it came along."""


class Look(NamedTuple):
    """How a chunk's labels look: rows by local label, 0 (background) to ``components``."""

    colours: NDArray[np.uint8]
    """(components + 1, 3)."""
    visible: NDArray[np.bool_]
    """(components + 1,): belongs to an object that is known and not dropped."""


NO_ID = np.uint64(2**64 - 1)
LIT, DIMMED = 0.22, 0.80
"""How far a marked object's colour goes towards white, and the others' towards ``DUSK``."""
DUSK = (34, 40, 50)


class _Chunk(NamedTuple):
    own: int
    ids: Ids
    """(components + 1,): provisional id of each label; 0 while it is not known."""
    seam: Buffer
    voxels: NDArray[np.int64]
    near: Pairs


class Scene:
    """The scene of one run.  Methods that change it return the chunks whose look has changed."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.position = 0
        """All entries of the log before this one are in the scene."""
        self.state = ""
        self.failed: set[int] = set()
        self._chunks: dict[int, _Chunk] = {}
        self._objects = Objects()
        self._hues = Hues()
        self._renamed = False
        """Whether a pad's label has got another id than the one that it had."""
        self._marked: tuple[int, ...] = ()
        self._isolate = False
        self._one: tuple[int, int, int] | None = None
        """The colour that all objects have; None: each its own."""
        self._roots: frozenset[int] | None = frozenset()
        """Which ids speak for the marked ones; None: to be looked up again."""

    # ------------------------------------------------------------------ what happens

    def arrive(self, piece: Piece) -> frozenset[int]:
        """A chunk has come, perhaps instead of an earlier pass over it.  The chunk itself is among the changed ones."""
        again, self._renamed = piece.chunk in self._chunks, False
        self._forget(piece.chunk)
        ids = np.zeros(piece.components + 1, np.uint64)
        ids[1 : piece.own + 1] = piece.ids
        self._chunks[piece.chunk] = _Chunk(piece.own, ids, piece.seam, piece.voxels, piece.near)
        self.failed.discard(piece.chunk)
        for label, object_id in enumerate(piece.ids.tolist(), start=1):
            self._objects.come(object_id, int(piece.voxels[label]), piece.chunk)
        changed = {piece.chunk}
        self._name_pad(piece.chunk, only=None)
        for neighbour in self.grid.around(piece.chunk):
            if neighbour in self._chunks and self._name_pad(neighbour, only=None if again else piece.chunk):
                changed.add(neighbour)
        return frozenset(changed | self._part(None if again or self._renamed else changed))

    def merge(self, pairs: NDArray[np.uint64]) -> frozenset[int]:
        """Objects turned out to be one: rows of (id that speaks, id that is gone)."""
        changed: set[int] = set()
        for a, b in pairs.tolist():
            marked = {self.speaks(a), self.speaks(b)} & self._selected()
            joined = self._objects.join(a, b)
            if joined is None:
                continue
            root, gone, chunks = joined
            changed |= self.where(root) if marked else chunks
            self._hues.merge(root, gone)
            self._roots = None
        return frozenset(changed | self._part(()))

    def judge(self, verdicts: NDArray[np.uint64]) -> frozenset[int]:
        """Objects are final: rows of (id, 1 if kept else 0).  Those that are not kept are hidden."""
        changed: set[int] = set()
        for object_id, kept in verdicts.tolist():
            changed |= self._objects.judge(object_id, kept=bool(kept))
        return frozenset(changed)

    def select(self, ids: Iterable[int], *, isolate: bool) -> frozenset[int]:
        """Marks objects, or shows them alone; ids that were merged since count as what they have become.

        Marks that name nothing isolate nothing.
        """
        before, alone = self._selected(), self._isolate
        self._marked, self._isolate, self._roots = tuple(ids), isolate, None
        after = self._selected()
        if (before, alone) == (after, isolate):
            return frozenset()
        if before and after and alone == isolate:
            # What is marked neither before nor after looks the same, so that two viewers' marks cost little.
            return frozenset(chunk for root in before ^ after for chunk in self.where(root))
        return self.arrived

    def paint(self, look: ObjectLook) -> frozenset[int]:
        """Objects have these colours from now on."""
        before, self._one = self._one, rgb_of(look.colour) if look.colour_by == "one" else None
        return frozenset() if self._one == before else self.arrived

    def fail(self, chunks: Iterable[int]) -> None:
        """Chunks that will bring nothing."""
        self.failed.update(c for c in chunks if c not in self._chunks)

    # ------------------------------------------------------------------ what is so

    def speaks(self, object_id: int) -> int:
        """The id that speaks for an id."""
        return self._objects.speaks(object_id)

    def look(self, chunk: int) -> Look:
        """How the labels of an arrived chunk look now."""
        return self.dress(self.ids(chunk))

    def dress(self, ids: Ids) -> Look:
        """How objects look, by their ids (n,) as ``ids`` gives them; 0 is nothing."""
        colours = np.zeros((len(ids), 3), np.uint8)
        visible = ids != 0
        selected = self._selected()
        for i, root in enumerate(ids.tolist()):
            if not root:
                continue
            colour = self.colour(root)
            if selected:
                marked = root in selected
                visible[i] = marked or not self._isolate
                colour = colour if self._isolate else _lit(colour) if marked else _dimmed(colour)
            colours[i] = colour
        return Look(colours, visible)

    def colour(self, root: int) -> tuple[int, int, int]:
        """The colour of an object that speaks for itself, as long as nothing is marked."""
        return self._one or object_colour(root, self._hues.turns.get(root, 0))

    def turns(self, count: int) -> dict[int, int]:
        """How many steps objects have stepped aside from a neighbour's hue: the largest of those that have."""
        known = self._objects
        there = ((known.voxels(root), -root) for root in self._hues.turns if not known.dropped(root))
        return {-minus: self._hues.turns[-minus] for _, minus in nlargest(count, there)}

    def _part(self, chunks: Iterable[int] | None) -> set[int]:
        """Lets neighbours take different hues, with what some chunks now say of who is near (None: all of them anew).

        Returns the chunks that look different.
        """
        before: dict[int, int] = {}
        if chunks is None:
            before, self._hues = self._hues.turns, Hues()
        for chunk in self._chunks if chunks is None else chunks:
            there = self._chunks[chunk]
            named = there.ids[there.near]
            both = named[named.all(axis=1)].tolist()
            self._hues.meet((self.speaks(one), self.speaks(other)) for one, other in both)
        changed = self._hues.settle()
        if before or chunks is None:
            after = self._hues.turns
            changed = {root for root in before.keys() | after.keys() if before.get(root) != after.get(root)}
        return {chunk for root in changed for chunk in self.where(root)}

    def _selected(self) -> frozenset[int]:
        if self._roots is None:
            self._roots = frozenset(self.speaks(i) for i in self._marked)
        return self._roots

    def ids(self, chunk: int) -> Ids:
        """Run-wide ids now of an arrived chunk's labels, (components + 1,); 0 where not known or dropped."""
        roots = [self.speaks(i) if i else 0 for i in self._chunks[chunk].ids.tolist()]
        return np.array([0 if self._objects.dropped(root) else root for root in roots], np.uint64)

    def where(self, object_id: int) -> frozenset[int]:
        """The chunks that carry an object."""
        return self._objects.where(object_id)

    def voxels(self, object_id: int) -> int:
        """The size of an object so far."""
        return self._objects.voxels(object_id)

    def largest(self, count: int) -> tuple[tuple[int, int], ...]:
        """(id, voxels) of the largest objects so far, the largest first."""
        return self._objects.largest(count)

    @property
    def objects(self) -> int:
        """Objects that are not dropped."""
        return self._objects.count

    @property
    def arrived(self) -> frozenset[int]:
        """The chunks in the scene."""
        return frozenset(self._chunks)

    @property
    def pending(self) -> frozenset[int]:
        """The chunks that may still come."""
        return frozenset(range(self.grid.size)) - self._chunks.keys() - self.failed

    def _forget(self, chunk: int) -> None:
        old = self._chunks.pop(chunk, None)
        if old is None:
            return
        for label in range(1, old.own + 1):
            self._objects.go(int(old.ids[label]), int(old.voxels[label]), chunk)

    def _name_pad(self, chunk: int, only: int | None) -> bool:
        """Gives ids to pad-only labels from the chunks that own their voxels, or from one of them that is new.

        Of several ids that a label has there, which are about to merge, the smallest counts: so the result does
        not depend on the order in which chunks came.  Returns whether anything has changed.
        """
        here = self._chunks[chunk]
        if len(here.ids) <= here.own + 1:
            return False
        seam = unpack_seam(self.grid, chunk, here.seam)
        found = np.full(len(here.ids), NO_ID, np.uint64)
        for shared in self.grid.shared(chunk):
            owner = self._chunks.get(shared.owner)
            if owner is None or only not in (None, shared.owner):
                continue
            mine = seam.pad(shared)
            theirs = unpack_seam(self.grid, shared.owner, owner.seam).owned(shared)
            both = (mine > here.own) & (theirs > 0) & (theirs <= owner.own)
            np.minimum.at(found, mine[both], owner.ids[theirs[both]])
        before = here.ids[here.own + 1 :].copy()
        if only is not None:
            np.minimum(found, np.where(here.ids == 0, NO_ID, here.ids), out=found)
        found[found == NO_ID] = 0
        here.ids[here.own + 1 :] = found[here.own + 1 :]
        self._renamed |= bool(((before != 0) & (before != here.ids[here.own + 1 :])).any())
        new = here.ids[here.own + 1 :][before != here.ids[here.own + 1 :]]
        for object_id in np.unique(new[new > 0]).tolist():
            self._objects.come(object_id, 0, chunk)
        return bool((before != here.ids[here.own + 1 :]).any())


def _lit(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(c + LIT * (255 - c)) for c in colour)
    return red, green, blue


def _dimmed(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(c + DIMMED * (d - c)) for c, d in zip(colour, DUSK, strict=True))
    return red, green, blue
