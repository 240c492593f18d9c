"""Wall files: TOML in, a ``Wall`` out.

Tables are taken one by one (``renderers.wall.schema``), so that a complaint can name the one that is wrong.
Then units and axes become the room's, grids become screens and tiles, and short screens become tiles too.
What is written but makes no sense together (a tile of an unknown screen) is left for ``check`` to find.
"""

from __future__ import annotations

import math
import tomllib
from typing import Any, NamedTuple

import numpy as np

from renderers.wall import grid as grids
from renderers.wall.axes import AxesError, Matrix, axes_matrix, corners, quaternion, turn_matrix, vec
from renderers.wall.complaint import WallError, convert
from renderers.wall.records import Bezel, Fit, Node, Place, Screen, Selector, Tile, TrackerSource, Wall
from renderers.wall.schema import (
    BezelTable,
    FitTable,
    GridTable,
    HeadTable,
    NodeTable,
    ScreenTable,
    SelectorTable,
    Table,
    TileTable,
    TrackerTable,
    WallFile,
)
from streamer.wire.viewing import FARTHEST, Head, Vec3, near

SINGLE: dict[str, type[Table]] = {"head": HeadTable, "fit": FitTable, "selector": SelectorTable}
MANY: dict[str, type[Table]] = {
    "nodes": NodeTable, "grids": GridTable, "screens": ScreenTable, "tiles": TileTable, "trackers": TrackerTable,
}  # fmt: skip
OUTPUT_KEYS = ("node", "pixels", "at", "stereo", "display", "swap_eyes", "upside_down")
IN_FRONT: Vec3 = (0.0, 0.0, -2000.0)
"""Where a grid stands that does not say it: the viewer is at the origin."""


class _Room(NamedTuple):
    """How a file's lengths and directions become the wall's."""

    matrix: Matrix
    scale: float

    def point(self, given: Vec3) -> Vec3:
        return vec(self.matrix @ (np.array(given, dtype=np.float64) * self.scale))


def read_wall(text: str, source: str) -> Wall:
    """The wall that a TOML text describes; ``source`` is what complaints call it.  Raises WallError."""
    try:
        raw = tomllib.loads(text)
    except ValueError as why:  # also where a number has thousands of digits
        raise WallError(f"{source} is not TOML: {why}") from None
    except RecursionError:
        raise WallError(f"{source} is no wall file: its lists lie in each other too deep") from None
    written = _tables(raw, source)
    try:
        room = _Room(axes_matrix(written.axes), 1000.0 if written.units == "m" else 1.0)
        for tracker in written.trackers:
            axes_matrix(tracker.axes, left_handed=True)
    except AxesError as why:
        raise WallError(f"{source}: {why}") from None
    return _assemble(written, room, source)


def _tables(raw: dict[str, Any], source: str) -> WallFile:
    """All tables of a file, each checked under its own name."""
    taken: dict[str, Any] = {}
    rest = dict(raw)
    _finite(raw, source)
    for name, kind in SINGLE.items():
        if name in rest:
            taken[name] = convert(kind, rest.pop(name), f"{source}: [{name}]")
    for name, kind in MANY.items():
        if name not in rest:
            continue
        rows = rest.pop(name)
        if not isinstance(rows, list):
            raise WallError(f"{source}: “{name}” is a list of tables: write [[{name}]] with two brackets")
        taken[name] = tuple(convert(kind, row, _where(source, name, i, row)) for i, row in enumerate(rows))
    top = convert(WallFile, rest, f"{source}: the file")
    return WallFile(**{field: getattr(top, field) for field in top.__struct_fields__} | taken)


def _where(source: str, name: str, index: int, row: object) -> str:
    called = row.get("name") if isinstance(row, dict) else None
    return f"{source}: [[{name}]] number {index + 1}" + (f" (“{called}”)" if isinstance(called, str) else "")


def _finite(raw: object, where: str) -> None:
    if isinstance(raw, dict):
        for key, value in raw.items():
            _finite(value, f"{where}: {key}" if isinstance(value, float) else where)
    elif isinstance(raw, list):
        for value in raw:
            _finite(value, where)
    elif isinstance(raw, float) and not math.isfinite(raw):
        raise WallError(f"{where}: {raw} is no number that a wall can use: give a finite one")
    elif isinstance(raw, (int, float)) and not near((raw,)):
        raise WallError(f"{where} has a number beyond {FARTHEST:g}: no wall is so large")


