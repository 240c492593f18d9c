"""The renderer's shell: the thread that owns OpenGL, with the viewers' post and the feed on either side.

Each turn looks at the viewers first, draws the one picture that has waited longest (``renderers.easel``), then gives
new chunks a slice of time, so a drag is answered soon whatever else there is to do.
"""

from __future__ import annotations

import json
import select
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import islice
from math import ceil, inf
from typing import Any

import structlog
import zmq

from renderers.audience import Audience
from renderers.darkroom import Darkroom
from renderers.easel import Easel
from renderers.entries import Arrived
from renderers.feed import FeedLine
from renderers.frames import Window
from renderers.look import Looks
from renderers.pointing import Questions, answer, ray
from renderers.post import Heard, Left, Letter, Lost, Post, Unable
from renderers.present import Present, view_of
from renderers.show import Show
from renderers.signals import signals
from renderers.trial import NO_TRIAL, Trial
from streamer.wire.header import Refused
from streamer.wire.keeping import encode_kept
from streamer.wire.keys import Keys
from streamer.wire.line import NOT_HEARD
from streamer.wire.looking import Looking, Pointing
from streamer.wire.presence import Wish
from streamer.wire.taking import decode_taking
from streamer.wire.view import (
    KEEP,
    LAST,
    NOTE,
    TAKE,
    Acknowledged,
    Closed,
    Frame,
    Input,
    Opened,
    decode_up,
    encode_frame,
    shown_with,
)

SLICE_S = 0.025
"""Time for new chunks before the viewers are looked at again; one chunk at least."""
MOST_VIEWERS = 64
LONGEST_S = 1.0
MOST_AT_ONCE = 256
"""Events of the post that are taken before the next picture is drawn, whatever else viewers say."""


class StreamerGone(RuntimeError):
    """Nothing was heard from the streamer for longer than there is patience."""

    exit_code = NOT_HEARD


