"""The wand: where it points, and what its buttons make of the view.  Pure functions, and one small machine.

The wand points along its own −z.  Poses are mm of the wall; the scene stands in it by ``View.placement``.
``Hand`` remembers what is held from one step to the next and combines the functions; which button does what
is said by ``Bindings``.  Picking asks the caller: a step gives a ray, and the caller tells later which object
it met (``picked``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from renderers.wall.track import turns
from renderers.wall.track.calibrate import moved
from renderers.wall.track.poses import WandState
from streamer.wire.viewing import MOST_PLANES, Head, Placement, Plane, Vec3, View

SMALLEST_MM, LARGEST_MM = 1.0, 1e6
"""Of ``Placement.size``."""
LONGEST_S = 0.1
"""One step moves by no more than this time: what stood still does not leap."""
TAP_S = 0.3
"""A shorter press of the plane's button takes the plane away."""


ACTIONS = ("grab", "pick", "plane", "scrub", "freeze", "reset", "fly+", "fly-", "turn+", "turn-", "grow+", "grow-",
           "time+", "time-")  # fmt: skip
KEYS = {
    "Up": "fly+", "Down": "fly-", "a": "turn-", "d": "turn+", "Prior": "grow+", "Next": "grow-",
    "period": "time+", "comma": "time-", "Return": "pick",
}  # fmt: skip
"""Keys that are held; those that are pressed once are the wall's (``renderers.wall.keyboard``)."""


class Bindings(msgspec.Struct, frozen=True):
    """Which button, axis and key does what; −1: none."""

    grab: int = 0
    pick: int = 1
    plane: int = 2
    scrub: int = 3
    freeze: int = 4
    reset: int = 5
    turn_axis: int = 0
    fly_axis: int = 1
    dead_zone: float = 0.15
    fly_mm_s: float = 1500.0
    """At full push; negative where the stick says −1 when pushed away, as gamepads do."""
    turn_deg_s: float = 45.0
    grow_per_s: float = 2.0
    """Times, at full push, while grabbing."""
    scrub_mm: float = 1000.0
    """Hand's way to the right that runs through all of the time."""
    keys: dict[str, str] = msgspec.field(default_factory=lambda: dict(KEYS))
    """Key → one of ``ACTIONS``."""


class Ray(NamedTuple):
    """In scene coordinates; ``direction`` has length 1."""

    origin: Vec3
    direction: Vec3


class Step(NamedTuple):
    """What a step of the hand asks for."""

    view: View
    pick: Ray | None = None
    """Find the object that this ray meets first, and pass its id to ``picked``."""
    freeze: bool = False
    """Freeze the head, or thaw it."""
    reset: bool = False
    """Reset the head; the view's placement, time and planes are already those of the home view."""


def to_scene(placement: Placement, point: Vec3) -> Vec3:
    """A point of the wall (mm) in scene coordinates: the inverse of ``projection.placement_matrix``."""
    cx, cy, cz = placement.centre
    x, y, z = turns.apply(turns.back(turns.unit(placement.turn)), (point[0] - cx, point[1] - cy, point[2] - cz))
    return x / placement.size, y / placement.size, z / placement.size


def direction(wand: Head) -> Vec3:
    """Where the wand points, in the wall's axes."""
    return turns.apply(wand.turn, (0.0, 0.0, -1.0))


def ray(placement: Placement, wand: Head) -> Ray:
    """The wand's ray in the scene."""
    return Ray(
        to_scene(placement, wand.position),
        turns.apply(turns.back(turns.unit(placement.turn)), direction(wand)),
    )


def flown(placement: Placement, wand: Head, mm: float) -> Placement:
    """The scene after the viewer has gone ``mm`` to where the wand points."""
    x, y, z = direction(wand)
    return msgspec.structs.replace(placement, centre=moved(placement.centre, (-x * mm, -y * mm, -z * mm)))


def turned(placement: Placement, pivot: Vec3, degrees: float) -> Placement:
    """The scene after the viewer at ``pivot`` has turned to the right by ``degrees``."""
    turn = turns.about((0.0, 1.0, 0.0), math.radians(degrees))
    return carried(placement, Head(pivot), Head(pivot, turn))


def carried(placement: Placement, before: Head, after: Head) -> Placement:
    """The scene that sticks to a wand which goes from one pose to another."""
    turn = turns.times(after.turn, turns.back(before.turn))
    bx, by, bz = before.position
    x, y, z = placement.centre
    return msgspec.structs.replace(
        placement,
        centre=moved(after.position, turns.apply(turn, (x - bx, y - by, z - bz))),
        turn=turns.unit(turns.times(turn, placement.turn)),
    )


def scaled(placement: Placement, pivot: Vec3, factor: float) -> Placement:
    """The scene ``factor`` times as large about a point of the wall; sizes stay between 1 mm and 1 km."""
    size = min(LARGEST_MM, max(SMALLEST_MM, placement.size * factor))
    factor = size / placement.size
    (x, y, z), (px, py, pz) = placement.centre, pivot
    return msgspec.structs.replace(
        placement, size=size, centre=(px + factor * (x - px), py + factor * (y - py), pz + factor * (z - pz))
    )


