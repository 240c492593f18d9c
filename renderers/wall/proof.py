"""What to compare when a wall is tried out, and what is made of the figures.  Pure.

Every tile is drawn as it will be shown, both eyes packed as its output wants them, and each eye's part is held against
one large render of the same view; points that are known in the room must appear where a straight line says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from renderers.wall.fitting import placed
from renderers.wall.pattern import Patch
from renderers.wall.pinhole import pixels_of
from renderers.wall.projection import placement_matrix
from renderers.wall.records import Place, Screen, Stereo, Tile, Wall
from renderers.wall.sight import in_front, turned
from renderers.wall.stereo import MIXED, Pass, of_second, passes
from renderers.wall.stitch import BUDGET, Large, Sized, larges, scaled
from streamer.wire.viewing import FieldLook, Head, Placement, Vec3, View

Pixels = NDArray[np.uint8]
ERROR_PX = 0.5
"""No known point may appear further than this from where it must."""
OF_EYE: dict[str, Stereo] = {"left": "left", "right": "right", "middle": "mono"}
_SHARES = ((0.27, 0.31), (0.72, 0.42), (0.46, 0.74))
_DEPTHS = (0.75, 1.5, 2.2)
_CHANNELS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_RADIUS_PX = 5.0


class Trial(NamedTuple):
    """One look at the wall."""

    name: str
    view: View
    head: Head


class Group(NamedTuple):
    """Tiles that are parts of the same large renders: one for each eye, or more where halves are not alike."""

    name: str
    tiles: tuple[Tile, ...]
    eyes: tuple[tuple[str, tuple[Large, ...]], ...]
    """For each drawing of an output, in order: whose eye, and the large renders."""


class Compared(NamedTuple):
    """One eye of one tile beside its part of a large render."""

    trial: str
    group: str
    tile: str
    eye: str
    pixels: int
    differing: int
    seen: int
    """Pixels in which there is something."""


class Sighted(NamedTuple):
    """Known points on one eye of one tile."""

    group: str
    tile: str
    error_px: float


class Row(msgspec.Struct, frozen=True):
    """One group over all trials."""

    group: str
    tiles: int
    against: tuple[int, int]
    """Width and height of the (largest) large render, pixels."""
    share: float
    """Of pixels that differ by more than one level."""
    seen: float
    """Of pixels in which there is something."""
    worst_tile: str
    worst_share: float
    error_px: float


class Tried(msgspec.Struct, frozen=True):
    """One trial over the whole wall."""

    trial: str
    eye: str
    pixels: int
    differing: int
    seen: float


class Verdict(msgspec.Struct, frozen=True):
    """A wall tried out."""

    wall: str
    scale: float
    tiles: int
    budget: float
    share: float
    """Of the pixels of all trials that differ."""
    worst_tile: str
    worst_share: float
    error_px: float
    within: bool
    trials: tuple[Tried, ...]
    groups: tuple[Row, ...]
    seconds: float = 0.0


def trials(wall: Wall) -> tuple[Trial, ...]:
    """Both views, each as the wall places it and so large that it stands in all screens, from two places."""
    x, y, z = wall.head.position
    beside = Head((x + 130.0, y - 90.0, z + 60.0), (0.06, 0.13, -0.04, 0.99))
    home = placed(wall.fit)
    corners = np.array([c for s in wall.screens for c in (s.lower_left, s.upper_right, s.lower_right, s.upper_left)])
    reach = float(np.linalg.norm(corners - (x, y, z), axis=1).max())
    middle_x, middle_y, middle_z = corners.mean(axis=0).tolist()
    around = Placement((middle_x, middle_y, middle_z), home.turn, 0.7 * reach)
    globe = msgspec.structs.replace(around, size=0.5 * reach)
    field = FieldLook("slice")
    return (
        Trial("cube", View(placement=home), wall.head),
        Trial("cube-around", View(placement=around), beside),
        Trial("globe", View("globe", home, field=field), beside),
        Trial("globe-around", View("globe", globe), wall.head),
    )


def shrunk(wall: Wall, scale: float) -> Wall:
    """The wall with fewer pixels and no windows."""
    tiles = []
    for tile in wall.tiles:
        width, height = scaled(tile.place.width, tile.place.height, scale)
        at = round(tile.place.x * scale), round(tile.place.y * scale)
        tiles.append(msgspec.structs.replace(tile, place=Place(*at, width, height), display=""))
    return msgspec.structs.replace(wall, tiles=tuple(tiles))


def passes_of(tile: Tile) -> tuple[Pass, ...]:
    """What a tile draws."""
    return passes(tile.stereo, tile.place.width, tile.place.height, swap=tile.swap_eyes)


def groups(wall: Wall) -> tuple[Group, ...]:
    """All tiles of a wall, by the large renders that they are parts of."""
    alike: dict[tuple[str, ...], list[Tile]] = {}
    for tile in wall.tiles:
        alike.setdefault(tuple(one.eye for one in passes_of(tile)), []).append(tile)
    found = []
    for eyes, tiles in alike.items():
        for first in larges(_sized(wall, tile, 0) for tile in tiles):
            names = {part.name for part in first.parts}
            some = tuple(tile for tile in tiles if tile.name in names)
            per_eye = tuple(
                (eye, larges((_sized(wall, tile, k) for tile in some), [_sized(wall, tile, k) for tile in tiles]))
                for k, eye in enumerate(eyes)
            )
            name = some[0].name if len(some) == 1 else f"{some[0].name} … {some[-1].name}"
            found.append(Group(name, some, per_eye))
    return tuple(found)


def hung(wall: Wall, tile: Tile) -> Screen:
    """A tile's screen as its output sees it, called as the tile."""
    screen = wall.screen(tile.screen)
    return msgspec.structs.replace(turned(screen) if tile.upside_down else screen, name=tile.name)


