"""What a ray meets first: the surfaces on the stage are asked, so the answer is what is seen there.  Pure.

Solids are looked at from the nearest box on, and no further than the first hit.  Source of the test of a triangle:
T. Möller, B. Trumbore, Fast, Minimum Storage Ray/Triangle Intersection (1997).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamer.wire.block import Ids
from streamer.wire.viewing import Plane, Vec3

Floats = NDArray[np.float64]
EDGE = 1e-9
"""A ray that goes exactly between two triangles meets them."""


class Solid(NamedTuple):
    """A surface as it is seen: that of a chunk, or any other whose points have labels."""

    chunk: int
    points: NDArray[np.float32]
    """(n, 3), x, y, z in the scene."""
    labels: NDArray[np.integer]
    """(n,)."""
    triangles: NDArray[np.signedinteger]
    """(m, 3), anticlockwise seen from outside; those that are shown."""
    inside: bool = True
    """Whether triangles are seen from their inner side too."""


class Hit(NamedTuple):
    """Where a ray meets a surface."""

    object_id: int
    away: float
    """From the ray's origin, in the scene's units."""
    chunk: int
    label: int
    """Of the surface there."""

    def point(self, origin: Vec3, direction: Vec3) -> Vec3:
        """Where on the ray that is."""
        x, y, z = (start + self.away * along for start, along in zip(origin, direction, strict=True))
        return x, y, z


def pick(
    solids: Iterable[Solid],
    ids_of: Callable[[int], Ids],
    origin: Vec3,
    direction: Vec3,
    planes: Iterable[Plane] = (),
) -> Hit | None:
    """What a ray meets first, of what no plane has cut away; None if it meets nothing.

    ``ids_of`` gives a chunk's ids by label; 0 is something that is no object and hides what lies behind it.
    """
    start, along, cut = np.array(origin), np.array(direction), tuple(planes)
    entries = [(enters(solid.points, start, along), solid) for solid in solids if len(solid.triangles)]
    near = sorted((one for one in entries if one[0] < inf), key=lambda one: (one[0], one[1].chunk))
    best: Hit | None = None
    for entry, solid in near:
        if best is not None and entry > best.away:
            break
        away, triangle = meets(solid.points[solid.triangles].astype(float), start, along, cut, inside=solid.inside)
        if away < (best.away if best is not None else inf):
            label = int(solid.labels[solid.triangles[triangle, 0]])
            best = Hit(int(ids_of(solid.chunk)[label]), away, solid.chunk, label)
    return best


def enters(points: NDArray[np.float32], start: Floats, along: Floats) -> float:
    """How far along a ray the box of some points begins; infinite if the ray passes it by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = (np.stack([points.min(axis=0), points.max(axis=0)]) - start) / along
    ends = np.where(np.isnan(ends), np.array([[-inf], [inf]]), ends)
    first, last = float(ends.min(axis=0).max()), float(ends.max(axis=0).min())
    return max(first, 0.0) if last >= max(first, 0.0) else inf


def meets(
    corners: Floats, start: Floats, along: Floats, planes: tuple[Plane, ...], *, inside: bool = True
) -> tuple[float, int]:
    """How far along a ray the first of some triangles (m, 3, 3) lies, and which it is; infinite if there is none."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(along, two)
    size = np.einsum("ij,ij->i", one, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        to = start - corners[:, 0]
        u = np.einsum("ij,ij->i", to, across) / size
        turned = np.cross(to, one)
        v = turned @ along / size
        away = np.einsum("ij,ij->i", two, turned) / size
        hit = (np.abs(size) > 1e-15) & (u >= -EDGE) & (v >= -EDGE) & (u + v <= 1 + EDGE) & (away > 0)
    if not inside:
        hit &= size > 0
    for plane in planes:
        at = start + np.where(hit, away, 0.0)[:, None] * along
        hit &= (at - plane.point) @ np.array(plane.normal) >= 0
    if not hit.any():
        return inf, 0
    first = int(np.argmin(np.where(hit, away, inf)))
    return float(away[first]), first
