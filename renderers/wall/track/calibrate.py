"""Calibration: from a device's numbers to the wall's room, and back.

    room point = offset + turn · (scale · unit · axes · device point)
    room turn  = turn · (axes · device turn · axes⁻¹)
    head turn  = room turn · head_turn
    head point = room point + head turn · head_offset + head_shift

and the same for the wand.  Axes may be left-handed; a turn stays a turn.
"""

from __future__ import annotations

import numpy as np

from renderers.wall.axes import axes_matrix
from renderers.wall.records import TrackerSource
from renderers.wall.track import turns
from streamer.wire.viewing import Head, Quaternion, Vec3


def moved(point: Vec3, by: Vec3) -> Vec3:
    """The sum of two vectors."""
    return point[0] + by[0], point[1] + by[1], point[2] + by[2]


class Calibration:
    """One source's way into the room.  Raises ValueError where the source's words or numbers make none."""

    def __init__(self, source: TrackerSource) -> None:
        matrix = axes_matrix(source.axes, left_handed=True)
        if not (np.isfinite(source.scale) and source.scale > 0):
            raise ValueError(f"tracker {source.address}: the scale is {source.scale}; it has to be above 0")
        self._matrix: list[list[float]] = matrix.tolist()
        self._hand = 1.0 if np.linalg.det(matrix) > 0 else -1.0
        self._factor = source.scale * (1000.0 if source.unit == "m" else 1.0)
        self._offset = source.offset
        self._turn = turns.hpr(source.turn)
        self._parts = {
            "head": (source.head_offset, turns.hpr(source.head_turn), source.head_shift),
            "wand": (source.wand_offset, turns.hpr(source.wand_turn), source.wand_shift),
        }

    def room(self, position: Vec3, turn: Quaternion) -> Head:
        """Where the body itself is in the room (mm, the wall's axes)."""
        f = self._factor
        x, y, z = self._mapped(position)
        vx, vy, vz = self._mapped(turn[:3])
        axial = (self._hand * vx, self._hand * vy, self._hand * vz, turn[3])
        return Head(
            moved(self._offset, turns.apply(self._turn, (f * x, f * y, f * z))),
            turns.unit(turns.times(self._turn, axial)),
        )

    def part(self, part: str, position: Vec3, turn: Quaternion) -> Head:
        """Where the ``head`` (the middle between the eyes) or the ``wand`` that the body is fixed to is."""
        offset, own, shift = self._parts[part]
        body = self.room(position, turn)
        facing = turns.unit(turns.times(body.turn, own))
        return Head(moved(moved(body.position, turns.apply(facing, offset)), shift), facing)

    def device(self, part: str, at: Head) -> tuple[Vec3, Quaternion]:
        """What the device would say of a head or wand: the inverse of ``part``."""
        (ox, oy, oz), own, (sx, sy, sz) = self._parts[part]
        point = moved(moved(at.position, (-sx, -sy, -sz)), turns.apply(at.turn, (-ox, -oy, -oz)))
        turn = turns.times(turns.back(self._turn), turns.times(at.turn, turns.back(own)))
        ox, oy, oz = self._offset
        x, y, z = turns.apply(turns.back(self._turn), (point[0] - ox, point[1] - oy, point[2] - oz))
        vx, vy, vz = self._unmapped(turn[:3])
        f, h = self._factor, self._hand
        x, y, z = self._unmapped((x / f, y / f, z / f))
        return (x, y, z), turns.unit((h * vx, h * vy, h * vz, turn[3]))

    def _mapped(self, v: Vec3) -> Vec3:
        a, b, c = self._matrix
        x, y, z = v
        return a[0] * x + a[1] * y + a[2] * z, b[0] * x + b[1] * y + b[2] * z, c[0] * x + c[1] * y + c[2] * z

    def _unmapped(self, v: Vec3) -> Vec3:
        # The axes are a signed permutation, so the transpose is the inverse.
        a, b, c = self._matrix
        x, y, z = v
        return a[0] * x + b[0] * y + c[0] * z, a[1] * x + b[1] * y + c[1] * z, a[2] * x + b[2] * y + c[2] * z
