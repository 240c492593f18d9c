"""The desk at which the books are kept: one thing at a time, in a thread, so that nobody else waits for the disk.

What must be written before anything is done is asked for and waited for.  News of a run's course is only noted: of
each run the newest, which is written when the database can be had.  A database that is away for a while stops no run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog

from streamer.control.books import Books, KeyTaken
from streamer.control.database import NoBooks
from streamer.control.runs import Run, worth_writing
from streamer.control.schema import Problem

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
SILENT_S = 6.0
"""A database that has not answered for so long is said to be silent; one that is locked says so before (``BUSY_S``)."""
LAST_S = 5.0
"""So long the last news may take at the end."""
log = structlog.get_logger()
Answer = TypeVar("Answer")


class Followed(Protocol):
    """A run whose news are noted."""

    @property
    def record(self) -> Run:
        """How it stands."""
        ...

    async def newer(self, version: int) -> int:
        """Waits until there is news."""
        ...


class Desk:
    """Keeps ``books``.  ``write`` is to run for as long as there is news; ``close`` it when done."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._thread = ThreadPoolExecutor(1, "books")
        self._news: dict[str, Run] = {}
        self._come = asyncio.Event()
        self._trouble = ""
        self._asked: float | None = None
        """Since when the question waits that is being answered."""

    @property
    def trouble(self) -> str:
        """Why the books are behind, in a sentence; empty if they are not."""
        since = self._asked
        if not self._trouble and since is not None and (silent_s := time.monotonic() - since) > SILENT_S:
            return f"the database has not answered for {silent_s:.0f} s"
        return self._trouble

    async def ask(self, question: Callable[[Books], Answer]) -> Answer:
        """What the books say to a question, in its turn.  Raises NoBooks, and what the question raises."""

        def answered() -> Answer:
            self._asked = time.monotonic()
            try:
                return question(self._books)
            finally:
                self._asked = None

        return await asyncio.get_running_loop().run_in_executor(self._thread, answered)

    async def answer(self, question: Callable[[Books], Answer]) -> Answer:
        """The same for somebody who is to be answered.  Raises Problem 503, 422, and what else the question raises."""
        try:
            return await self.ask(question)
        except NoBooks as why:
            raise Problem(503, str(why)) from None
        except KeyTaken as why:
            raise Problem(422, str(why)) from None

    def note(self, record: Run) -> None:
        """How a run stands now, to be written when there is time."""
        self._news[record.run_id] = record
        self._come.set()

    def forget(self, run_id: str) -> None:
        """A run that was removed: what has been noted of it is not written any more."""
        self._news.pop(run_id, None)

    async def follow(self, run: Followed) -> None:
        """Notes a run's news for as long as it is not cancelled."""
        version, noted, at = -1, None, 0.0
        now = asyncio.get_running_loop().time
        while True:
            version = await run.newer(version)
            record = run.record
            if worth_writing(noted, record, now() - at):
                self.note(record)
                noted, at = record, now()

    async def write(self) -> None:
        """Writes what has been noted; never ends."""
        wait_s = FIRST_WAIT_S
        while True:
            await self._come.wait()
            self._come.clear()
            if await self._written():
                wait_s = FIRST_WAIT_S
            else:
                self._come.set()
                await asyncio.sleep(wait_s)
                wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

    async def close(self) -> None:
        """Writes what is left, if that can be done soon, and lets go of the books."""
        try:
            async with asyncio.timeout(LAST_S):
                await self._written()
        except TimeoutError:
            log.error("the last news of runs could not be written", runs=sorted(self._news))
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._books.close()

    async def _written(self) -> bool:
        """Whether all that was noted could be written."""
        while self._news:
            records = list(self._news.values())
            try:
                await self.ask(lambda books, records=records: books.put(records))  # type: ignore[misc]
            except NoBooks as why:
                if str(why) != self._trouble:
                    self._trouble = str(why)
                    log.error("runs go on, but nothing is written down", why=self._trouble)
                return False
            for record in records:
                if self._news.get(record.run_id) is record:
                    del self._news[record.run_id]
        if self._trouble:
            log.info("what was noted meanwhile is written down")
            self._trouble = ""
        return True
