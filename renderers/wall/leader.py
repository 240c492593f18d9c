"""The line to the conductor of another site: what its wall shows comes here with the time at which it did.

One asks for a few scenes ahead (``Follow.credit``) and gets the newest each time, so a slow link carries fewer of
them and never old ones.
"""

from __future__ import annotations

from math import inf, isfinite

import structlog
import zmq

from renderers.wall.call import Call
from renderers.wall.framing import decode_scene
from renderers.wall.messages import VERSION, Follow, Refuse, Scene, Seen
from renderers.wall.sites import Clock, Exchange, Playout
from streamer.wire.header import Refused
from streamer.wire.keys import Keys

AHEAD = 4
"""Scenes that may be on their way."""
ASK_S = 0.5
SILENT_S = 3.0


class Leader:
    """Poll ``call.socket`` and ``call.monitor``; then ``listen``, and ``take`` at ``deadline``."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, site: str, delay_s: float, keys: Keys | None
    ) -> None:
        self.call = Call(context, address, keys)
        self.clock, self.playout = Clock(), Playout(delay_s)
        self.heard_at = -inf
        self._site = site
        self._credit = 0
        self._ask_at = -inf
        self._log = structlog.get_logger("conductor")

    def listen(self, now: float) -> None:
        """Takes what has come, and asks for more."""
        self.call.attend(now)
        for message, payload in self.call.said():
            if isinstance(message, Refuse):
                self._log.warning("the leader refuses", why=message.reason)
            elif isinstance(message, Seen):
                self._seen(message, payload, now)
        if now >= self._ask_at:
            if now - self.heard_at > SILENT_S:
                self._credit = AHEAD  # it may have been started anew, and counts from nothing
                self.playout.anew()
            self._ask(now)

    def take(self, now: float) -> Scene | None:
        """What is to be shown from now on, if there is something new."""
        found = self.playout.take(now)
        return found if isinstance(found, Scene) else None

    def deadline(self) -> float:
        """When ``listen`` or ``take`` wants to be called."""
        return min(self._ask_at, self.playout.deadline(), self.call.deadline())

    def _seen(self, message: Seen, payload: bytes, now: float) -> None:
        self.heard_at = now
        if message.sent_at:
            self.clock.exchange(Exchange(message.sent_at, message.came_at, message.left_at, now))
        if not payload or not isfinite(message.at):
            return
        self._credit += 1
        try:
            scene = decode_scene(payload)
        except Refused as why:
            self._log.warning("the leader sent what is no scene", why=str(why))
        else:
            due = self.clock.here(message.at, now) + self.playout.delay_s if self.clock.known else now
            self.playout.put(message.number, due, scene, now)
        self._ask(now)

    def _ask(self, now: float) -> None:
        self._credit = max(self._credit, AHEAD)
        self._ask_at = now + ASK_S
        self.call.say(Follow(VERSION, self._site, self._credit, now))
