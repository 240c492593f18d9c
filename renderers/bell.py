"""Bells between threads: one end rings, the other becomes readable to a poller.  Once is enough."""

from __future__ import annotations

import secrets

import zmq

Socket = zmq.Socket[bytes]
RINGS = 1000
"""That may be on their way.  With few, one could be lost: a sender learns only later that they have been heard."""


def bell(context: zmq.Context[Socket]) -> tuple[Socket, Socket]:
    """The end to be polled and the end that rings it; each belongs to one thread, which closes it."""
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.setsockopt(zmq.LINGER, 0)
        end.setsockopt(zmq.SNDHWM, RINGS)
        end.setsockopt(zmq.RCVHWM, RINGS)
    address = f"inproc://bell-{secrets.token_hex(8)}"
    ends[0].bind(address)
    ends[1].connect(address)
    return ends


def ring(socket: Socket) -> None:
    """Makes the other end readable."""
    try:
        socket.send(b"", zmq.NOBLOCK)
    except zmq.Again:
        return


def hush(socket: Socket) -> None:
    """Reads all rings."""
    while True:
        try:
            socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
