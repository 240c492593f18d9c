"""Pen and paper for drawings to scale: lines, words, arrows and scale bars, as pieces of SVG.  Pure."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import numpy as np

INK, FAINT, LINE = "#1d2733", "#6b7785", "#dfe4ea"


class Box(NamedTuple):
    """A drawing's place on the paper (px) and what it shows (mm, y up)."""

    x: float
    y: float
    width: float
    height: float
    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def scale(self) -> float:
        """px for one mm."""
        across, up = self.high[0] - self.low[0], self.high[1] - self.low[1]
        return min(self.width / max(across, 1e-9), self.height / max(up, 1e-9))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies on the paper; the drawing is centred in its box."""
        centre = ((self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2)
        return (
            self.x + self.width / 2 + (x - centre[0]) * self.scale,
            self.y + self.height / 2 - (y - centre[1]) * self.scale,
        )


def nice(length: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ mm above a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= length))


def pastel(colour: str) -> str:
    """A colour of a drawing (#rrggbb), a quarter of it paper, so that ink can be read on it."""
    return "#" + "".join(f"{round(0.75 * int(colour[i : i + 2], 16) + 0.25 * 255):02x}" for i in (1, 3, 5))


def scale_bar(box: Box) -> list[str]:
    """A length that is easily said, below a drawing."""
    length = nice(90 / box.scale)
    x, y = box.x, box.y + box.height + 22
    end = x + length * box.scale
    said = f"{length / 1000:g} m" if length >= 100 else f"{length:g} mm"
    return [
        line(x, y, end, y, INK, 2.5),
        line(x, y - 5, x, y + 5, INK, 1.5),
        line(end, y - 5, end, y + 5, INK, 1.5),
        text(end + 9, y + 5, f"{said}   (1 : {1 / (box.scale * 0.2645833):.0f} at 96 dots per inch)", size=12),
    ]


def head(x: float, y: float, heading: float | None) -> list[str]:
    """A head: from above with its nose in the direction that it looks, from the front with two eyes."""
    skull = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="#ffffff" stroke="{INK}" stroke-width="1.6"/>'
    if heading is None:
        eyes = "".join(f'<circle cx="{x + side:.1f}" cy="{y - 1:.1f}" r="1.6"/>' for side in (-3.2, 3.2))
        return [skull, eyes]
    nose = f'<path d="M-4 -8 L0 -15 L4 -8 Z" transform="translate({x:.1f} {y:.1f}) rotate({heading:.1f})"/>'
    return [nose, skull]


def axes(x: float, y: float, *arrows: tuple[str, tuple[int, int]]) -> list[str]:
    """Two arrows from a point: what each is called, and where it points on the paper."""
    found = []
    for (name, (dx, dy)), colour in zip(arrows, ("#c0392b", "#2058a8"), strict=True):
        ex, ey = x + dx * 42, y + dy * 42
        found.append(line(x + dx * 11, y + dy * 11, ex, ey, colour, 1.8))
        wings = f"M{ex - 6 * dx - 3.5 * dy:.1f} {ey - 6 * dy - 3.5 * dx:.1f} L{ex:.1f} {ey:.1f} "
        wings += f"L{ex - 6 * dx + 3.5 * dy:.1f} {ey - 6 * dy + 3.5 * dx:.1f}"
        found.append(f'<path d="{wings}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        found.append(text(ex + 5 * dx + 5 * abs(dy), ey + 4 + 6 * dy, name, size=11, colour=colour))
    return found


def polygon(points: list[tuple[float, float]], fill: str, opacity: float) -> str:
    """A screen's outline."""
    said = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polygon points="{said}" fill="{fill}" fill-opacity="{opacity}" stroke="{INK}" stroke-width="0.9" '
        'stroke-linejoin="round"/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    """From one place to another."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def text(
    x: float, y: float, words: str, size: float, colour: str = INK, weight: str = "normal", anchor: str = "start"
) -> str:
    """Words; coloured ones with a halo, so that they can be read on anything."""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" text-anchor="{anchor}"'
    halo = "" if colour == INK else ' stroke="#ffffff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
    return f'<text {place} font-weight="{weight}" fill="{colour}"{halo}>{escape(words)}</text>'
