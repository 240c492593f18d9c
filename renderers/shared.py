"""A view that several see: one camera, one look, and one who leads it.  Pure.

The lead is the first's who may, until he goes or it passes to another: one of role LEAD takes it, all others ask for
it.  When the one who leads has gone, the next of role LEAD leads; where there is none it is kept for him for a while,
since most lines that are lost come back, and is then the first's who has asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from renderers.keeping import Keeping
from streamer.wire.looking import USUAL
from streamer.wire.view import FOLLOW, LEAD, NO_KEY, Camera
from streamer.wire.viewing import View

Peer = bytes
FREE_S = 10.0
"""A lead that nobody has is kept for so long for who had it."""
INVITE_S = 10.0
"""Who does not want to follow is not asked again sooner."""
MOST_DECLINED = 1024


class Shared:
    """A shared view."""

    def __init__(self) -> None:
        self.lead: Peer | None = None
        self.camera: Camera | None = None
        self.look = USUAL
        self.moving = False
        self.pointer: tuple[float, float] | None = None
        """Where in the picture the leader's pointer is; every picture of the view answers him."""
        self.left_by = NO_KEY
        """Whose lead it was before he went, if nobody has taken it since."""
        self.left_at = -inf
        self.asks: dict[Peer, None] = {}
        """Who wants the lead, the first one first."""
        self.inviting = False
        """Who leads asks all others to follow."""
        self.declined: set[int] = set()
        """The numbers of those who do not want to."""
        self._invited_at = -inf
        self.keeping = Keeping()
        self.serial = 0
        """Counts what was set from outside."""
        self.owed = False
        """Who leads has not yet taken over what was set, so that what he does was meant for what was before."""

    def set(self, camera: Camera | None, look: View) -> None:
        """Somebody who does not look has changed the view; or it is to be shown to one who leads and has come anew."""
        self.camera, self.look, self.moving, self.pointer = camera, look, False, None
        self.serial += 1
        self.owed = self.lead is not None

    def give(self, heir: Peer) -> None:
        """From now on he leads."""
        self.lead, self.moving, self.pointer, self.left_by = heir, False, None, NO_KEY
        self.asks.pop(heir, None)
        self.inviting = self.owed = False

    def free(self, now: float) -> bool:
        """Whether nobody has the lead and it is not kept for anybody."""
        return self.lead is None and now >= self.left_at + FREE_S

    def takes(self, peer: Peer, role: int, now: float) -> bool:
        """Whether somebody of a role may have the lead now without being given it."""
        return self.lead != peer and (role == LEAD or (role == FOLLOW and self.free(now)))

    def go(self, peer: Peer, key: bytes, rest: Iterable[tuple[Peer, int]], now: float) -> None:
        """Somebody has gone; ``rest``: who is still there, with their roles, the one first who has been for longest."""
        self.asks.pop(peer, None)
        if self.lead != peer:
            return
        self.lead, self.moving, self.pointer, self.inviting = None, False, None, False
        self.left_by, self.left_at = key, now
        heir = next((one for one, role in rest if role == LEAD), None)
        if heir is not None:
            self.lead = heir
            self.asks.pop(heir, None)
        self.owed = False

    def invite(self, now: float) -> None:
        """Who leads asks all others to follow, and those who declined once more."""
        if now >= self._invited_at + INVITE_S:
            self._invited_at = now
            self.declined.clear()
        self.inviting = True

    def decline(self, number: int) -> None:
        """Somebody does not want to."""
        if len(self.declined) < MOST_DECLINED:
            self.declined.add(number)
