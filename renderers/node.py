"""The renderer's shell: one thread that owns OpenGL, the viewers' door and what the feed brings.

Each turn looks at the viewers first, draws the one picture that has waited longest, then gives new chunks
a slice of time.  A still is made of several pictures and given up as soon as somebody moves, so a drag
is answered soon whatever else there is to do.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from math import ceil, inf
from typing import Any

import structlog
import zmq

from renderers.bell import hush
from renderers.detail import COARSE, Detail
from renderers.door import ViewsDoor
from renderers.entries import Arrived
from renderers.feed import FeedLine
from renderers.frames import QUALITY_STILL, Kind, Window, next_viewer
from renderers.look import Looks
from renderers.picture import SHIFTS, Blend, jpeg, png
from renderers.show import Show
from renderers.signals import signals
from streamer.wire.header import Refused
from streamer.wire.keys import Keys
from streamer.wire.line import NOT_HEARD
from streamer.wire.view import (
    DEGRADED,
    JPEG,
    KEY,
    NOTE,
    PNG,
    STILL,
    Acknowledged,
    Closed,
    Frame,
    Input,
    Opened,
    decode_up,
    encode_frame,
)

SLICE_S = 0.025
"""Time for new chunks before the viewers are looked at again; one chunk at least."""
MOST_VIEWERS = 64
LONGEST_S = 1.0


class StreamerGone(RuntimeError):
    """Nothing was heard from the streamer for longer than there is patience."""

    exit_code = NOT_HEARD


class Node:
    """Draws the run behind a feed for the viewers that come to ``views``.  Raises BadAddress."""

    def __init__(
        self, window: Any, feed: str, views: str, name: str, keys: Keys | None = None, patience_s: float = inf
    ) -> None:
        self._patience_s, self._source = patience_s, feed
        self._log = structlog.get_logger("renderer")
        self.counts: Counter[str] = Counter()
        self._show = Show(window)
        self._viewers: dict[bytes, Window] = {}
        self._looks = Looks()
        self._detail = Detail()
        self._still: tuple[bytes, Input, int, Blend] | None = None
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.term)
            self._door = ViewsDoor(self._context, views, keys)
            undo.callback(self._door.close, 0)
            self._views = self._door.socket
            self._feed = FeedLine(self._context, feed, name, keys)
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where viewers are waited for."""
        return self._views.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Hangs up."""
        self._feed.stop()
        self._door.close(200)
        self._context.term()

    def run(self) -> int:
        """Serves until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread.

        Raises StreamerGone.
        """
        self._feed.start()
        with signals() as (wake, caught):
            poller = zmq.Poller()
            for source in (wake, self._views, self._feed.wake, *self._door.others):
                poller.register(source, zmq.POLLIN)
            while not caught:
                ready = dict(poller.poll(ceil(1000 * self._wait_s(time.monotonic()))))
                if self._feed.wake in ready:
                    hush(self._feed.wake)
                if any(other in ready for other in self._door.others):
                    self._door.attend(time.monotonic())
                self._listen()
                self._draw()
                self._build()
                self._note(time.monotonic())
                self._look(time.monotonic())
                self._wait_for_streamer(time.monotonic())
        return 130 if caught[0] == signal.SIGINT else 0

    def _wait_for_streamer(self, now: float) -> None:
        if now - self._feed.heard_at >= self._patience_s:
            raise StreamerGone(
                f"nothing was heard from the streamer at {self._source} for {self._patience_s:g} s (--patience)"
            )

    def _wait_s(self, now: float) -> float:
        """How long nothing needs to be done."""
        if self._feed.waiting or self._show.busy:
            return 0.0
        viewers = self._viewers.values() if self._show.ready else ()
        soonest = min((window.deadline() for window in viewers), default=inf)
        note = self._show.note()
        speak = min((window.note_deadline(note) for window in self._viewers.values()), default=inf)
        return min(max(0.0, min(soonest, speak) - now), self._show.rest_s(now), LONGEST_S)

    # ------------------------------------------------------------------ viewers

    def _listen(self) -> None:
        """Takes what the viewers have said."""
        for _ in range(1000):
            try:
                peer, *frames = self._views.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._hear(peer, frames)

    def _hear(self, peer: bytes, frames: Sequence[bytes]) -> None:
        now = time.monotonic()
        try:
            if len(frames) != 1:
                raise Refused(f"a viewer's message of {len(frames)} parts; it has one")
            said = decode_up(frames[0])
        except Refused as why:
            self._drop(peer, str(why))
            return
        match said:
            case Opened():
                self._open(peer, now)
            case Closed():
                self._viewers.pop(peer, None)
            case Input():
                if peer in self._viewers:
                    self._viewers[peer].input(said, now)
                    self._looks.see(peer, said.camera)
            case Acknowledged():
                if peer in self._viewers:
                    self._viewers[peer].acknowledge(said, now)

    def _open(self, peer: bytes, now: float) -> None:
        if peer not in self._viewers and len(self._viewers) >= MOST_VIEWERS:
            self._tell(peer, 0, {"text": f"{MOST_VIEWERS} viewers are served already: try again later"})
            return
        window = self._viewers[peer] = Window(now)
        window.changed(self._show.version, now)
        self._note(now)

    def _look(self, now: float) -> None:
        """Tells the streamer where the viewers look."""
        for viewer in self._looks.viewers - self._viewers.keys():
            self._looks.leave(viewer)
        theatre = self._show.theatre
        if theatre is not None and (foci := self._looks.due(theatre.room, now)):
            self._feed.look(foci)

    def _drop(self, peer: bytes, why: str) -> None:
        """A viewer has sent garbage: it alone is let go, with a note that says why."""
        self.counts["garbage"] += 1
        if self._viewers.pop(peer, None) is not None:
            self._log.warning("viewer dropped", peer=peer.hex(), why=why)
            self._tell(peer, 0, {"text": f"The renderer has closed this view: {why}."})

    def _note(self, now: float) -> None:
        """Tells the viewers how the scene stands, where that is news to them."""
        note = self._show.note()
        for peer, window in list(self._viewers.items()):
            if window.wants(note, now) and self._tell(peer, window.sent, note):
                window.noted(note, now)

    def _tell(self, peer: bytes, frame: int, note: dict[str, object]) -> bool:
        header = Frame(NOTE, 0, frame, 0, 0, self._show.position, 0, 0, 0.0, 0.0)
        return self._send(peer, encode_frame(header) + json.dumps(note, ensure_ascii=False).encode())

    def _send(self, peer: bytes, message: bytes) -> bool:
        """Sends one message; False if the viewer's pipe is full.  A viewer that has gone is forgotten."""
        try:
            self._views.send_multipart([peer, message], zmq.NOBLOCK, copy=len(message) < 65536)
        except zmq.Again:
            self.counts["full"] += 1
            return False
        except zmq.ZMQError as why:
            if why.errno != zmq.EHOSTUNREACH:
                raise
            self._viewers.pop(peer, None)
        return True

    # ------------------------------------------------------------------ pictures

    def _draw(self) -> None:
        """Makes the one picture that is due, or one step of a still."""
        now = time.monotonic()
        if not self._show.ready:
            return
        for window in self._viewers.values():
            window.changed(self._show.version, now)
        due = next_viewer(self._viewers.items(), now)
        if due is None:
            self._still = None
            return
        peer, kind = due
        window = self._viewers[peer]
        state = window.state
        if state is None:
            return
        if kind == "still":
            self._refine(peer, window, state)
            return
        level = self._detail.of(moving=state.moving, triangles=self._show.triangles)
        begun = time.monotonic()
        pixels = self._show.draw(state.camera, state.width, state.height, level=level, ratio=state.ratio)
        drawn = time.monotonic()
        self._detail.drew(level, drawn - begun, self._show.triangles)
        picture = jpeg(pixels, window.quality)
        self._picture(peer, kind, state, JPEG, picture, (drawn - begun, time.monotonic() - drawn), level)

    def _refine(self, peer: bytes, window: Window, state: Input) -> None:
        """One step of a still.  The next steps follow in later turns, unless something else is due by then."""
        version = self._show.version
        if self._still is None or self._still[:3] != (peer, state, version):
            self._still = (peer, state, version, Blend())
        blend = self._still[3]
        begun = time.monotonic()
        blend.add(self._show.draw(state.camera, state.width, state.height, SHIFTS[blend.taken], ratio=state.ratio))
        took_s = time.monotonic() - begun
        if blend.taken > 1:  # the first one may have carried new geometry to the graphics card
            self._detail.drew(0, took_s, self._show.triangles)
        blend.seconds += took_s
        if blend.taken < len(SHIFTS):
            return
        self._still = None
        begun = time.monotonic()
        pixels = blend.mean()
        codec, picture = (PNG, png(pixels)) if window.lossless else (JPEG, jpeg(pixels, QUALITY_STILL))
        self._picture(peer, "still", state, codec, picture, (blend.seconds, time.monotonic() - begun))

    def _picture(
        self,
        peer: bytes,
        kind: Kind,
        state: Input,
        codec: int,
        picture: bytes,
        took_s: tuple[float, float],
        level: int = 0,
    ) -> None:
        window = self._viewers[peer]
        flags = KEY | (STILL if kind == "still" else 0) | (DEGRADED if level == COARSE else 0)
        header = Frame(
            codec, flags, window.sent + 1, state.sequence, 0, self._show.position, state.width, state.height,
            1000 * took_s[0], 1000 * took_s[1],
        )  # fmt: skip
        if self._send(peer, encode_frame(header) + picture):
            window.pictured(kind, state, self._show.version, time.monotonic())
            self.counts[kind] += 1

    # ------------------------------------------------------------------ the scene

    def _build(self) -> None:
        """Gives what the feed has brought a slice of time; in quiet moments, finishes what was left rough."""
        until = time.monotonic() + SLICE_S
        while (event := self._feed.take()) is not None:
            self._show.happen(event, time.monotonic())
            if isinstance(event, Arrived):
                self._feed.used(event)
            if time.monotonic() >= until:
                return
        while time.monotonic() < until and self._show.tidy(time.monotonic()):
            pass
