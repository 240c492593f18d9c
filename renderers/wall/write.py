"""A ``Wall`` as TOML that people like to read: one line for each screen, node and tile.

What is at its default is left out, and a screen with one output of its own name carries it in short.
Screens are written by corners (exact) or by centre, size and turn, in whatever axes the reader knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from renderers.wall.axes import WALL_AXES, axes_matrix, turn_of, vec
from renderers.wall.projection import rotation
from renderers.wall.records import Bezel, Fit, Screen, Selector, Tile, TrackerSource, Wall
from streamer.wire.viewing import NO_TURN, Vec3

DIGITS = 9
"""After the point, where numbers come out of rotations: a millionth of a micrometre."""


def to_toml(wall: Wall, axes: str = WALL_AXES, by_corners: bool = True, remarks: Sequence[str] = ()) -> str:
    """The wall file of a wall, in mm and these axes; ``remarks`` become comments at its top.

    By corners, in the wall's axes, reading it gives the same wall; otherwise up to rounding.
    """
    back = axes_matrix(axes).T

    def point(given: Vec3) -> Vec3:
        return vec(back @ np.array(given))

    lines = [f"# {line}" for line in remarks]
    lines += ["", *_top(wall, axes)] if lines else _top(wall, axes)
    if wall.nodes and any(node.host for node in wall.nodes):
        lines += _rows("nodes", [_given(name=node.name, host=node.host or None) for node in wall.nodes])
    elif wall.nodes and [n.name for n in wall.nodes] != list(dict.fromkeys(_tile_nodes(wall))):
        lines += _rows("nodes", [_given(name=node.name) for node in wall.nodes])
    short = {tile.name: tile for tile in wall.tiles if _is_short(wall, tile)}
    rows = []
    for screen in wall.screens:
        row = _corners(screen, point) if by_corners else _middle(screen, point)
        if (bezel := wall.bezels.get(screen.name)) is not None:
            row["bezel"] = _bezel(bezel)
        rows.append(row | (_output(short[screen.name]) if screen.name in short else {}))
    lines += _rows("screens", rows)
    long = [tile for tile in wall.tiles if tile.name not in short]
    lines += _rows("tiles", [_given(name=tile.name, screen=tile.screen) | _output(tile) for tile in long])
    lines += _table("head", _head(wall, point))
    fit = wall.fit
    lines += _table("fit", _differing(fit, Fit()) | ({"centre": point(fit.centre)} if any(fit.centre) else {}))
    selector = wall.selector
    lines += _table("selector", _differing(selector, Selector()))
    for tracker in wall.trackers:
        row = _given(kind=tracker.kind, address=tracker.address)
        row |= _differing(tracker, TrackerSource(tracker.kind, tracker.address))
        for name in ("offset", "head_shift", "wand_shift"):
            if name in row:
                row[name] = point(row[name])
        lines += ["", "[[trackers]]", *(f"{key} = {toml_value(value)}" for key, value in row.items())]
    return "\n".join(lines) + "\n"


def _top(wall: Wall, axes: str) -> list[str]:
    top: dict[str, Any] = _given(name=wall.name, title=wall.title or None, units="mm", axes=axes)
    top |= {"eye_separation_mm": wall.eye_separation_mm, "near_mm": wall.near_mm, "far_mm": wall.far_mm}
    return [f"{key} = {toml_value(value)}" for key, value in top.items()]


def _tile_nodes(wall: Wall) -> list[str]:
    """Nodes in the order in which reading the file meets them: short screens first."""
    short = [tile for tile in wall.tiles if _is_short(wall, tile)]
    order = {screen.name: i for i, screen in enumerate(wall.screens)}
    return [t.node for t in sorted(short, key=lambda t: order[t.screen])] + [
        tile.node for tile in wall.tiles if not _is_short(wall, tile)
    ]


def _is_short(wall: Wall, tile: Tile) -> bool:
    """Whether the tile can be written in its screen's line without changing the order of the wall's tiles."""
    order = [screen.name for screen in wall.screens]
    return [t.name for t in wall.tiles[: len(order)]] == order and tile.name == tile.screen and tile.name in order


def _corners(screen: Screen, point: Any) -> dict[str, Any]:
    return {
        "name": screen.name,
        "lower_left": point(screen.lower_left),
        "lower_right": point(screen.lower_right),
        "upper_left": point(screen.upper_left),
    }


def _middle(screen: Screen, point: Any) -> dict[str, Any]:
    """By centre, size and turn; by corners if they are no rectangle."""
    right, up, out = screen.axes
    if abs(float(right @ up)) > 1e-9:
        return _corners(screen, point)
    centre = (np.array(screen.lower_right) + np.array(screen.upper_left)) / 2
    row: dict[str, Any] = {"name": screen.name, "centre": _round(point(vec(centre))), "size": _round(screen.size)}
    turn = _round(turn_of(np.stack([right, up, out], axis=1)))
    return row | ({"turn": turn} if any(turn) else {})


def _output(tile: Tile) -> dict[str, Any]:
    place = tile.place
    row: dict[str, Any] = {"node": tile.node, "pixels": (place.width, place.height)}
    if (place.x, place.y) != (0, 0):
        row["at"] = (place.x, place.y)
    if tile.stereo != "mono":
        row["stereo"] = tile.stereo
    if tile.display != ":0.0":
        row["display"] = tile.display
    return row | {key: True for key in ("swap_eyes", "upside_down") if getattr(tile, key)}


def _bezel(bezel: Bezel) -> Any:
    sides = {side: getattr(bezel, side) for side in ("left", "right", "bottom", "top")}
    return bezel.left if len(set(sides.values())) == 1 else {key: value for key, value in sides.items() if value}


def _head(wall: Wall, point: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"position": point(wall.head.position)} if any(wall.head.position) else {}
    if wall.head.turn != NO_TURN:
        row["turn"] = _round(turn_of(rotation(wall.head.turn)))
    return row


def _differing(record: Any, default: Any) -> dict[str, Any]:
    fields = [name for name in record.__struct_fields__ if getattr(record, name) != getattr(default, name)]
    return {name: getattr(record, name) for name in fields}


def _given(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _round(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(n, DIGITS) + 0.0 for n in numbers)


def _rows(name: str, rows: list[dict[str, Any]]) -> list[str]:
    return ["", f"{name} = [", *(f"  {toml_value(row)}," for row in rows), "]"] if rows else []


def _table(name: str, row: dict[str, Any]) -> list[str]:
    return ["", f"[{name}]", *(f"{_key(key)} = {toml_value(value)}" for key, value in row.items())] if row else []


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def toml_value(value: Any) -> str:
    """A value as TOML writes it within a line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _text(text: str) -> str:
    """A basic string of TOML."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", quoted) + '"'
