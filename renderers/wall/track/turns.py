"""Turns in space as unit quaternions (x, y, z, w), in plain floats: four numbers are too few for arrays.

The heading, pitch and roll of files are as in ``renderers.wall.axes``: degrees about up (to the left), about
right (upwards) and about forward (clockwise as seen from behind); the roll is done first.
"""

from __future__ import annotations

import math

from streamer.wire.viewing import NO_TURN, Quaternion, Vec3


def times(a: Quaternion, b: Quaternion) -> Quaternion:
    """The turn ``a`` after the turn ``b``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def back(turn: Quaternion) -> Quaternion:
    """The turn that undoes it."""
    x, y, z, w = turn
    return -x, -y, -z, w


def unit(turn: Quaternion) -> Quaternion:
    """The same turn with length 1; no turn where there is no length."""
    length = math.hypot(*turn)
    if length < 1e-12:
        return NO_TURN
    x, y, z, w = turn
    return x / length, y / length, z / length, w / length


def apply(turn: Quaternion, point: Vec3) -> Vec3:
    """A point turned about the origin."""
    x, y, z, w = turn
    px, py, pz = point
    tx, ty, tz = 2 * (y * pz - z * py), 2 * (z * px - x * pz), 2 * (x * py - y * px)
    return px + w * tx + y * tz - z * ty, py + w * ty + z * tx - x * tz, pz + w * tz + x * ty - y * tx


def about(axis: Vec3, angle: float) -> Quaternion:
    """The turn by ``angle`` (radians) about a unit vector."""
    sine = math.sin(angle / 2)
    return axis[0] * sine, axis[1] * sine, axis[2] * sine, math.cos(angle / 2)


def vector(turn: Quaternion) -> Vec3:
    """The turn as axis times angle (radians, at most π)."""
    x, y, z, w = turn if turn[3] >= 0 else (-turn[0], -turn[1], -turn[2], -turn[3])
    sine = math.hypot(x, y, z)
    if sine < 1e-12:
        return 2 * x, 2 * y, 2 * z
    factor = 2 * math.atan2(sine, w) / sine
    return x * factor, y * factor, z * factor


def of_vector(rotation: Vec3) -> Quaternion:
    """The turn of axis times angle (radians)."""
    angle = math.hypot(*rotation)
    if angle < 1e-12:
        return NO_TURN
    return about((rotation[0] / angle, rotation[1] / angle, rotation[2] / angle), angle)


def between(a: Quaternion, b: Quaternion, share: float) -> Quaternion:
    """The turn that lies ``share`` (0 … 1) of the way from ``a`` to ``b``, the short way round."""
    x, y, z = vector(times(back(a), b))
    return unit(times(a, of_vector((x * share, y * share, z * share))))


def angle(a: Quaternion, b: Quaternion) -> float:
    """Radians between two turns."""
    return math.hypot(*vector(times(back(a), b)))


def hpr(degrees: Vec3) -> Quaternion:
    """The turn of heading, pitch and roll in degrees."""
    heading, pitch, roll = map(math.radians, degrees)
    return times(times(about((0, 1, 0), heading), about((1, 0, 0), pitch)), about((0, 0, -1), roll))


def of_rows(m: list[list[float]]) -> Quaternion:
    """The turn of a 3×3 rotation matrix, given as rows of floats.  Raises ValueError where it is none (to 2 %)."""
    (a, b, c), (d, e, f), (g, h, i) = m
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    lengths = (a * a + d * d + g * g, b * b + e * e + h * h, c * c + f * f + i * i)
    if not (abs(determinant - 1) < 0.02 and all(abs(length - 1) < 0.02 for length in lengths)):
        raise ValueError("not a rotation")
    # Of four ways the one that divides by the largest number.
    trace = a + e + i
    if trace >= max(a, e, i):
        turn = (h - f, c - g, d - b, 1 + trace)
    elif a >= e and a >= i:
        turn = (1 + a - e - i, b + d, c + g, h - f)
    elif e >= i:
        turn = (b + d, 1 + e - a - i, f + h, c - g)
    else:
        turn = (c + g, f + h, 1 + i - a - e, d - b)
    return unit(turn)
