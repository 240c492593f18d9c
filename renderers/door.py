"""A door of a renderer, for viewers, or of a conductor: a ROUTER socket, who is let in, and a word about others.

Viewers come through the control plane, so its key alone opens their door; without keys, only addresses that this
machine alone can reach are taken.
"""

from __future__ import annotations

import contextlib
import os
import re

import structlog
import zmq
from zmq.utils.monitor import parse_monitor_message

from streamer.wire.keys import ZAP_ADDRESS, Keys, beyond_loopback, judge
from streamer.wire.line import Gate
from streamer.wire.view import MAX_UP

PIPE = 8
HANDSHAKE_MS = 5000
"""A connection on which nobody has introduced himself for so long is closed."""
NAME = "views"


class BadAddress(ValueError):
    """An address that one cannot listen at: which, and why."""

    exit_code = 2


class ViewsDoor:
    """Poll ``socket`` and ``others``; call ``attend`` when one of the others is readable."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str,
        keys: Keys | None,
        name: str = NAME,
        largest: int = MAX_UP,
        pipe: int = PIPE,
        who: str = "renderer",
    ) -> None:
        """``largest``: bytes of a frame; ``pipe``: messages that may wait for one peer; ``who`` has the door, in words.

        Raises BadAddress; nothing is left open then.
        """
        # ZeroMQ takes 80x for 80.
        if not re.fullmatch(r"ipc://.+|tcp://.+:(\d{1,5}|\*)", address) or (keys is None and beyond_loopback(address)):
            raise BadAddress(
                f"the {who} cannot listen at {address}: without keys it takes an ipc:// address or "
                "tcp://127.0.0.1:PORT (0: a free one); make keys with cavecast keys, and give --keys renderer.toml"
            )
        self._log = structlog.get_logger("renderer")
        self.gate = Gate(name, keys is not None)
        self._admitted = {name: keys.admitted(name)} if keys else {}
        with contextlib.ExitStack() as undo:
            self._zap: zmq.Socket[bytes] | None = None
            if keys is not None:
                self._zap = context.socket(zmq.REP)
                undo.callback(self._zap.close, 0)
                self._zap.bind(ZAP_ADDRESS)
            self.socket = context.socket(zmq.ROUTER)
            undo.callback(self.socket.close, 0)
            self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self.socket.setsockopt(zmq.LINGER, 0)
            self.socket.setsockopt(zmq.SNDHWM, pipe)
            self.socket.setsockopt(zmq.RCVHWM, 1000)
            self.socket.setsockopt(zmq.MAXMSGSIZE, largest)
            self.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
            if keys is not None:
                self.socket.setsockopt(zmq.CURVE_SERVER, 1)
                self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
                # Without a domain ZeroMQ asks nobody, and lets any key in.
                self.socket.setsockopt(zmq.ZAP_DOMAIN, name.encode())
            self._monitor = self.socket.get_monitor_socket(sum(zmq.Event[name] for name in Gate.EVENTS))
            undo.callback(self._monitor.close, 0)
            undo.callback(self.socket.disable_monitor)
            try:
                self.socket.bind(address)
            except zmq.ZMQError as why:
                raise BadAddress(f"the {who} cannot listen at {address}: {os.strerror(why.errno or 0)}") from None
            undo.pop_all()

    @property
    def others(self) -> list[zmq.Socket[bytes]]:
        """What else may become readable."""
        return [self._monitor, *([self._zap] if self._zap else [])]

    def attend(self, now: float) -> None:
        """Judges the newcomers, and says who was not let in."""
        with contextlib.suppress(zmq.Again):
            while self._zap is not None:
                reply, why = judge(self._zap.recv_multipart(zmq.NOBLOCK), self._admitted)
                self._zap.send_multipart(reply)
                self._say(self.gate.tell(why, now))
        with contextlib.suppress(zmq.Again):
            while True:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
                self._say(self.gate.event(str(zmq.Event(event["event"]).name), event["value"], now))

    def _say(self, sentence: str) -> None:
        if sentence:
            self._log.warning("not let in", why=sentence)

    def close(self, linger_ms: int) -> None:
        """Closes the door; what is on its way to viewers has so long to leave."""
        self.socket.disable_monitor()
        self._monitor.close(0)
        if self._zap is not None:
            self._zap.close(0)
        self.socket.close(linger_ms)
