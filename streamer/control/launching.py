"""What a launcher promises: runs as something that lives, wherever their parts are.

The registry decides which runs there are; a launcher brings one to life from its booking.  ``local`` has the parts as
child processes of this machine; whatever else there may be answers the same questions.  Nothing here does anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from streamer.control.booking import Booking
from streamer.control.link import StreamerLink
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.control.schema import RunRequest
from streamer.control.seats import NodeSource
from streamer.control.showing import Hung, Pattern, ToShow
from streamer.control.usage import Usage
from streamer.wire.keys import Keys

STARTED_AGAIN = "the control plane was started again"
"""So begins the remark of a run that has outlived one."""


class NoView(RuntimeError):
    """Nobody will draw this run any more: why, in a sentence."""


class Views(NamedTuple):
    """A renderer that waits for viewers."""

    address: str
    gone: asyncio.Event
    """Set when it has gone."""


class LiveRun(Protocol):
    """A run whose parts are there, or are being started.  ``live`` is its life; the rest may be called meanwhile."""

    closed: asyncio.Event
    """Set once this control plane has nothing to do with its parts any more."""

    @property
    def version(self) -> int:
        """Grows with each change of the record."""
        ...

    @property
    def keys(self) -> Keys | None:
        """The control plane's own, if the run's parts use keys."""
        ...

    @property
    def record(self) -> Run:
        """The run as it stands."""
        ...

    @property
    def link(self) -> StreamerLink | None:
        """The line to the streamer; None before it is ready and after the run was closed."""
        ...

    @property
    def relays(self) -> dict[str, StreamerLink]:
        """The lines to the relays that have been ready, by their names."""
        ...

    @property
    def closing(self) -> asyncio.Event:
        """Set when the run's parts are being ended, or let go."""
        ...

    async def newer(self, version: int) -> int:
        """Waits until the record is newer than ``version``; returns the version that it has then."""
        ...

    async def views(self) -> Views:
        """Where a renderer waits for viewers.  Raises NoView if there will be none any more."""
        ...

    def viewer_came(self) -> None:
        """A browser is there."""
        ...

    def viewer_went(self) -> None:
        """A browser has gone."""
        ...

    def want(self, wanted: Run) -> None:
        """Sees to what is wanted of the run from now on (see ``runs.wanted``); it is written down already."""
        ...

    async def cancel(self) -> None:
        """Ends it in order, once that is wanted: what is committed is written, then all parts end."""
        ...

    def close(self, *, for_good: bool = True) -> None:
        """Ends the parts now, without waiting.

        Not ``for_good``: the run goes on when the control plane is started again; its parts may do so meanwhile.
        """
        ...

    def fail(self, sentence: str) -> None:
        """Something of ours broke: the run ends with this sentence."""
        ...

    async def tail(self, lines: int, part: str = "") -> Sequence[Line]:
        """The newest lines that its parts (or one of them) have said, oldest first."""
        ...

    async def live(self) -> None:
        """Brings the run to life and stays until it was closed."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A run whose launcher can say what its parts use; a run that is none of these is not measured."""

    async def usage(self) -> Sequence[Usage]:
        """What each role uses now and has used since the run was launched here; None where it cannot be known.

        It may be asked as often as four times a second.
        """
        ...


@runtime_checkable
class OnWalls(Protocol):
    """A run whose launcher can show it on walls; a run that is none of these is shown on none."""

    @property
    def walls(self) -> Mapping[str, Hung]:
        """What shows it on walls, by their names."""
        ...

    def check_walls(self) -> None:
        """Raises ValueError with a sentence if no wall can ever show it, as it was started."""
        ...

    async def hang(self, wall: ToShow) -> None:
        """Shows it on a wall from now on, if that is still wanted; nothing is done where it is shown already.

        Raises OSError, ValueError with a sentence.
        """
        ...

    def mend(self, name: str) -> None:
        """What was given up of a wall that it is shown on is started again."""
        ...

    def not_hung(self, name: str, why: str) -> None:
        """A wall that it was to be shown on cannot be had: why, in a sentence, for its record."""
        ...

    async def unhang(self, name: str) -> bool:
        """Takes it off a wall, and says whether nothing of it is left there; what is left goes by itself."""
        ...


@runtime_checkable
class ForWalls(Protocol):
    """A launcher that shows runs on walls."""

    nodes: NodeSource
    """Is asked which nodes of walls there are."""

    async def pattern(self, wall: ToShow) -> Pattern:
        """The test pattern on a wall that shows no run, to be shown.  Raises OSError, ValueError."""
        ...


class Launcher(Protocol):
    """Brings runs to life."""

    name: str
    """As ``/system`` shows it."""
    temporary: bool
    """Whether nothing of a run is left when the control plane has ended, so that none can go on."""

    def gpus(self, request: RunRequest) -> int:
        """So many it would give to each worker of a run, for quotas."""
        ...

    def check(self, booked: Booking) -> None:
        """Raises ValueError with a sentence if it could not have such a run."""
        ...

    def manifests(self, booked: Booking) -> str:
        """A run's objects as YAML, without secrets.  Raises ValueError where runs are made of none."""
        ...

    def launch(self, booked: Booking, record: Run, *, over: bool = False) -> LiveRun:
        """A run that is to ``live``; ``over``: it has ended, and is only served once more.

        Raises OSError, ValueError with a sentence.
        """
        ...

    async def kept(self, run_id: str) -> bool:
        """Whether a run's log is still there, so that it can be served again."""
        ...

    async def lines(self, run_id: str, lines: int, part: str = "") -> Sequence[Line]:
        """What the parts of a run that does not live any more have said, as far as it was kept."""
        ...

    async def left(self, run_id: str) -> None:
        """A run has been closed: what is of use only while it lives is removed."""
        ...

    async def forget(self, run_id: str) -> None:
        """Removes all that is left of a run that is over, but for its store."""
        ...

    async def tend(self) -> None:
        """What it does by itself all the time; cancelled when all runs have been closed."""
        ...

    async def close(self) -> None:
        """Lets go, after all runs have been closed."""
        ...
