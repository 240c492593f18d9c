"""The last step of a still, in a thread of its own: the mean of its pictures, coded without loss or nearly so.

One still is finished at a time.  It is given up, between rows, as soon as nobody wants it any more.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from renderers.bell import Bell
from renderers.picture import QUALITY_STILL, Blend, GivenUp, jpeg, png
from streamer.wire.view import JPEG, PNG, Input


class Wanted(NamedTuple):
    """Whose still it is, and of what."""

    peer: bytes
    state: Input
    version: int


class Finished(NamedTuple):
    """A still."""

    wanted: Wanted
    codec: int
    picture: bytes
    render_s: float
    encode_s: float


class Finisher:
    """``wake`` rings when a still is finished or given up."""

    def __init__(self) -> None:
        self.wake = Bell()
        self._begin, self._stop = threading.Event(), False
        self._given_up = threading.Event()
        self._job: tuple[Wanted, Blend, bool] | None = None
        self._done: Finished | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="finisher", daemon=True)

    def start(self) -> None:
        """Begins to wait for stills."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what it does is given up."""
        self._stop = True
        self._given_up.set()
        self._begin.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.wake.close()

    @property
    def wanted(self) -> Wanted | None:
        """What is being finished, or is finished and not taken yet."""
        return None if self._job is None else self._job[0]

    def begin(self, wanted: Wanted, blend: Blend, *, lossless: bool) -> None:
        """Finishes a still; there must be none at work."""
        assert self._job is None, "one still at a time"
        self._given_up.clear()
        self._job = (wanted, blend, lossless)
        self._begin.set()

    def give_up(self) -> None:
        """The still is not wanted any more."""
        self._given_up.set()

    def take(self) -> tuple[bool, Finished | None]:
        """Whether a still has come to its end, and it; None if it was given up.  Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        if self._job is None or self._begin.is_set():
            return False, None
        done, self._done, self._job = self._done, None, None
        return True, None if self._given_up.is_set() else done

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            while True:
                self._begin.wait()
                if self._stop:
                    return
                assert self._job is not None
                self._done = self._finish(*self._job)
                self._begin.clear()
                self.wake.ring()
        except Exception as why:  # the thread that draws ends with it
            self._failure = why
            self.wake.ring()

    def _finish(self, wanted: Wanted, blend: Blend, lossless: bool) -> Finished | None:
        begun = time.monotonic()
        try:
            pixels = blend.mean()
            picture = png(pixels, over=self._given_up.is_set) if lossless else jpeg(pixels, QUALITY_STILL)
        except GivenUp:
            return None
        return Finished(wanted, PNG if lossless else JPEG, picture, blend.seconds, time.monotonic() - begun)
