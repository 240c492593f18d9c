"""Who has come, in which view each one stands, and who leads there.  Pure.

Who has a view of his own may ask the others to follow him: that makes a *company*, a shared view that is there until he
ends it.  Who leads a view of a name may ask too; those who follow are his guests, and lead nothing there.

Who comes again after a loss, known by a key, has the number of before, his company, and the lead unless somebody has
taken it; a line of his that nobody has noticed to be dead is cut.
"""

from __future__ import annotations

from typing import NamedTuple

from renderers.shared import Peer, Shared
from streamer.wire.looking import USUAL
from streamer.wire.presence import Wish
from streamer.wire.view import FOLLOW, LEAD, LOOK, NO_KEY, Opened
from streamer.wire.viewing import View

KEPT_S = 120.0
"""The number of one who has gone is kept for so long."""
MOST_KEPT = 1024
COMPANY_S = 30.0
"""Who follows waits so long for the one who led."""


class Viewer(NamedTuple):
    """Who has come."""

    number: int
    """Tells him from all others of the run."""
    name: str
    own: bool
    """He may say what he is called."""
    home: str
    """The view that he came to; empty: one of his own."""
    key: bytes


class Place(NamedTuple):
    """Where a viewer stands in a shared view."""

    view: str | int
    """A company has a number for a name."""
    number: int
    role: int


class Kept(NamedTuple):
    """The place of one who has gone and may come again."""

    number: int
    name: str
    view: str | int
    role: int
    since: float


