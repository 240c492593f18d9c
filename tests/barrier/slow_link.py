"""A slow link: a TCP address whose bytes arrive at another one some time later, and the answers too.

python -m tests.barrier.slow_link tcp://HOST:PORT SECONDS      prints its own address
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from contextlib import suppress


class SlowLink:
    """An address on loopback; use it as long as the process lives."""

    def __init__(self, target: str, one_way_s: float) -> None:
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        self._target, self._one_way_s = (host, int(port)), one_way_s
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"

    def _start(self, what: object, *arguments: object) -> None:
        threading.Thread(target=what, args=arguments, daemon=True).start()  # type: ignore[arg-type]  # callable

    def serve(self) -> None:
        """Takes whoever comes, for good."""
        while True:
            here, _ = self._door.accept()
            with suppress(OSError):
                there = socket.create_connection(self._target)
                for end in (here, there):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for a, b in ((here, there), (there, here)):
                    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
                    self._start(self._take, a, waiting)
                    self._start(self._give, b, waiting)

    def _take(self, end: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        raw = b"."
        while raw:
            try:
                raw = end.recv(1 << 16)
            except OSError:
                raw = b""
            waiting.put((time.monotonic() + self._one_way_s, raw))

    @staticmethod
    def _give(end: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with suppress(OSError):
            while True:
                due, raw = waiting.get()
                time.sleep(max(0.0, due - time.monotonic()))  # the link's length is what is tested
                if not raw:
                    end.close()
                    return
                end.sendall(raw)


if __name__ == "__main__":
    link = SlowLink(sys.argv[1], float(sys.argv[2]))
    print(link.address, flush=True)
    link.serve()
