"""How peers behave: three bad messages in a row put a peer aside for a while, and signs of life are seldom.

What is remembered of peers is bounded: a stranger can make itself known as often as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from streamer.feed import Door
from streamer.wire.header import MAX_REASON, brief

STRIKES = 3
"""Bad messages in a row after which a peer is put aside."""
MOST_STRANGERS = 1024
"""Peers with bad messages that are remembered."""


@dataclass(slots=True)
class _Bad:
    strikes: int = 0
    until: float = -inf


class Manners:
    """The peers of both doors."""

    def __init__(self, aside_s: float, pulse_s: float) -> None:
        self._aside_s, self._pulse_s = aside_s, pulse_s
        self._bad: dict[tuple[Door, bytes], _Bad] = {}
        self._pulsed: dict[tuple[Door, bytes], float] = {}
        self.refused = 0
        """Messages that were refused."""
        self.put_aside = 0
        """Times that a peer was put aside."""

    def __len__(self) -> int:
        """Peers of whom something is remembered."""
        return len(self._bad.keys() | self._pulsed.keys())

    def strike(self, door: Door, peer: bytes, why: str, now: float) -> str:
        """A bad message; returns what to tell the peer.  It may be put aside now (see ``aside``)."""
        self.refused += 1
        bad = self._bad.pop((door, peer), _Bad())
        bad.strikes += 1
        self._bad[door, peer] = bad
        if len(self._bad) > MOST_STRANGERS:
            del self._bad[next(iter(self._bad))]
        if bad.strikes < STRIKES:
            return brief(why)
        bad.until = now + self._aside_s
        self.put_aside += 1
        return f"{brief(why, MAX_REASON - 100)}; the third bad message in a row: not heard for {self._aside_s:g} s"

    def forgive(self, door: Door, peer: bytes) -> None:
        """The peer has sent something good."""
        self._bad.pop((door, peer), None)

    def aside(self, door: Door, peer: bytes, now: float) -> bool:
        """Whether a peer is not heard now."""
        bad = self._bad.get((door, peer))
        if bad is None or bad.until == -inf:
            return False
        if bad.until > now:
            return True
        del self._bad[door, peer]
        return False

    def may_pulse(self, door: Door, peer: bytes, now: float) -> bool:
        """Whether a peer may be given a sign of life now, which counts as given then."""
        if self._pulsed.get((door, peer), -inf) > self._since(now):
            return False
        self._pulsed[door, peer] = now
        return True

    def leave(self, door: Door, peer: bytes) -> None:
        """The peer has gone.  What it did is not forgotten: it may come back."""
        self._pulsed.pop((door, peer), None)

    def tidy(self, now: float) -> None:
        """Forgets what does not matter any more."""
        self._pulsed = {who: at for who, at in self._pulsed.items() if at > self._since(now)}

    def _since(self, now: float) -> float:
        """A peer whose last pulse is later than this gets none."""
        return now - self._pulse_s / 4