def _assemble(written: WallFile, room: _Room, source: str) -> Wall:
    screens: list[Screen] = []
    tiles: list[Tile] = []
    bezels: dict[str, Bezel] = {}
    nodes = [Node(node.name, node.host) for node in written.nodes]
    used: dict[str, int] = {}
    for table in written.grids:
        bezel = _bezel(table.bezel, room.scale)
        try:
            nodes += [node for node in grids.nodes(table) if node.name not in {n.name for n in nodes}]
            centre = IN_FRONT if table.centre is None else room.point(table.centre)
            made = grids.screens(table, centre, bezel, room.scale)
            tiles += grids.tiles(table, used)
        except grids.GridError as why:
            raise WallError(f"{source}: [[grids]] (“{table.name}”): {why}") from None
        screens += made
        if bezel != Bezel():
            bezels |= {screen.name: bezel for screen in made}
    for index, one in enumerate(written.screens):
        where = _where(source, "screens", index, {"name": one.name})
        screens.append(_screen(one, room, where))
        if one.bezel is not None:
            bezels[one.name] = _bezel(one.bezel, room.scale)
        tiles += _short(one, where)
    tiles += [_tile(one) for one in written.tiles]
    if not written.nodes:
        known = {node.name for node in nodes}
        nodes += [Node(name) for name in dict.fromkeys(tile.node for tile in tiles) if name not in known]
    return Wall(
        name=written.name,
        title=written.title,
        screens=tuple(screens),
        tiles=tuple(tiles),
        nodes=tuple(nodes),
        head=Head(room.point(written.head.position), quaternion(turn_matrix(written.head.turn))),
        eye_separation_mm=written.eye_separation_mm,
        near_mm=written.near_mm,
        far_mm=written.far_mm,
        bezels=bezels,
        selector=Selector(dict(written.selector.labels), written.selector.tolerations, written.selector.expected_nodes),
        fit=Fit(written.fit.size_mm, room.point(written.fit.centre), written.fit.up, written.fit.mm_per_step),
        trackers=tuple(_tracker(one, room) for one in written.trackers),
    )


def _screen(table: ScreenTable, room: _Room, where: str) -> Screen:
    three = {"lower_left": table.lower_left, "lower_right": table.lower_right, "upper_left": table.upper_left}
    middle = {"centre": table.centre, "size": table.size}
    by_corners = [name for name, value in three.items() if value is not None]
    by_middle = [name for name, value in (middle | {"turn": table.turn}).items() if value is not None]
    if by_corners and by_middle:
        raise WallError(
            f"{where} gives both “{by_corners[0]}” and “{by_middle[0]}”: "
            "place a screen by three corners, or by centre, size and turn"
        )
    if by_middle:
        if table.centre is None or table.size is None:
            raise WallError(f"{where} lacks the key “{'centre' if table.centre is None else 'size'}”")
        wide, high = table.size
        a, b, c = corners(room.point(table.centre), (wide * room.scale, high * room.scale), table.turn or (0, 0, 0))
        return Screen(table.name, a, b, c)
    if table.lower_left is None or table.lower_right is None or table.upper_left is None:
        missing = next((name for name, value in three.items() if value is None), "")
        hint = "" if by_corners else " (or centre and size, with turn if it is turned)"
        raise WallError(f"{where} lacks the key “{missing}”{hint}")
    screen = Screen(table.name, *(room.point(p) for p in (table.lower_left, table.lower_right, table.upper_left)))
    if table.upper_right is not None:
        off = float(np.linalg.norm(np.array(room.point(table.upper_right)) - np.array(screen.upper_right)))
        if off > max(1.0, 0.002 * max(screen.size)):
            raise WallError(f"{where}: upper_right lies {off:.0f} mm from where the other corners' rectangle has it")
    return screen


def _short(table: ScreenTable, where: str) -> list[Tile]:
    """The tile of a screen that names its node; none if it names none."""
    if table.node is None:
        stray = [key for key in OUTPUT_KEYS if getattr(table, key) is not None]
        if stray:
            raise WallError(f"{where} gives “{stray[0]}” but no “node”: name the node, or write [[tiles]]")
        return []
    if table.pixels is None:
        raise WallError(f"{where} lacks the key “pixels”: an output with a node has a width and a height in pixels")
    given = {key: value for key in OUTPUT_KEYS if (value := getattr(table, key)) is not None}
    return [_tile(TileTable(name=table.name, screen=table.name, **given))]


def _tile(table: TileTable) -> Tile:
    return Tile(
        table.name, table.screen, table.node, table.stereo, Place(*table.at, *table.pixels),
        table.display, table.swap_eyes, table.upside_down,
    )  # fmt: skip


def _bezel(given: float | BezelTable, scale: float) -> Bezel:
    if isinstance(given, BezelTable):
        return Bezel(given.left * scale, given.right * scale, given.bottom * scale, given.top * scale)
    return Bezel(*(float(given) * scale,) * 4)


def _tracker(table: TrackerTable, room: _Room) -> TrackerSource:
    fields = {name: getattr(table, name) for name in table.__struct_fields__}
    for name in ("offset", "head_shift", "wand_shift"):
        fields[name] = room.point(fields[name])
    for name in ("head_offset", "wand_offset"):  # in the body's own axes
        x, y, z = fields[name]
        fields[name] = (x * room.scale, y * room.scale, z * room.scale)
    return TrackerSource(**fields)