class Seating:
    """The viewers and their views."""

    def __init__(self) -> None:
        self.viewers: dict[Peer, Viewer] = {}
        self.views: dict[str | int, Shared] = {}
        self.looks: dict[Peer, View] = {}
        """What those see who have a view of their own."""
        self.version = 0
        """Counts what the viewers may be told of each other."""
        self.moved: set[Peer] = set()
        """Those who stand in another view than before, or whose view has another leader."""
        self._places: dict[Peer, Place] = {}
        self._kept: dict[bytes, Kept] = {}
        self._last = 0
        """The number of whoever came last."""
        self._companies = 0

    # ------------------------------------------------------------------ what is so

    def at(self, peer: Peer) -> tuple[Place, Shared] | None:
        """Where a viewer stands, and the shared view; None if his view is his own."""
        place = self._places.get(peer)
        return None if place is None else (place, self.views[place.view])

    def of(self, view: str | int) -> list[Peer]:
        """All who stand in a view, the one first who has been there for longest."""
        return [peer for peer, place in self._places.items() if place.view == view]

    def together(self, peer: Peer) -> tuple[Peer, ...]:
        """All who look at the same view as a viewer, himself first."""
        place = self._places.get(peer)
        others = () if place is None else (one for one in self.of(place.view) if one != peer)
        return (peer, *others)

    def look(self, peer: Peer) -> View:
        """What a viewer sees, by his own wish or by that of whoever leads."""
        place = self._places.get(peer)
        return self.looks.get(peer, USUAL) if place is None else self.views[place.view].look

    def numbered(self, number: int) -> Peer | None:
        """Who has a number."""
        return next((peer for peer, viewer in self.viewers.items() if viewer.number == number), None)

    # ------------------------------------------------------------------ coming, going

    def open(self, peer: Peer, said: Opened, now: float) -> None:
        """A viewer has come."""
        self.leave(peer, now)
        dead = [one for one, viewer in self.viewers.items() if said.key != NO_KEY and viewer.key == said.key]
        # The view that he comes back to is not given up in between, though he was alone in it.
        views = {place.view: self.views[place.view] for one in dead if (place := self._places.get(one)) is not None}
        for one in dead:
            self.leave(one, now)
        if said.view in views:
            self.views.setdefault(said.view, views[said.view])
        self.version += 1
        kept = self._kept.pop(said.key, None)
        if kept is not None and now >= kept.since + KEPT_S:
            kept = None
        if kept is None:
            self._last += 1
        number = self._last if kept is None else kept.number
        name = said.name or ("" if kept is None else kept.name)
        self.viewers[peer] = Viewer(number, name, not said.name, said.view, said.key)
        if said.view:
            self._join(peer, Place(said.view, number, said.role), again=kept is not None)
        elif kept is not None and isinstance(kept.view, int) and kept.view in self.views:
            self._join(peer, Place(kept.view, number, kept.role), again=True)

    def leave(self, peer: Peer, now: float) -> None:
        """A viewer has gone.  The camera of a shared view stays."""
        viewer = self.viewers.pop(peer, None)
        self.looks.pop(peer, None)
        self.moved.discard(peer)
        if viewer is None:
            return
        self.version += 1
        place = self._places.pop(peer, None)
        if viewer.key != NO_KEY:
            self._kept = {one: kept for one, kept in self._kept.items() if now < kept.since + KEPT_S}
            view, role = ("", LEAD) if place is None else (place.view, place.role)
            self._kept[viewer.key] = Kept(viewer.number, viewer.name, view, role, now)
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        if place is not None:
            self._go(peer, place, viewer.key, now)

    def tick(self, now: float) -> None:
        """Time has passed: a free lead is the first's who has asked, and a company without its leader ends."""
        for name, view in list(self.views.items()):
            if view.lead is not None:
                continue
            if now >= view.left_at + COMPANY_S and any(self.viewers[one].home != name for one in self.of(name)):
                self._end(name)
                continue
            heir = next((one for one in view.asks if view.takes(one, self._places[one].role, now)), None)
            if heir is not None:
                self._give(heir, name)

    def _join(self, peer: Peer, place: Place, *, again: bool) -> None:
        view = self.views.setdefault(place.view, Shared())
        self._places[peer] = place
        again = again and view.left_by == self.viewers[peer].key and place.role >= FOLLOW
        if again or (view.lead is None and place.role == LEAD):
            view.give(peer)
            if isinstance(place.view, int):
                view.inviting = True
            elif view.keeping.revision:
                view.set(view.camera, view.look)
        self.moved.add(peer)

    def _go(self, peer: Peer, place: Place, key: bytes, now: float) -> None:
        """Somebody is no longer in a shared view."""
        view, rest = self.views[place.view], self.of(place.view)
        if view.lead == peer:
            self.moved.update(rest)  # nobody moves the view now
        view.go(peer, key, ((one, self._places[one].role) for one in rest), now)
        if not rest:
            del self.views[place.view]

    def _release(self, peer: Peer) -> None:
        """Somebody sees for himself again, what he sees now."""
        self.looks[peer] = self.look(peer)
        del self._places[peer]
        self.moved.add(peer)

    def _end(self, name: str | int) -> None:
        """All who follow, and are not in the view by themselves, see for themselves again."""
        self.version += 1
        view = self.views[name]
        view.inviting = False
        for one in self.of(name):
            if self.viewers[one].home != name:
                view.asks.pop(one, None)
                self._release(one)
        if not self.of(name):
            del self.views[name]

    # ------------------------------------------------------------------ the lead

    def hand(self, peer: Peer, to: int, now: float) -> None:
        """The leader hands the lead to whoever may have it; who may lead takes it."""
        found = self.at(peer)
        if found is None:
            return
        place, view = found
        if to == 0:
            heir = peer if view.takes(peer, place.role, now) else None
        else:
            able = (one for one in self.of(place.view) if self._places[one].role >= FOLLOW)
            heir = next((one for one in able if self._places[one].number == to), None) if view.lead == peer else None
        if heir is not None and heir != view.lead:
            self._give(heir, place.view)

    def _give(self, heir: Peer, name: str | int) -> None:
        self.version += 1
        view = self.views[name]
        view.give(heir)
        view.inviting = isinstance(name, int)
        self.moved.update(self.of(name))

    def name(self, peer: Peer, name: str) -> None:
        """A viewer says what he is called."""
        viewer = self.viewers[peer]
        if viewer.own and viewer.name != name:
            self.viewers[peer] = viewer._replace(name=name)
            self.version += 1

    def wish(self, peer: Peer, said: Wish, now: float) -> None:
        """A viewer wants something of the others."""
        self.tick(now)
        self.version += said.what != "taken"  # which nobody is told of
        found, viewer = self.at(peer), self.viewers[peer]
        if said.what == "invite":
            self._invite(peer, now)
        elif said.what in ("accept", "decline") and found is None:
            self._answer(peer, said)
        if found is None:
            return
        place, view = found
        leads = view.lead == peer
        if said.what == "ask" and not leads and place.role >= FOLLOW:
            view.asks[peer] = None
            if view.takes(peer, place.role, now):
                self._give(peer, place.view)
        elif said.what == "withdraw":
            view.asks.pop(peer, None)
        elif said.what == "refuse" and leads:
            for one in [one for one in view.asks if self.viewers[one].number == said.whom]:
                del view.asks[one]
        elif said.what == "taken" and leads and said.whom == view.serial:
            view.owed = False
        elif said.what == "end" and leads:
            self._end(place.view)
        elif said.what == "leave" and place.view != viewer.home:
            if leads:
                self._end(place.view)
                return
            view.decline(viewer.number)
            self._release(peer)
            self._go(peer, place, NO_KEY, now)

    # ------------------------------------------------------------------ following

    def _invite(self, peer: Peer, now: float) -> None:
        """Who leads a view, or has one of his own, asks all others to follow."""
        found = self.at(peer)
        if found is None:
            self._companies += 1
            company = Shared()
            company.look = self.look(peer)
            self.views[self._companies] = company
            self._places[peer] = Place(self._companies, self.viewers[peer].number, LEAD)
            company.give(peer)
            company.invite(now)
            self.moved.add(peer)
        elif found[1].lead == peer:
            found[1].invite(now)

    def _answer(self, peer: Peer, said: Wish) -> None:
        """Somebody follows whoever asks him to, or does not."""
        asking = self.numbered(said.whom)
        guide = None if asking is None else self.at(asking)
        if guide is None or guide[1].lead != asking or not guide[1].inviting:
            return
        place, view = guide
        number = self.viewers[peer].number
        if said.what == "decline":
            view.decline(number)
        else:
            view.declined.discard(number)
            role = FOLLOW if isinstance(place.view, int) else LOOK
            self._places[peer] = Place(place.view, number, role)
            self.moved.add(peer)
