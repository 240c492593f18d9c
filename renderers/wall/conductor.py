"""The conductor's shell: one thread, one poll, and the barrier that decides.

It says to all tiles of a wall what to draw next and when to show it.  Of the data it knows only how far the tiles
are.  Trackers are read in the same poll, so that a measurement is in the next Draw a moment later.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import ExitStack
from math import ceil, inf
from typing import NamedTuple

import msgspec
import structlog
import zmq

from renderers.door import ViewsDoor
from renderers.wall import barrier, messages
from renderers.wall.barrier import Act, Barrier, Full, Rules, Span
from renderers.wall.call import host, signals
from renderers.wall.exposition import Endpoint
from renderers.wall.figures import WallFigures, WallTally
from renderers.wall.leader import Leader
from renderers.wall.messages import (
    MAX_SCENE,
    Answer,
    Ask,
    Beat,
    Beaten,
    Draw,
    Evict,
    Follow,
    Input,
    Join,
    Known,
    Leave,
    Message,
    Reach,
    Ready,
    Redraw,
    Refuse,
    Scene,
    Seen,
    SetView,
    Show,
    Shown,
    Welcome,
    decode,
    decode_view,
    encode,
    encode_scene,
    short,
)
from renderers.wall.records import Wall
from renderers.wall.scenery import STEP_S, Scenery
from renderers.wall.track.listen import Listener
from renderers.wall.track.mouse import Mouse
from renderers.wall.track.poses import Trackers
from renderers.wall.track.record import Recorder
from renderers.wall.track.sensed import Record
from streamer.wire.codec import crc32c
from streamer.wire.header import Refused
from streamer.wire.keys import Keys

PIPE, MOST_SITES = 64, 16
SITE_S = 10.0
"""A site that is silent for so long is forgotten."""
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


class _Site:
    def __init__(self) -> None:
        self.credit = self.sent = 0
        self.number = -1
        self.heard = 0.0
        self.sent_at = self.came_at = 0.0


class Conductor:
    """One wall.  Raises BadAddress."""

    def __init__(
        self,
        plan: Plan,
        keys: Keys | None = None,
        listener: Listener | None = None,
        recorder: Recorder | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        self._plan, self._listener, self._recorder, self._endpoint = plan, listener, recorder, endpoint
        self._log = structlog.get_logger("conductor")
        self.counts: Counter[str] = Counter()
        wall = plan.wall
        self._digest = digest(wall)
        self._seats = seats_of(wall)
        trackers = Trackers(listener.sources, wall.head, wall.eye_separation_mm) if listener is not None else None
        self._scenery = Scenery(wall, trackers)
        self._barrier = Barrier(plan.rules, self._scenery.look)
        self.tally = WallTally()
        self._peers: dict[str, bytes] = {}
        self._names: dict[bytes, str] = {}
        self._sites: dict[bytes, _Site] = {}
        self._drawn = (0, 0.0, b"")
        """Number, time and bytes of the look drawn last."""
        self._sensed_at = 0.0
        self._drawn_at = 0.0
        self._fresh_sense = 0.0
        self._step_at = self._figures_at = inf
        self._mice = self._mouse_sources()
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.term)
            self._door = ViewsDoor(self._context, plan.listen, keys, "wall", MAX_SCENE, PIPE)
            undo.callback(self._door.close, 0)
            self._leader = Leader(self._context, plan.leader, wall.name, plan.delay_s, keys) if plan.leader else None
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where tiles are waited for."""
        return self._door.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Hangs up."""
        if self._leader is not None:
            self._leader.call.close()
        self._door.close(200)
        self._context.term()

    def run(self) -> int:
        """Conducts until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread."""
        with signals() as (wake, caught):
            poller = zmq.Poller()
            sources: list[object] = [wake, self._door.socket, *self._door.others]
            if self._listener is not None:
                sources.append(self._listener)
            if self._leader is not None:
                sources += [self._leader.call.socket, self._leader.call.monitor]
            for source in sources:
                poller.register(source, zmq.POLLIN)
            self._figures_at = time.monotonic()
            while not caught:
                # To the millisecond above: a deadline is never asked about before it has come.
                poller.poll(ceil(1000 * max(0.0, self._deadline() - time.monotonic())))
                self._turn()
        return 130 if caught[0] == signal.SIGINT else 0

    def figures(self, now: float) -> WallFigures:
        """The wall in figures."""
        counts, tally = self._barrier.counts, self.tally
        states = self._barrier.states()
        live = {tile for name, state in states.items() if state == "live" for tile in self._seats[name]}
        return WallFigures(
            wall=self._plan.wall.name,
            frames=counts["frames"],
            rate_hz=tally.rate_hz(now),
            position=self._barrier.position,
            seats=len(states),
            live=sum(state == "live" for state in states.values()),
            stale=tuple(tile.name for tile in self._plan.wall.tiles if tile.name not in live),
            evictions_late=counts["evictions_late"],
            evictions_stale=counts["evictions_stale"],
            deaths=counts["deaths"],
            rejoins=counts["rejoins"],
            missed_shows=tally.missed_shows,
            draw_to_show=tally.draw_to_show.spread(),
            ready_spread=tally.ready_spread.spread(),
            show_skew={name: times.spread() for name, times in sorted(tally.tiles.items())},
            skew=tally.skew.spread(),
            sensor_to_draw=tally.sensor_to_draw.spread(),
            sensor_to_show=tally.sensor_to_show.spread(),
            chunk_to_show=tally.chunk_to_show.spread(),
        )

    # ------------------------------------------------------------------ turns

    def _deadline(self) -> float:
        times = [self._barrier.deadline(), self._figures_at, self._step_at, time.monotonic() + LONGEST_S]
        if self._listener is not None:
            times.append(self._listener.deadline())
        if self._leader is not None:
            times.append(self._leader.deadline())
        return min(times)

    def _turn(self) -> None:
        self._sense()
        self._hear()
        now = time.monotonic()
        self._door.attend(now)
        if self._leader is not None:
            self._leader.listen(now)
            if (scene := self._leader.take(now)) is not None and self._scenery.follow(scene, self._plan.own_head):
                self._want(now)
        if now >= self._barrier.deadline():
            self._do(self._barrier.tick(now), now)
        if now >= self._figures_at:
            self._figures_at = now + LONGEST_S
            if self._endpoint is not None:
                self._endpoint.show(self.figures(now))
            for peer in [peer for peer, site in self._sites.items() if now - site.heard > SITE_S]:
                del self._sites[peer]

    def _sense(self) -> None:
        """What the trackers say."""
        if self._listener is None:
            return
        now = time.monotonic()
        records = self._listener.read(now)
        if records or now >= self._step_at:
            self._sensed(records, now)

    def _sensed(self, records: list[Record], now: float) -> None:
        if self._recorder is not None:
            for record in records:
                self._recorder.write(record, now)
        if self._scenery.sense(records, now):
            self._step_at = now + STEP_S
            self._want(now)
        else:
            self._step_at = inf if not records else now + STEP_S

    def _want(self, now: float) -> None:
        self._do(self._barrier.want(self._scenery.look, now), now)

    # ------------------------------------------------------------------ what is heard

    def _hear(self) -> None:
        for _ in range(1000):
            try:
                peer, *frames = self._door.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            now = time.monotonic()
            try:
                message, payload = decode(frames)
                if message is not None:
                    self._answer(peer, message, payload, now)
            except Refused as why:
                self.counts["garbage"] += 1
                self._log.warning("no message", peer=peer.hex(), why=str(why))
                self._say(peer, Refuse(short(str(why)), again=peer in self._names))

    def _answer(self, peer: bytes, message: Known, payload: bytes, now: float) -> None:
        match message:
            case Join():
                self._join(peer, message, now)
            case Follow():
                self._follow(peer, message, now)
            case SetView():
                if self._scenery.set_view(decode_view(payload)):
                    self._want(now)
                self._say(peer, Answer(message.request))
            case Ask(request, what):
                said = msgspec.msgpack.encode(self.figures(now)) if what == "figures" else encode_scene(self._scene)
                self._say(peer, Answer(request), said)
            case Beat() | Ready() | Shown() | Redraw() | Leave() | Input():
                name = self._names.get(peer)
                if name is None:
                    if isinstance(message, Beat):
                        self._say(peer, Refuse("this conductor does not know this tile: join", again=True))
                    return
                self._of_seat(name, peer, message, now)
            case _:
                pass

    def _of_seat(
        self, name: str, peer: bytes, message: Beat | Ready | Shown | Redraw | Leave | Input, now: float
    ) -> None:
        match message:
            case Ready(frame, reach):
                self._do(self._barrier.ready(name, frame, now, _spans(reach)), now)
            case Shown():
                tiles = [(tile.name, tile.at) for tile in message.tiles]
                self.tally.shown(message.frame, tiles, message.arrived_s)
            case Beat(turn, reach, at):
                self._do(self._barrier.beat(name, turn, _spans(reach), now), now)
                where = self._barrier.epoch, self._barrier.position
                self._say(peer, Beaten(at, now, time.monotonic(), *where))
            case Redraw():
                self._do(self._barrier.redraw(now), now)
            case Input():
                self._sensed(self._typed(message), now)
            case Leave():
                del self._names[peer], self._peers[name]
                self._do(self._barrier.leave(name, now), now)

    def _join(self, peer: bytes, join: Join, now: float) -> None:
        wall = self._plan.wall
        if self._seats.get(join.seat) != join.tiles:
            self._say(peer, Refuse(short(f"wall {wall.name} has no tile or node {join.seat!r} with these tiles")))
            return
        if join.wall != self._digest:
            why = f"the tile has another description of wall {wall.name} than the conductor: give both the same file"
            self._say(peer, Refuse(why))
            return
        mine = set(join.tiles)
        for other in [one for one in self._peers if one != join.seat and mine & set(self._seats[one])]:
            self._turn_out(other, now)
        if (before := self._peers.get(join.seat)) not in (None, peer):
            self._turn_out(join.seat, now)
        self._names.pop(before or b"", None)
        self._peers[join.seat], self._names[peer] = peer, join.seat
        self._say(peer, Welcome(messages.VERSION, self._plan.rules.deadline_s, self._plan.feed, host()))
        try:
            self._do(self._barrier.join(join.seat, _spans(join.reach), now, join.shown), now)
        except Full as why:
            self._say(peer, Refuse(str(why)))
        self._log.info("joined", seat=join.seat)

    def _turn_out(self, name: str, now: float) -> None:
        """Another process has come for a tile."""
        peer = self._peers.pop(name)
        self._names.pop(peer, None)
        self._say(peer, Refuse(f"another process shows {name} now"))
        self._do(self._barrier.leave(name, now), now)

    def _mouse_sources(self) -> dict[str, Mouse]:
        """Mouse and keyboard at the windows of tiles, if the wall names them among its trackers."""
        if self._listener is None:
            return {}
        number = next((i for i, source in enumerate(self._listener.sources) if source.kind == "mouse"), None)
        if number is None:
            return {}
        tiles = self._plan.wall.tiles
        return {tile.name: Mouse(number, tile.screen, tile.place.width, tile.place.height) for tile in tiles}

    def _typed(self, message: Input) -> list[Record]:
        mouse = self._mice.get(message.tile)
        if mouse is None:
            return []
        if message.kind == "key":
            return mouse.key(message.code, message.pressed)
        if message.kind == "button" and message.code.isdecimal():
            return mouse.pressed(int(message.code), message.pressed, message.x, message.y)
        return mouse.moved(message.x, message.y)

    # ------------------------------------------------------------------ what is said

    @property
    def _scene(self) -> Scene:
        content = self._scenery.look.content
        assert isinstance(content, Scene)
        return content

    def _do(self, acts: list[Act], now: float) -> None:
        for act in acts:
            match act:
                case barrier.Draw():
                    self._draw(act, now)
                case barrier.Show(seats, frame):
                    raw = encode(Show(frame, time.monotonic()))
                    for seat in seats:
                        self._send(seat, [raw])
                    tiles = sum(len(self._seats[seat]) for seat in seats)
                    self.tally.show(frame, tiles, self._fresh_sense, now)
                    self._fresh_sense = 0.0
                    self.tally.draw_to_show.add(self._barrier.took_s)
                    self.tally.ready_spread.add(self._barrier.spread_s)
                case barrier.Evict(seat, turn, stale, why):
                    self._log.warning("left out", seat=seat, why=why)
                    self._send(seat, [encode(Evict(turn, stale, short(why)))])

    def _draw(self, draw: barrier.Draw, now: float) -> None:
        number, scene = draw.look
        assert isinstance(scene, Scene)
        if number != self._drawn[0]:
            self._drawn = number, now, encode_scene(scene)
        frames = [encode(Draw(draw.frame, number, draw.epoch, draw.position)), self._drawn[2]]
        for seat in draw.seats:
            self._send(seat, frames)
        if scene.sensed_at and scene.sensed_at != self._sensed_at:
            self._sensed_at = self._fresh_sense = scene.sensed_at
            self.tally.sensor_to_draw.add(time.monotonic() - scene.sensed_at)
        for peer, site in list(self._sites.items()):
            self._tell(peer, site)

    def _follow(self, peer: bytes, follow: Follow, now: float) -> None:
        """Another site asks for what this wall shows."""
        site = self._sites.get(peer)
        if site is None:
            if len(self._sites) >= MOST_SITES:
                self._say(peer, Refuse(f"{MOST_SITES} sites follow this wall already"))
                return
            site = self._sites[peer] = _Site()
            self._log.info("a site follows", site=follow.site[:64])
        site.credit, site.heard, site.sent_at, site.came_at = follow.credit, now, follow.at, now
        if not self._tell(peer, site):
            self._say(peer, Seen(-1, 0.0, site.sent_at, site.came_at, time.monotonic()))
        site.sent_at = 0.0

    def _tell(self, peer: bytes, site: _Site) -> bool:
        """Sends a site what is shown, if that is news to it and it has asked for it."""
        number, at, raw = self._drawn
        if not raw or site.sent >= site.credit or site.number == number:
            return False
        site.number, site.sent = number, site.sent + 1
        self._say(peer, Seen(number, at, site.sent_at, site.came_at, time.monotonic()), raw)
        site.sent_at = 0.0
        return True

    def _say(self, peer: bytes, message: Message, payload: bytes = b"") -> None:
        self._post(peer, [encode(message), payload] if payload else [encode(message)])

    def _send(self, seat: str, frames: list[bytes]) -> None:
        if (peer := self._peers.get(seat)) is not None:
            self._post(peer, frames)

    def _post(self, peer: bytes, frames: list[bytes]) -> None:
        """Sends, or drops: a peer that does not read misses its deadline and is told again."""
        try:
            self._door.socket.send_multipart([peer, *frames], zmq.NOBLOCK)
        except zmq.Again:
            self.counts["full"] += 1
        except zmq.ZMQError as why:
            if why.errno != zmq.EHOSTUNREACH:
                raise
            self.counts["gone"] += 1
            self._sites.pop(peer, None)


def _spans(reach: tuple[Reach, ...]) -> tuple[Span, ...]:
    return tuple(Span(one.epoch, one.floor, one.reached) for one in reach[:4])


def seats_of(wall: Wall) -> dict[str, tuple[str, ...]]:
    """The processes that a wall may have: one for each tile, or one for each node with all of its tiles."""
    found: dict[str, tuple[str, ...]] = {tile.name: (tile.name,) for tile in wall.tiles}
    for node in wall.nodes:
        tiles = tuple(tile.name for tile in wall.tiles if tile.node == node.name)
        if tiles:
            found.setdefault(node.name, tiles)
    return found


def digest(wall: Wall) -> str:
    """Names what a wall is, so that nobody draws for another one."""
    return f"{crc32c(msgspec.msgpack.encode(wall)):08x}"
