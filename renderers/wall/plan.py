"""A wall on paper: seen from above, from the front, and unrolled if it is not flat.  To scale, as SVG.

Colours tell the nodes apart (eight that colour-blind people can tell apart, again after eight).  Every drawing
has its own scale and its own scale bar, in metres.
"""

from __future__ import annotations

from html import escape
from math import hypot

import numpy as np

from renderers.wall import ink
from renderers.wall.check import check
from renderers.wall.coverage import lies_flat
from renderers.wall.findings import count
from renderers.wall.ink import FAINT, INK, LINE, Box
from renderers.wall.projection import rotation
from renderers.wall.records import Screen, Wall
from renderers.wall.unroll import columns, extent, is_flat, middle, unrolled

PAPER_PX = 1600
MARGIN, GUTTER, HEADER = 48, 56, 118
COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999")
"""Okabe and Ito, Color Universal Design (2008)."""
FONT = "'DejaVu Sans', 'Liberation Sans', Verdana, Arial, sans-serif"
SHORT = {
    "mono": "", "left": "L", "right": "R", "side-by-side": "L|R", "top-bottom": "L/R", "interlaced": "rows",
    "interlaced-columns": "columns", "checkerboard": "checks", "quad-buffer": "active", "anaglyph": "anaglyph",
}  # fmt: skip


def draw(wall: Wall) -> str:
    """The SVG of a wall: plan and elevation side by side, and the unrolled elevation below where it is not flat."""
    sound = _drawable(wall)
    half = (PAPER_PX - 2 * MARGIN - GUTTER) / 2
    plan = _plan_box(sound, MARGIN, HEADER, half)
    front = _front_box(sound, MARGIN + half + GUTTER, HEADER, half, plan.height)
    body = [*_header(wall), *_plan(sound, plan), *_front(sound, front)]
    bottom = HEADER + plan.height + 66
    if sound.screens and not is_flat(sound):
        net = _net_box(sound, MARGIN, bottom + 44, PAPER_PX - 2 * MARGIN)
        body += _net(sound, net)
        bottom = net.y + net.height + 66
    size = f'width="{PAPER_PX}" height="{bottom:.0f}" viewBox="0 0 {PAPER_PX} {bottom:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" fill="{INK}">'
    paper = f'<rect width="100%" height="100%" fill="#ffffff"/><title>{escape(wall.title or wall.name)}</title>'
    return "\n".join([head, paper, *body, "</svg>"]) + "\n"


def _drawable(wall: Wall) -> Wall:
    """The wall without screens that have no area: they cannot be drawn."""
    fields = {name: getattr(wall, name) for name in wall.__struct_fields__}
    return Wall(**fields | {"screens": tuple(s for s in wall.screens if min(s.size) > 1e-6)})


def _header(wall: Wall) -> list[str]:
    report = check(wall)
    across, up = report.fov_deg
    modes = ", ".join(dict.fromkeys(tile.stereo for tile in wall.tiles)) or "no outputs"
    counts = (
        f"{count(report.screens, 'screen')} · {count(report.tiles, 'output')} on {count(report.nodes, 'node')} · "
        f"{report.megapixels:,.1f} megapixels · {across:.0f}° × {up:.0f}° from the head · {modes}"
        f"{' · coloured by node' if report.nodes > 1 else ''}"
    )
    lines = [
        ink.text(MARGIN, 50, wall.title or wall.name, size=25, weight="bold"),
        ink.text(MARGIN, 76, counts, size=14, colour=FAINT),
    ]
    errors = sum(finding.level == "error" for finding in report.findings)
    if errors:
        said = f"{count(errors, 'error')}: see cavecast wall check"
        lines.append(ink.text(PAPER_PX - MARGIN, 50, said, size=14, colour="#b3261e", anchor="end"))
    return lines


def _colour(wall: Wall, screen: Screen) -> str:
    order = list(dict.fromkeys(tile.node for tile in wall.tiles))
    nodes = [tile.node for tile in wall.tiles if tile.screen == screen.name]
    return COLOURS[order.index(nodes[0]) % len(COLOURS)] if nodes else "#ffffff"


