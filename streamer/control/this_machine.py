"""This machine as the one node that the local launcher has."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from streamer.control.seats import Listing, NodeFacts, Seatings, at_home
from streamer.wire.walls import WallFacts

LOCAL = ("localhost", "127.0.0.1", "::1")


class ThisMachine:
    """A ``seats.NodeSource`` without a cluster."""

    def __init__(self) -> None:
        self._host = socket.gethostname()

    async def nodes(self, labels: Mapping[str, str]) -> Listing:
        """This machine: it carries no labels, and belongs to every wall whose file says so by a host, or names none."""
        del labels
        return Listing((NodeFacts(self._host, self._host),))

    def seats(self, wall: WallFacts, found: Listing) -> Seatings:
        """Those whose host is this machine, and those without a host."""
        del found
        return at_home(wall, self._host, (self._host, *LOCAL))
