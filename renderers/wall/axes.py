"""Which way is x?  Axes in words, turns in degrees, and how both become the wall's.

In memory all is x right, y up, z back.  A file says in words how its own axes lie in the room (``x right,
y forward, z up``), and every such choice is a permutation with signs.  Turns are heading, pitch and roll as
in CalVR and OpenSceneGraph: about the room's up, about right, about forward, R = R(up)·R(right)·R(forward),
so they mean the same whatever the axes are called.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from streamer.wire.viewing import NO_TURN, Quaternion, Vec3

Matrix = NDArray[np.float64]

WALL_AXES = "x right, y up, z back"
CALVR_AXES = "x right, y forward, z up"
DIRECTIONS: dict[str, Vec3] = {
    "right": (1, 0, 0), "left": (-1, 0, 0), "up": (0, 1, 0), "down": (0, -1, 0),
    "back": (0, 0, 1), "forward": (0, 0, -1),
}  # fmt: skip
"""What the words mean in the wall's axes."""
FROM_CALVR = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


class AxesError(ValueError):
    """Axes that no room has."""


def axes_matrix(words: str, left_handed: bool = False) -> Matrix:
    """The 3×3 matrix that takes coordinates in these axes to the wall's.

    Raises AxesError unless each of x, y, z points one way, all three along different lines, and right-handed
    where ``left_handed`` is not allowed: trackers may be (their determinant is −1), screens may not.
    """
    expected = f"say where x, y and z point, such as “{WALL_AXES}”"
    found = re.fullmatch(r"\s*x\s+(\w+)\s*,\s*y\s+(\w+)\s*,\s*z\s+(\w+)\s*", words.lower())
    if found is None:
        raise AxesError(f"axes “{words}” are not understood: {expected}")
    for word in found.groups():
        if word not in DIRECTIONS:
            raise AxesError(f"axes “{words}”: “{word}” is no direction: take right, left, up, down, forward or back")
    matrix = np.array([DIRECTIONS[word] for word in found.groups()], dtype=np.float64).T
    sign = round(float(np.linalg.det(matrix)))
    if sign == 0:
        raise AxesError(f"axes “{words}”: two of them lie along the same line: {expected}")
    if sign < 0 and not left_handed:
        raise AxesError(
            f"axes “{words}” are left-handed, and every picture would be mirrored: turn one of them round, "
            f"in the words and in all coordinates, such as “{WALL_AXES}”"
        )
    return matrix


def turn_matrix(turn: Vec3) -> Matrix:
    """The 3×3 rotation, in the wall's axes, of heading, pitch and roll in degrees."""
    h, p, r = np.radians(turn)
    about_up = np.array([[np.cos(h), 0, np.sin(h)], [0, 1, 0], [-np.sin(h), 0, np.cos(h)]])
    about_right = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_forward = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
    whole: Matrix = about_up @ about_right @ about_forward
    return whole


def turn_of(matrix: Matrix) -> Vec3:
    """Heading, pitch and roll in degrees of a rotation in the wall's axes; roll 0 where pitch is ±90°."""
    pitch = np.degrees(np.arcsin(np.clip(-matrix[1, 2], -1.0, 1.0)))
    if abs(matrix[1, 2]) > 1 - 1e-12:
        return float(np.degrees(np.arctan2(-matrix[2, 0], matrix[0, 0]))), float(pitch), 0.0
    heading = np.degrees(np.arctan2(matrix[0, 2], matrix[2, 2]))
    roll = np.degrees(np.arctan2(-matrix[1, 0], matrix[1, 1]))
    return float(heading), float(pitch), float(roll)


def quaternion(matrix: Matrix) -> Quaternion:
    """The unit quaternion (x, y, z, w ≥ 0) of a rotation."""
    if np.array_equal(matrix, np.eye(3)):
        return NO_TURN
    # The eigenvector of the largest eigenvalue is exact for every rotation, half turns too (Bar-Itzhack 2000).
    m = matrix
    k = np.array([
        [m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
        [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
        [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    sign = -1.0 if w < 0 else 1.0
    return float(sign * x), float(sign * y), float(sign * z), float(sign * w)


def corners(centre: Vec3, size: tuple[float, float], turn: Vec3) -> tuple[Vec3, Vec3, Vec3]:
    """Lower left, lower right and upper left of a screen, in the wall's axes; they follow the turn, roll included."""
    matrix = turn_matrix(turn)
    right, up = matrix[:, 0] * size[0] / 2, matrix[:, 1] * size[1] / 2
    middle = np.array(centre)
    return vec(middle - right - up), vec(middle + right - up), vec(middle - right + up)


def vec(array: NDArray[np.float64]) -> Vec3:
    """Three numbers as a tuple, without negative zeros."""
    x, y, z = (array + 0.0).tolist()
    return x, y, z
