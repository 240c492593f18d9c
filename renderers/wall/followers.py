"""The sites that follow this wall: each gets what is shown, the newest each time, as often as it asks.  Pure.

What is to be said is returned; the shell says it.  The number of sites is bounded, and one that is silent is forgotten.
"""

from __future__ import annotations

from typing import NamedTuple

from renderers.wall.messages import Follow, Message, Refuse, Seen

MOST_SITES = 16
SITE_S = 10.0
"""A site that is silent for so long is forgotten."""


class Say(NamedTuple):
    """Say this to a site."""

    peer: bytes
    message: Message
    payload: bytes = b""


class _Site:
    def __init__(self) -> None:
        self.credit = self.sent = 0
        self.number = -1
        self.heard = 0.0
        self.sent_at = self.came_at = 0.0


class Followers:
    """Sites, by the addresses that they write from."""

    def __init__(self) -> None:
        self._sites: dict[bytes, _Site] = {}
        self._number, self._at, self._raw = 0, 0.0, b""

    def drawn(self, number: int, at: float, raw: bytes, now: float) -> list[Say]:
        """The wall has begun to draw a look; ``raw`` is its scene."""
        self._number, self._at, self._raw = number, at, raw
        found = [self._tell(peer, site, now) for peer, site in self._sites.items()]
        return [say for say in found if say is not None]

    def follow(self, peer: bytes, follow: Follow, now: float) -> Say:
        """A site asks for what this wall shows; it is answered in any case, for the clock."""
        site = self._sites.get(peer)
        if site is None:
            if len(self._sites) >= MOST_SITES:
                return Say(peer, Refuse(f"{MOST_SITES} sites follow this wall already"))
            site = self._sites[peer] = _Site()
        site.credit, site.heard, site.sent_at, site.came_at = follow.credit, now, follow.at, now
        say = self._tell(peer, site, now) or Say(peer, Seen(-1, 0.0, site.sent_at, site.came_at, now))
        site.sent_at = 0.0
        return say

    def forget(self, now: float) -> None:
        """Those that are silent."""
        for peer in [peer for peer, site in self._sites.items() if now - site.heard > SITE_S]:
            del self._sites[peer]

    def gone(self, peer: bytes) -> None:
        """It has hung up."""
        self._sites.pop(peer, None)

    def __len__(self) -> int:
        return len(self._sites)

    def _tell(self, peer: bytes, site: _Site, now: float) -> Say | None:
        """What is shown, if that is news to the site and it has asked for it."""
        if not self._raw or site.sent >= site.credit or site.number == self._number:
            return None
        site.number, site.sent = self._number, site.sent + 1
        say = Say(peer, Seen(self._number, self._at, site.sent_at, site.came_at, now), self._raw)
        site.sent_at = 0.0
        return say
