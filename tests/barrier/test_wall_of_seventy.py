"""Seventy seats at one barrier, with everything that can go wrong, in every order that Hypothesis thinks of.

Both sides are the real ones (``Barrier`` and ``Seat``); the network between them delays, loses and repeats, seats are
stopped, killed and started again, and the log moves on for each of them at a pace of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from renderers.wall.barrier import Act, Barrier, Look, Rules, Span
from renderers.wall.barrier import Draw as Drawn
from renderers.wall.barrier import Evict as Out
from renderers.wall.barrier import Show as Shows
from renderers.wall.messages import Beaten, Draw, Evict, Known, Refuse, Show, Welcome
from renderers.wall.seat import Greet, Mark, Miss, Paint, Pulse, Seat, Swap

RULES = Rules(deadline_s=0.25, rate_hz=60, dead_s=1.0, stale_s=0.5, stale_entries=200, longest_pause_s=1.0)
LINK_S = 0.02
"""The longest that a message takes."""


class Process:
    """One tile process: its seat, what it has got of the log, and how quick it is."""

    def __init__(self, name: str, number: int, now: float, draw_s: float, reached: int) -> None:
        self.name, self.number, self.draw_s = name, number, draw_s
        self.seat = Seat(now)
        self.inbox: list[tuple[Known, bytes]] = []
        self.busy_until = now
        self.stopped_until = now
        self.painting: Draw | None = None
        self.floor = self.reached = reached
        self.position = reached

    def spans(self) -> tuple[Span, ...]:
        return (Span("e", self.floor, self.reached),)


class World:
    """A wall, its conductor's barrier and the network, in simulated time."""

    def __init__(self, seats: int, seed: int, loss: float, slow: float, restless: float) -> None:
        self.random = Random(seed)
        self.loss, self.slow, self.restless = loss, slow, restless
        self.now, self.head = 0.0, 20
        self.look = Look(1, "")
        self.barrier = Barrier(RULES, self.look)
        self.events: list[tuple[float, int, str, object]] = []
        self.order = count()
        self.lines: dict[object, float] = {}
        self.numbers = count(1)
        self.processes: dict[str, Process] = {}
        self.quiet = False
        """Whether views and entries have ended."""
        self.at_desk: dict[str, int] = {}
        """Which process has a seat at the conductor."""
        self.shown: dict[int, tuple[int, int]] = {}
        self.shows: list[tuple[float, int]] = []
        self.evicted_from: dict[tuple[int, int], None] = {}
        self.drawn: dict[int, tuple[int, int]] = {}
        for i in range(seats):
            self.start(f"t{i}")

    # -- the network

    def later(self, kind: str, what: object, after: float) -> None:
        heappush(self.events, (self.now + after, next(self.order), kind, what))

    def send(self, kind: str, what: tuple[object, ...]) -> None:
        """Over the network: lost, or repeated, or just late; what one says to another never overtakes itself."""
        if self.random.random() < self.loss:
            return
        line = kind == "to", what[0], what[1]
        at = max(self.now + self.random.uniform(0.0002, LINK_S), self.lines.get(line, 0.0))
        self.lines[line] = at
        for _ in range(2 if self.random.random() < self.loss else 1):
            self.later(kind, what, at - self.now)

    # -- seats

    def start(self, name: str) -> None:
        draw_s = self.random.choice([0.002, 0.005, 0.01]) if self.random.random() > self.slow else 0.4
        late = self.random.random() < 0.3 and self.now > 0
        self.processes[name] = Process(name, next(self.numbers), self.now, draw_s, self.head if late else 0)
        self.later("turn", (name, self.processes[name].number), 0.0)

    def do(self, process: Process, steps: Iterator[object] | list[object]) -> None:
        for step in steps:
            match step:
                case Paint(draw):
                    assert process.floor <= draw.position, "the wall has not gone back behind what was drawn"
                    process.painting = draw
                    process.busy_until = self.now + process.draw_s * self.random.uniform(0.5, 2)
                    # What was ordered has been prepared.
                    assert process.reached >= draw.position
                    process.floor = draw.position
                    self.later("painted", (process.name, process.number, draw), process.busy_until - self.now)
                case Swap(draw):
                    assert process.painting is None
                    self.seen(process, draw)
                case Miss(frame):
                    self.send("missed", (process.name, process.number, frame))
                case Mark():
                    pass
                case Greet():
                    self.send("join", (process.name, process.number, process.spans(), process.seat.shown))
                case Pulse():
                    self.send("beat", (process.name, process.number, process.seat.turn, process.spans()))

    def seen(self, process: Process, draw: Draw) -> None:
        """A tile shows a frame."""
        assert (process.number, draw.frame) not in self.evicted_from
        what = draw.view, draw.position
        assert self.shown.setdefault(draw.frame, what) == what, "one frame, two minds"
        self.shows.append((self.now, draw.frame))

    def turn(self, name: str) -> None:
        process = self.processes[name]
        if process.painting is None and self.now >= process.stopped_until:
            batch, process.inbox = process.inbox, []
            for message, _ in batch:
                if isinstance(message, Beaten) and not process.seat.live:
                    process.floor = max(process.floor, min(process.reached, message.position))
            self.do(process, list(process.seat.receive(batch, self.now, self.now)))

    # -- the conductor

    def carry_out(self, acts: list[Act]) -> None:
        for act in acts:
            match act:
                case Drawn(seats, frame, look, _, position):
                    what = look.number, position
                    assert self.drawn.setdefault(frame, what) == what
                    assert position >= max((p for f, (_, p) in self.drawn.items() if f == frame - 1), default=0)
                    for seat in seats:
                        self.send("to", (seat, self.at_desk.get(seat), Draw(frame, look.number, "e", position)))
                case Shows(seats, frame):
                    for seat in seats:
                        self.send("to", (seat, self.at_desk.get(seat), Show(frame, self.now)))
                case Out(seat, turn, stale, why):
                    if (number := self.at_desk.get(seat)) is not None:
                        self.evicted_from[number, self.barrier.frame] = None
                    self.send("to", (seat, self.at_desk.get(seat), Evict(turn, stale, why)))

    def hear(self, kind: str, what: tuple[object, ...]) -> None:
        name, number = str(what[0]), what[1]
        assert isinstance(number, int)
        if kind == "join":
            if self.at_desk.get(name, 0) <= number:
                self.at_desk[name] = number
                self.send("to", (name, number, Welcome(1, RULES.deadline_s, "")))
                self.carry_out(self.barrier.join(name, what[2], self.now, what[3]))  # type: ignore[arg-type]
            return
        if self.at_desk.get(name) != number:
            self.send("to", (name, number, Refuse("who is that?", again=True)))
            return
        if kind == "beat":
            self.send("to", (name, number, Beaten(0, 0, 0, "e", self.barrier.position)))
            self.carry_out(self.barrier.beat(name, what[2], what[3], self.now))  # type: ignore[arg-type]
        elif kind == "missed":
            self.carry_out(self.barrier.missed(name, what[2], self.now))  # type: ignore[arg-type]
        else:
            self.carry_out(self.barrier.ready(name, what[2], self.now, what[3]))  # type: ignore[arg-type]

    # -- time

    def mischief(self) -> None:
        """Something happens to somebody."""
        name = self.random.choice(list(self.processes))
        what = self.random.random()
        if what < 0.3:
            self.start(name)  # killed, and started again
        elif what < 0.6:
            self.processes[name].stopped_until = self.now + self.random.choice([0.1, 0.3, 1.0, 2.0])
        else:
            self.processes[name].draw_s = self.random.choice([0.005, 0.4])

    def grow(self) -> None:
        self.head += not self.quiet
        for process in self.processes.values():
            if self.now >= process.stopped_until and self.random.random() < 0.9:
                before = process.reached
                # Credit: no more may wait than so much.
                process.reached = min(self.head, max(process.reached, process.floor) + 3, process.floor + 12)
                if process.reached > before:
                    self.do(process, [Pulse()])

    def run(self, seconds: float) -> None:
        self.later("grow", None, 0.0)
        self.later("view", None, 0.0)
        self.later("mischief", None, 0.3)
        end = self.now + seconds
        deadline = self.barrier.deadline()
        while self.now < end:
            if self.events and self.events[0][0] <= deadline:
                self.now, _, kind, what = heappop(self.events)
            else:
                assert deadline > self.now - 1e-9
                self.now, kind, what = max(self.now, deadline), "tick", None
            match kind, what:
                case "tick", _:
                    self.carry_out(self.barrier.tick(self.now))
                    assert self.barrier.deadline() > self.now, "time goes on"
                    deadline = self.barrier.deadline()
                case "view", _ if self.quiet:
                    pass
                case "grow", _:
                    self.grow()
                    self.later("grow", None, 0.03)
                case "view", _:
                    self.look = Look(self.look.number + 1, "")
                    self.carry_out(self.barrier.want(self.look, self.now))
                    deadline = self.barrier.deadline()
                    self.later("view", None, self.random.choice([0.02, 0.03, 0.1]))
                case "mischief", _:
                    if self.random.random() < self.restless:
                        self.mischief()
                    self.later("mischief", None, 0.05)
                case "turn", (str(name), int(number)):
                    process = self.processes[name]
                    if process.number == number:
                        self.turn(name)
                        self.later("turn", what, 0.05)
                case "painted", (str(name), int(number), Draw() as draw):
                    process = self.processes[name]
                    if process.number != number:
                        continue
                    if self.now < process.stopped_until:
                        self.later("painted", what, process.stopped_until - self.now)
                        continue
                    process.painting = None
                    process.seat.painted(draw)
                    self.send("ready", (name, number, draw.frame, process.spans()))
                    self.turn(name)
                case "to", (str(name), number, message):
                    process = self.processes[name]
                    if process.number == number:
                        process.inbox.append((message, b""))  # type: ignore[arg-type]
                        assert len(process.inbox) < 1000
                        if self.now >= process.stopped_until:
                            self.turn(name)
                case _, tuple():
                    self.hear(kind, what)
                    deadline = self.barrier.deadline()


