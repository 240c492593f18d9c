"""The wall in memory: screens, outputs and nodes, whatever file they came from.

One room for all: millimetres, right-handed, x to the right, y up, z back (from the front screen towards
the viewer).  Files may state other axes and units; they are turned into these when they are read
(``renderers.wall.file``), so nothing else has to know.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.wire.viewing import Head, Vec3

Stereo = Literal[
    "mono",
    "left",
    "right",
    "side-by-side",
    "top-bottom",
    "interlaced",
    "interlaced-columns",
    "checkerboard",
    "quad-buffer",
    "anaglyph",
]
"""What one output carries: one picture for the middle of the head, for one eye, or both eyes packed into it.
Of packed pictures the left eye has the left half, the top half, the even rows counted from the top, the even columns
counted from the left, or the squares that the upper left pixel belongs to."""

EYES = ("left", "right")


class Screen(msgspec.Struct, frozen=True):
    """A physical picture, seen from the side that the viewer is on.  Corners in mm."""

    name: str
    lower_left: Vec3
    lower_right: Vec3
    upper_left: Vec3

    @property
    def upper_right(self) -> Vec3:
        """The fourth corner of the rectangle."""
        a, b, c = (np.array(corner) for corner in (self.lower_left, self.lower_right, self.upper_left))
        x, y, z = (b + c - a).tolist()
        return x, y, z

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, mm."""
        a, b, c = (np.array(corner) for corner in (self.lower_left, self.lower_right, self.upper_left))
        return float(np.linalg.norm(b - a)), float(np.linalg.norm(c - a))

    @property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Unit vectors to the right, up, and towards the viewer."""
        a, b, c = (np.array(corner) for corner in (self.lower_left, self.lower_right, self.upper_left))
        right = (b - a) / np.linalg.norm(b - a)
        up = (c - a) / np.linalg.norm(c - a)
        return right, up, np.cross(right, up)


class Place(msgspec.Struct, frozen=True):
    """Where a tile's window stands on an X screen, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


class Tile(msgspec.Struct, frozen=True):
    """One output: the window in which one screen, or one eye of it, is shown."""

    name: str
    screen: str
    """Name of the screen; two tiles name the same one where each eye has an output of its own."""
    node: str
    """Name of the node (``Node.name``) that drives it."""
    stereo: Stereo
    place: Place
    display: str = ":0.0"
    """The X display and screen; empty: no window, the picture is kept in memory."""
    swap_eyes: bool = False
    upside_down: bool = False
    """The panel hangs rotated by 180° and the picture has to be turned for it by us (where corners do not say so)."""


class Node(msgspec.Struct, frozen=True):
    """A machine that drives tiles: named by its host name, or chosen by labels and numbered."""

    name: str
    host: str = ""
    """Host name; empty: any node that the wall's selector finds, the i-th of them in order of their names."""


class Bezel(msgspec.Struct, frozen=True):
    """How far the frame of a panel reaches beyond its picture, mm; for drawings and gaps only."""

    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    top: float = 0.0


class Selector(msgspec.Struct, frozen=True):
    """Which nodes of a cluster belong to the wall."""

    labels: dict[str, str] = {}
    tolerations: tuple[str, ...] = ()
    """``key=value``, as in ``nautilus.io/reservation=suncave``."""
    expected_nodes: int = 0
    """0: as many as the wall has nodes."""


class Fit(msgspec.Struct, frozen=True):
    """How data is laid into the room."""

    size_mm: float = 2000.0
    """The longest side of the volume's box."""
    centre: Vec3 = (0.0, 0.0, 0.0)
    """Where its middle lies."""
    up: Literal["x", "y", "z"] = "z"
    """The scene's axis that points up: z is axis 0 of the volume (time, or depth)."""
    mm_per_step: float | None = None
    """If given, one step of time is so long, and all of the scene as large as follows from that; ``size_mm`` does
    not count then."""


class TrackerSource(msgspec.Struct, frozen=True):
    """Where poses come from, and how the device's numbers become the wall's."""

    kind: Literal["vrpn", "dtrack", "osc", "gamepad", "mouse", "replay"]
    address: str
    """``DTrack@localhost:3883``, ``udp://0.0.0.0:5000``, ``/dev/input/js0``, a file."""
    head: int = 0
    """Number of the body (sensor) on the head."""
    wand: int = 1
    axes: str = "x right, y up, z back"
    """The device's axes, in the words of wall files."""
    unit: Literal["mm", "m"] = "mm"
    offset: Vec3 = (0.0, 0.0, 0.0)
    """Added after axes and unit, mm."""
    turn: Vec3 = (0.0, 0.0, 0.0)
    """Heading, pitch, roll of the device in the room, degrees."""
    scale: float = 1.0
    latency_ms: float = 0.0
    head_offset: Vec3 = (0.0, 0.0, 0.0)
    """From the body's origin to the middle between the eyes, in the head's own axes, mm."""
    head_turn: Vec3 = (0.0, 0.0, 0.0)
    wand_offset: Vec3 = (0.0, 0.0, 0.0)
    wand_turn: Vec3 = (0.0, 0.0, 0.0)
    head_shift: Vec3 = (0.0, 0.0, 0.0)
    """Added to the head's position last of all, in the wall's axes, mm (what CalVR calls a body's offset)."""
    wand_shift: Vec3 = (0.0, 0.0, 0.0)


class Wall(msgspec.Struct, frozen=True):
    """A wall."""

    name: str
    screens: tuple[Screen, ...]
    tiles: tuple[Tile, ...]
    nodes: tuple[Node, ...]
    title: str = ""
    head: Head = Head()
    """The head where nobody is tracked, and where it eases to when the tracker is lost."""
    eye_separation_mm: float = 64.0
    """Between the eyes; negative: they are swapped."""
    near_mm: float = 100.0
    far_mm: float = 100_000.0
    bezels: dict[str, Bezel] = {}
    """By the screen's name."""
    selector: Selector = Selector()
    fit: Fit = Fit()
    trackers: tuple[TrackerSource, ...] = ()

    def screen(self, name: str) -> Screen:
        """The screen of a name.  Raises KeyError."""
        for screen in self.screens:
            if screen.name == name:
                return screen
        raise KeyError(f"wall {self.name} has no screen {name!r}")

    def tile(self, name: str) -> Tile:
        """The tile of a name.  Raises KeyError."""
        for tile in self.tiles:
            if tile.name == name:
                return tile
        raise KeyError(f"wall {self.name} has no tile {name!r}")
