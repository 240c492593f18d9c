"""The easel: which picture is drawn next, for whom, and how finely.

The one that has waited longest is drawn, once for all who look at the same view in the same size; the post encodes and
sends it while the next one is drawn.  A still is made of several pictures and given up as soon as somebody moves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from math import inf

import numpy as np

from renderers.audience import Audience
from renderers.chains import Chains, Follower, Leg, Way
from renderers.detail import COARSE, Detail
from renderers.finishing import Finisher, Wanted
from renderers.frames import RIDE_S, Kind, Window, next_viewer
from renderers.picture import SHIFTS, Blend, Pixels
from renderers.post import Copy, Letter, Post
from renderers.show import Show
from renderers.trial import Trial
from streamer.wire.view import DEGRADED, JPEG, KEY, LATER, STILL, Frame, Input, encode_frame

HALF = 0.5
"""The share of the resolution that a thin link gets."""
MOST_UNABLE = 4
"""Ways of encoding H.264 that fail, until no other is tried."""


class Easel:
    """Draws the show for the audience.  ``wake`` rings when a still is finished."""

    def __init__(
        self,
        show: Show,
        audience: Audience,
        post: Post,
        trial: Trial,
        counts: Counter[str],
    ) -> None:
        self._show, self._audience, self._post, self._trial, self._counts = show, audience, post, trial, counts
        self._viewers: dict[bytes, Window] = audience.windows
        self._detail = Detail()
        self._still: tuple[Wanted, Blend] | None = None
        self._chains, self._videos = Chains(), True
        self._unable: set[Way] = set()
        self._followed: frozenset[int] = frozenset()
        self._finisher = Finisher()
        self.wake = self._finisher.wake

    def start(self) -> None:
        """Begins."""
        self._finisher.start()

    def stop(self) -> None:
        """Ends."""
        self._finisher.stop()

    def no_video(self, way: Way) -> None:
        """H.264 cannot be encoded so: who would need that gets JPEG, and everybody does where several ways fail."""
        self._unable.add(way)
        self._videos = len(self._unable) < MOST_UNABLE

    def deadline(self) -> float:
        """When there will be something to draw; infinity if nothing is known of."""
        if not self._show.ready or self._post.full:
            return inf
        stills = self._finisher.wanted is None
        return min((window.deadline(stills=stills) for window in self._viewers.values()), default=inf)

    def draw(self) -> None:
        """Makes the one picture that is due, or one step of a still."""
        now = time.monotonic()
        self._give_up_chains()
        if not self._show.ready:
            return
        for window in self._viewers.values():
            window.changed(self._show.version, now)
        self._send_still()
        if self._post.full:
            return
        begun = None if self._still is None else self._still[0].peer
        due = next_viewer(self._viewers.items(), now, stills=self._finisher.wanted is None, begun=begun)
        if due is None:
            self._still = None
            return
        peer, kind = due
        state = self._viewers[peer].state
        if state is None:
            return
        if kind == "still":
            self._refine(Wanted(peer, state, self._show.version))
        else:
            self._move(peer, kind, state, now)

    # ------------------------------------------------------------------ inside

    def _move(self, peer: bytes, kind: Kind, state: Input, now: float) -> None:
        """Draws once for all who look at the same view in the same size and may have a picture now."""
        those = [
            (one, other, due)
            for one in self._audience.together(peer)
            if (other := self._viewers[one]).state is not None
            and _same(other.state, state)
            and (due := kind if one == peer else other.due(now, riding=True)) not in (None, "still")
        ]
        moving = state.moving and not self._trial.full_detail
        level = self._detail.of(moving=moving, triangles=self._show.triangles)
        share = self._detail.share if moving and level == COARSE else 1.0
        # A thin link is no reason to draw twice: its picture is made from the others'.
        if all(other.half for _, other, _ in those):
            share = HALF
        begun = time.monotonic()
        page = self._drawn(state, level, share)
        if page is None:
            return
        drawn_at = time.monotonic()
        render_s = drawn_at - begun
        self._detail.drew(level, render_s, self._show.triangles, share=share)
        legs = self._legs(page, [(one, other) for one, other, _ in those], halves=share > HALF)
        copies = []
        for one, other, due in those:
            assert other.state is not None
            smaller = other.half and share > HALF
            header = self._header(other, other.state, JPEG, render_s)
            if level == COARSE or share < 1 or smaller:
                header = header._replace(flags=header.flags | DEGRADED)
            if other.credit > 1:
                header = header._replace(flags=header.flags | LATER)
            copies.append(Copy(one, header, other.quality, smaller, legs.get(one)))
            self._sent(other, due, other.state, drawn_at)
        # H.264 takes longer to encode than a JPEG, and its viewers have slower links.
        copies.sort(key=lambda copy: copy.leg is not None)
        self._post.print(page, copies, self._followed)
        if state.moving and any(self._audience.leads(copy.peer) for copy in copies):
            for one in self._audience.together(peer):
                if not self._audience.leads(one):
                    self._viewers[one].rides(drawn_at + RIDE_S)

    def _legs(self, page: Pixels, those: Sequence[tuple[bytes, Window]], *, halves: bool) -> dict[bytes, Leg]:
        """Who of those who get this page gets it as H.264.  ``halves``: it is halved for a thin link."""
        height, width, _ = page.shape
        legs = self._chains.next([
            Follower(peer, way, window.anew)
            for peer, window in those
            if window.link.video and self._videos
            and (way := Way(width, height, window.half and halves, window.link.kbit)) not in self._unable
        ])  # fmt: skip
        for peer, window in those:
            if peer in legs:
                window.anew = False
        self._followed = self._chains.keep(self._followers)
        return legs

    @property
    def _followers(self) -> list[bytes]:
        """Those whose chains may go on."""
        return [peer for peer, window in self._viewers.items() if window.link.video and self._videos]

    def _give_up_chains(self) -> None:
        """Encoders of viewers that have gone, or want none any more, are freed."""
        followed = self._chains.keep(self._followers)
        if followed != self._followed:
            self._followed = followed
            self._post.chains(followed)

    def _drawn(self, state: Input, level: int, share: float) -> Pixels | None:
        width, height = _part(state.width, share), _part(state.height, share)
        reel = self._trial.reel
        page = self._post.page(*((height, width) if reel is None else reel.size))
        if page is None:
            return None
        return self._pixels(state, width, height, level=level, ratio=state.ratio * share, into=page)

    def _pixels(
        self, state: Input, width: int, height: int, shift: tuple[float, float] = (0.0, 0.0), *,
        level: int = 0, ratio: float, into: Pixels | None = None,
    ) -> Pixels:  # fmt: skip
        """What a viewer sees, drawn, or from the reel of whoever measures."""
        reel = self._trial.reel
        if reel is None:
            self._show.look(state.look)
            pixels = self._show.draw(state.camera, width, height, shift, level=level, ratio=ratio, into=into)
        else:
            pixels = np.empty((*reel.size, 3), np.uint8) if into is None else into
            reel.picture(state, pixels)
        self._trial.mark(pixels, state.pointer)
        return pixels

    def _refine(self, wanted: Wanted) -> None:
        """One step of a still.  The next steps follow in later turns, unless something else is due by then."""
        if self._still is None or self._still[0] != wanted:
            self._still = (wanted, Blend())
        blend, state = self._still[1], wanted.state
        begun = time.monotonic()
        blend.add(self._pixels(state, state.width, state.height, SHIFTS[blend.taken], ratio=state.ratio))
        self._viewers[wanted.peer].refined(time.monotonic())
        took_s = time.monotonic() - begun
        if blend.taken > 1:  # the first one may have carried new geometry to the graphics card
            self._detail.drew(0, took_s, self._show.triangles)
        blend.seconds += took_s
        if blend.taken == len(SHIFTS) or self._trial.reel is not None:
            self._still = None
            self._finisher.begin(wanted, blend, lossless=self._viewers[wanted.peer].lossless)

    def _send_still(self) -> None:
        """Sends the still that is finished, if it is still what its viewer ought to see; gives up one that is not."""
        wanted = self._finisher.wanted
        if wanted is None:
            return
        window = self._viewers.get(wanted.peer)
        if window is None or (window.state, self._show.version) != wanted[1:]:
            self._finisher.give_up()
        over, still = self._finisher.take()
        if not over or still is None or window is None:
            return
        header = self._header(window, wanted.state, still.codec, still.render_s)
        header = header._replace(flags=KEY | STILL, encode_ms=1000 * still.encode_s)
        self._post.send(Letter(wanted.peer, encode_frame(header) + still.picture, header.frame))
        self._sent(window, "still", wanted.state, time.monotonic())

    def _header(self, window: Window, state: Input, codec: int, render_s: float) -> Frame:
        return Frame(
            codec, 0, window.sent + 1, state.sequence, self._show.step, self._show.position,
            state.width, state.height, 1000 * render_s, 0.0,
        )  # fmt: skip

    def _sent(self, window: Window, kind: Kind, state: Input, now: float) -> None:
        window.pictured(kind, state, self._show.version, now)
        self._counts[kind] += 1


def _part(side: int, share: float) -> int:
    """So many pixels of a side; neither they nor half of them are odd, which H.264 could not have, but where asked."""
    if share == 1:
        return side
    return max(16, side // 2 if share == HALF else 4 * round(share * side / 4))


def _same(one: Input | None, other: Input) -> bool:
    """Whether one picture serves both."""
    return one is not None and (one.camera, one.look, one.width, one.height, one.ratio) == (
        other.camera, other.look, other.width, other.height, other.ratio
    )  # fmt: skip
