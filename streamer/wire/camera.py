"""The camera of a browser's view: it goes round a point of the scene."""

from __future__ import annotations

from typing import NamedTuple


class Camera(NamedTuple):
    """An orbiting camera, in units of the scene's radius and radians."""

    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float]