class Node:
    """Draws the run behind a feed for the viewers that come to ``views``.  Raises BadAddress."""

    def __init__(
        self,
        window: Any,
        feed: str,
        views: str,
        name: str,
        keys: Keys | None = None,
        patience_s: float = inf,
        trial: Trial = NO_TRIAL,
    ) -> None:
        self._patience_s, self._source = patience_s, feed
        self._log = structlog.get_logger("renderer")
        self.counts: Counter[str] = Counter()
        self._show = Show(window)
        self._audience = Audience()
        self._viewers: dict[bytes, Window] = self._audience.windows
        self._present = Present(self._audience)
        self._looks = Looks()
        self._questions = Questions()
        self._speak_at = inf
        """When a note that is news may be sent."""
        self._more = False
        """Viewers have said more than was taken in one turn."""
        with ExitStack() as undo:
            self._context = zmq.Context()
            undo.callback(self._context.term)
            self._post = Post(self._context, views, keys)
            undo.callback(self._post.stop)
            self._easel = Easel(self._show, self._audience, self._post, trial, self.counts)
            undo.callback(self._easel.stop)
            self._darkroom = Darkroom(self._show, self._post, version("cavecast"))
            undo.callback(self._darkroom.stop)
            self._feed = FeedLine(self._context, feed, name, keys)
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where viewers are waited for."""
        return self._post.address

    def close(self) -> None:
        """Hangs up."""
        self._feed.stop()
        self._darkroom.stop()
        self._easel.stop()
        self._post.stop()
        self._context.term()

    def run(self) -> int:
        """Serves until SIGTERM (returns 0) or SIGINT (returns 130).  To be called from the main thread.

        Raises StreamerGone.
        """
        self._feed.start()
        self._post.start()
        self._easel.start()
        with signals() as (wake, caught):
            poll, bells = select.poll(), (self._feed.wake, self._post.wake, self._easel.wake, self._darkroom.wake)
            for source in (wake, *bells):
                poll.register(source, select.POLLIN)
            while not caught:
                ready = [source for source, _ in poll.poll(ceil(1000 * self._wait_s(time.monotonic())))]
                for bell in bells:
                    if bell.fileno() in ready:
                        bell.hush()
                self._listen()
                self._easel.draw()
                self._answer()
                self._darkroom.step(self._easel.deadline(), time.monotonic())
                if not self._darkroom.holding(time.monotonic()):
                    self._build()
                self._audience.tick(time.monotonic())
                self._note(time.monotonic())
                self._tell_others(time.monotonic())
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
        patient = {peer for peer, window in self._viewers.items() if window.credit > 0}
        if patient != self._post.patient:
            self._post.patient = patient
            if self._post.waiting:  # and has rung no bell
                return 0.0
        building = (self._feed.waiting or self._show.busy) and not self._darkroom.holding(now)
        if self._more or self._questions or building:
            return 0.0
        speak = min(self._speak_at, self._present.deadline(now), self._audience.keep_at())
        due = self._easel.deadline()
        rest_s = min(self._show.rest_s(now), self._darkroom.rest_s(due, now), LONGEST_S)
        return min(max(0.0, min(due, speak) - now), rest_s)

    # ------------------------------------------------------------------ viewers

    def _listen(self) -> None:
        """Takes what the viewers have said, and what did not reach them."""
        events = list(islice(iter(self._post.take, None), MOST_AT_ONCE))
        self._more = len(events) == MOST_AT_ONCE
        for event in events:
            match event:
                case Heard():
                    self._hear(event.peer, event.frames, event.at)
                case Lost():
                    self._lose(event)
                case Left():
                    if (window := self._viewers.get(event.peer)) is not None:
                        window.left(event.frame, event.nbytes, event.at, event.encode_s)
                case Unable(why, way):
                    self._log.warning("no H.264: JPEG instead", why=why, way=str(way))
                    self._easel.no_video(way)

    def _lose(self, lost: Lost) -> None:
        """A message did not leave.  A viewer that has gone is forgotten."""
        self._darkroom.gone(lost.peer, time.monotonic())
        if lost.gone:
            self._audience.leave(lost.peer, time.monotonic())
            return
        self.counts["full"] += 1
        if (window := self._viewers.get(lost.peer)) is not None:
            if lost.frame:
                window.lost(lost.frame)
            else:
                window.unsaid()
                self._present.unsaid(lost.peer)

    def _hear(self, peer: bytes, frames: Sequence[bytes], now: float) -> None:
        try:
            if len(frames) != 1:
                raise Refused(f"a viewer's message of {len(frames)} parts; it has one")
            if frames[0][:1] == bytes((TAKE,)):
                self._darkroom.ask(peer, decode_taking(frames[0]), now)
                return
            said = decode_up(frames[0])
        except Refused as why:
            self._drop(peer, str(why))
            return
        if isinstance(said, Acknowledged) and self._darkroom.taken(peer, said.frame, now):
            return
        if isinstance(said, Closed):
            self._darkroom.gone(peer, now)
        new = isinstance(said, Opened) and peer not in self._viewers
        if new and len(self._viewers) >= MOST_VIEWERS:
            self._tell(peer, 0, {"text": f"{MOST_VIEWERS} viewers are served already: try again later"})
            return
        if not self._present.takes(peer, said, now):
            return
        if (shown := shown_with(frames[0])) is not None:
            self._audience.hear(peer, shown, now)
        self._audience.hear(peer, said, now)
        window = self._viewers.get(peer)
        if isinstance(said, Opened) and window is not None:
            window.changed(self._show.version, now)
            self._note(now)
        elif isinstance(said, Input | Looking) and window is not None and window.state is not None:
            self._looks.see(peer, window.state.camera, self._audience.look(peer))
        elif isinstance(said, Pointing) and window is not None:
            self._questions.ask(peer, said)
        elif isinstance(said, Wish) and said.what == "see" and window is not None:
            seen = view_of(self._audience, peer, said.whom)
            self._tell(peer, window.sent, seen or {"seen": said.whom})

    def _answer(self) -> None:
        """Answers one question; drags and pictures come in between."""
        asked = self._questions.take()
        if asked is None:
            return
        peer, question = asked
        window, found = self._viewers.get(peer), None
        if window is None:
            return
        if window.state is not None and self._show.ready:
            self._show.look(window.state.look)
            found = self._show.pick(*ray(window.state, question.x, question.y))
        self._tell(peer, window.sent, answer(question.number, found))

    def _look(self, now: float) -> None:
        """Tells the streamer where the viewers look."""
        for viewer in self._looks.viewers - self._viewers.keys():
            self._looks.leave(viewer)
        spec, theatre = self._show.spec, self._show.theatre
        if spec is None or theatre is None:
            return
        if foci := self._looks.due(spec, theatre.room, theatre.newest, now):
            self._feed.look(foci)

    def _drop(self, peer: bytes, why: str) -> None:
        """A viewer has sent garbage: it alone is let go, with a note that says why."""
        self.counts["garbage"] += 1
        if peer in self._viewers:
            self._audience.leave(peer, time.monotonic())
            self._log.warning("viewer dropped", peer=peer.hex(), why=why)
            self._tell(peer, 0, {"text": f"The renderer has closed this view: {why}."}, LAST)

    def _note(self, now: float) -> None:
        """Tells the viewers how the scene stands, where that is news to them."""
        self._speak_at = inf
        for peer, window, note in self._news():
            if window.wants(note, now):
                self._tell(peer, window.sent, note)
                window.noted(note, now)
            self._speak_at = min(self._speak_at, window.note_deadline(note))

    def _tell_others(self, now: float) -> None:
        """Tells the viewers of each other, and the control plane what it is to keep of their views."""
        for peer, note in self._present.due(now):
            self._tell(peer, self._viewers[peer].sent, note)
        farewells, self._audience.farewells = self._audience.farewells, []
        for peer, view in [*farewells, *self._audience.keeps(now)]:
            assert view.camera is not None
            header = Frame(KEEP, 0, 0, 0, 0, self._show.position, 0, 0, 0.0, 0.0)
            kept = encode_kept(view.keeping.revision, view.camera, view.look)
            self._post.send(Letter(peer, encode_frame(header) + kept))

    def _news(self) -> Iterator[tuple[bytes, Window, dict[str, object]]]:
        """The notes that viewers do not have.  A turn of the loop is short: nothing is worded that is known."""
        stamp = self._show.stamp
        scene: dict[str, object] | None = None
        for peer, window in list(self._viewers.items()):
            basis = stamp, self._audience.look(peer), self._audience.place(peer)
            if window.knows(basis):
                continue
            scene = self._show.note() if scene is None else scene
            note = self._told(scene, peer)
            if not window.learned(basis, note):
                yield peer, window, note

    def _told(self, scene: dict[str, object], peer: bytes) -> dict[str, object]:
        told = {**scene, **self._show.glance(self._audience.look(peer))}
        place = self._audience.place(peer)
        return told if place is None else {**told, "view": place}

    def _tell(self, peer: bytes, frame: int, note: dict[str, object], flags: int = 0) -> None:
        header = Frame(NOTE, flags, frame, 0, 0, self._show.position, 0, 0, 0.0, 0.0)
        self._post.send(Letter(peer, encode_frame(header) + json.dumps(note, ensure_ascii=False).encode()))

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
