"""Findings about a wall's outputs: names, windows, eyes, pixels and the nodes that drive them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from renderers.wall.findings import Finding
from renderers.wall.records import Tile, Wall
from renderers.wall.track.address import address_flaw, udp_address


def names(wall: Wall) -> Iterator[Finding]:
    for kind, names in (("screen", wall.screens), ("tile", wall.tiles), ("node", wall.nodes)):
        for name, count in Counter(one.name for one in names).items():
            if count > 1:
                yield Finding("error", "same-name", f"{count} {kind}s are called {name}: give each its own name.", name)


def references(wall: Wall) -> Iterator[Finding]:
    screens, nodes = {s.name for s in wall.screens}, {n.name for n in wall.nodes}
    for tile in wall.tiles:
        if tile.screen not in screens:
            text = f"Tile {tile.name} shows screen {tile.screen}, but the wall has no such screen."
            yield Finding("error", "unknown-screen", text, tile.name)
        if tile.node not in nodes:
            text = f"Tile {tile.name} is driven by node {tile.node}, but the wall has no such node."
            yield Finding("error", "unknown-node", text, tile.name)
    shown = {tile.screen for tile in wall.tiles}
    for screen in wall.screens:
        if screen.name not in shown:
            text = f"Screen {screen.name} has no tile, so it would stay dark."
            yield Finding("warning", "no-tile", text, screen.name)


def windows(wall: Wall) -> Iterator[Finding]:
    for tile in wall.tiles:
        if tile.place.width < 1 or tile.place.height < 1:
            text = f"Tile {tile.name} has a window of {tile.place.width} × {tile.place.height} pixels."
            yield Finding("error", "window", text, tile.name)
        if tile.stereo == "interlaced" and tile.place.y % 2:
            text = f"Tile {tile.name} begins on an odd row, so its interlaced eyes are exchanged: use an even one."
            yield Finding("warning", "odd-row", text, tile.name)
    hosts = {node.name: node.host or node.name for node in wall.nodes}
    for a, b in combinations([tile for tile in wall.tiles if tile.display], 2):
        machines = (hosts.get(a.node, a.node), hosts.get(b.node, b.node))
        if machines[0] == machines[1] and a.display == b.display and _overlap(a, b):
            text = f"Tiles {a.name} and {b.name} share one output: node {a.node}, display {a.display}, same pixels."
            yield Finding("error", "same-output", text, f"{a.name}, {b.name}")


def _overlap(a: Tile, b: Tile) -> bool:
    p, q = a.place, b.place
    return p.x < q.x + q.width and q.x < p.x + p.width and p.y < q.y + q.height and q.y < p.y + p.height


def stereo(wall: Wall) -> Iterator[Finding]:
    for screen in wall.screens:
        modes = Counter(tile.stereo for tile in wall.tiles if tile.screen == screen.name)
        for eye, other in (("left", "right"), ("right", "left")):
            if modes[eye] and not modes[other]:  # type: ignore[index]
                text = f"Screen {screen.name} has an output for the {eye} eye but none for the {other}."
                yield Finding("error", "one-eye", text, screen.name)
        if modes["left"] > 1 or modes["right"] > 1 or (len(modes) > 1 and set(modes) != {"left", "right"}):
            said = ", ".join(f"{count} {mode}" for mode, count in modes.items())
            text = f"Screen {screen.name} has outputs that do not go together: {said}."
            yield Finding("warning", "mixed-stereo", text, screen.name)
        sizes = {(t.place.width, t.place.height) for t in wall.tiles if t.screen == screen.name}
        if len(sizes) > 1 and set(modes) == {"left", "right"}:
            text = f"Screen {screen.name}: the left and right eye's outputs differ in size."
            yield Finding("warning", "eye-sizes", text, screen.name)


def pixels(wall: Wall) -> Iterator[Finding]:
    sizes = {screen.name: screen.size for screen in wall.screens}
    for tile in wall.tiles:
        if tile.screen not in sizes or min(tile.place.width, tile.place.height) < 1:
            continue
        width, height = sizes[tile.screen]
        across, down = width / tile.place.width, height / tile.place.height
        ratio = max(across, down) / min(across, down)
        if ratio > 1.02:
            text = (
                f"Tile {tile.name}: a pixel is {across:.3g} mm wide and {down:.3g} mm high; "
                "check the screen's size and the output's pixels."
            )
            yield Finding("warning", "pixel-aspect", text, tile.name)
        pitch = (across * down) ** 0.5
        if not 0.04 < pitch < 20 and 30 <= max(width, height) <= 100_000:
            text = f"Tile {tile.name}: its pixels are {pitch:.3g} mm apart; walls have 0.1 to 10."
            yield Finding("warning", "pixel-density", text, tile.name)


def nodes(wall: Wall) -> Iterator[Finding]:
    used = {tile.node for tile in wall.tiles}
    for node in wall.nodes:
        if node.name not in used:
            yield Finding("warning", "idle-node", f"Node {node.name} drives no tile.", node.name)
    chosen = [node for node in wall.nodes if not node.host and node.name in used]
    expected = wall.selector.expected_nodes
    if expected and expected < len(chosen):
        text = f"The selector expects {expected} nodes, but the tiles need {len(chosen)}."
        yield Finding("error", "too-few-nodes", text, "selector")


def trackers(wall: Wall) -> Iterator[Finding]:
    taken: dict[tuple[str, int], int] = {}
    for number, source in enumerate(wall.trackers):
        if why := address_flaw(source):
            yield Finding("error", "tracker", f"Tracker {number}: {why}.", f"trackers {number}")
        elif source.kind in ("dtrack", "osc"):
            host, port, _ = udp_address(source.address)
            other = taken.setdefault((host, port), number) if port else number
            if other != number:
                text = f"Trackers {other} and {number} listen at one address, {host}:{port}: only one of them can."
                yield Finding("error", "tracker", text, f"trackers {number}")
