"""Which viewers' H.264 pictures follow from the same ones before, so that each is encoded once for all of them.  Pure.

A chain is one encoder's pictures.  Whoever follows it has had every picture since one that decodes by itself; so it is
decided before a picture is encoded who gets it, and who does not get it has left the chain.  Whoever begins, because he
is new, has lost a picture, or wants another size or rate, begins a new chain together with those who do so in the same
picture: viewers whose links go at paces of their own come apart once, and are not held together by key frames.

The easel has the chains; the post has their encoders, and gives each up when it is told that nobody follows its chain.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

MOST_CHAINS = 8
"""Encoders at a time; each holds some pictures in memory.  Who would need one more gets JPEG."""

Peer = bytes


class Way(NamedTuple):
    """How a picture is encoded; those who want the same may have the same."""

    width: int
    height: int
    half: bool
    kbit: int


class Leg(NamedTuple):
    """One viewer's next picture: of which chain, and whether that begins here."""

    chain: int
    key: bool
    way: Way


class Follower(NamedTuple):
    """Somebody who is to get a picture."""

    peer: Peer
    way: Way
    anew: bool
    """What he had before is of no use to him."""


class Chains:
    """The chains that are followed."""

    def __init__(self) -> None:
        self._ways: dict[int, Way] = {}
        self._chain_of: dict[Peer, int] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._ways)

    def next(self, followers: Sequence[Follower]) -> dict[Peer, Leg]:
        """The next picture of those who get it now; who is missing in the answer gets no H.264."""
        legs: dict[Peer, Leg] = {}
        anew: dict[Way, list[Peer]] = {}
        for peer, way, fresh in followers:
            chain = self._chain_of.get(peer)
            if chain is None or fresh or self._ways[chain] != way:
                self._chain_of.pop(peer, None)
                anew.setdefault(way, []).append(peer)
            else:
                legs[peer] = Leg(chain, False, way)
        going = {leg.chain for leg in legs.values()}
        for peer, chain in list(self._chain_of.items()):
            if chain in going and peer not in legs:
                del self._chain_of[peer]
        self._tidy()
        for way, peers in anew.items():
            if len(self._ways) >= MOST_CHAINS:
                break
            self._last += 1
            self._ways[self._last] = way
            for peer in peers:
                self._chain_of[peer] = self._last
                legs[peer] = Leg(self._last, True, way)
        return legs

    def keep(self, peers: Collection[Peer]) -> frozenset[int]:
        """Only these still follow any; the chains that are followed."""
        for peer in self._chain_of.keys() - set(peers):
            del self._chain_of[peer]
        self._tidy()
        return frozenset(self._ways)

    def _tidy(self) -> None:
        followed = set(self._chain_of.values())
        self._ways = {chain: way for chain, way in self._ways.items() if chain in followed}
