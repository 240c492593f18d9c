"""The lines of browsers to the shared views that they have come to, as the control plane knows them.

Whoever changes a view in the books says so here, and each line to it passes that on to the renderer.  What the renderer
wants to be kept waits for its line's turn; of each line the newest is wanted, so nothing queues up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
import structlog

from streamer.control.view_books import KeptView
from streamer.wire.camera import Camera
from streamer.wire.header import Refused
from streamer.wire.keeping import Stored, encode_stored
from streamer.wire.looking import MOST_ID
from streamer.wire.view import VERSION
from streamer.wire.viewing import Placement, View

MOST_NEWS = 8
NOBODY = Camera(0.0, 0.0, 1.0, (0.0, 0.0, 0.0))
log = structlog.get_logger()


class ViewLine:
    """One browser's."""

    def __init__(self) -> None:
        self._news: deque[bytes] = deque(maxlen=MOST_NEWS)
        self._come = asyncio.Event()
        self._kept: bytes | None = None
        self._keeps = asyncio.Event()
        self._over = False

    def tell(self, message: bytes) -> None:
        """The renderer is to hear this."""
        self._news.append(message)
        self._come.set()

    def keep(self, payload: bytes) -> None:
        """The renderer wants this to be kept."""
        self._kept = payload
        self._keeps.set()

    def now(self) -> bytes | None:
        """What the renderer is to hear next, if there is anything."""
        return self._news.popleft() if self._news else None

    async def news(self) -> bytes:
        """What the renderer is to hear next."""
        while not self._news:
            self._come.clear()
            await self._come.wait()
        return self._news.popleft()

    def end(self) -> None:
        """Nothing more will be wanted."""
        self._over = True
        self._keeps.set()

    async def wants(self) -> bytes | None:
        """What is to be kept; None if that was all."""
        while self._kept is None and not self._over:
            self._keeps.clear()
            await self._keeps.wait()
        found, self._kept = self._kept, None
        return found


class ViewLines:
    """Those of a control plane, by run and view."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], list[ViewLine]] = {}
        self._visits: dict[tuple[str, str], set[asyncio.Event]] = {}

    @asynccontextmanager
    async def open(self, run_id: str, name: str) -> AsyncIterator[ViewLine]:
        """A line to a view, as long as it is there."""
        line, here = ViewLine(), (run_id, name)
        self._lines.setdefault(here, []).append(line)
        try:
            yield line
        finally:
            self._lines[here].remove(line)
            if not self._lines[here]:
                del self._lines[here]

    @contextmanager
    def visit(self, run_id: str, name: str, again: asyncio.Event) -> Iterator[None]:
        """Somebody looks at a view, kept or not: ``again`` is set when what they may there may be something else."""
        here = (run_id, name)
        self._visits.setdefault(here, set()).add(again)
        try:
            yield
        finally:
            self._visits[here].remove(again)
            if not self._visits[here]:
                del self._visits[here]

    def ask_again(self, run_id: str, name: str) -> None:
        """A token of a view is not good any more, or the view is gone."""
        for again in self._visits.get((run_id, name), ()):
            again.set()

    def tell(self, run_id: str, name: str, kept: KeptView | None, *, echo: bool = False) -> None:
        """A view is other than before, or not there any more; ``echo``: its viewers have made that of it."""
        lines = self._lines.get((run_id, name), [])
        message = stored(kept, echo=echo) if lines else None
        for line in lines:
            if message is not None:
                line.tell(message)


def stored(kept: KeptView | None, *, echo: bool = False) -> bytes | None:
    """What a renderer is told of a view; None if it cannot be shown to browsers, which is said in the log."""
    if kept is None:
        return encode_stored(Stored(0, NOBODY, View()), VERSION)
    # The API takes what a browser cannot know: numbers that are no object's.
    ids = tuple(one for one in kept.view.selected if 0 < one <= MOST_ID)
    view, camera = kept.view, kept.camera
    shown = msgspec.structs.replace(view, selected=ids, placement=Placement(), pattern=False)
    where = Camera(camera.azimuth, camera.elevation, camera.distance, camera.target)
    try:
        return encode_stored(Stored(kept.revision, where, shown, echo), VERSION)
    except Refused as why:
        log.warning("a view cannot be shown to browsers", run=kept.run_id, view=kept.name, why=str(why))
        return None
