"""Which process has which seat at a conductor: who may join, and who has to go for it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from renderers.wall.messages import Join


class NoPlace(ValueError):
    """Why a process cannot have the seat that it asks for, in a sentence."""


class Gone(NamedTuple):
    """A seat whose process has to go, for another one has come for a tile of it."""

    seat: str
    peer: bytes
    """Whom to tell; empty if it is the one that has come, and knows."""


class Register:
    """The seats of one wall and the peers that have them, each at most one seat."""

    def __init__(self, wall: str, digest: str, seats: Mapping[str, tuple[str, ...]]) -> None:
        """``seats``: the tiles of each process that the wall may have."""
        self.seats = dict(seats)
        self._wall, self._digest = wall, digest
        self._peers: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}

    def seat(self, peer: bytes) -> str | None:
        """The seat that a peer has."""
        return self._names.get(peer)

    def peer(self, seat: str) -> bytes | None:
        """Who has a seat."""
        return self._peers.get(seat)

    def admit(self, peer: bytes, join: Join) -> list[Gone]:
        """Gives a peer the seat that it asks for; returns whose seats end with that.  Raises NoPlace."""
        mine = self.seats.get(join.seat)
        if mine is None or join.tiles not in ((), mine):
            raise NoPlace(f"wall {self._wall} has no tile or node {join.seat!r} with these tiles")
        if join.wall != self._digest:
            raise NoPlace(
                f"the tile has another description of wall {self._wall} than the conductor: give both the same file"
            )
        # Who has one of these tiles, also under the name of a node; and whatever else this peer was.
        ended = [
            Gone(seat, other if other != peer else b"")
            for seat, other in self._peers.items()
            if (seat, other) != (join.seat, peer) and (other == peer or not set(mine).isdisjoint(self.seats[seat]))
        ]
        for gone in ended:
            self._names.pop(self._peers.pop(gone.seat), None)
        self._peers[join.seat], self._names[peer] = peer, join.seat
        return ended

    def leave(self, peer: bytes) -> None:
        """A peer gives its seat up."""
        self._peers.pop(self._names.pop(peer, ""), None)
