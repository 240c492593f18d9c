"""Which processes a wall may have, and what names the wall that they belong to.  Pure."""

from __future__ import annotations

import msgspec

from renderers.wall.records import Wall
from streamer.wire.codec import crc32c


def seats_of(wall: Wall) -> dict[str, tuple[str, ...]]:
    """The processes that a wall may have: one for each tile, or one for each node with all of its tiles."""
    found: dict[str, tuple[str, ...]] = {tile.name: (tile.name,) for tile in wall.tiles}
    for node in wall.nodes:
        tiles = tuple(tile.name for tile in wall.tiles if tile.node == node.name)
        if tiles:
            found.setdefault(node.name, tiles)
    return found


def digest(wall: Wall) -> str:
    """Names what a wall is, so that nobody draws for another one."""
    return f"{crc32c(msgspec.msgpack.encode(wall)):08x}"
