"""A thin link on loopback: a TCP address through which so many bits a second pass each way, some time later.

Where the measuring tools lie beside the project (``../shared/bench/browser``, or what CAVECAST_BENCH names) theirs is
taken, which the figures in docs/performance.md were measured with; else a small one of our own, and the test says so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.ending import end

MBIT, ONE_WAY_S = 4.0, 0.025
PIECE = 4096
PATIENCE_S = 20.0


@contextmanager
def thin_link(port: int) -> Iterator[int]:
    """A port of loopback that leads to another one through 4 Mbit/s and 25 ms each way."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("CAVECAST_BENCH") or root.parent / "shared" / "bench" / "browser")
    script = folder / "slowlink.py"
    if script.is_file():
        command = [sys.executable, str(script), "--mbit", str(MBIT), "--delay-ms", str(1000 * ONE_WAY_S)]
    else:
        print(f"{script} is not there: a small counterpart of our own is the thin link")
        command = [sys.executable, "-m", "tests.e2e.thin_link"]
    with socket.create_server(("127.0.0.1", 0)) as door:
        here = int(door.getsockname()[1])
    link = subprocess.Popen([*command, "--listen", str(here), "--to", str(port)], cwd=root)
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", here), 1.0):
                break
            assert link.poll() is None, "the thin link has ended"
            assert time.monotonic() < until, "the thin link does not listen"
        yield here
    finally:
        end(link, signal.SIGKILL)


class Pipe:
    """One direction, which all connections share."""

    def __init__(self) -> None:
        self._free = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on what comes, at the link's pace, a while later."""
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(4)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._give(late, writer))
            raw = b"."
            while raw:
                try:
                    raw = await reader.read(PIECE)
                except OSError:
                    raw = b""
                now = time.monotonic()
                self._free = max(self._free, now) + 8 * len(raw) / (MBIT * 1e6)
                await asyncio.sleep(self._free - now)
                await late.put((time.monotonic() + ONE_WAY_S, raw))

    @staticmethod
    async def _give(late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        raw = b"."
        while raw:
            due, raw = await late.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not writer.is_closing():
                with suppress(OSError):
                    writer.write(raw)
                    await writer.drain()
        writer.close()


async def serve(here: int, port: int) -> None:
    """Forwards, for good."""
    up, down = Pipe(), Pipe()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Little is kept on the way: what a real thin link does not take, its sender sees.
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", port))
        reader_there, writer_there = await asyncio.open_connection(sock=end, limit=16 << 10)
        writer.transport.set_write_buffer_limits(high=16 << 10)
        await asyncio.gather(up.carry(reader, writer_there), down.carry(reader_there, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", here, limit=16 << 10) as server:
        await server.serve_forever()


if __name__ == "__main__":
    given = argparse.ArgumentParser()
    given.add_argument("--listen", type=int, required=True)
    given.add_argument("--to", type=int, required=True)
    asked = given.parse_args()
    asyncio.run(serve(asked.listen, asked.to))