def _sized(wall: Wall, tile: Tile, k: int) -> Sized:
    into = passes_of(tile)[k].into
    return Sized(hung(wall, tile), into.width, into.height)


def large_wall(wall: Wall, large: Large, eye: str) -> tuple[Wall, Tile]:
    """A wall of one large screen for one eye, and its tile."""
    tile = Tile("large", "large", wall.tiles[0].node, OF_EYE[eye], Place(0, 0, large.width, large.height), "")
    return msgspec.structs.replace(wall, screens=(large.screen,), tiles=(tile,)), tile


def compare(tile: Tile, k: int, shown: Pixels, expected: Pixels, background: Pixels) -> tuple[int, int, int]:
    """(pixels, differing, seen) of the k-th eye: ``shown`` is the output's picture, ``expected`` that eye's part.

    ``background``: the colour, (3,), where there is nothing.
    """
    into = passes_of(tile)[k].into
    part = shown[into.y : into.y + into.height, into.x : into.x + into.width]
    theirs = np.ones(part.shape, bool)
    if tile.stereo in MIXED:
        second = of_second(tile.stereo, into.width, into.height, (tile.place.x, tile.place.y))
        theirs = second if k else ~second
    apart = np.where(theirs, np.abs(part.astype(np.int16) - expected), 0).max(axis=-1)
    ours = theirs.any(axis=-1)
    something = np.where(theirs, np.abs(part.astype(np.int16) - background), 0).max(axis=-1) > 1
    return int(ours.sum()), int(np.count_nonzero(apart > 1)), int(np.count_nonzero(something))


# ---------------------------------------------------------------------- known points


