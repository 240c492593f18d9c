"""How a child that does not end by itself is ended, by somebody who cannot wait for ever that it has gone."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

GONE_S = 2.0
"""So long a process may take to go once it was killed; one that waits for a driver or a disk may take for ever."""
log = structlog.get_logger()


async def kill(process: asyncio.subprocess.Process, what: str) -> bool:
    """Kills a process, unless it has ended; whether it is gone.  ``what`` it is, for the log."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Until Python 3.12 this waits for the ends of its pipes too, which nobody may be reading any more.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GONE_S)
    if process.returncode is None:
        log.warning("a process was killed and does not go", what=what, pid=process.pid)
        return False
    process._transport.close()  # type: ignore[attr-defined]  # lets go of the pipes, whoever else has them still
    return True
