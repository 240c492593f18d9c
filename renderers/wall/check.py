"""What is wrong with a wall, before anybody stands in front of it.

``check`` counts what there is and lists findings: errors are walls that would show a wrong picture or none,
warnings are probably slips of a tape measure or a key, notes are worth knowing.  A finding has a code that
scripts may rely on, a sentence, and where it is.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from renderers.wall import check_outputs, check_room
from renderers.wall.coverage import fov_deg
from renderers.wall.findings import Finding
from renderers.wall.records import Wall

MANY = 5
"""So many findings of one kind are told one by one; more are told together."""


RULES = (
    check_outputs.names,
    check_room.units,
    check_room.rectangles,
    check_room.facing,
    check_room.neighbours,
    check_room.near,
    check_outputs.windows,
    check_outputs.stereo,
    check_outputs.pixels,
    check_outputs.nodes,
    check_outputs.trackers,
    check_room.eyes,
    check_room.upside_down,
)


class Report(msgspec.Struct, frozen=True):
    """What ``cavecast wall check --json`` prints."""

    name: str
    nodes: int
    """Machines that drive at least one tile."""
    tiles: int
    """Outputs, left and right counted."""
    screens: int
    """Physical screens."""
    megapixels: float
    """Of all outputs."""
    fov_deg: tuple[float, float]
    """Horizontal and vertical, from the default head (renderers.wall.coverage)."""
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether there is no error."""
        return all(finding.level != "error" for finding in self.findings)


def check(wall: Wall) -> Report:
    """Counts and findings of a wall, errors first."""
    findings = _together([*check_room.flat(wall), *check_outputs.references(wall)])
    whole = msgspec.structs.replace(wall, screens=tuple(s for s in wall.screens if not check_room.degenerate(s)))
    for rule in RULES:
        findings += _together(list(rule(whole)))
    hosts = {node.name: node.host or node.name for node in wall.nodes}
    order = {"error": 0, "warning": 1, "note": 2}
    return Report(
        name=wall.name,
        nodes=len({hosts.get(tile.node, tile.node) for tile in wall.tiles}),
        tiles=len(wall.tiles),
        screens=len(wall.screens),
        megapixels=round(sum(tile.place.width * tile.place.height for tile in wall.tiles) / 1e6, 3),
        fov_deg=fov_deg(whole),
        findings=tuple(sorted(findings, key=lambda finding: order[finding.level])),
    )


def _together(found: list[Finding]) -> list[Finding]:
    """Findings of one kind as one, where there are many."""
    kinds = Counter((f.level, f.code) for f in found)
    told, result = set(), []
    for finding in found:
        kind = (finding.level, finding.code)
        if kinds[kind] <= MANY:
            result.append(finding)
        elif kind not in told:
            told.add(kind)
            where = ", ".join(f.where for f in found if (f.level, f.code) == kind)
            result.append(
                msgspec.structs.replace(
                    finding, sentence=f"{finding.sentence} (and {kinds[kind] - 1} more like this)", where=where
                )
            )
    return result
