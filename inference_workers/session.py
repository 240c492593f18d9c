"""What a worker and its streamer say to each other: facts in, messages out.  No socket, no clock.

A worker says Hello, is welcomed with the run's specification, and asks once to hold a few leases, so
that the next chunk is there when one is finished.  Every finished chunk is kept until it is
acknowledged and sent again whenever the streamer may not have it: after a new Welcome, or when it
was refused.  The streamer may vanish and come back at any moment; a worker that has not heard it for
a minute gives up with a sentence.

Beats are sent from here, and ``tick`` is called by the thread that works: a worker that hangs in a
chunk falls silent, and its leases go to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import inf
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.wire.codec import Buffer
from streamer.wire.header import VERSION, brief
from streamer.wire.line import NOT_HEARD
from streamer.wire.messages import (
    Ack,
    Again,
    Ask,
    Beat,
    Commit,
    Drain,
    Fail,
    Goodbye,
    Hello,
    Lease,
    Message,
    Pulse,
    Refuse,
    Welcome,
)
from streamer.wire.volume import RunSpec, decode_spec

MOST_BEATS = 40
"""Leases that one beat names: a header holds 512 bytes."""


class Out(NamedTuple):
    """A message to be sent, with its payloads."""

    message: Message
    payloads: Sequence[Buffer] = ()


class End(NamedTuple):
    """Why the worker ends, and the exit code that says so."""

    code: int
    reason: str


class Manners(NamedTuple):
    """How a worker behaves.  Times in seconds."""

    leases: int = 2
    """Leases to hold at a time."""
    pulse_s: float = 5.0
    """After so long without a word from us, the streamer gets a sign of life."""
    patience_s: float = 60.0
    """After so long without a word from the streamer, the worker gives up."""
    resends: int = 1
    """How often a refused commit is sent again: it may have been damaged on its way.  A streamer that was sent three
    bad messages in a row hears no more, so what is refused for what it is must become a Fail before that."""
    resend_s: float = 30.0
    """After so long without an acknowledgement, the streamer is greeted anew, and gets what it has not acknowledged."""
    strikes: int = 3
    """Refusals in a row, or messages that are none, that end the session."""


class _Held(NamedTuple):
    lease: Lease
    lapses: float


class _Done(NamedTuple):
    commit: Commit
    payloads: Sequence[Buffer]
    sent: float
    refusals: int


class Session:
    """One worker's side of the ingest door; ``place`` is the streamer's address, for sentences."""

    def __init__(self, name: str, place: str, manners: Manners, now: float) -> None:
        self.name = name
        self.spec: RunSpec | None = None
        """The run, once welcomed."""
        self.end: End | None = None
        """Set when there is nothing more to do."""
        self.acknowledged = 0
        """Chunks of ours that are in the log."""
        self._place, self._manners = place, manners
        self._epoch = ""
        self._held: dict[int, _Held] = {}
        """Leases by chunk, in the order in which they came: the first is at work."""
        self._done: dict[int, _Done] = {}
        """Finished chunks that are not acknowledged."""
        self._heard = self._spoke = self._greeted = now
        self._beats_at = inf
        self._strikes = 0

    # ------------------------------------------------------------ what happens to the connection

    def hello(self, now: float) -> list[Out]:
        """The first words; again whenever the connection was made anew, since the streamer may be a new process."""
        self._spoke = self._greeted = now
        return [Out(Hello(VERSION, "worker", self.name, self._epoch))]

    def garbled(self, why: str) -> list[Out]:
        """What came is no message, or one that we are too old for."""
        return self._strike(f"the streamer at {self._place} cannot be understood: {why}", at_once=self.spec is None)

    def leave(self, reason: str, code: int = 0) -> list[Out]:
        """The worker goes of its own will: its leases are free at once."""
        self.end = End(code, reason)
        return [Out(Goodbye())]

    # ------------------------------------------------------------ what the streamer says

    def hear(self, message: Message, payloads: Sequence[Buffer], now: float) -> list[Out]:
        """The streamer said something; what is to be answered."""
        self._heard = now
        if not isinstance(message, Refuse):
            self._strikes = 0
        match message:
            case Welcome():
                return self._welcome(message, payloads, now)
            case Lease() if self.spec is not None:
                return self._leased(message, now)
            case Ack():
                self.acknowledged += self._done.pop(message.chunk, None) is not None
            case Again(chunk=chunk) if chunk in self._done:
                return self._say(now, self._send(chunk, now))
            case Refuse(chunk=chunk) if chunk in self._done:
                return self._refused(message, now)
            case Refuse():
                return self._strike(
                    f"the streamer at {self._place} refuses: {message.reason}", at_once=self.spec is None
                )
            case Drain():
                return self.leave(message.reason)
            case Pulse() if now - self._spoke >= self._manners.pulse_s / 4:
                return self._say(now, Out(Pulse()))
        return []

    def _welcome(self, welcome: Welcome, payloads: Sequence[Buffer], now: float) -> list[Out]:
        try:
            spec = decode_spec(memoryview(payloads[0] if payloads else b""))
        except (msgspec.MsgspecError, ValueError) as why:
            return self.leave(f"the streamer at {self._place} describes no run: {why}", 1)
        if self.spec is not None and spec != self.spec:
            reason = f"the streamer at {self._place} serves another run now ({spec.run_id}, was {self.spec.run_id})"
            return self.leave(f"{reason}: start this worker again", 1)
        self.spec, self._epoch = spec, welcome.epoch
        return self._say(now, Out(Ask(self._manners.leases)), *(self._send(chunk, now) for chunk in self._done))

    def _leased(self, lease: Lease, now: float) -> list[Out]:
        if lease.chunk in self._done:  # a streamer that was started again has not seen it yet
            done = self._done[lease.chunk]
            self._done[lease.chunk] = done._replace(commit=replace(done.commit, lease=lease.lease))
            return self._say(now, self._send(lease.chunk, now))
        if lease.chunk not in self._held:
            self._beats_at = min(self._beats_at, now + lease.expires_s / 4)
        self._held[lease.chunk] = _Held(lease, now + lease.expires_s)
        return []

    def _refused(self, refuse: Refuse, now: float) -> list[Out]:
        done = self._done[refuse.chunk]
        if done.refusals >= self._manners.resends:
            del self._done[refuse.chunk]
            reason = f"refused {done.refusals + 1} times: {refuse.reason}"
            return self._say(now, Out(Fail(refuse.chunk, done.commit.lease, brief(reason))))
        self._done[refuse.chunk] = done._replace(refusals=done.refusals + 1)
        return self._say(now, self._send(refuse.chunk, now))

    def _strike(self, reason: str, *, at_once: bool) -> list[Out]:
        self._strikes += 1
        return self.leave(reason, 1) if at_once or self._strikes >= self._manners.strikes else []

    # ------------------------------------------------------------ the work

    def next_work(self, now: float) -> Lease | None:
        """The chunk to work on next, if there is one.  Leases that have lapsed are forgotten."""
        for chunk, held in list(self._held.items()):
            if held.lapses <= now:
                del self._held[chunk]
        first = next(iter(self._held.values()), None)
        return first and first.lease

    def held(self, most: int) -> list[Lease]:
        """The first ``most`` of the leases held, in the order in which they came."""
        return [held.lease for held in islice(self._held.values(), most)]

    def finished(self, commit: Commit, payloads: Sequence[Buffer], now: float) -> list[Out]:
        """The chunk at work is done.  It is kept until it is acknowledged."""
        held = self._held.pop(commit.chunk, None)
        if held is not None:
            commit = replace(commit, lease=held.lease.lease)
        self._done[commit.chunk] = _Done(commit, payloads, now, 0)
        return self._say(now, self._send(commit.chunk, now))

    def failed(self, lease: Lease, reason: str, now: float) -> list[Out]:
        """The chunk at work could not be done."""
        held = self._held.pop(lease.chunk, None)
        number = lease.lease if held is None else held.lease.lease
        return self._say(now, Out(Fail(lease.chunk, number, brief(reason))))

    def _send(self, chunk: int, now: float) -> Out:
        self._done[chunk] = done = self._done[chunk]._replace(sent=now)
        return Out(done.commit, done.payloads)

    # ------------------------------------------------------------ time

    def tick(self, now: float) -> list[Out]:
        """What the time brings: a beat, a sign of life, a new greeting, the end of patience."""
        if self.end is not None:
            return []
        if now - self._heard >= self._manners.patience_s:
            silent = f"nothing was heard from the streamer at {self._place} for {self._manners.patience_s:g} s"
            self.end = End(NOT_HEARD, f"{silent}: see whether it runs, and whether this address is its --ingest")
            return []
        if now >= self._beats_at:
            return self._say(now, *self._beat(now))
        if now >= self._greets_at():
            return self.hello(now)
        if now - self._spoke >= self._manners.pulse_s:
            # Ask is a level, not an increment: said again, it also reaches a streamer that has lost it.
            return self._say(now, Out(Pulse()), Out(Ask(self._manners.leases)))
        return []

    def deadline(self) -> float:
        """When ``tick`` wants to be called next."""
        manners = self._manners
        return min(self._heard + manners.patience_s, self._beats_at, self._greets_at(), self._spoke + manners.pulse_s)

    def _greets_at(self) -> float:
        """When the streamer is to be greeted again: it has not answered, is silent, or owes an acknowledgement."""
        manners = self._manners
        if self.spec is None:
            return self._greeted + manners.pulse_s
        silent = max(self._heard + 2 * manners.pulse_s, self._greeted + manners.pulse_s)
        owed = min((done.sent for done in self._done.values()), default=inf) + manners.resend_s
        return min(silent, max(owed, self._greeted + manners.resend_s))

    def _beat(self, now: float) -> list[Out]:
        for chunk, held in self._held.items():
            self._held[chunk] = held._replace(lapses=now + held.lease.expires_s)
        # Chunks that are not acknowledged are held as well: a streamer without room on its disk keeps them waiting.
        leases = [held.lease.lease for held in self._held.values()] + [
            done.commit.lease for done in self._done.values()
        ]
        self._beats_at = now + min(
            (held.lease.expires_s / 4 for held in self._held.values()), default=self._manners.pulse_s
        )
        if not leases:
            self._beats_at = inf
            return []
        return [Out(Beat(tuple(leases[:MOST_BEATS])))]

    def _say(self, now: float, *outs: Out) -> list[Out]:
        self._spoke = now
        return list(outs)
