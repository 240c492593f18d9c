"""Keys and mice at the windows of a wall's tiles, as records of a tracker source.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from renderers.wall.messages import Input
from renderers.wall.records import TrackerSource, Wall
from renderers.wall.track.mouse import Mouse
from renderers.wall.track.sensed import Record, SourceState


class Windows:
    """All windows of a wall."""

    def __init__(self, wall: Wall, sources: Sequence[TrackerSource]) -> None:
        """``sources`` as records number them; without a ``mouse`` among them nothing is heard."""
        number = self._number = next((i for i, source in enumerate(sources) if source.kind == "mouse"), None)
        self._mice: dict[str, Mouse] = {}
        if number is not None:
            self._mice = {
                tile.name: Mouse(number, tile.screen, tile.place.width, tile.place.height) for tile in wall.tiles
            }

    def heard(self, states: Sequence[SourceState]) -> tuple[SourceState, ...]:
        """The states of all sources, with what came from these windows."""
        packets = sum(mouse.packets for mouse in self._mice.values())
        garbage: Counter[str] = Counter()
        for mouse in self._mice.values():
            garbage += mouse.garbage
        return tuple(
            msgspec.structs.replace(state, packets=packets, garbage=dict(garbage)) if number == self._number else state
            for number, state in enumerate(states)
        )

    def records(self, said: Input) -> list[Record]:
        """What somebody has done at a window."""
        mouse = self._mice.get(said.tile)
        if mouse is None:
            return []
        if said.kind == "key":
            return mouse.key(said.code, said.pressed)
        if said.kind == "button" and said.code.isdecimal():
            return mouse.pressed(int(said.code), said.pressed, said.x, said.y)
        return mouse.moved(said.x, said.y) if said.kind == "motion" else []
