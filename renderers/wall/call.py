"""A line to a conductor: a DEALER socket, its monitor, keys if there are any, and the signals that end a process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import structlog
import zmq
from zmq.utils.monitor import parse_monitor_message

from renderers.wall.framing import MAX_SCENE, decode, encode
from renderers.wall.messages import Known, Message
from streamer.wire.header import Refused
from streamer.wire.keys import Keys
from streamer.wire.line import EVENTS, Line

PIPE = 64


class NoAddress(ValueError):
    """An address at which no conductor can be."""

    exit_code = 2


class Call:
    """Poll ``socket`` and ``monitor``; call ``attend`` in every turn."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, keys: Keys | None) -> None:
        """Raises NoAddress."""
        self._address, self._keys = address, keys
        self._log = structlog.get_logger("renderer.call")
        self._line = Line("renderer", "conductor", address, 1 if keys else 0)
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 200)
        self.socket.setsockopt(zmq.SNDHWM, PIPE)
        self.socket.setsockopt(zmq.RCVHWM, PIPE)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_SCENE)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 50)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        if keys is not None:
            # The door of a wall has the key of its renderers: they are one role.
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, keys.public)
        self.monitor = self.socket.get_monitor_socket(sum(zmq.Event[name] for name in EVENTS))
        try:
            self.socket.connect(address)
        except zmq.ZMQError:
            self.close()
            raise NoAddress(
                f"{address} is no address of a conductor: give the one of its ready line, such as tcp://HOST:PORT"
            ) from None
        self.garbage = 0

    def attend(self, now: float) -> None:
        """Says why there is no connection, and makes it anew where ZeroMQ does not."""
        while self.monitor.poll(0):
            event = parse_monitor_message(self.monitor.recv_multipart())
            if said := self._line.event(str(zmq.Event(event["event"]).name), event["value"], now):
                self._log.warning("no connection", why=said)
        if self._line.redial(now):
            with suppress(zmq.ZMQError):
                self.socket.disconnect(self._address)
            self.socket.connect(self._address)

    def deadline(self) -> float:
        """When ``attend`` wants to be called."""
        return self._line.deadline()

    def said(self) -> list[tuple[Known, bytes]]:
        """All that has come, in order; what is no message is counted."""
        found: list[tuple[Known, bytes]] = []
        with suppress(zmq.Again):
            while len(found) < 4 * PIPE:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
                try:
                    message, payload = decode(frames)
                except Refused as why:
                    self.garbage += 1
                    self._log.warning("the conductor sent what is no message", why=str(why))
                    continue
                if message is not None:
                    found.append((message, payload))
        return found

    def say(self, message: Message) -> bool:
        """Sends; False if the pipe is full, for the other side does not read."""
        try:
            self.socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """Hangs up."""
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close()


def host() -> str:
    """Which start of which machine this is: where it is the same, the monotonic clock is."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/time').readlink()}"[:100]
    except OSError:
        return ""
