"""Whom a pick is asked of: one tile process that is there, and another one if it does not answer.  Pure; time is given.

Every process has all of the scene, so one answer is enough.  A newer pick takes the place of an older one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from renderers.reading import Found
from renderers.wall.messages import Pick, Picked
from renderers.wall.scenery import Asked
from streamer.wire.header import brief

PATIENCE_S = 0.5
TRIES = 3
MOST_BYTES = 48
"""Of each text in an answer: all of them must fit into a header."""


class Send(NamedTuple):
    """Ask this of a seat."""

    seat: str
    pick: Pick


class Picking:
    """One pick at a time."""

    def __init__(self) -> None:
        self._request = 0
        self._asked: Asked | None = None
        self._tried: list[str] = []
        self._until = inf

    def ask(self, asked: Asked, live: Sequence[str], now: float) -> Send | None:
        """Somebody points at something; ``live`` are the seats that are there."""
        self._asked, self._tried = asked, []
        return self._next(live, now)

    def tick(self, live: Sequence[str], now: float) -> Send | None:
        """Time has passed."""
        return self._next(live, now) if now >= self._until else None

    def answered(self, picked: Picked) -> Asked | None:
        """A seat has answered; returns what was asked, if that is still of interest."""
        if picked.request != self._request or self._asked is None:
            return None
        asked, self._asked, self._until = self._asked, None, inf
        return asked

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        return self._until

    def _next(self, live: Sequence[str], now: float) -> Send | None:
        self._until = inf
        seat = next((one for one in live if one not in self._tried), None)
        if self._asked is None or seat is None or len(self._tried) >= TRIES:
            self._asked = None
            return None
        self._tried.append(seat)
        self._request += 1
        self._until = now + PATIENCE_S
        return Send(seat, Pick(self._request, self._asked.ray.origin, self._asked.ray.direction))


def answer(request: int, found: Found) -> Picked:
    """What a tile says of an object that somebody points at."""
    place, value = found.place, found.place.value
    return Picked(
        request, found.object_id, found.voxels, found.first, found.last, _short(found.lifetime),
        place.voxel, tuple(_short(word) for word in place.words),
        None if value is None else value.value, 0.0 if value is None else value.within,
        0 if value is None else value.beyond, _short(found.variable), _short(found.units),
    )  # fmt: skip


def _short(text: str) -> str:
    """A text of the data's own, on one line."""
    return brief(" ".join(text.split()), MOST_BYTES)
