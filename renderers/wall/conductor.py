"""The conductor's shell: one thread, one poll, and the barrier that decides.

It says to all tiles of a wall what to draw next and when to show it.  Of the data it knows only how far the tiles
are.  Trackers are read in the same poll, so that a measurement is in the next Draw a moment later.
"""

from __future__ import annotations

import secrets
import signal
import time
from contextlib import ExitStack
from math import ceil, inf
from typing import NamedTuple

import msgspec
import structlog
import zmq

from renderers.signals import signals
from renderers.wall import barrier, messages
from renderers.wall.barrier import Act, Barrier, Full, Rules, Span
from renderers.wall.call import host
from renderers.wall.exposition import Endpoint
from renderers.wall.figures import Heard, WallFigures, WallTally, wall_figures
from renderers.wall.followers import Followers, Say
from renderers.wall.framing import decode, decode_changes, decode_view, encode, encode_scene, short
from renderers.wall.leader import Leader
from renderers.wall.messages import (
    Answer,
    Ask,
    Beat,
    Beaten,
    Change,
    Draw,
    Evict,
    Follow,
    Input,
    Join,
    Known,
    Leave,
    Missed,
    Picked,
    Play,
    Reach,
    Ready,
    Redraw,
    Refuse,
    Run,
    Scene,
    SetView,
    Show,
    Shown,
    Welcome,
)
from renderers.wall.picking import Picking, Send
from renderers.wall.post import Post
from renderers.wall.records import Wall
from renderers.wall.register import NoPlace, Register
from renderers.wall.scenery import Scenery
from renderers.wall.seating import digest, seats_of
from renderers.wall.senses import Senses
from renderers.wall.track.listen import Listener
from renderers.wall.track.poses import Trackers
from renderers.wall.track.sensed import Record
from renderers.wall.track.tape import Tape
from renderers.wall.windows import Windows
from streamer.wire.conducting import Viewed
from streamer.wire.header import Refused
from streamer.wire.keys import Keys
from streamer.wire.spelling import NoView, merged

LONGEST_S = 1.0


class Plan(NamedTuple):
    """How a conductor is to work."""

    wall: Wall
    listen: str
    feed: str = ""
    rules: Rules = Rules()
    leader: str = ""
    """Another site's conductor whose view this wall follows."""
    delay_s: float = 0.1
    """So long after the other wall."""
    own_head: bool = False