def scrubbed(view: View, by_steps: float, last: float) -> View:
    """The time cursor moved by steps of axis 0; it stays between 0 and ``last``."""
    start = last if view.time is None else view.time
    return msgspec.structs.replace(view, time=min(last, max(0.0, start + by_steps)))


def section(placement: Placement, wand: Head) -> Plane:
    """The plane through the wand, across the way that it points; what lies behind the wand is cut away."""
    at = ray(placement, wand)
    return Plane(at.origin, at.direction)


def picked(view: View, object_id: int) -> View:
    """The view after a pick met an object (0: none).  The same object again is let go."""
    chosen = () if object_id == 0 or view.selected == (object_id,) else (object_id,)
    return msgspec.structs.replace(view, selected=chosen)


class Hand:
    """Makes views of what the wand does.  Give it every state of the wand, in order."""

    def __init__(self, bindings: Bindings | None = None, home: View | None = None) -> None:
        self.bindings = bindings or Bindings()
        self.home = home or View()
        """What reset goes back to."""
        self._before: WandState | None = None
        self._at = 0.0
        self._plane: Plane | None = None
        self._plane_since = 0.0

    def step(self, view: View, wand: WandState, now: float, last: float = 0.0) -> Step:
        """The view after this state of the wand.  ``last``: the volume's last step of axis 0."""
        b, before = self.bindings, self._before
        dt = min(LONGEST_S, max(0.0, now - self._at)) if before is not None else 0.0
        self._before, self._at = wand, now
        actions = self._actions(wand)
        new = actions - (self._actions(before) if before is not None else frozenset())
        if before is None:
            # What is down when the hand comes in was not pressed for us.
            new = frozenset()
        if "reset" in new:
            self._plane = None
            home = self.home
            return Step(
                msgspec.structs.replace(view, placement=home.placement, time=home.time, planes=home.planes), reset=True
            )
        view = self._stick(view, wand, actions, dt)
        both = before is not None and before.tracked and wand.tracked
        if before is not None and both and "grab" in actions and "grab" not in new:
            view = msgspec.structs.replace(view, placement=carried(view.placement, before.pose, wand.pose))
        if before is not None and both and "scrub" in actions and "scrub" not in new:
            way = wand.pose.position[0] - before.pose.position[0]
            if way:
                view = scrubbed(view, way / b.scrub_mm * last, last)
        pace = ("time+" in actions) - ("time-" in actions)
        if pace:
            view = scrubbed(view, pace * dt * max(1.0, last) / 10, last)
        view = self._section(view, wand, actions, new, now)
        return Step(view, ray(view.placement, wand.pose) if "pick" in new else None, "freeze" in new)

    def _actions(self, wand: WandState) -> frozenset[str]:
        b = self.bindings
        held = {
            name for name in ("grab", "pick", "plane", "scrub", "freeze", "reset") if getattr(b, name) in wand.buttons
        }
        return frozenset(held | {b.keys[key] for key in wand.keys if key in b.keys})

    def _stick(self, view: View, wand: WandState, actions: frozenset[str], dt: float) -> View:
        """Fly, turn and scale by the stick and the keys."""
        b = self.bindings
        push = wand.axis(b.fly_axis, b.dead_zone) + ("fly+" in actions) - ("fly-" in actions)
        side = wand.axis(b.turn_axis, b.dead_zone) + ("turn+" in actions) - ("turn-" in actions)
        grow = float("grow+" in actions) - float("grow-" in actions)
        placement = view.placement
        if "grab" in actions and wand.tracked:
            grow, push = grow + math.copysign(1.0, b.fly_mm_s) * push, 0.0
        if push:
            placement = flown(placement, wand.pose, push * b.fly_mm_s * dt)
        if side:
            placement = turned(placement, wand.pose.position, side * b.turn_deg_s * dt)
        if grow:
            placement = scaled(placement, wand.pose.position, b.grow_per_s ** (grow * dt))
        return view if placement is view.placement else msgspec.structs.replace(view, placement=placement)

    def _section(self, view: View, wand: WandState, actions: frozenset[str], new: frozenset[str], now: float) -> View:
        """The plane follows the wand while its button is held; a tap takes it away."""
        others = tuple(plane for plane in view.planes if plane != self._plane)
        if "plane" in new:
            self._plane_since = now
            if self._plane is not None and self._plane not in view.planes:
                self._plane = None  # somebody else has taken it away
        if "plane" in actions:
            if now - self._plane_since < TAP_S or len(others) >= MOST_PLANES:
                return view
            self._plane = section(view.placement, wand.pose)
            self._plane_since = min(self._plane_since, now - TAP_S)
            return msgspec.structs.replace(view, planes=(*others, self._plane))
        if 0 < now - self._plane_since < TAP_S and self._plane is not None:
            self._plane, self._plane_since = None, -math.inf
            return msgspec.structs.replace(view, planes=others)
        return view
