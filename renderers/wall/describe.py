"""A wall in facts, for programs that only need to know what there is: names, nodes, sizes.  Pure."""

from __future__ import annotations

import numpy as np

from renderers.wall.check import check
from renderers.wall.records import Wall
from streamer.wire.walls import FindingFacts, SeatFacts, TileFacts, TrackerFacts, WallFacts


def describe(wall: Wall) -> WallFacts:
    """The facts of a wall, findings included."""
    report = check(wall)
    driven = {node.name: tuple(tile.name for tile in wall.tiles if tile.node == node.name) for node in wall.nodes}
    seats = tuple(SeatFacts(node.name, node.host, driven[node.name]) for node in wall.nodes if driven[node.name])
    corners = [
        corner
        for screen in wall.screens
        for corner in (screen.lower_left, screen.lower_right, screen.upper_left, screen.upper_right)
    ]
    across, up, back = np.ptp(np.array(corners), axis=0).tolist() if corners else (0.0, 0.0, 0.0)
    return WallFacts(
        name=wall.name,
        title=wall.title,
        size_mm=(round(across, 1), round(up, 1), round(back, 1)),
        screens=report.screens,
        megapixels=report.megapixels,
        fov_deg=report.fov_deg,
        seats=seats,
        tiles=tuple(
            TileFacts(
                tile.name, tile.screen, tile.node, tile.display, (tile.place.x, tile.place.y),
                (tile.place.width, tile.place.height), tile.stereo,
            )
            for tile in wall.tiles
        ),
        labels=wall.selector.labels,
        tolerations=wall.selector.tolerations,
        expected_nodes=wall.selector.expected_nodes or len(seats),
        trackers=tuple(TrackerFacts(one.kind, one.address) for one in wall.trackers),
        findings=tuple(FindingFacts(one.level, one.code, one.sentence) for one in report.findings),
    )  # fmt: skip
