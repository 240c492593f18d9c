"""In which order the chunks' surfaces are drawn: the nearest first.

What lies behind something that is drawn already is left out before its light is worked out, on a graphics card as well
as without one.  Of boxes in a lattice one can hide another only if it is nearer along every axis, so the sum of the
three distances gives such an order.  The eye counts by its place in a coarse lattice of its own: the order changes
seldom, and it follows from the eye and the chunks alone, for where two surfaces meet it may show.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from streamer.wire.viewing import Vec3

PLACES = 2
"""Into how many parts half the box is divided, along each axis, to say where the eye is."""

Key = tuple[float, int, int]
"""Distance, chunk and level."""


class Queue:
    """The chunks' actors, which stand at the head of a renderer's props."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self._keys: list[Key] = []
        self._actors: dict[tuple[int, int], Any] = {}
        self._middles: dict[int, Vec3] = {}
        self._half: Vec3 = (1.0, 1.0, 1.0)
        self._middle: Callable[[int], Vec3] = lambda _: (0.0, 0.0, 0.0)
        self._eye: Vec3 = (0.0, 0.0, 0.0)

    def stand(self, half: Vec3, middle: Callable[[int], Vec3]) -> None:
        """Says where chunks are.  ``half``: the box's sides, halved; ``middle``: of each chunk, in the room."""
        self._half, self._middle = half, middle
        self._middles.clear()
        self._arrange()

    def enter(self, chunk: int, level: int, actor: Any) -> None:
        """Puts an actor into the renderer, at its place."""
        self._renderer.AddActor(actor)
        self._actors[chunk, level] = actor
        key = self._key(chunk, level)
        place = bisect_left(self._keys, key)
        self._keys.insert(place, key)
        # VTK has no call for a place among the props.  The renderer knows the actor by now, and keeps it through this.
        props = self._renderer.GetViewProps()
        props.RemoveItem(props.GetNumberOfItems() - 1)
        props.InsertItem(place - 1, actor)

    def leave(self, chunk: int, level: int) -> None:
        """Takes an actor out of the renderer."""
        del self._keys[bisect_left(self._keys, self._key(chunk, level))]
        self._renderer.RemoveActor(self._actors.pop((chunk, level)))

    def face(self, position: Vec3) -> None:
        """The eye is there, in the room."""
        x, y, z = (_place(at, half) for at, half in zip(position, self._half, strict=True))
        if (x, y, z) != self._eye:
            self._eye = x, y, z
            self._arrange()

    def _key(self, chunk: int, level: int) -> Key:
        middle = self._middles.get(chunk)
        if middle is None:
            middle = self._middles[chunk] = self._middle(chunk)
        return sum(abs(m - at) for m, at in zip(middle, self._eye, strict=True)), chunk, level

    def _arrange(self) -> None:
        """All actors anew, in today's order."""
        keys = sorted(self._key(chunk, level) for chunk, level in self._actors)
        if [key[1:] for key in keys] != [key[1:] for key in self._keys]:
            props = self._renderer.GetViewProps()
            others = list(props)[len(keys) :]
            props.RemoveAllItems()
            for _, chunk, level in keys:
                props.AddItem(self._actors[chunk, level])
            for other in others:
                props.AddItem(other)
        self._keys = keys


def _place(at: float, half: float) -> float:
    """Where the eye is along an axis: the nearest of a few places in the box or at its ends."""
    return half * round(PLACES * min(1.0, max(-1.0, at / half))) / PLACES
