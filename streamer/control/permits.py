"""Whether those who look at a shared view may still do there what they might when they came.

A token is revoked or runs out, a view is removed, somebody has another role: the line ends then with a sentence, and
who may still come comes again, as what they are now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from streamer.control.access.guard import AGAIN_S
from streamer.control.schema import Problem
from streamer.control.view_roles import Role

ORDER: tuple[Role, ...] = ("look", "follow", "lead")


async def barred(ask: Callable[[], Awaitable[Role]], held: Role, again: asyncio.Event, every_s: float = AGAIN_S) -> str:
    """Returns when somebody may not do any more what ``held`` says: why, in a sentence.

    ``ask`` says what they may; it is asked ``every_s``, and whenever ``again`` is set.
    """
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await again.wait()
        again.clear()
        try:
            now = await ask()
        except Problem as why:
            if why.status in (403, 404):
                return why.detail
            continue  # a database that is away ends nobody's looking
        if ORDER.index(now) < ORDER.index(held):
            return f"you may no longer {held} this view, but {now} it: come again"
