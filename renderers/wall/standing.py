"""The test pattern on the real screens of one node: windows that stand until somebody ends them."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from renderers.picture import png
from renderers.signals import signals
from renderers.vtk_tile import TileWindow, as_shown, window_for
from renderers.vtk_window import open_window
from renderers.wall.glass import Glass
from renderers.wall.records import Tile, Wall
from streamer.wire.viewing import View

Say = Callable[[str], object]
AGAIN_S = 1.0
"""So often the pattern is drawn anew, in case something has covered a window."""


def chosen_tiles(wall: Wall, tiles: Sequence[str], node: str, host: str) -> tuple[Tile, ...]:
    """The tiles of these names; or of a node; or of the node that is this host (empty: all of them).

    Raises LookupError with a sentence.
    """
    if tiles:
        for name in tiles:
            if not any(tile.name == name for tile in wall.tiles):
                raise LookupError(f"wall {wall.name} has no tile {name!r}; it has {_some(t.name for t in wall.tiles)}")
        return tuple(wall.tile(name) for name in tiles)
    if not node and not host:
        return wall.tiles
    names = [one.name for one in wall.nodes]
    if not node:
        node = names[0] if len(names) == 1 else _node_of(wall, host)
    if node not in names:
        raise LookupError(f"wall {wall.name} has no node {node!r}; it has {_some(names)}")
    return tuple(tile for tile in wall.tiles if tile.node == node)


def save_pattern(wall: Wall, tiles: Sequence[Tile], folder: Path, say: Say) -> None:
    """Draws the pattern of each tile through one hidden window and saves it.  Raises NoOpenGL."""
    with ExitStack() as stack:
        window = open_window(64, 64)
        stack.callback(window.Finalize)
        glass = Glass(window)
        for tile in tiles:
            window.SetSize(tile.place.width, tile.place.height)
            through = _draw(wall, as_shown(tile, window)[0], glass)
            through.show()
            say(f"{tile.name}: {_save(folder, tile, through)}")


def show_pattern(wall: Wall, tiles: Sequence[Tile], folder: Path | None, say: Say) -> int:
    """Shows the pattern on the tiles' displays until SIGTERM (returns 0) or SIGINT (returns 130).

    With ``folder``, saves what is shown.  To be called from the main thread.  Raises NoOpenGL.
    """
    with ExitStack() as stack, signals() as (wake, caught):
        glasses: list[tuple[Tile, Glass]] = []
        for tile in tiles:
            window = window_for(tile, offscreen=False)
            stack.callback(window.Finalize)
            shown, why = as_shown(tile, window)
            if why:
                say(f"{tile.name}: {why}")
            glasses.append((shown, Glass(window)))
        first = True
        while not caught:
            drawn = [(tile, _draw(wall, tile, glass)) for tile, glass in glasses]
            for _, through in drawn:
                through.show()
            for tile, through in drawn if first else ():
                place = tile.place
                say(
                    f"{tile.name}: {tile.display or 'in memory'}, {place.width}x{place.height}+{place.x}+{place.y}, "
                    f"{tile.stereo}{', ' + _save(folder, tile, through) if folder is not None else ''}"
                )
            if first:
                say("shown; Ctrl-C ends")
            first = False
            select.select([wake], [], [], AGAIN_S)
        return 130 if caught[0] == signal.SIGINT else 0


def _save(folder: Path, tile: Tile, through: TileWindow) -> str:
    file = folder / f"{tile.name}.png"
    file.write_bytes(png(through.pixels()))
    return str(file)


def _draw(wall: Wall, tile: Tile, glass: Glass) -> TileWindow:
    return glass.draw(wall, tile, View(pattern=True), wall.head, wall.eye_separation_mm)


def _node_of(wall: Wall, host: str) -> str:
    """The node of a host, by its whole name or by the part before the first dot."""
    for one in wall.nodes:
        if host and host in (one.host, one.name):
            return one.name
    for one in wall.nodes:
        if host and host.partition(".")[0] in (one.host.partition(".")[0], one.name):
            return one.name
    raise LookupError(
        f"this host, {host}, is no node of wall {wall.name}: name one with --node "
        f"({_some(one.name for one in wall.nodes)}), or a tile with --tile"
    )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (" …" if len(listed) > 12 else "")
