"""A DEALER for the event loop, for lines with a hundred messages a second.

It does what zmq.asyncio's sockets do, without a future for each message: a picture on its way to a browser costs the
control plane about half (docs/performance.md).
"""

from __future__ import annotations

import asyncio

import zmq

LINGER_MS = 300


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
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                self._readable.clear()
                self._look()
                await self._readable.wait()
            else:
                if not self._writable.is_set():
                    self._look()
                return frames[0] if len(frames) == 1 else b"".join(frames)

    def _look(self) -> None:
        """Wakes whoever waits.  Asking for the events is also what makes the descriptor quiet."""
        events = int(self._socket.get(zmq.EVENTS))
        if events & zmq.POLLIN:
            self._readable.set()
        if events & zmq.POLLOUT:
            self._writable.set()
