"""The audit log's pen: what somebody has changed is written down before they are told that it is done.

If the books are away, it waits in memory and in the server's own log, and is written with what comes next: a run can
be ended also while the database is away.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from streamer.control.access import ledger
from streamer.control.access.rules import AuditRules
from streamer.control.access.shown import AuditEntry
from streamer.control.books import Books
from streamer.control.database import NoBooks
from streamer.control.desk import Desk

PATIENCE_S = 2.0
"""So long an answer waits for its entry."""
MOST_WAITING = 10_000
log = structlog.get_logger("audit")


class Diary:
    """Writes the audit log.  ``clock`` gives seconds since 1970."""

    def __init__(self, desk: Desk, rules: AuditRules, clock: Callable[[], float]) -> None:
        self._desk, self._rules, self._clock = desk, rules, clock
        self._waiting: deque[tuple[float, AuditEntry]] = deque()
        self._lock = threading.Lock()  # entries come here and go at the desk, which is another thread

    async def note(
        self, account: str, name: str, address: str, operation: str, project: str, about: str, status: int
    ) -> None:
        """Writes down that somebody has changed something (``status`` below 400), or was not let."""
        now = self._clock()
        outcome = "done" if status < 400 else "refused" if status < 500 else "failed"
        time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        entry = AuditEntry(
            time=time, account=account[:320], name=name[:255], address=address[:64], operation=operation,
            project=project[:64], about=about[:128], status=status, outcome=outcome,
        )  # fmt: skip
        log.info(
            operation, account=entry.account, address=entry.address, project=entry.project, about=entry.about,
            status=status, outcome=outcome,
        )  # fmt: skip
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                log.error("the audit log loses its oldest entry that waits: the database is away for too long")
            self._waiting.append((now, entry))
        await self.flush()

    async def flush(self) -> None:
        """Writes what waits, if that can be done soon."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._desk.ask(self._write)
        except (NoBooks, TimeoutError, RuntimeError) as why:  # RuntimeError: the desk is closed
            log.warning("the audit log waits", entries=len(self._waiting), why=str(why))

    def _write(self, books: Books) -> None:
        with self._lock:
            now = list(self._waiting)
        ledger.note(books, now, self._rules)
        with self._lock:
            for entry in now:
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
