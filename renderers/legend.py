"""The legend in the picture's corner: what is shown, how much of it has arrived, and the largest objects.

It takes what room a picture of a given size can spare: no more than a corner of a large one, fewer rows on a
low one, and on a narrow one, such as a telephone's, the title alone; the page beside it says the rest.
All positions are pixels from the lower left corner.
"""

from __future__ import annotations

from typing import NamedTuple

from renderers.layout import LETTER, LINE, Rect, font_size
from streamer.wire.colour import object_colour

NARROW = 800
"""Below this width, in pixels as the page counts them, the legend is the title alone."""
BUTTONS = 140
"""At the right of a narrow picture the page's buttons take so much, in pixels as it counts them."""


class Bar(NamedTuple):
    """What the field's colours mean."""

    title: str
    """What is measured, and its unit."""
    low: str
    high: str
    colours: tuple[tuple[int, int, int], ...]
    """From the low end to the high one."""


class Facts(NamedTuple):
    """What the legend says."""

    title: str
    arrived: int
    chunks: int
    objects: int
    state: str
    """``running``, ``complete`` … as the streamer calls it; empty while nothing is known."""
    largest: tuple[tuple[int, int], ...]
    """(object's id, voxels), the largest first."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """Of those objects; empty: each has its own."""
    moment: str = ""
    """When the shown step is, in words; empty if no step is shown by itself."""
    bar: Bar | None = None
    """What the field's colours mean; None if none are shown."""


class Line(NamedTuple):
    """One line of text."""

    text: str
    left: float
    middle: float
    bold: bool


class Swatch(NamedTuple):
    """A patch of an object's colour."""

    box: Rect
    colour: tuple[int, int, int]


class Legend(NamedTuple):
    """Everything in its place."""

    size: int
    panel: Rect
    lines: tuple[Line, ...]
    swatches: tuple[Swatch, ...]


def arrange(facts: Facts, width: int, height: int, ratio: float = 1.0) -> Legend:
    """The legend for a picture of this size, in its upper left corner; ``ratio`` as in ``font_size``."""
    size = font_size(width, height, ratio)
    roomy = width / ratio >= NARROW
    step, margin, inset = 1.35 * size, 0.6 * size, 0.65 * size
    beside = 0.0 if roomy else BUTTONS * ratio
    letters = max(
        8, int((min(width - 2 * (margin + inset) - beside, max(0.36 * width, 330 * ratio))) / (LETTER * size))
    )
    bar = facts.bar if roomy else None
    measured = wrap(bar.title, letters, 2) if bar else []
    count = rows_for(height, size) - (3 + len(measured) if bar else 0) - bool(facts.moment)
    largest = facts.largest[: max(2, count)] if roomy else ()
    rows = [row(object_id, voxels) for object_id, voxels in largest]
    titles = wrap(facts.title, letters, 2 if roomy else 3)
    heads = [*titles, said(facts)] if roomy or not titles else titles
    moment = [facts.moment] if facts.moment else []
    scale = [*measured, f"{bar.low} … {bar.high}"] if bar else []
    longest = max([len(text) for text in heads + moment + scale] + [len(text) + 3 for text in rows])
    panel_width = min(width - 2 * margin, LETTER * size * min(longest, letters) * 1.06 + 2 * inset)
    gap = 0.35 * size
    panel_height = step * (len(heads) + len(moment) + len(rows)) + 2 * inset * 0.8
    panel_height += gap * (bool(moment) + bool(rows)) + ((2 + len(measured)) * step + gap if bar else 0)
    top = height - margin
    panel = Rect(margin, top - panel_height, panel_width, panel_height)
    left, y = margin + inset, top - 0.8 * inset - step / 2
    lines, swatches = [], []
    for i, head in enumerate(heads):
        lines.append(Line(cut(head, letters), left, y, i < len(titles)))
        y -= step
    for text in moment:
        y -= gap
        lines.append(Line(cut(text, letters), left, y, True))
        y -= step
    if bar is not None:
        y -= gap
        wide = panel_width - 2 * inset
        side = wide / len(bar.colours)
        for text in measured:
            lines.append(Line(cut(text, letters), left, y, False))
            y -= step
        for i, colour in enumerate(bar.colours):
            swatches.append(Swatch(Rect(left + i * side, y - 0.36 * size, side, 0.72 * size), colour))
        y -= step
        lines.append(Line(bar.low, left, y, False))
        lines.append(Line(bar.high, left + wide - LETTER * size * len(bar.high), y, False))
        y -= step
    y -= gap
    colours = facts.colours or tuple(object_colour(object_id) for object_id, _ in largest)
    for text, colour in zip(rows, colours, strict=False):
        side = 0.72 * size
        swatches.append(Swatch(Rect(left, y - side / 2, side, side), colour))
        lines.append(Line(cut(text, letters - 3), left + 1.35 * size, y, False))
        y -= step
    return Legend(size, panel, tuple(lines), tuple(swatches))


NO_LEGEND = Legend(1, Rect(0.0, 0.0, 0.0, 0.0), (), ())


def moved_box(box: Rect, dx: float, dy: float) -> Rect:
    """The same elsewhere."""
    return box._replace(left=box.left + dx, bottom=box.bottom + dy)


def moved(legend: Legend, dx: float, dy: float) -> Legend:
    """The same elsewhere."""
    return Legend(
        legend.size,
        moved_box(legend.panel, dx, dy),
        tuple(line._replace(left=line.left + dx, middle=line.middle + dy) for line in legend.lines),
        tuple(swatch._replace(box=moved_box(swatch.box, dx, dy)) for swatch in legend.swatches),
    )


def rows_for(height: int, size: int) -> int:
    """How many objects a picture of this height has room for."""
    return max(2, min(8, int(0.27 * height / (LINE * size)) - 3))


def said(facts: Facts) -> str:
    """How far it is, in words."""
    objects = f"{grouped(facts.objects)} {'object' if facts.objects == 1 else 'objects'}"
    if facts.chunks == 0:
        return "waiting for the run"
    if facts.arrived >= facts.chunks:
        return f"{grouped(facts.chunks)} chunks, {objects}"
    words = f"{grouped(facts.arrived)} of {grouped(facts.chunks)} chunks, {objects}"
    return f"{words}, {facts.state}" if facts.state in ("cancelled", "waiting", "complete") else words


def row(object_id: int, voxels: int) -> str:
    """An object in the legend."""
    return f"{grouped(object_id)}:  {grouped(voxels)} voxels"


def grouped(n: int) -> str:
    """A number as the page beside the picture writes it: with spaces between thousands from five digits on."""
    return f"{n:,}".replace(",", " ") if n > 9999 else str(n)


def wrap(text: str, letters: int, most: int) -> list[str]:
    """Text in up to ``most`` lines of so many letters."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= letters:
            lines[-1] += " " + word
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], cut(" ".join(lines[most - 1 :]), letters)]
    return lines


def cut(text: str, letters: int) -> str:
    """Text of so many letters at most."""
    return text if len(text) <= letters else text[: max(1, letters - 1)].rstrip() + "…"
