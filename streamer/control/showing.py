"""What a launcher is told of a wall that is to show something, and what it promises of what is shown there.

On this machine that is ``hanging`` and ``identify``; a cluster has its own.  Nothing here does anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from streamer.control.seats import Seatings
from streamer.wire.conducting import Viewed
from streamer.wire.viewing import View
from streamer.wire.walls import WallFacts

Remember = Callable[[View, str], Awaitable[bool]]


async def nobody(shown: View, changed: str) -> bool:
    """Remembers nothing."""
    del shown, changed
    return True


class ToShow(NamedTuple):
    """A wall, as a launcher is told of it that is to show something there."""

    facts: WallFacts
    text: str
    """Its file, TOML."""
    seatings: Seatings
    """Who sits where."""
    view: View | None = None
    """What it showed of the run before."""
    changed: str = ""
    """Since when; empty: it showed nothing of it."""
    remember: Remember = nobody
    """Writes down what it shows and since when, and says whether that could be done."""


class Hung(Protocol):
    """A wall that a run is shown on."""

    @property
    def changed(self) -> str:
        """When what it shows was changed last, as far as is known."""
        ...

    async def view(self) -> Viewed:
        """What the wall shows now.  Raises NoAnswer."""
        ...

    async def change(self, changes: Mapping[str, Any], base: str = "") -> Viewed:
        """Changes what it shows (see ``conducting.Change``), and has that written down.  Raises NoAnswer."""
        ...

    async def identify(self, seconds: float) -> None:
        """The test pattern, for so long.  Raises NoAnswer."""
        ...


class NotIdentified(RuntimeError):
    """Nothing is shown: why, in a sentence."""


class Pattern(Protocol):
    """The test pattern on a wall that shows no run.  ``show`` it in a task of its own."""

    shown: asyncio.Future[tuple[str, ...]]
    """Set when the pattern is shown, to sentences about nodes where it is not.  Raises NotIdentified."""
    ended: asyncio.Event
    """Set once nothing of it is left, as far as that can be had."""

    def stop(self) -> None:
        """Ends it before its time."""
        ...

    async def show(self, seconds: float) -> None:
        """Starts all that it takes, waits, and ends it.  Raises nothing: ``shown`` says what came of it."""
        ...
