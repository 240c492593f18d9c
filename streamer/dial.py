"""A subscriber's connection to a feed: a DEALER socket, its monitor, and the keys, if there are any.

Says in words why there is no connection, and makes it anew where ZeroMQ does not.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

import zmq
from zmq.utils.monitor import parse_monitor_message

from streamer.wire.keys import Keys, Role
from streamer.wire.line import EVENTS, Line


class Says(Protocol):
    """What a log is to this module."""

    def warning(self, event: str, /, **facts: object) -> object: ...


class Dialled:
    """``socket`` is set up by whoever uses it, then ``connect`` it, and ``attend`` to it in every turn."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, who: Role, keys: Keys | None, log: Says
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)  # a line that has been cut somewhere is noticed
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 20000)
        self.monitor = self.socket.get_monitor_socket(sum(zmq.Event[name] for name in EVENTS))
        self._address, self._keys, self._log = address, keys, log
        self.line = Line(who, "streamer", address, len(keys.servers) if keys else 0)
        self._made = self._dialled = 0

    def connect(self) -> None:
        """Dials.  Raises ZMQError if the address is none."""
        if self._keys is not None:
            lock(self.socket, self._keys, self._keys.servers[self.line.key])
        self.socket.connect(self._address)

    def attend(self, now: float) -> bool:
        """Looks after the connection; returns whether it was made anew, so that the other side must be greeted."""
        while self.monitor.poll(0):
            event = parse_monitor_message(self.monitor.recv_multipart())
            if said := self.line.event(str(zmq.Event(event["event"]).name), event["value"], now):
                self._log.warning("no connection", why=said)
        if self.line.redial(now):
            with suppress(zmq.ZMQError):
                self.socket.disconnect(self._address)
            self.connect()
        if self.line.connections == self._made:
            return False
        anew = self._made > 0 or self.line.dialled > self._dialled
        self._made, self._dialled = self.line.connections, self.line.dialled
        return anew

    def close(self) -> None:
        """Hangs up; what is still to be sent has the time that LINGER gives it."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close()


def lock(socket: zmq.Socket[Any], keys: Keys, server: bytes) -> None:
    """Gives a client's socket its keys and the one that the server must have."""
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, server)
