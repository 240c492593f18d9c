"""The darkroom: pictures and films that are taken away, made beside the stream without holding it up.

One is made at a time, few wait.  The thread that draws makes one small picture for it whenever no viewer's is due, or
has not had a turn for a while; a thread of its own puts them into the file.  A piece of the file leaves when the ones
before it have been taken, so that no more than a few are in memory; nothing more is drawn meanwhile.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

import numpy as np
import structlog

from renderers.bell import Bell
from renderers.film import Film
from renderers.picture import SHIFTS, Blend, Pixels, Png
from renderers.post import Letter, Post
from renderers.shots import RATE, Provenance, even, foot, pictures, strips, words
from renderers.show import Show
from streamer.wire.taking import Wish
from streamer.wire.view import FILE, LAST, NOTE, Frame, encode_frame

MOST_WAITING = 4
MOST_ON_THE_WAY = 3
PIECE = 1 << 20
TURN_S = 0.25
"""Somebody who drags is interrupted so often at the most."""
HOLD_S = 5.0
"""So long the scene is held still for a picture in several tiles."""
SILENT_S = 60.0
"""Whoever takes nothing for so long has gone."""
WARM_S, PATIENT_S = 2.0, 20.0
"""A scene that is there for so long and does not change is whole, as far as is known; so long that is waited for."""
LOOK_S = 0.1
BUSY = 429, 503

Work = Callable[[], bytes]
Steps = Generator[Work, None, None]
"""Draws with each step, and gives what is to be done with it in the other thread."""


class _Job(NamedTuple):
    peer: bytes
    wish: Wish
    asked_at: float


class Darkroom:
    """``wake`` rings when the other thread has done its part."""

    def __init__(self, show: Show, post: Post, version: str) -> None:
        self._show, self._post, self._version = show, post, version
        self.wake = Bell()
        self._thread = ThreadPoolExecutor(1, "darkroom")
        self._log = structlog.get_logger("renderer")
        self._waiting: deque[_Job] = deque()
        self._job: _Job | None = None
        self._steps: Steps | None = None
        self._working = 0
        """The number of what the other thread is doing for this job; 0: nothing."""
        self._works = 0
        self._done_works: deque[tuple[int, bytes | Exception]] = deque()
        self._pieces: deque[bytes] = deque()
        self._over = False
        self._sent = self._taken = self._done = self._total = 0
        self._turn_at = self._begun_at = self._heard_at = -inf
        self._there_at: float | None = None

    def stop(self) -> None:
        """Ends; what is being made is given up."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.wake.close()

    # ------------------------------------------------------------------ what is asked

    def ask(self, peer: bytes, wish: Wish, now: float) -> None:
        """Somebody wants a file."""
        if len(self._waiting) >= MOST_WAITING:
            why = f"{MOST_WAITING} pictures and films wait to be made by this renderer already: try again in a minute"
            self._refuse(peer, BUSY[0], why)
            return
        self._waiting.append(_Job(peer, wish, now))
        self._next(now)

    def taken(self, peer: bytes, piece: int, now: float) -> bool:
        """A piece has been taken; False if it is none of ours."""
        if self._job is None or peer != self._job.peer:
            return False
        if self._taken < piece <= self._sent:
            self._taken, self._heard_at = piece, now
        return True

    def gone(self, peer: bytes, now: float) -> None:
        """Somebody does not want his file any more."""
        self._waiting = deque(job for job in self._waiting if job.peer != peer)
        if self._job is not None and self._job.peer == peer:
            self._end(now)

    # ------------------------------------------------------------------ what is done

    @property
    def holding(self) -> bool:
        """Whether the scene should stay as it is: the parts of a picture are to fit."""
        return (
            self._job is not None
            and self._job.wish.kind == "picture"
            and not self._over
            and time.monotonic() < self._begun_at + HOLD_S
        )

    def rest_s(self, due: float, now: float) -> float:
        """How long until ``step`` has something to do; ``due``: when a viewer's picture is."""
        if self._job is None:
            return LOOK_S if self._waiting else inf
        if self._working and not self._done_works:
            return inf  # it rings
        if self._blocked:
            return max(0.0, self._heard_at + SILENT_S - now)
        return 0.0 if due > now else max(0.0, self._turn_at + TURN_S - now)

    def step(self, due: float, now: float) -> None:
        """Does a small part of the work, if it is its turn."""
        if self._job is None:
            self._next(now)
        if self._job is None or self.rest_s(due, now) > 0:
            return
        try:
            if self._working and not self._worked():
                return
            self._send(now)
            if self._blocked:
                if now >= self._heard_at + SILENT_S:
                    self._log.warning("picture given up: nobody takes it", kind=self._job.wish.kind)
                    self._end(now)
                return
            if self._over:
                self._end(now)
                return
            assert self._steps is not None
            self._turn_at = now
            work = next(self._steps, None)
            self._over = work is None
            if work is not None:
                self._done += 1
                self._works += 1
                self._working = self._works
                self._thread.submit(self._work, self._works, work)
            else:
                self._send(now)
        except Exception as why:  # a picture that fails is not worth the stream
            self._log.error("picture given up", kind=self._job.wish.kind, why=repr(why))
            self._refuse(self._job.peer, BUSY[1], f"it cannot be made: {why}")
            self._end(now)

    # ------------------------------------------------------------------ inside

    @property
    def _blocked(self) -> bool:
        """Whether what is ready has to be taken first."""
        return self._sent - self._taken >= MOST_ON_THE_WAY and bool(self._pieces)

    def _next(self, now: float) -> None:
        if self._show.ready and self._there_at is None:
            self._there_at = now
        if self._job is not None or not self._waiting:
            return
        waited_s = now - self._waiting[0].asked_at
        if self._there_at is None:
            if waited_s >= PATIENT_S:
                job = self._waiting.popleft()
                self._refuse(job.peer, BUSY[1], "there is nothing to be seen of the run yet: try again in a moment")
            return
        # A run that is served again comes piece by piece; who asks right then wants to see it all.
        warm = self._show.settled and now >= self._there_at + WARM_S
        if not (self._show.over or warm or waited_s >= PATIENT_S):
            return
        self._job = job = self._waiting.popleft()
        self._pieces.clear()
        self._over = False
        self._sent = self._taken = self._done = 0
        self._begun_at = self._heard_at = now
        self._steps = self._picture(job.wish) if job.wish.kind == "picture" else self._film(job.wish)

    def _end(self, now: float) -> None:
        """It is done, or given up; what the other thread still does for it is passed over."""
        if self._steps is not None:
            self._steps.close()
        self._working = 0
        self._job = self._steps = None
        self._pieces.clear()
        self._next(now)

    def _worked(self) -> bool:
        """Takes what the other thread has done; False if there is nothing for this job yet."""
        while self._done_works:
            number, done = self._done_works.popleft()
            if number != self._working:
                continue  # for one that was given up
            self._working = 0
            if isinstance(done, Exception):
                raise done
            self._cut(done)
            return True
        return False

    def _work(self, number: int, work: Work) -> None:
        """In the other thread.  The bell is rung when the result can be seen, and not before."""
        try:
            done: bytes | Exception = work()
        except Exception as why:
            done = why
        self._done_works.append((number, done))
        self.wake.ring()

    def _cut(self, raw: bytes) -> None:
        self._pieces.extend(raw[at : at + PIECE] for at in range(0, len(raw), PIECE))

    def _send(self, now: float) -> None:
        """Sends pieces as far as they are taken; the last one only when all of them are ready."""
        assert self._job is not None
        wish = self._job.wish
        while self._sent - self._taken < MOST_ON_THE_WAY and len(self._pieces) > (0 if self._over else 1):
            piece = self._pieces.popleft()
            self._sent += 1
            self._heard_at = now
            last = LAST if self._over and not self._pieces else 0
            size = wish.width * wish.scale, wish.height * wish.scale
            head = Frame(FILE, last, self._sent, self._done, self._total, self._show.position, *size, 0.0, 0.0)
            self._post.send(Letter(self._job.peer, encode_frame(head) + piece))

    def _refuse(self, peer: bytes, status: int, why: str) -> None:
        head = Frame(NOTE, LAST, 0, 0, 0, self._show.position, 0, 0, 0.0, 0.0)
        text = json.dumps({"status": status, "text": why}, ensure_ascii=False).encode()
        self._post.send(Letter(peer, encode_frame(head) + text))

    def _provenance(self) -> Provenance:
        spec = self._show.spec
        assert spec is not None
        return Provenance(spec, self._version, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    def _picture(self, wish: Wish) -> Steps:
        width, height, ratio = wish.width * wish.scale, wish.height * wish.scale, float(wish.scale)
        made, plan, png = self._provenance(), strips(width, height), Png(width, height)
        self._total = sum(len(tiles) * len(SHIFTS) for tiles in plan)
        position, view, before = self._show.position, wish.view, png.begin()
        for strip in plan:
            drawn: list[Blend] = []
            for tile in strip:
                blend = Blend()
                for shift in SHIFTS:
                    self._show.look(view)
                    under = foot(*words(self._show.facts(), made, position), width, height, ratio)
                    pixels = self._show.draw(wish.eye, width, height, shift, ratio=ratio, foot=under, tile=tile)
                    blend.add(pixels)
                    if blend.taken < len(SHIFTS) or len(drawn) + 1 < len(strip):
                        yield bytes
                drawn.append(blend)
            yield _strip(png, drawn, before)
            before = b""
        yield png.end

    def _film(self, wish: Wish) -> Steps:
        width, height = even((wish.width, wish.height))
        spec = self._show.spec
        assert spec is not None
        made, plan = self._provenance(), pictures(wish, spec.grid.shape[0])
        self._total = len(plan)
        film, shown, pixels = Film(width, height, RATE), None, np.empty((height, width, 3), np.uint8)
        for camera, view in plan:
            now = (camera, view, self._show.version)
            if now != shown:
                shown = now
                self._show.look(view)
                # The other thread may still have the last one: what is drawn goes into memory of its own.
                pixels = np.empty((height, width, 3), np.uint8)
                position = self._show.position
                under = foot(*words(self._show.facts(), made, position), width, height, 1.0)
                self._show.draw(camera, width, height, into=pixels, foot=under)
            yield _added(film, pixels)
        yield film.end


def _strip(png: Png, drawn: list[Blend], before: bytes) -> Work:
    return lambda: before + png.add(np.concatenate([blend.mean() for blend in drawn], axis=1))


def _added(film: Film, pixels: Pixels) -> Work:
    return lambda: film.add(pixels)
