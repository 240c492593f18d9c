"""What people point at: which ray a place of a picture is, whose question is next, and the answer in the page's words.

Each viewer has one question at most; a newer one takes the place of the last.  Pure.
"""

from __future__ import annotations

from math import hypot, tan

from renderers.camera import VIEW_ANGLE, eye_of
from renderers.reading import Found, written
from streamer.wire.looking import Pointing
from streamer.wire.view import Input
from streamer.wire.viewing import Vec3


def ray(state: Input, x: float, y: float) -> tuple[Vec3, Vec3]:
    """From the eye through a place of a picture (from the left and from the top, 0 to 1): origin and direction."""
    eye = eye_of(state.camera)
    (fx, fy, fz), (ux, uy, uz) = eye.forward, eye.up
    right = (fy * uz - fz * uy, fz * ux - fx * uz, fx * uy - fy * ux)
    half = tan(VIEW_ANGLE / 2)
    across, upwards = (2 * x - 1) * half * state.width / state.height, (1 - 2 * y) * half
    dx, dy, dz = (
        f + across * r + upwards * u for f, r, u in zip(eye.forward, right, eye.up, strict=True)
    )  # fmt: skip
    length = hypot(dx, dy, dz)
    return eye.position, (dx / length, dy / length, dz / length)


class Questions:
    """The viewers' questions, the one that has waited longest first."""

    def __init__(self) -> None:
        self._asked: dict[bytes, Pointing] = {}

    def ask(self, peer: bytes, question: Pointing) -> None:
        """A viewer asks; what he asked before is of no interest any more, his turn is the same."""
        self._asked[peer] = question

    def take(self) -> tuple[bytes, Pointing] | None:
        """The next one to answer."""
        peer = next(iter(self._asked), None)
        return None if peer is None else (peer, self._asked.pop(peer))

    def __len__(self) -> int:
        return len(self._asked)


def answer(number: int, found: Found | None) -> dict[str, object]:
    """A note that answers a question; ``found`` is null where nothing is."""
    if found is None:
        return {"pointed": number, "found": None}
    place = found.place
    return {
        "pointed": number,
        "found": {
            "id": found.object_id,
            "voxels": found.voxels,
            "first": found.first,
            "last": found.last,
            "life": found.lifetime,
            "voxel": list(place.voxel),
            "coordinates": list(place.coordinates),
            "place": list(place.words),
            "variable": found.variable,
            "value": None if place.value is None else place.value.value,
            "value_words": "" if place.value is None else written(place.value, found.units),
        },
    }