class Conductor:
    """One wall.  Raises BadAddress and NoAddress."""

    def __init__(
        self,
        plan: Plan,
        keys: Keys | None = None,
        listener: Listener | None = None,
        tape: Tape | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        """``tape``: what the session is recorded on."""
        self._plan, self._endpoint = plan, endpoint
        self._born = secrets.token_hex(4)
        self._senses = Senses(listener, tape)
        self._log = structlog.get_logger("conductor")
        wall = plan.wall
        self._register = Register(wall.name, digest(wall), seats_of(wall))
        sources = listener.sources if listener is not None else ()
        self._trackers = Trackers(sources, wall.head, wall.eye_separation_mm) if sources else None
        self._scenery = Scenery(wall, self._trackers, plan.rules.rate_hz)
        self._windows = Windows(wall, sources)
        self._barrier = Barrier(plan.rules, self._scenery.look)
        self._picking, self._followers = Picking(), Followers()
        self.tally = WallTally()
        self._drawn = (0, b"")
        """Number and bytes of the look drawn last."""
        self._sensed_at = 0.0
        self._fresh_sense = 0.0
        self._figures_at = inf
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.term)
            self._post = Post(self._context, plan.listen, keys, self._followers.gone)
            undo.callback(self._post.close, 0)
            self._leader = Leader(self._context, plan.leader, wall.name, plan.delay_s, keys) if plan.leader else None
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where tiles are waited for."""
        return self._post.address

    def close(self) -> None:
        """Hangs up."""
        if self._leader is not None:
            self._leader.call.close()
        self._post.close(200)
        self._context.term()

    def run(self) -> int:
        """Conducts until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread."""
        with signals() as (wake, caught):
            poller = zmq.Poller()
            sources: list[object] = [wake, *self._post.sources]
            if self._senses.listener is not None:
                sources.append(self._senses.listener)
            if self._leader is not None:
                sources += [self._leader.call.socket, self._leader.call.monitor]
            for source in sources:
                poller.register(source, zmq.POLLIN)
            self._figures_at = time.monotonic()
            while not caught:
                # To the millisecond above: a deadline is never asked about before it has come.
                now = time.monotonic()
                poller.poll(ceil(1000 * max(0.0, self._deadline(now) - now)))
                self._turn()
        return 130 if caught[0] == signal.SIGINT else 0

    def figures(self, now: float) -> WallFigures:
        """The wall in figures."""
        head = self._trackers.figures(now) if self._trackers is not None else None
        heard = Heard(self._windows.heard(self._senses.states()), head, self._senses.unrecorded)
        return wall_figures(self._plan.wall, self._register.seats, self._barrier, self.tally, heard, now)

    # ------------------------------------------------------------------ turns

    def _deadline(self, now: float) -> float:
        times = [self._barrier.deadline(), self._figures_at, now + LONGEST_S]
        times += [self._scenery.deadline(), self._picking.deadline(), self._senses.deadline()]
        if self._leader is not None:
            times.append(self._leader.deadline())
        return min(times)

    def _turn(self) -> None:
        if records := self._senses.read(time.monotonic()):
            self._sensed(records, time.monotonic())
        self._hear()
        now = time.monotonic()
        self._post.attend(now)
        if self._leader is not None:
            self._leader.listen(now)
            if (scene := self._leader.take(now)) is not None:
                self._changed(self._scenery.follow(scene, self._plan.own_head, now), now)
        if now >= self._scenery.deadline():
            self._changed(self._scenery.tick(now), now)
        if now >= self._picking.deadline():
            self._pick(self._picking.tick(self._live(), now))
        if now >= self._barrier.deadline():
            self._do(self._barrier.tick(now), now)
        if now >= self._figures_at:
            self._figures_at = now + LONGEST_S
            if self._endpoint is not None:
                self._endpoint.show(self.figures(now))
            self._followers.forget(now)
            self._senses.tell()

    def _sensed(self, records: list[Record], now: float) -> None:
        """What trackers say, and what is done at windows."""
        self._senses.keep(records, now)
        self._changed(self._scenery.sense(records, now), now)

    def _changed(self, changed: bool, now: float) -> None:
        """The scenery was asked to change: what follows from it."""
        if changed:
            self._do(self._barrier.want(self._scenery.look, now), now)
        for asked in self._scenery.asked():
            self._pick(self._picking.ask(asked, self._live(), now))

    def _pick(self, send: Send | None) -> None:
        if send is not None:
            self._send(send.seat, [encode(send.pick)])

    def _live(self) -> list[str]:
        return [name for name, state in self._barrier.states().items() if state == "live"]

    # ------------------------------------------------------------------ what is heard

    def _hear(self) -> None:
        for peer, frames in self._post.received():
            now = time.monotonic()
            try:
                message, payload = decode(frames)
                if message is not None:
                    self._answer(peer, message, payload, now)
            except Refused as why:
                self._post.refuse(peer, why, now, again=self._register.seat(peer) is not None)

    def _answer(self, peer: bytes, message: Known, payload: bytes, now: float) -> None:
        match message:
            case Join():
                self._join(peer, message, now)
            case Follow():
                self._tell(self._followers.follow(peer, message, now))
            case SetView():
                self._changed(self._scenery.set_view(decode_view(payload), now), now)
                self._post.say(peer, Answer(message.request))
            case Change(request, base):
                viewed = self._change_view(base, decode_changes(payload), now)
                self._post.say(peer, Answer(request), msgspec.msgpack.encode(viewed))
            case Play(request, playing, steps_per_s, loop):
                self._changed(self._scenery.play(steps_per_s if playing else None, now, loop=loop), now)
                self._post.say(peer, Answer(request))
            case Ask(request, what):
                self._post.say(peer, Answer(request), self._said(what, now))
            case Beat() | Ready() | Shown() | Missed() | Run() | Picked() | Redraw() | Leave() | Input():
                name = self._register.seat(peer)
                if name is None:
                    if isinstance(message, Beat):
                        self._post.say(peer, Refuse("this conductor does not know this tile: join", again=True))
                    return
                self._of_seat(name, peer, message, now)
            case _:
                pass

    def _said(self, what: str, now: float) -> bytes:
        if what == "figures":
            return msgspec.msgpack.encode(self.figures(now))
        return msgspec.msgpack.encode(self._viewed) if what == "view" else encode_scene(self._scenery.scene)

    @property
    def _viewed(self) -> Viewed:
        scene = self._scenery.scene
        return Viewed(f"{self._born}-{self._scenery.views}", scene.view, scene.head)

    def _change_view(self, base: str, changes: object, now: float) -> Viewed:
        """Carries a change of the view out if it can be, and if nobody was quicker."""
        before = self._viewed
        if base and base != before.revision:
            return msgspec.structs.replace(before, clash=True)
        try:
            view = merged(before.view, changes)
        except NoView as why:
            return msgspec.structs.replace(before, flaw=str(why))
        self._changed(self._scenery.set_view(view, now), now)
        return self._viewed

    def _of_seat(
        self,
        name: str,
        peer: bytes,
        message: Beat | Ready | Shown | Missed | Run | Picked | Redraw | Leave | Input,
        now: float,
    ) -> None:
        match message:
            case Ready(frame, reach):
                self._do(self._barrier.ready(name, frame, now, _spans(reach)), now)
            case Shown():
                mine = self._register.seats[name]
                tiles = [(tile.name, tile.at) for tile in message.tiles if tile.name in mine]
                self.tally.shown(message.frame, tiles, message.arrived_s)
                self._scenery.gait.took(message.frame, message.draw_s)
            case Missed(frame):
                self._do(self._barrier.missed(name, frame, now), now)
            case Beat(turn, reach, at):
                self._do(self._barrier.beat(name, turn, _spans(reach), now), now)
                where = self._barrier.epoch, self._barrier.position
                self._post.say(peer, Beaten(at, now, time.monotonic(), *where))
            case Run(_, steps, half):
                self._changed(self._scenery.run_is(steps, half, now), now)
            case Picked():
                if (asked := self._picking.answered(message)) is not None:
                    self._changed(self._scenery.found(asked, message, now), now)
            case Redraw():
                self._do(self._barrier.redraw(now), now)
            case Input():
                if records := self._windows.records(message):
                    self._sensed(records, now)
            case Leave():
                self._register.leave(peer)
                self._do(self._barrier.leave(name, now), now)

    def _join(self, peer: bytes, join: Join, now: float) -> None:
        try:
            ended = self._register.admit(peer, join)
        except NoPlace as why:
            self._post.say(peer, Refuse(short(str(why))))
            return
        for gone in ended:
            if gone.peer:
                self._post.say(gone.peer, Refuse(short(f"another process shows {gone.seat} now")))
            self._do(self._barrier.leave(gone.seat, now), now)
        self._post.say(peer, Welcome(messages.VERSION, self._plan.rules.deadline_s, self._plan.feed, host()))
        try:
            self._do(self._barrier.join(join.seat, _spans(join.reach), now, join.shown), now)
        except Full as why:
            self._post.say(peer, Refuse(str(why)))
        self._log.info("joined", seat=join.seat)

    # ------------------------------------------------------------------ what is said

    def _do(self, acts: list[Act], now: float) -> None:
        for act in acts:
            match act:
                case barrier.Draw():
                    self._draw(act, now)
                case barrier.Show(seats, frame):
                    raw = encode(Show(frame, time.monotonic()))
                    missed = [seat for seat in seats if not self._send(seat, [raw])]
                    tiles = sum(len(self._register.seats[seat]) for seat in seats)
                    self.tally.show(frame, tiles, self._fresh_sense, now)
                    self._fresh_sense = 0.0
                    self.tally.draw_to_show.add(self._barrier.took_s)
                    self.tally.ready_spread.add(self._barrier.spread_s)
                    for seat in missed:
                        self._do(self._barrier.missed(seat, frame, now), now)
                case barrier.Evict(seat, turn, stale, why):
                    self._log.warning("left out", seat=seat, why=why)
                    self._send(seat, [encode(Evict(turn, stale, short(why)))])

    def _draw(self, draw: barrier.Draw, now: float) -> None:
        number, scene = draw.look
        assert isinstance(scene, Scene)
        fresh = number != self._drawn[0]
        if fresh:
            self._drawn = number, encode_scene(scene)
        frames = [encode(Draw(draw.frame, number, draw.epoch, draw.position)), self._drawn[1]]
        for seat in draw.seats:
            self._send(seat, frames)
        self._scenery.gait.drawn(draw.frame, scene.level)
        if scene.sensed_at and scene.sensed_at != self._sensed_at:
            self._sensed_at = self._fresh_sense = scene.sensed_at
            self.tally.sensor_to_draw.add(time.monotonic() - scene.sensed_at)
        if fresh:
            for say in self._followers.drawn(number, now, self._drawn[1], now):
                self._tell(say)

    def _tell(self, say: Say) -> None:
        self._post.say(say.peer, say.message, say.payload)

    def _send(self, seat: str, frames: list[bytes]) -> bool:
        peer = self._register.peer(seat)
        return peer is not None and self._post.send(peer, frames)


def _spans(reach: tuple[Reach, ...]) -> tuple[Span, ...]:
    return tuple(Span(one.epoch, one.floor, one.reached) for one in reach[:4])
