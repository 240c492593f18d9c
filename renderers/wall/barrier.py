"""The frame lock of a wall: Draw, Ready, Show, and what becomes of those who do not keep up.  Pure; time is given.

A *seat* is one process with its tiles.  One frame is in flight: all live seats draw it, and when all of them are
ready, or the deadline has passed, those that are ready show it together.  Who missed it is out: it shows nothing
more until it has said that it knows (``turn`` counts a seat's evictions) and has drawn a frame for which nobody
waited.  So a slow seat costs the others one deadline, and one that comes back costs them nothing.

A frame names one view and one position of the log, which every seat in it has said it can draw.  The position is the
newest that all live seats have; one that lags too far behind the others is put out as stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import inf

from renderers.wall.chairs import Act, At, Chair, Draw, Evict, Flight, Full, Look, Rules, Show, Span, State, choose
from renderers.wall.marks import Marks

__all__ = ["Act", "Barrier", "Draw", "Evict", "Full", "Look", "Rules", "Show", "Span", "State"]
SETTLED_S = 5.0
"""A seat that kept up for so long is forgiven what it missed before."""


class Barrier:
    """One wall.  Facts go in; what comes out is to be sent, in order.  Call ``tick`` at ``deadline``."""

    def __init__(self, rules: Rules, look: Look) -> None:
        self.rules = rules
        self.frame = 0
        """The number of the newest frame."""
        self.epoch, self.position = "", 0
        self.counts: Counter[str] = Counter()
        self.spread_s = 0.0
        """Of the frame shown last: from its first Ready to its last."""
        self.took_s = 0.0
        """Of the frame shown last: from Draw to Show."""
        self._look = look
        self._seats: dict[str, Chair] = {}
        self._flight: Flight | None = None
        self._first_ready = inf
        self._changed = True
        self._next_at = -inf
        self._step = 1
        self._marks = Marks()
        self._switch_since = inf

    # ------------------------------------------------------------------ facts

    def join(self, seat: str, spans: Iterable[Span], now: float, shown: int = 0) -> list[Act]:
        """A process has come, perhaps in place of one of the same name; ``shown`` is the last frame it has shown.

        Raises Full.
        """
        if seat not in self._seats and len(self._seats) >= self.rules.most_seats:
            raise Full(f"the wall has {self.rules.most_seats} seats, and all are taken")
        acts = self._drop(seat, now)
        self._seats[seat] = one = Chair(seat, now)
        one.spans = tuple(spans)
        # Numbers that another conductor has used are not used again.
        if self._flight is None:
            self.frame = max(self.frame, shown)
        self.counts["joins"] += 1
        return acts + self._turn(now)

    def beat(self, seat: str, turn: int, spans: Iterable[Span], now: float) -> list[Act]:
        """A seat lives, and can draw these positions.  One that is not known is passed over."""
        one = self._seats.get(seat)
        if one is None:
            return []
        one.heard = now
        one.spans = tuple(spans)
        acts: list[Act] = []
        if one.state == "dead":
            acts += self._evict(one, now, "it was not heard for a while", stale=False)
        elif turn != one.turn:
            acts.append(Evict(seat, one.turn, one.stale, one.why))  # it has not come, or is still on its way
        elif one.state == "out":
            one.state = "waiting"
            self.counts["rejoins"] += 1
        return acts + self._turn(now)

    def ready(self, seat: str, frame: int, now: float, spans: Iterable[Span] = ()) -> list[Act]:
        """A seat has the frame in its back buffer; ``spans`` as in ``beat``, or nothing new."""
        one = self._seats.get(seat)
        if one is None:
            return []
        one.heard = now
        one.spans = tuple(spans) or one.spans
        flight = self._flight
        if flight is not None and flight.frame == frame and seat in flight.waited | flight.guests:
            if not flight.ready:
                self._first_ready = now
            flight.ready.add(seat)
        elif one.state == "guest" and one.trial == frame:
            self._admit(one, now)  # too late for that frame, quick enough for the next, which there has to be
            self._changed = True
        landed = self._land(now)
        return landed + self._turn(now) if landed or self._flight is None else landed

    def missed(self, seat: str, frame: int, now: float) -> list[Act]:
        """A seat has not carried out the Show of this frame, or did not get it: what it shows is old."""
        one = self._seats.get(seat)
        if one is None or one.state != "live":
            return []
        return self._evict(one, now, f"it came too late to show frame {frame}", stale=False) + self._turn(now)

    def leave(self, seat: str, now: float) -> list[Act]:
        """A seat's process has ended or gives up its place."""
        return self._drop(seat, now) + self._turn(now)

    def want(self, look: Look, now: float) -> list[Act]:
        """There is another view."""
        self._look = look
        self._changed = True
        return self._turn(now)

    def redraw(self, now: float) -> list[Act]:
        """Somebody needs a new frame of what is there: a window was covered."""
        self._changed = True
        return self._turn(now)

    def tick(self, now: float) -> list[Act]:
        """Time has passed."""
        return self._turn(now)

    def deadline(self) -> float:
        """When ``tick`` wants to be called."""
        times = [seat.heard + self.rules.dead_s for seat in self._seats.values() if seat.state != "dead"]
        times += [seat.trial_until for seat in self._seats.values() if seat.state == "guest"]
        if self._flight is not None:
            times.append(self._flight.begun + self.rules.deadline_s)
        else:
            if self._wants():
                times.append(self._next_at)
            times += [max(seat.not_before, self._next_at) for seat in self._entrants()]
        times.append(self._behind_since() + self.rules.stale_s)
        if any(seat.spans and seat.spans[-1].epoch == self.epoch for seat in self._live()):
            times.append(self._switch_since + self.rules.stale_s)
        return min(times, default=inf)

    # ------------------------------------------------------------------ what is so

    @property
    def look(self) -> Look:
        """The newest view."""
        return self._look

    def states(self) -> dict[str, State]:
        """How each seat stands."""
        return {name: seat.state for name, seat in self._seats.items()}

    def stale(self) -> tuple[str, ...]:
        """Seats that do not show what the wall shows."""
        return tuple(name for name, seat in self._seats.items() if seat.state != "live")

    @property
    def in_flight(self) -> int:
        """The frame that is being drawn; 0: none."""
        return 0 if self._flight is None else self._flight.frame

    # ------------------------------------------------------------------ decisions

    def _turn(self, now: float) -> list[Act]:
        acts = self._bury(now)
        acts += self._hurry(now)
        acts += self._land(now)
        acts += self._begin(now)
        return acts

    def _live(self) -> list[Chair]:
        return [seat for seat in self._seats.values() if seat.state == "live"]

    def _bury(self, now: float) -> list[Act]:
        """Seats that are not heard any more; guests that take too long."""
        acts: list[Act] = []
        for seat in self._seats.values():
            if seat.state != "dead" and now >= seat.heard + self.rules.dead_s:
                acts += self._evict(seat, now, f"it was not heard for {self.rules.dead_s:g} s", stale=False)
                seat.state = "dead"
                self.counts["deaths"] += 1
            elif seat.state == "guest" and now >= seat.trial_until:
                acts += self._evict(seat, now, "it took too long for a frame on trial", stale=False)
        return acts

    def _hurry(self, now: float) -> list[Act]:
        """Live seats that hold the others back, or cannot draw what the wall shows."""
        live, acts = self._live(), list[Act]()
        best = max((s.reached for seat in live if (s := seat.span(self.epoch))), default=-1)
        self._marks.foremost(best, now)
        fresh = self._fresh(live)
        self._switch_since = min(self._switch_since, now) if fresh else inf
        for seat in live:
            span = seat.span(self.epoch)
            if span is None or span.floor > self.position:
                acts += self._evict(seat, now, "it follows another log", stale=True)
            elif span.reached < self.position:
                acts += self._evict(seat, now, "it has lost what the wall shows", stale=True)
            elif best - span.reached > self.rules.stale_entries:
                acts += self._evict(seat, now, f"it is {best - span.reached} entries behind", stale=True)
            elif now >= self._marks.left(span.reached) + self.rules.stale_s:
                acts += self._evict(seat, now, f"it is more than {self.rules.stale_s:g} s behind", stale=True)
            elif fresh and now >= self._switch_since + self.rules.stale_s and seat.spans[-1].epoch == self.epoch:
                acts += self._evict(seat, now, "it follows an older log than the others", stale=True)
        lowest = min((s.reached for seat in self._live() if (s := seat.span(self.epoch))), default=best)
        self._marks.forget(lowest)
        return acts

    def _fresh(self, live: list[Chair]) -> bool:
        """Whether some live seat has come to another log."""
        return any(seat.spans and seat.spans[-1].epoch != self.epoch for seat in live)

    def _behind_since(self) -> float:
        spans = [span for seat in self._live() if (span := seat.span(self.epoch))]
        return min((self._marks.left(span.reached) for span in spans), default=inf)

    def _land(self, now: float) -> list[Act]:
        """Shows the frame in flight, if it is time."""
        flight = self._flight
        if flight is None:
            return []
        late = now >= flight.begun + self.rules.deadline_s
        # Nobody waits for a guest, unless there is nobody else.
        if not late and not (flight.waited or flight.guests) <= flight.ready:
            return []
        self._flight = None
        acts: list[Act] = []
        for name in sorted(flight.waited - flight.ready):
            acts += self._evict(
                self._seats[name], now, f"it was not ready within {self.rules.deadline_s:g} s", stale=False
            )
        there = tuple(sorted(flight.ready))
        for name in sorted(flight.ready & flight.guests):
            self._admit(self._seats[name], now)
        self.took_s = now - flight.begun
        self.spread_s = max(0.0, now - self._first_ready) if there else 0.0
        self._first_ready = inf
        if flight.moved and self.took_s > self.rules.deadline_s / 2:
            self._step = max(1, self._step // 2)
        elif flight.moved and self.took_s < self.rules.deadline_s / 4:
            self._step = min(self.rules.most_step, self._step + max(1, self._step // 4))
        if not there:
            self.counts["frames_given_up"] += 1
            self._changed = True
            return acts
        self.counts["frames"] += 1
        return [*acts, Show(there, flight.frame)]

    def _begin(self, now: float) -> list[Act]:
        """Begins a frame, if there is a reason and it is time."""
        if self._flight is not None or now < self._next_at:
            return []
        entrants = [seat for seat in self._entrants() if now >= seat.not_before]
        live = self._live()
        epoch, position = self._choose(live, entrants)
        live = [seat for seat in live if seat.can(epoch, position)]
        entrants = [seat for seat in entrants if seat.can(epoch, position)]
        moved = (epoch, position) != (self.epoch, self.position)
        if not (live or entrants) or not (self._changed or moved or entrants):
            return []
        if epoch != self.epoch:
            self._marks.clear()
        self.epoch, self.position = epoch, position
        self.frame += 1
        self._changed = False
        # The rate holds in the long run; a sensor of that very rate that is a little early does not wait for it.
        self._next_at = max(self._next_at + 1 / self.rules.rate_hz, now + 0.5 / self.rules.rate_hz)
        for seat in entrants:
            seat.state, seat.trial, seat.trial_until = "guest", self.frame, now + self.rules.deadline_s
        waited, guests = {seat.name for seat in live}, {seat.name for seat in entrants}
        self._flight = Flight(self.frame, waited, guests, set(), now, moved)
        return [Draw(tuple(sorted(waited | guests)), self.frame, self._look, epoch, position)]

    def _wants(self) -> bool:
        """Whether there is a reason for a frame apart from seats that want in."""
        live = self._live()
        return bool(live) and (self._changed or self._choose(live, []) != (self.epoch, self.position))

    def _entrants(self) -> list[Chair]:
        """Seats that wait and could draw what comes next."""
        waiting = [seat for seat in self._seats.values() if seat.state == "waiting"]
        if not waiting:
            return []
        live = self._live()
        if live:
            at = self._choose(live, [])
            return [seat for seat in waiting if seat.can(*at)]
        return [seat for seat in waiting if seat.can(*self._choose([], [seat]))]

    def _choose(self, live: list[Chair], entrants: list[Chair]) -> tuple[str, int]:
        return choose(At(self.epoch, self.position, self._step), live, entrants)

    # ------------------------------------------------------------------ seats

    def _admit(self, seat: Chair, now: float) -> None:
        seat.state, seat.trial, seat.trial_until, seat.live_since = "live", -1, inf, now
        seat.why, seat.stale = "", False
        self.counts["admissions"] += 1

    def _evict(self, seat: Chair, now: float, why: str, *, stale: bool) -> list[Act]:
        self._out_of_flight(seat.name)
        if seat.state == "live" and now - seat.live_since >= SETTLED_S:
            seat.misses = 0
        seat.misses += 1
        if seat.state in ("live", "guest"):
            self.counts["evictions_stale" if stale else "evictions_late"] += 1
        seat.not_before = now + min(0.05 * 2 ** min(seat.misses, 10), self.rules.longest_pause_s)
        seat.state, seat.trial, seat.trial_until, seat.live_since = "out", -1, inf, inf
        seat.turn += 1
        seat.stale, seat.why = stale, why
        return [Evict(seat.name, seat.turn, stale, why)]

    def _drop(self, name: str, now: float) -> list[Act]:
        if self._seats.pop(name, None) is not None:
            self._out_of_flight(name)
            return self._land(now)
        return []

    def _out_of_flight(self, name: str) -> None:
        if self._flight is not None:
            for names in (self._flight.waited, self._flight.guests, self._flight.ready):
                names.discard(name)