@settings(max_examples=8)
@given(
    seats=st.sampled_from([1, 2, 11, 70]), seed=st.integers(0, 1 << 30), loss=st.sampled_from([0.0, 0.002, 0.02]),
    slow=st.sampled_from([0.0, 0.05, 0.3]), restless=st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_no_mixed_frame_and_no_standstill_whatever_happens_to_seats(
    seats: int, seed: int, loss: float, slow: float, restless: float
) -> None:
    world = World(seats, seed, loss, slow, restless)
    world.run(1.5)
    # Memory does not grow with time.
    assert len(world.barrier.states()) <= seats
    # All mischief ends: within a few deadlines everybody who is quick enough is there, and frames go on.
    world.loss = world.restless = 0.0
    for process in world.processes.values():
        process.stopped_until = min(process.stopped_until, world.now)
        process.draw_s = 0.005
    before, head = len(world.shown), world.head
    world.run(5.0)
    assert len(world.shown) - before > 50
    assert set(world.barrier.states().values()) <= {"live", "guest"}, world.barrier.states()
    assert world.barrier.position >= head
    # Then nothing changes any more, and all show the same last picture: nobody is left with an older one.
    world.quiet = True
    world.run(4.0)
    last = world.look.number, world.barrier.position
    assert {world.shown[process.seat.shown] for process in world.processes.values()} == {last}


def test_a_wall_of_seventy_goes_on_within_the_deadline_while_one_seat_lives() -> None:
    world = World(70, 5, 0.0, 0.0, 0.0)
    world.run(0.7)
    for name in list(world.processes)[1:]:
        world.processes[name].stopped_until = 1e9
    world.run(0.6)
    frames = [at for at, _ in world.shows if at > world.now - 0.25]
    assert len(frames) >= 2