def marks(wall: Wall, tile: Tile, k: int, eye: Vec3, placement: Placement) -> tuple[list[Patch], NDArray[np.float64]]:
    """Small discs in the room, near and far, for one eye of a tile: pieces in the scene, and their middles (n, 3), mm.

    A disc lies parallel to the screen, so its picture's middle is the picture of its middle.
    """
    screen, into = hung(wall, tile), passes_of(tile)[k].into
    right, up, out = screen.axes
    wide, high = screen.size
    pitch, start = max(wide / into.width, high / into.height), np.array(in_front(screen, eye))
    radius = min(_RADIUS_PX, into.width / 9, into.height / 9) * pitch
    away = float((start - screen.lower_left) @ out)
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]
    rim = np.cos(angles) * right + np.sin(angles) * up
    to_scene = np.linalg.inv(placement_matrix(placement))
    found, middles = [], []
    for (u, v), depth, colour in zip(_SHARES, _DEPTHS, _CHANNELS, strict=True):
        through = np.array(screen.lower_left) + u * wide * right + v * high * up
        far = float(np.clip(depth, 1.5 * wall.near_mm / away, 0.6 * wall.far_mm / away))
        middle = start + far * (through - start)
        corners = middle + far * radius * rim
        found.append(Patch(corners @ to_scene[:3, :3].T + to_scene[:3, 3], colour))
        middles.append(middle)
    return found, np.array(middles)


def error_px(wall: Wall, tile: Tile, eye: Vec3, middles: NDArray[np.float64], shown: Pixels) -> float:
    """How far the worst disc in one eye's picture, (h, w, 3), is from where it must be; infinite if one is missing."""
    height, width, _ = shown.shape
    screen = wall.screen(tile.screen)
    expected = pixels_of(middles, in_front(screen, eye), screen, width, height)
    if tile.upside_down:
        expected = (width, height) - expected
    worst = 0.0
    for channel, there in enumerate(expected):
        rows, columns = np.nonzero(shown[..., channel] > 127)
        if len(rows) < 3:
            return float("inf")
        worst = max(worst, float(np.hypot(columns.mean() + 0.5 - there[0], rows.mean() + 0.5 - there[1])))
    return worst


# ---------------------------------------------------------------------- the verdict


def judge(
    wall: Wall, scale: float, about: Sequence[Group], all_: Sequence[Compared], points: Sequence[Sighted]
) -> Verdict:
    """The figures of a wall: by group, by trial and eye, and whether all is within the budget.

    The budget holds for each trial and eye, over all tiles of the wall.
    """
    rows = []
    for group in about:
        mine = [one for one in all_ if one.group == group.name]
        tile, share = _worst(mine)
        size = max(((large.width, large.height) for _, some in group.eyes for large in some), key=lambda s: s[0] * s[1])
        error = max((one.error_px for one in points if one.group == group.name), default=0.0)
        rows.append(Row(group.name, len(group.tiles), size, _share(mine), _seen(mine), tile, share, error))
    tried = []
    for trial, eye in dict.fromkeys((one.trial, one.eye) for one in all_):
        mine = [one for one in all_ if (one.trial, one.eye) == (trial, eye)]
        apart, pixels = sum(one.differing for one in mine), sum(one.pixels for one in mine)
        tried.append(Tried(trial, eye, pixels, apart, _seen(mine)))
    tile, share = _worst(all_)
    error = max((one.error_px for one in points), default=0.0)
    # A wall on which nothing is seen has not been tried.
    within = all(one.differing <= BUDGET * one.pixels for one in tried) and error <= ERROR_PX and _seen(all_) > 0.01
    return Verdict(
        wall.name, scale, len(wall.tiles), BUDGET, _share(all_), tile, share, error, within, tuple(tried), tuple(rows)
    )


def _share(some: Iterable[Compared]) -> float:
    some = list(some)
    return sum(one.differing for one in some) / max(1, sum(one.pixels for one in some))


def _seen(some: Iterable[Compared]) -> float:
    some = list(some)
    return sum(one.seen for one in some) / max(1, sum(one.pixels for one in some))


def _worst(some: Sequence[Compared]) -> tuple[str, float]:
    """The tile with the largest share, over all trials."""
    names = dict.fromkeys(one.tile for one in some)
    shares = {name: _share(one for one in some if one.tile == name) for name in names}
    name = max(shares, key=lambda name: shares[name])
    return name, shares[name]
