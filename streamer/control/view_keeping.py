"""What the browsers of a shared view make of it is kept, and what is kept is what they see.

Only views that somebody has made over the API are kept.  The renderer says what its viewers have made of one and from
which revision; where somebody else was quicker that is dropped, and the renderer told what there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import structlog

from streamer.control import view_books
from streamer.control.registry import Registry
from streamer.control.schema import Problem
from streamer.control.view_books import Camera, KeptView
from streamer.control.view_lines import ViewLine, stored
from streamer.wire.header import Refused
from streamer.wire.keeping import decode_kept
from streamer.wire.spelling import NoView, merged

log = structlog.get_logger()


@asynccontextmanager
async def seated(registry: Registry, run_id: str, name: str) -> AsyncIterator[ViewLine]:
    """The line of a browser to a view, as long as it is there.  Raises Problem 503 if the books cannot be read."""
    async with registry.view_lines.open(run_id, name) as line:
        kept = await _find(registry, run_id, name)
        if kept is not None and (message := stored(kept)) is not None:
            line.tell(message)
        keeping = asyncio.create_task(_keep(registry, run_id, name, line))
        try:
            yield line
        finally:
            # What the renderer has said last is kept too.
            line.end()
            await keeping


async def _keep(registry: Registry, run_id: str, name: str, line: ViewLine) -> None:
    while (payload := await line.wants()) is not None:
        await _write(registry, run_id, name, payload)


async def _write(registry: Registry, run_id: str, name: str, payload: bytes) -> None:
    """Writes down what the viewers of a view have made of it, if that was made from what is written."""
    try:
        made = decode_kept(payload)
        before = await _find(registry, run_id, name)
        if before is None or before.revision != made.revision:
            registry.view_lines.tell(run_id, name, before)
            return
        after = msgspec.structs.replace(
            before,
            view=merged(before.view, made.state),
            camera=msgspec.convert(made.camera, Camera),
            changed=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        written = await registry.ask(lambda books: view_books.change(books, before, after))
    except (Problem, Refused, NoView, msgspec.ValidationError) as why:
        # The renderer says it once more, and its viewers are none the worse.
        log.warning("what a view shows was not written down", run=run_id, view=name, why=str(why))
        return
    if written is not None:
        registry.view_lines.tell(run_id, name, written, echo=True)


async def _find(registry: Registry, run_id: str, name: str) -> KeptView | None:
    return await registry.ask(lambda books: view_books.find(books, run_id, name))
