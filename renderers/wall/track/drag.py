"""The mouse at a desk: drag to turn, drag to move, click to pick.  Pure.

The left button turns the scene about its own middle, the middle one moves it along with the pointer; a click
of the left or right button that did not move picks what lies under the pointer, as the viewer sees it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from msgspec.structs import replace

from renderers.wall.records import Screen
from renderers.wall.track import turns
from renderers.wall.track.calibrate import moved
from renderers.wall.track.mouse import pointing, screen_point
from renderers.wall.track.sensed import Pointer
from renderers.wall.track.wand import Step, ray
from streamer.wire.viewing import Head, Placement, View

LEFT, MIDDLE, RIGHT = 1, 2, 4
ACROSS = math.pi
"""A drag over the whole width of a screen turns by this."""
STILL = 0.005
"""A click may move by this share of the screen."""


class Drag:
    """Makes views of what the pointer does.  Give it every state, in order."""

    def __init__(self) -> None:
        self._last: Pointer | None = None
        self._pressed: Pointer | None = None

    def step(self, view: View, pointer: Pointer | None, head: Head, screens: Mapping[str, Screen]) -> Step:
        """The view after this state of the pointer, seen by ``head`` through the screens, by name."""
        last, self._last = self._last, pointer
        if pointer is None or pointer.screen not in screens or pointer == last:
            return Step(view)
        screen = screens[pointer.screen]
        before = last.buttons if last is not None else 0
        if pointer.buttons & ~before:
            self._pressed = pointer
        if last is not None and last.screen == pointer.screen and pointer.buttons == before:
            if pointer.buttons & LEFT:
                view = replace(view, placement=orbited(view.placement, screen, last, pointer))
            elif pointer.buttons & MIDDLE:
                view = replace(view, placement=panned(view.placement, screen, head, last, pointer))
        let_go = before & ~pointer.buttons
        if let_go & (LEFT | RIGHT) and self._pressed is not None and near(self._pressed, pointer):
            with suppress(ValueError):  # an eye on that very place of the screen points nowhere
                return Step(view, ray(view.placement, pointing(screen, head.position, pointer.x, pointer.y)))
        return Step(view)


def near(a: Pointer, b: Pointer) -> bool:
    """Whether a press and its release are one place."""
    return a.screen == b.screen and abs(a.x - b.x) <= STILL and abs(a.y - b.y) <= STILL


def orbited(placement: Placement, screen: Screen, before: Pointer, after: Pointer) -> Placement:
    """The scene turned about its middle, so that its near side follows the pointer."""
    right, up, _ = screen.axes
    width, height = screen.size
    about_up = turns.about((float(up[0]), float(up[1]), float(up[2])), ACROSS * (after.x - before.x))
    share = ACROSS * (after.y - before.y) * height / width
    about_right = turns.about((float(right[0]), float(right[1]), float(right[2])), share)
    return replace(placement, turn=turns.unit(turns.times(turns.times(about_up, about_right), placement.turn)))


def panned(placement: Placement, screen: Screen, head: Head, before: Pointer, after: Pointer) -> Placement:
    """The scene moved along the screen, so that its middle keeps under the pointer."""
    a, b = (np.array(screen_point(screen, each.x, each.y)) for each in (before, after))
    out = screen.axes[2]
    eye = np.array(head.position)
    to_screen = float((eye - np.array(screen.lower_left)) @ out)
    to_scene = float((eye - np.array(placement.centre)) @ out)
    # What is twice as far away has to go twice as far; what is behind the viewer goes as the pointer does.
    ratio = to_scene / to_screen if to_screen > 1 and to_scene > 1 else 1.0
    x, y, z = ((b - a) * ratio).tolist()
    return replace(placement, centre=moved(placement.centre, (x, y, z)))
