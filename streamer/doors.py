"""The streamer's doors: ROUTER sockets, who is let in, and a word about those who are not.

With keys, every newcomer's key is judged (ZAP, asked by ZeroMQ over a socket of this process) before anything that
it sends is read; without, only addresses that this machine alone can reach are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
import zmq
from zmq.utils.monitor import parse_monitor_message

from streamer.wire.keys import DOORS, ZAP_ADDRESS, Keys, beyond_loopback, judge
from streamer.wire.line import Gate

_NOBLOCK = int(zmq.NOBLOCK)
LONGEST_IPC = 100
HANDSHAKE_MS = 5000
"""A connection on which nobody has introduced himself for so long is closed."""


class BadAddress(ValueError):
    """An address that the streamer cannot listen at: which, and why."""

    exit_code = 2


class Opening(NamedTuple):
    """What a door is to be: where, how many messages may wait for one peer, and the bytes of the largest frame."""

    address: str
    pipe: int
    largest: int
    answers: int = 0
    """How many messages may wait to be sent to one peer, if that is another number."""


class Doors:
    """Some open doors.  Poll ``sockets`` and ``others``; call ``attend`` when one of the others is readable."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], openings: Mapping[str, Opening], keys: Keys | None
    ) -> None:
        """Raises BadAddress; then the context is to be destroyed."""
        self._log = structlog.get_logger("streamer")
        self._keys = keys
        self.gates = {door: Gate(door, keys is not None) for door in openings}
        self._admitted = {door: keys.admitted(door) for door in DOORS} if keys else {}
        self._judged = Gate("", locked=True)
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self._monitors: dict[zmq.Socket[bytes], str] = {}
        self._zap: zmq.Socket[bytes] | None = None
        for one in openings.values():
            check_address(one.address, locked=keys is not None)
        if keys is not None:
            self._zap = context.socket(zmq.REP)
            self._zap.setsockopt(zmq.LINGER, 0)
            self._zap.bind(ZAP_ADDRESS)
        for door, opening in openings.items():
            self.sockets[door] = self._open(context, door, opening)

    def _open(self, context: zmq.Context[zmq.Socket[bytes]], door: str, opening: Opening) -> zmq.Socket[bytes]:
        socket = context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, opening.answers or opening.pipe)
        socket.setsockopt(zmq.RCVHWM, opening.pipe)
        socket.setsockopt(zmq.MAXMSGSIZE, opening.largest)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        if self._keys is not None:
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
            # Without a domain ZeroMQ asks nobody, and lets any key in.
            socket.setsockopt(zmq.ZAP_DOMAIN, door.encode())
        self._monitors[socket.get_monitor_socket(sum(zmq.Event[name] for name in Gate.EVENTS))] = door
        try:
            socket.bind(opening.address)
        except zmq.ZMQError as why:
            raise BadAddress(f"the streamer cannot listen at {opening.address}: {why.strerror}") from None
        return socket

    @property
    def others(self) -> list[zmq.Socket[bytes]]:
        """What else may become readable."""
        return [*self._monitors, *([self._zap] if self._zap else [])]

    def attend(self, now: float) -> None:
        """Judges the newcomers, and says who was not let in."""
        if self._zap is not None:
            with contextlib.suppress(zmq.Again):
                while True:
                    reply, why = judge(self._zap.recv_multipart(zmq.NOBLOCK), self._admitted)
                    self._zap.send_multipart(reply)
                    self._say(self._judged.tell(why, now))
        for monitor, door in self._monitors.items():
            with contextlib.suppress(zmq.Again):
                while True:
                    event = parse_monitor_message(monitor.recv_multipart(zmq.NOBLOCK))
                    name = str(zmq.Event(event["event"]).name)
                    self._say(self.gates[door].event(name, event["value"], now))

    def _say(self, sentence: str) -> None:
        if sentence:
            self._log.warning("not let in", why=sentence)

    @property
    def refused(self) -> int:
        """Connections that were not let in."""
        return sum(gate.refused for gate in self.gates.values())

    def address(self, door: str) -> str:
        """Where it is, in words that a peer can connect to."""
        return self.sockets[door].getsockopt_string(zmq.LAST_ENDPOINT)

    def role(self, frame: zmq.Frame) -> str:
        """Whose key the sender of a frame has; empty where keys are not asked for."""
        return str(frame.get("User-Id")) if self._keys is not None else ""

    def close(self) -> None:
        """Ends the monitors, which the context would else wait for."""
        for socket in self.sockets.values():
            socket.disable_monitor()
        for monitor in self._monitors:
            monitor.close(0)
        self._monitors.clear()


def take(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """The frames of a message that has come; raises zmq.Again if there is none."""
    # In place of recv_multipart, which asks the socket for an option after each frame.
    frame = socket.recv(_NOBLOCK, copy=False)
    frames = [frame]
    while frame.more:
        frame = socket.recv(_NOBLOCK, copy=False)
        frames.append(frame)
    return frames


def check_address(address: str, *, locked: bool) -> None:
    """Raises BadAddress unless one can listen there: without keys, only this machine may be able to reach it."""
    parts = urlsplit(address)
    if parts.scheme == "ipc":
        path = address.removeprefix("ipc://")
        if len(path.encode()) > LONGEST_IPC:
            raise BadAddress(
                f"the path of {address} has {len(path.encode())} bytes; a socket's has {LONGEST_IPC} at most: "
                "take a folder with a shorter name"
            )
        if path.startswith("/") and not Path(path).parent.is_dir():
            raise BadAddress(f"there is no folder {Path(path).parent} for the socket {address}")
        return
    if parts.scheme != "tcp":
        raise BadAddress(f"{address} is no address to listen at: it begins with tcp:// or ipc://")
    if beyond_loopback(address) and not locked:
        raise BadAddress(
            f"{address} can be reached from other machines, so peers must have keys: make them with cavecast keys "
            "and give --keys streamer.toml, or listen at 127.0.0.1 or at an ipc:// address"
        )
