"""The view: what everybody who looks together shares, apart from where the data stands in the log.

One record says what is drawn and how; a wall's conductor sends it with every frame, so no two tiles can
be of two minds.  Lengths of the head are millimetres of the wall; data lies in the scene's own units, in
which the volume's box has its centre at the origin and the sphere around it the radius 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import hypot
from typing import Literal

import msgspec

from streamer.wire.colour import ONE, is_colour

Vec3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
"""(x, y, z, w), of length 1."""

NO_TURN: Quaternion = (0.0, 0.0, 0.0, 1.0)
Mode = Literal["cube", "globe", "map"]


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Where the eyes are and how the head is turned: mm, x right, y up, z back (away from the front screen)."""

    position: Vec3 = (0.0, 0.0, 0.0)
    turn: Quaternion = NO_TURN
    """From the head's own axes (x to its right, y up, z backwards) to the wall's."""


class Placement(msgspec.Struct, frozen=True, array_like=True):
    """Where the scene stands in the room of a wall: wall point = centre + size · turn(scene point)."""

    centre: Vec3 = (0.0, 0.0, 0.0)
    """mm."""
    turn: Quaternion = NO_TURN
    size: float = 1000.0
    """mm for one unit of the scene: the radius of the sphere around the volume's box."""


class Plane(msgspec.Struct, frozen=True, array_like=True):
    """A clipping plane in the scene: what lies behind it (normal · (p − point) < 0) is not drawn."""

    point: Vec3
    normal: Vec3


class FieldLook(msgspec.Struct, frozen=True, array_like=True):
    """How the field layer is drawn."""

    draw: Literal["off", "slice", "volume"] = "off"
    colours: str = "ice"
    """Name of a perceptually uniform colour map (``renderers.colours``)."""
    low: float | None = None
    """In the field's units; None: the low end of the run's range."""
    high: float | None = None
    opacity: float = 0.6
    opacity_points: tuple[tuple[float, float], ...] = ()
    """(share of the range 0…1, opacity 0…1), rising; empty: a ramp."""


class ObjectLook(msgspec.Struct, frozen=True, array_like=True):
    """Which colours objects have."""

    colour_by: Literal["id", "one"] = "id"
    """``id``: each its own (``streamer.wire.colour``); ``one``: all of them ``colour``."""
    colour: str = ONE["grey"]
    """``#rrggbb``."""


class View(msgspec.Struct, frozen=True, array_like=True):
    """What is drawn and how.  The default shows all of the labels in a cube."""

    mode: Mode = "cube"
    placement: Placement = Placement()
    time: float | None = None
    """The time cursor, in steps of axis 0 (fractional); None: the newest step that has data."""
    window: tuple[float, float] | None = None
    """Only steps from … to are drawn (inclusive, fractional); None: all."""
    selected: tuple[int, ...] = ()
    """Ids of objects that are marked."""
    isolate: bool = False
    """Draw the selected objects alone."""
    planes: tuple[Plane, ...] = ()
    """At most 6."""
    labels: bool = True
    opacity: float = 1.0
    field: FieldLook = FieldLook()
    pattern: bool = False
    """Show the test pattern instead of the scene."""
    objects: ObjectLook = ObjectLook()


MOST_SELECTED, MOST_PLANES, MOST_POINTS, MOST_LETTERS = 64, 6, 16, 64
SHOWN = 24
"""Letters that are repeated of what should be a colour."""
FARTHEST = 1e12
"""No coordinate, step or value of a view is further from 0."""
SMALLEST, LARGEST = 1e-3, 1e7
"""Of ``Placement.size``: beyond, an eye could not be told from the screen that it looks through."""


def head_flaw(head: Head) -> str:
    """Why nothing can be drawn for a head, as the end of a sentence; empty if something can."""
    if not near(head.position):
        return "a head that is nowhere"
    return "" if _turns(head.turn) else "a head whose turn is none"


def view_flaw(view: View) -> str:
    """Why a view cannot be drawn, as the end of a sentence; empty if it can."""
    place, field = view.placement, view.field
    if not (near(place.centre) and _turns(place.turn) and SMALLEST <= place.size <= LARGEST):
        return f"a scene that stands nowhere: its size is from {SMALLEST:g} to {LARGEST:g} mm"
    if not near(n for n in (view.time, *(view.window or ()), field.low, field.high) if n is not None):
        return "a time, window or range that is no number"
    if not (0 <= view.opacity <= 1 and 0 <= field.opacity <= 1):
        return "an opacity that is not from 0 to 1"
    if not is_colour(view.objects.colour):
        return f"the objects' colour is {repr(view.objects.colour)[:SHOWN]}, and is written #rrggbb"
    if len(view.selected) > MOST_SELECTED or len(view.planes) > MOST_PLANES:
        return f"more than {MOST_SELECTED} selected objects or {MOST_PLANES} planes"
    if not all(near((*plane.point, *plane.normal)) and hypot(*plane.normal) > 1e-9 for plane in view.planes):
        return "a plane that is none"
    if len(field.opacity_points) > MOST_POINTS or not all(near(point) for point in field.opacity_points):
        return f"a transfer function that is none, or has more than {MOST_POINTS} points"
    return "" if len(field.colours) <= MOST_LETTERS else f"a colour map's name of more than {MOST_LETTERS} letters"


def near(numbers: Iterable[float]) -> bool:
    """Whether all of them are numbers, and none is too large to reckon with."""
    return all(-FARTHEST <= number <= FARTHEST for number in numbers)


def _turns(turn: Quaternion) -> bool:
    return 0.5 < hypot(*turn) < 2
