"""Who of several control planes acts: one leads, the others stand by.  What a way of electing it promises.

There may be several ways (a Lease of a cluster, a lock of a database); none of them is known here.  Whoever leads acts
only between ``won`` and ``lost``: a way of electing sets ``lost`` before it lets anybody else win, or sees to it that
nothing can be changed until it is known.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

STANDBY_RETRY_S = 5
"""What a control plane that stands by gives as Retry-After."""


class LeadLost(RuntimeError):
    """This control plane does not lead any more, so its process ends; whatever started it starts it again."""

    exit_code = 70


class Leadership(Protocol):
    """A place that one at a time has."""

    lost: asyncio.Event
    """Set when it was had and is not any more; it is not won again."""

    @property
    def standing(self) -> str:
        """Who leads, or why nobody can be found to, in a sentence: for those who ask one that stands by."""
        ...

    async def won(self) -> None:
        """Waits, for as long as it takes, until this control plane leads; a way that cannot be asked is asked again."""
        ...

    async def release(self) -> None:
        """Lets another one lead, at once where that can be said.  Also ends waiting for it.  Never raises."""
        ...


class Alone:
    """There is no other control plane."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    @property
    def standing(self) -> str:
        """It leads."""
        return "this control plane leads"

    async def won(self) -> None:
        """At once."""

    async def release(self) -> None:
        """Nobody waits for it."""
