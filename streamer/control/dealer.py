"""A DEALER for the event loop, for lines with a hundred messages a second.

It does what zmq.asyncio's sockets do, without a future for each message: a picture on its way to a browser costs the
control plane about half (docs/performance.md).
"""

from __future__ import annotations

import asyncio

import zmq

LINGER_MS = 300
READABLE, WRITABLE = int(zmq.POLLIN), int(zmq.POLLOUT)  # as numbers: flags are slow to be compared


class Dealer:
    """Belongs to the loop that runs.  One task at a time receives."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        """``socket``: ready to use; it is closed with this."""
        self._socket, self._loop = socket, asyncio.get_running_loop()
        self._fd = socket.FD
        self._readable, self._writable = asyncio.Event(), asyncio.Event()
        self._loop.add_reader(self._fd, self._look)

    def close(self) -> None:
        """Hangs up; what has been sent still leaves."""
        self._loop.remove_reader(self._fd)
        self._socket.close(linger=LINGER_MS)

    async def send(self, message: bytes) -> None:
        """Waits until there is room."""
        while not self.offer(message):
            await self._writable.wait()

    def offer(self, message: bytes) -> bool:
        """Whether there was room for a message."""
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            self._writable.clear()
            self._look()
            return False
        # Sending takes notice of what has come too, and then the descriptor does not tell of it any more.
        self._look()
        return True

    async def recv(self) -> bytes:
        """The next message; its parts as one."""
        # Asked first: to be told by an exception that there is nothing costs several times as much.
        while not self._look() & READABLE:
            self._readable.clear()
            await self._readable.wait()
        frames = self._socket.recv_multipart(zmq.NOBLOCK)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _look(self) -> int:
        """Wakes whoever waits; what may be done.  Asking for the events is also what makes the descriptor quiet."""
        events = int(self._socket.get(zmq.EVENTS))
        if events & READABLE:
            self._readable.set()
        if events & WRITABLE:
            self._writable.set()
        return events
