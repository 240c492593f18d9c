"""What is known of a wall file without drawing anything: what ``cavecast wall describe --json`` prints.

The control plane reads walls by it, so that it need know nothing of screens and eyes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_WALL_NAME = 63
WALL_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
"""What a wall is called that the control plane keeps: letters, digits, and between them dots, hyphens, underscores."""


class TileFacts(msgspec.Struct, frozen=True):
    """One output."""

    name: str
    screen: str
    node: str
    display: str
    """The X display and screen; empty: no window."""
    at: tuple[int, int]
    pixels: tuple[int, int]
    stereo: str


class SeatFacts(msgspec.Struct, frozen=True):
    """A node that drives tiles."""

    name: str
    host: str = ""
    """Its host name; empty: any node that the selector finds."""
    tiles: tuple[str, ...] = ()


class TrackerFacts(msgspec.Struct, frozen=True):
    """Where poses come from."""

    kind: str
    address: str


class FindingFacts(msgspec.Struct, frozen=True):
    """What ``cavecast wall check`` has to say of it."""

    level: Literal["error", "warning", "note"]
    code: str
    sentence: str


class WallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A wall file in facts."""

    name: str
    title: str
    size_mm: tuple[float, float, float]
    """Of the box around all screens: across, up and to the back."""
    screens: int
    """Physical ones."""
    megapixels: float
    fov_deg: tuple[float, float]
    """Across and up, from the default head."""
    seats: tuple[SeatFacts, ...]
    """The nodes that drive tiles, in the file's order."""
    tiles: tuple[TileFacts, ...]
    labels: dict[str, str] = {}
    """The selector: what all nodes of the wall carry."""
    tolerations: tuple[str, ...] = ()
    """``key=value`` of taints."""
    expected_nodes: int
    """How many nodes there should be."""
    trackers: tuple[TrackerFacts, ...] = ()
    findings: tuple[FindingFacts, ...] = ()
