"""The view: what everybody who looks together shares, apart from where the data stands in the log.

One record says what is drawn and how; a wall's conductor sends it with every frame, so no two tiles can
be of two minds.  Lengths of the head are millimetres of the wall; data lies in the scene's own units, in
which the volume's box has its centre at the origin and the sphere around it the radius 1.
"""

from __future__ import annotations

from typing import Literal

import msgspec

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


MOST_SELECTED, MOST_PLANES, MOST_POINTS = 64, 6, 16