def _bounds(points: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    array = np.array(points or [(-500.0, -500.0), (500.0, 500.0)])
    low, high = array.min(axis=0), array.max(axis=0)
    room = max(float((high - low).max()) * 0.07, 1.0)
    return (float(low[0] - room), float(low[1] - room)), (float(high[0] + room), float(high[1] + room))


def _around(screen: Screen) -> list[tuple[float, float, float]]:
    return [screen.lower_left, screen.lower_right, screen.upper_right, screen.upper_left]


def _plan_box(wall: Wall, x: float, y: float, width: float) -> Box:
    hx, _, hz = wall.head.position
    points = [(p[0], -p[2]) for screen in wall.screens for p in _around(screen)] + [(hx, -hz)]
    points.append((hx, -hz - 0.06 * float(np.ptp(np.array(points), axis=0).max())))  # room for the arrow
    low, high = _bounds(points)
    ratio = (high[1] - low[1]) / (high[0] - low[0])
    return Box(x, y, width, float(np.clip(width * ratio, 300, 640)), low, high)


def _front_screens(wall: Wall) -> list[Screen]:
    """What is seen looking forward: on closed walls the half before the head."""
    if is_flat(wall):
        return list(wall.screens)
    hz = wall.head.position[2]
    return [screen for screen in wall.screens if middle(screen)[2] <= hz + 1e-6]


def _front_box(wall: Wall, x: float, y: float, width: float, height: float) -> Box:
    hx, hy, _ = wall.head.position
    points = [(p[0], p[1]) for screen in _front_screens(wall) for p in _around(screen)] + [(hx, hy)]
    return Box(x, y, width, height, *_bounds(points))


def _net_box(wall: Wall, x: float, y: float, width: float) -> Box:
    points = [
        (laid.x + sx * laid.width / 2, laid.y + sy * laid.height / 2)
        for laid in unrolled(wall)
        for sx, sy in ((-1, -1), (1, 1))
    ]
    array = np.array(points)
    low, high = array.min(axis=0) - 30.0, array.max(axis=0) + 30.0
    ratio = float((high[1] - low[1]) / (high[0] - low[0]))
    tall = min(width * ratio, 760.0)
    return Box(x, y, width, tall, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def _plan(wall: Wall, box: Box) -> list[str]:
    found = [*_title(box, "From above"), *_grid(box)]
    for screen in sorted(wall.screens, key=lambda s: float(middle(s)[1])):
        corners = [box.at(p[0], -p[2]) for p in _around(screen)]
        if abs(screen.axes[2][1]) < 0.05:  # edge on: as thick as a pen
            (x1, y1), (x2, y2) = (
                corners[0],
                max(corners, key=lambda p: hypot(p[0] - corners[0][0], p[1] - corners[0][1])),
            )
            found += [ink.line(x1, y1, x2, y2, INK, 6.5), ink.line(x1, y1, x2, y2, _colour(wall, screen), 4.5)]
        else:
            fill, opacity = (
                (_colour(wall, screen), 0.18) if lies_flat(screen) else (ink.pastel(_colour(wall, screen)), 1.0)
            )
            found.append(ink.polygon(corners, fill, opacity))
    for number, column in enumerate(columns(wall), 1):
        centre = np.mean([middle(screen) for screen in column.screens], axis=0)
        out = np.mean([screen.axes[2] for screen in column.screens], axis=0)
        lean = max(abs(float((p - centre) @ out)) for s in column.screens for p in np.array(_around(s)))
        away = centre - out * (lean + 13 / box.scale)
        x, y = box.at(float(away[0]), -float(away[2]))
        found.append(ink.text(x, y + 4, str(number), size=12, colour=FAINT, anchor="middle"))
    hx, _, hz = wall.head.position
    forward = rotation(wall.head.turn) @ np.array([0.0, 0.0, -1.0])
    found += ink.head(*box.at(hx, -hz), float(np.degrees(np.arctan2(forward[0], -forward[2]))))
    found += ink.axes(*box.at(hx, -hz), ("x right", (1, 0)), ("z back", (0, 1)))
    return [*found, *ink.scale_bar(box)]


def _front(wall: Wall, box: Box) -> list[str]:
    half = _front_screens(wall)
    said = "From the front" if len(half) == len(wall.screens) else "From the front, what is before the head"
    found = [*_title(box, said), *_grid(box)]
    for screen in sorted(half, key=lambda s: float(middle(s)[2])):
        corners = [box.at(p[0], p[1]) for p in _around(screen)]
        flat = abs(screen.axes[2][2]) < 0.2
        # What is nearer hides what is behind it; mixed, the colours would tell of nodes that are not there.
        fill, opacity = (_colour(wall, screen), 0.3) if flat else (ink.pastel(_colour(wall, screen)), 1.0)
        found.append(ink.polygon(corners, fill, opacity))
        if not flat and is_flat(wall):
            found += _label(wall, screen, *box.at(*middle(screen)[:2].tolist()), extent(screen)[0] * box.scale)
    hx, hy, _ = wall.head.position
    found += ink.head(*box.at(hx, hy), None)
    found += ink.axes(*box.at(hx, hy), ("x right", (1, 0)), ("y up", (0, -1)))
    return [*found, *ink.scale_bar(box)]


def _net(wall: Wall, box: Box) -> list[str]:
    found = _title(box, "Unrolled, every screen at its true size; columns are numbered as in the plan", lift=24)
    laid_screens = unrolled(wall)
    for laid in laid_screens:
        x, y = box.at(laid.x - laid.width / 2, laid.y + laid.height / 2)
        wide, high = laid.width * box.scale, laid.height * box.scale
        found.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="2" '
            f'fill="{_colour(wall, laid.screen)}" fill-opacity="0.75" stroke="{INK}" stroke-width="0.8"/>'
        )
        found += _label(wall, laid.screen, x + wide / 2, y + high / 2, wide)
    where = {laid.screen.name: laid for laid in laid_screens}
    top = max(laid.y + laid.height / 2 for laid in laid_screens)
    for number, column in enumerate(columns(wall), 1):
        x, y = box.at(where[column.screens[0].name].x, top)
        # A minus as wide as the plus, and a zero without either.
        heading = f"{column.heading:+.0f}".replace("-", "−") if round(column.heading) else "0"
        found.append(ink.text(x, y - 7, f"{number} · {heading}°", size=11, colour=FAINT, anchor="middle"))
    return [*found, *ink.scale_bar(box)]


def _label(wall: Wall, screen: Screen, x: float, y: float, width: float) -> list[str]:
    """The names of a screen's tiles, as large as they fit; eyes are said once."""
    tiles = [tile for tile in wall.tiles if tile.screen == screen.name]
    names = [screen.name] if not tiles or any(t.name == screen.name for t in tiles) else [t.name for t in tiles]
    marks = " ".join(mark for tile in tiles if (mark := SHORT[tile.stereo]))
    lines = [*names, marks] if marks and len(names) == 1 else names
    size = min(15.0, *(width * 0.92 / (0.62 * max(len(line), 1)) for line in lines))
    if size < 4.5:
        return []
    start = y - (len(lines) - 1) * size * 0.62 + size * 0.36
    return [ink.text(x, start + i * size * 1.25, line, size=size, anchor="middle") for i, line in enumerate(lines)]


def _title(box: Box, text: str, lift: float = 10) -> list[str]:
    return [ink.text(box.x, box.y - lift, text, size=14, weight="bold")]


def _grid(box: Box) -> list[str]:
    """A line for each metre (or as many as fit), so that lengths can be read without a ruler."""
    step = ink.nice(70 / box.scale)
    frame = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
    found = [f'<rect {frame} fill="#fafbfc" stroke="{LINE}"/>']
    left = (box.low[0] + box.high[0]) / 2 - box.width / 2 / box.scale
    right = left + box.width / box.scale
    bottom = (box.low[1] + box.high[1]) / 2 - box.height / 2 / box.scale
    top = bottom + box.height / box.scale
    for k in range(int(np.ceil(left / step)), int(np.floor(right / step)) + 1):
        x = box.at(k * step, 0)[0]
        found.append(ink.line(x, box.y, x, box.y + box.height, LINE, 1.6 if k == 0 else 0.7))
    for k in range(int(np.ceil(bottom / step)), int(np.floor(top / step)) + 1):
        y = box.at(0, k * step)[1]
        found.append(ink.line(box.x, y, box.x + box.width, y, LINE, 1.6 if k == 0 else 0.7))
    return found
