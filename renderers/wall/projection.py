"""Off-axis projection: what an eye sees through a screen, wherever both stand.

A screen is a window into the room.  The eye looks along the screen's normal, and the frustum through its
four corners is in general skewed.  Source: R. Kooima, Generalized Perspective Projection (2009).
All lengths are mm; matrices multiply column vectors, clip space is OpenGL's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from renderers.wall.records import Screen
from streamer.wire.viewing import Head, Placement, Quaternion, Vec3

Matrix = NDArray[np.float64]


class EyeBehind(ValueError):
    """The eye is not on the side from which the screen is seen."""


class Frustum(NamedTuple):
    """A projection through a screen."""

    view: Matrix
    """4×4: wall (mm) to eye: the eye at the origin, x along the screen's right, y along its up, z out of it."""
    projection: Matrix
    """4×4: eye to clip space."""
    near: float
    far: float

    @property
    def matrix(self) -> Matrix:
        """Wall to clip space."""
        return self.projection @ self.view


def rotation(turn: Quaternion) -> Matrix:
    """The 3×3 matrix of a unit quaternion (x, y, z, w)."""
    x, y, z, w = np.array(turn) / np.linalg.norm(turn)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def eye_position(head: Head, separation_mm: float, eye: str) -> Vec3:
    """Where an eye is: ``left``, ``right`` or ``middle``.  The head's whole rotation counts."""
    side = {"left": -0.5, "middle": 0.0, "right": 0.5}[eye]
    x, y, z = (np.array(head.position) + rotation(head.turn) @ np.array([side * separation_mm, 0.0, 0.0])).tolist()
    return x, y, z


def frustum(screen: Screen, eye: Vec3, near: float, far: float) -> Frustum:
    """What is seen through a screen from ``eye`` (mm).  Raises EyeBehind where the eye is on or behind its plane."""
    right, up, out = screen.axes
    at = np.array(eye)
    a = np.array(screen.lower_left) - at
    b = np.array(screen.lower_right) - at
    c = np.array(screen.upper_left) - at
    away = -float(a @ out)
    if away <= 1e-6:
        raise EyeBehind(f"the eye at {tuple(round(n, 1) for n in eye)} mm is not in front of screen {screen.name}")
    scale = near / away
    left, wide = float(right @ a) * scale, float(right @ b) * scale
    low, high = float(up @ a) * scale, float(up @ c) * scale
    view = np.eye(4)
    view[:3, :3] = np.stack([right, up, out])
    view[:3, 3] = -view[:3, :3] @ at
    projection = np.array([
        [2 * near / (wide - left), 0, (wide + left) / (wide - left), 0],
        [0, 2 * near / (high - low), (high + low) / (high - low), 0],
        [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
        [0, 0, -1, 0],
    ])  # fmt: skip
    return Frustum(view, projection, near, far)


def placement_matrix(placement: Placement) -> Matrix:
    """4×4: scene to wall (mm)."""
    matrix = np.eye(4)
    matrix[:3, :3] = placement.size * rotation(placement.turn)
    matrix[:3, 3] = placement.centre
    return matrix
