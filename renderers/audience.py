"""What viewers see: their cameras and looks, each for himself or as whoever leads a shared view has it.  Pure.

A viewer of a view of his own moves it.  A shared view (``renderers.shared``) has one camera, one look and one who leads
it (``renderers.seating``).  What the leader does becomes everybody's state, each in his own size, so that what is due
and what is on its way stays a matter of each viewer (``renderers.frames``).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from renderers.frames import Window
from renderers.seating import COMPANY_S, KEPT_S, Seating, Viewer
from renderers.shared import Peer, Shared
from streamer.wire.keeping import Stored
from streamer.wire.looking import Looking, plain
from streamer.wire.presence import Named, Wish
from streamer.wire.view import Acknowledged, Beat, Camera, Closed, Handed, Input, Opened, Up, Video
from streamer.wire.viewing import View

__all__ = ["COMPANY_S", "KEPT_S", "Audience"]


class Audience:
    """The viewers."""

    def __init__(self) -> None:
        self.windows: dict[Peer, Window] = {}
        self.seating = Seating()
        self.farewells: list[tuple[Peer, Shared]] = []
        """Views whose last viewer has just gone, and what he made of them is not written down yet."""

    @property
    def viewers(self) -> dict[Peer, Viewer]:
        """Who has come."""
        return self.seating.viewers

    def hear(self, peer: Peer, said: Up, now: float) -> None:
        """A viewer has come, gone or said something.  One that is not known is not listened to."""
        if isinstance(said, Opened):
            self._open(peer, said, now)
        elif isinstance(said, Closed):
            self.leave(peer, now)
        elif (window := self.windows.get(peer)) is not None:
            match said:
                case Input():
                    self._input(peer, window, said, now)
                case Acknowledged():
                    window.acknowledge(said, now - said.held_ms / 1000)
                case Looking():
                    self._looking(peer, window, said, now)
                case Handed():
                    self.seating.hand(peer, said.to, now)
                case Named():
                    self.seating.name(peer, said.name)
                case Wish():
                    self.seating.wish(peer, said, now)
                case Stored():
                    self._stored(peer, said, now)
                case Video():
                    window.video(said)
                case Beat():
                    window.unsaid()
                case _:
                    pass
        self._move(now)

    def leave(self, peer: Peer, now: float) -> None:
        """A viewer has gone.  The camera of a shared view stays."""
        found = self.seating.at(peer)
        if found is not None and self._at_home(found[0].view) == [peer]:
            view = found[1]
            if not view.owed and view.keeping.unsaid((view.camera, view.look)):
                self.farewells.append((peer, view))
        self.windows.pop(peer, None)
        self.seating.leave(peer, now)

    def tick(self, now: float) -> None:
        """Time has passed: a free lead is the first's who has asked, and a company without its leader ends."""
        self.seating.tick(now)
        self._move(now)

    def look(self, peer: Peer) -> View:
        """What a viewer sees, by his own wish or by that of whoever leads."""
        return self.seating.look(peer)

    def together(self, peer: Peer) -> tuple[Peer, ...]:
        """All who look at the same view as a viewer, himself first."""
        return self.seating.together(peer)

    def leads(self, peer: Peer) -> bool:
        """Whether a viewer leads a shared view."""
        found = self.seating.at(peer)
        return found is not None and found[1].lead == peer

    def place(self, peer: Peer) -> dict[str, object] | None:
        """What the page is told of its place in a shared view; None in a view of one's own."""
        found = self.seating.at(peer)
        if found is None:
            return None
        place, view = found
        lead = 0 if view.lead is None else self.viewers[view.lead].number
        told: dict[str, object] = {"you": place.number, "lead": lead, "viewers": len(self.seating.of(place.view))}
        if place.view != self.viewers[peer].home:
            told["guest"] = True
        if view.serial:
            told["set"] = view.serial
        follows = lead != place.number or view.owed
        if follows:
            told["look"] = plain(view.look)
        if view.camera is None:
            return told
        camera = view.camera._asdict() if follows and not view.moving else None
        return {**told, "camera": camera} if camera else told

    def keeps(self, now: float) -> list[tuple[Peer, Shared]]:
        """The views whose state is to be written down now, and by whose relay."""
        due = [(peer, view) for at, peer, view in self._to_keep() if at <= now]
        for _, view in due:
            view.keeping.sent((view.camera, view.look), now)
        return due

    def keep_at(self) -> float:
        """When the next view is to be written down; infinity if none is."""
        return min((at for at, _, _ in self._to_keep()), default=inf)

    def _to_keep(self) -> Iterator[tuple[float, Peer, Shared]]:
        for name, view in self.seating.views.items():
            if view.owed or view.keeping.revision == 0:
                continue
            # Guests have come to another view, so their relays know nothing of this one.
            there = self._at_home(name)
            if there:
                peer = view.lead if view.lead in there else there[0]
                yield view.keeping.at((view.camera, view.look)), peer, view

    def _at_home(self, name: str | int) -> list[Peer]:
        return [one for one in self.seating.of(name) if self.viewers[one].home == name]

    def seen_by(self, number: int) -> tuple[Camera | None, View] | None:
        """What the viewer with a number sees; None if there is none."""
        peer = self.seating.numbered(number)
        if peer is None:
            return None
        state = self.windows[peer].state
        return None if state is None else state.camera, self.look(peer)

    # ------------------------------------------------------------------ inside

    def _open(self, peer: Peer, said: Opened, now: float) -> None:
        self.seating.open(peer, said, now)
        # Its own line of before, and one with its key that nobody has noticed to be dead.
        for gone in self.windows.keys() - self.viewers.keys():
            del self.windows[gone]
        self.windows[peer] = Window(now)

    def _move(self, now: float) -> None:
        """Those who stand in another view than before see what is seen there."""
        while self.seating.moved:
            peer = self.seating.moved.pop()
            found, state = self.seating.at(peer), self.windows[peer].state
            if found is None:
                if state is not None:  # whoever moved the view that he has left moves his no more
                    self.windows[peer].input(state._replace(moving=False, pointer=None), now)
                continue
            view = found[1]
            if view.camera is None and view.lead == peer and isinstance(found[0].view, int) and state is not None:
                view.camera = state.camera
            self._follow(peer, view, now)

    def _input(self, peer: Peer, window: Window, said: Input, now: float) -> None:
        found = self.seating.at(peer)
        said = said._replace(look=self.look(peer))
        if found is None:
            window.input(said, now)
            return
        view = found[1]
        if view.owed and view.lead == peer:
            window.input(said._replace(camera=view.camera or said.camera, moving=False), now)
        elif view.lead == peer and window.input(said, now):
            view.camera, view.moving, view.pointer = said.camera, said.moving, said.pointer
            self._lead(peer, view, now)
        elif view.lead != peer:
            # Before anybody has led, everybody sees the scene from where he would.
            camera = view.camera or said.camera
            window.input(said._replace(camera=camera, moving=view.moving, pointer=view.pointer), now)

    def _looking(self, peer: Peer, window: Window, said: Looking, now: float) -> None:
        """Whoever has a view of his own has his look; in a shared one all have that of the leader."""
        state, found = window.state, self.seating.at(peer)
        if state is not None and said.sequence < state.sequence:
            return
        leads = found is not None and found[1].lead == peer
        if found is None:
            self.seating.looks[peer] = said.view
        elif leads and not found[1].owed:
            found[1].look = said.view
        if state is not None:
            window.input(state._replace(sequence=said.sequence, look=self.look(peer)), now)
        if found is not None and leads:
            self._lead(peer, found[1], now)

    def _lead(self, peer: Peer, view: Shared, now: float) -> None:
        """All others of the view see what whoever leads it does."""
        for other in self.together(peer):
            if other != peer:
                self._follow(other, view, now)

    def _follow(self, peer: Peer, view: Shared, now: float) -> None:
        window = self.windows[peer]
        if window.state is not None and view.camera is not None:
            seen = window.state._replace(camera=view.camera, moving=view.moving, pointer=view.pointer, look=view.look)
            window.input(seen, now)

    def _stored(self, peer: Peer, said: Stored, now: float) -> None:
        """What the control plane keeps of a view, which is heard from the relays of those who have come to it."""
        found = self.seating.at(peer)
        if found is None or found[0].view != self.viewers[peer].home:
            return
        view = found[1]
        if view.keeping.heard(said) and (said.camera, said.view) != (view.camera, view.look):
            self.seating.version += 1
            view.set(said.camera, said.view)
            for one in self.seating.of(found[0].view):
                self._follow(one, view, now)
