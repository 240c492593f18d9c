"""Who of several control planes leads the runs of one place: whoever holds PostgreSQL's advisory lock for it.

The lock belongs to a connection, so it is free as soon as its holder is gone, ``kill -9`` included.  A database that is
silent frees nothing and takes nothing away: the lead is lost only when it is known that somebody else has it.  What a
leader of before still wants to write is refused by the books (``Books``: terms).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from streamer.control.database import NoBooks

TRY_S = 1.0
"""Between two tries to get the lock."""
LOOK_S = 2.0
"""Between two looks whether it is still had."""
_HOW = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "options": "-c statement_timeout=5000"}
log = structlog.get_logger()


class PlaceLock:
    """Leadership of ``place`` by a lock of the database at ``url``.  Raises NoBooks if that cannot be used at all."""

    def __init__(self, url: str, place: str) -> None:
        self.lost = asyncio.Event()
        self.standing = "nobody has been asked yet who leads"
        digest = hashlib.sha256(f"cavecast {place}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        try:
            self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_HOW)
        except (SQLAlchemyError, ImportError) as why:
            raise NoBooks(f"the database of the runs cannot be used: {why}") from None
        self._thread = ThreadPoolExecutor(1, "leading")
        self._line: Connection | None = None
        self._watching: asyncio.Task[None] | None = None
        self._released = asyncio.Event()

    async def check(self) -> None:
        """Raises NoBooks if the database cannot be had: who is only being started had better say so and end."""
        if not await self._taken() and not self._refused:
            raise NoBooks(self.standing)

    async def won(self) -> None:
        """Waits until the lock is had; then looks after it until it is released."""
        while not await self._taken():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRY_S):
                    await self._released.wait()
                    await asyncio.Event().wait()  # it is not won any more, and who waits is cancelled
        self.standing = "this control plane leads"
        self._watching = asyncio.create_task(self._watch())

    async def release(self) -> None:
        """Lets go of the lock."""
        self._released.set()
        if self._watching is not None:
            self._watching.cancel()
        self._thread.submit(self._hang_up)
        self._thread.shutdown(wait=False)

    async def _watch(self) -> None:
        """Looks after the lock; however that ends, the lead is lost with it, unless it was let go of."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                if await self._ask(self._there):
                    continue
                log.warning("the lock of this place is to be taken again", why=self.standing)
                while not await self._taken():
                    if self._refused:
                        return
                    await asyncio.sleep(TRY_S)
                self.standing = "this control plane leads"
        finally:
            if not self._released.is_set():
                self.lost.set()

    async def _taken(self) -> bool:
        return bool(await self._ask(self._try))

    async def _ask(self, question: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    # ------------------------------------------------------------ in the thread

    _refused = False

    def _try(self) -> bool:
        self._refused = False
        try:
            if self._line is None:
                self._line = self._engine.connect()
            got = self._line.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}).scalar()
        except SQLAlchemyError as why:
            self._broken(why)
            return False
        if not got:
            self._refused = True
            self.standing = "another control plane leads, and this one stands by"
        return bool(got)

    def _there(self) -> bool:
        """Whether the connection that has the lock is as it was."""
        try:
            assert self._line is not None, "it has been won"
            self._line.execute(text("SELECT 1"))
        except SQLAlchemyError as why:
            self._broken(why)
            return False
        return True

    def _broken(self, why: SQLAlchemyError) -> None:
        first = (str(getattr(why, "orig", None) or why).splitlines() or [type(why).__name__])[0]
        self.standing = f"the database cannot be asked who leads: {first}"
        self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._line.invalidate()
                self._line.close()
            self._line = None
