"""Regular walls in a few lines: rows and columns of equal panels, on a plane or on an upright cylinder.

Frames touch (or stand ``gap`` apart); the picture of a panel is smaller than its frame by the bezel.  On a
cylinder each column is a flat strip whose middle touches the cylinder, turned to face its axis.
"""

from __future__ import annotations

from math import atan, degrees, radians

import numpy as np

from renderers.wall.axes import turn_matrix, vec
from renderers.wall.records import Bezel, Node, Place, Screen, Stereo, Tile
from renderers.wall.schema import GridTable
from streamer.wire.viewing import Vec3

MOST_PANELS = 4096


class GridError(ValueError):
    """A grid that cannot be laid out; the message lacks the file's name."""


def node_names(grid: GridTable) -> list[str]:
    """The nodes of a grid, in order."""
    if grid.rows * grid.columns > MOST_PANELS:
        raise GridError(
            f"{grid.rows} rows of {grid.columns} panels; {MOST_PANELS} panels are the most that there can be"
        )
    names = {
        "one": [grid.name],
        "row": [f"{grid.name}-row-{row}" for row in range(grid.rows)],
        "column": [f"{grid.name}-column-{column}" for column in range(grid.columns)],
        "panel": [f"{grid.name}-{row}-{column}" for row in range(grid.rows) for column in range(grid.columns)],
    }[grid.nodes]
    if not grid.hosts:
        return names
    if len(grid.hosts) != len(names):
        raise GridError(
            f"hosts names {len(grid.hosts)} machines, but nodes = “{grid.nodes}” makes {len(names)}: "
            "name as many, or leave hosts out"
        )
    return list(grid.hosts)


def nodes(grid: GridTable) -> list[Node]:
    """The nodes of a grid, with their host names where it gives them."""
    return [Node(name, name if grid.hosts else "") for name in node_names(grid)]


def screens(grid: GridTable, centre: Vec3, bezel: Bezel, scale: float) -> list[Screen]:
    """The panels' pictures, top left first.  ``centre``, ``bezel``: mm, the wall's axes; ``scale``: mm of a unit."""
    width, height = (side * scale for side in grid.size)
    across = width + bezel.left + bezel.right + grid.gap[0] * scale
    high = height + bezel.bottom + bezel.top + grid.gap[1] * scale
    whole = turn_matrix(grid.turn)
    found = []
    for row in range(grid.rows):
        for column in range(grid.columns):
            side = column - (grid.columns - 1) / 2
            y = ((grid.rows - 1) / 2 - row) * high
            if grid.radius is None:
                local, facing = np.array([side * across, y, 0.0]), np.eye(3)
            else:
                radius = grid.radius * scale
                step = grid.angle if grid.angle is not None else degrees(2 * atan(across / 2 / radius))
                angle = radians(side * step)
                local = np.array([radius * np.sin(angle), y, radius * (1 - np.cos(angle))])
                facing = turn_matrix((-side * step, 0.0, 0.0))
            middle = np.array(centre) + whole @ local
            right, up = (whole @ facing)[:, 0] * width / 2, (whole @ facing)[:, 1] * height / 2
            name = f"{grid.name}-{row}-{column}"
            found.append(Screen(name, vec(middle - right - up), vec(middle + right - up), vec(middle - right + up)))
    return found


def tiles(grid: GridTable, used: dict[str, int]) -> list[Tile]:
    """The outputs of a grid.  ``used`` counts each node's outputs so far, and is counted on."""
    names = node_names(grid)
    wide, tall = grid.pixels
    eyes: list[tuple[str, Stereo]] = [("left", "left"), ("right", "right")]
    if grid.stereo != "left-right":
        eyes = [("", grid.stereo)]
    found = []
    for row in range(grid.rows):
        for column in range(grid.columns):
            at = {"one": 0, "row": row, "column": column, "panel": row * grid.columns + column}[grid.nodes]
            for eye, (suffix, stereo) in enumerate(eyes):
                count = used[names[at]] = used.get(names[at], -1) + 1
                # One X screen for all of a node's outputs: the windows stand in it as the panels on the wall.
                x = column if grid.nodes in ("one", "row") else 0
                y = row if grid.nodes in ("one", "column") else 0
                shared = "{n}" not in grid.display
                screen = f"{grid.name}-{row}-{column}"
                found.append(
                    Tile(
                        name=f"{screen}-{suffix}" if suffix else screen,
                        screen=screen,
                        node=names[at],
                        stereo=stereo,
                        place=Place((x * len(eyes) + eye) * wide * shared, y * tall * shared, wide, tall),
                        display=grid.display.replace("{n}", str(count)),
                        swap_eyes=grid.swap_eyes,
                        upside_down=grid.upside_down,
                    )
                )
    return found
