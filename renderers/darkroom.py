"""The darkroom: pictures and films that are taken away, made beside the stream without holding it up.

The thread that draws makes one small picture for one of them whenever no viewer's is due, or it has not had a turn for
a while; a thread of its own puts them into the file.  Whose turn it is, and what leaves, is decided in ``orders``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import structlog

from renderers.bell import Bell
from renderers.film import Film
from renderers.orders import BUSY, Order, Orders, Refusal, Sight
from renderers.picture import SHIFTS, Blend, Pixels, Png
from renderers.post import Letter, Post
from renderers.shots import RATE, Provenance, even, foot, pictures, strips, words
from renderers.show import Show
from streamer.wire.taking import Wish
from streamer.wire.view import FILE, LAST, NOTE, Frame, encode_frame

Work = Callable[[], bytes]
Steps = Generator[Work, None, None]
"""Draws with each step, and gives what is to be done with it in the other thread."""


class Darkroom:
    """``wake`` rings when the other thread has done its part."""

    def __init__(self, show: Show, post: Post, version: str) -> None:
        self._show, self._post, self._version = show, post, version
        self.wake = Bell()
        self._thread = ThreadPoolExecutor(1, "darkroom")
        self._log = structlog.get_logger("renderer")
        self._orders = Orders()
        self._steps: Steps | None = None
        self._done_works: deque[tuple[int, bytes | Exception]] = deque()
        self._total = 0

    def stop(self) -> None:
        """Ends; what is being made is given up."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.wake.close()

    # ------------------------------------------------------------------ what is asked

    def ask(self, peer: bytes, wish: Wish, now: float) -> None:
        """Somebody wants a file."""
        refused = self._orders.ask(Order(peer, wish, now))
        if refused is None:
            self._next(now)
        else:
            self._refuse(refused)

    def taken(self, peer: bytes, piece: int, now: float) -> bool:
        """A piece has been taken; False if it is none of ours."""
        return self._orders.taken(peer, piece, now)

    def gone(self, peer: bytes, now: float) -> None:
        """Somebody does not want his file any more."""
        if self._orders.gone(peer):
            self._end(now)

    # ------------------------------------------------------------------ what is done

    def holding(self, now: float) -> bool:
        """Whether the scene should stay as it is: the parts of a picture are to fit."""
        return self._orders.holding(now)

    def rest_s(self, due: float, now: float) -> float:
        """How long until ``step`` has something to do; ``due``: when a viewer's picture is."""
        return self._orders.rest_s(due, bool(self._done_works), now)

    def step(self, due: float, now: float) -> None:
        """Does a small part of the work, if it is its turn."""
        if self._orders.job is None:
            self._next(now)
        job = self._orders.job
        if job is None or self.rest_s(due, now) > 0:
            return
        try:
            self._gather()
            self._send(job, now)
            deed = self._orders.turn(now)
            if deed == "draw":
                self._draw(job, now)
            elif deed != "wait":
                if deed == "lost":
                    self._log.warning("picture given up: nobody takes it", kind=job.wish.kind)
                self._end(now)
        except Exception as why:  # a picture that fails is not worth the stream
            self._log.error("picture given up", kind=job.wish.kind, why=repr(why))
            self._refuse(Refusal(job.peer, BUSY[1], f"it cannot be made: {why}"))
            self._end(now)

    # ------------------------------------------------------------------ inside

    def _next(self, now: float) -> None:
        show = self._show
        found = self._orders.begin(Sight(show.ready, show.settled, show.over), now)
        if isinstance(found, Refusal):
            self._refuse(found)
        elif found is not None:
            wish = found.wish
            self._steps = self._picture(wish) if wish.kind == "picture" else self._film(wish)

    def _end(self, now: float) -> None:
        """It is done, or given up; what the other thread still does for it is passed over."""
        if self._steps is not None:
            self._steps.close()
        self._steps = None
        self._orders.end()
        self._next(now)

    def _draw(self, job: Order, now: float) -> None:
        assert self._steps is not None
        work = next(self._steps, None)
        if work is None:
            self._orders.finished()
            self._send(job, now)
        else:
            self._thread.submit(self._work, self._orders.drawn(), work)

    def _gather(self) -> None:
        """Takes what the other thread has done."""
        while self._done_works:
            number, done = self._done_works.popleft()
            if not self._orders.worked(number):
                continue  # for one that was given up
            if isinstance(done, Exception):
                raise done
            self._orders.cut(done)

    def _work(self, number: int, work: Work) -> None:
        """In the other thread.  The bell is rung when the result can be seen, and not before."""
        try:
            done: bytes | Exception = work()
        except Exception as why:
            done = why
        self._done_works.append((number, done))
        self.wake.ring()

    def _send(self, job: Order, now: float) -> None:
        wish = job.wish
        size = wish.width * wish.scale, wish.height * wish.scale
        done, position = self._orders.drawings, self._show.position
        for piece in self._orders.leaving(now):
            last = LAST if piece.last else 0
            head = Frame(FILE, last, piece.number, done, self._total, position, *size, 0.0, 0.0)
            self._post.send(Letter(job.peer, encode_frame(head) + piece.raw))

    def _refuse(self, refusal: Refusal) -> None:
        head = Frame(NOTE, LAST, 0, 0, 0, self._show.position, 0, 0, 0.0, 0.0)
        text = json.dumps({"status": refusal.status, "text": refusal.why}, ensure_ascii=False).encode()
        self._post.send(Letter(refusal.peer, encode_frame(head) + text))

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
