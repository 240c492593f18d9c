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
    letters = max(8, int((min(width - 2 * (margin + inset), max(0.36 * width, 330 * ratio))) / (LETTER * size)))
    largest = facts.largest[: rows_for(height, size)] if roomy else ()
    rows = [row(object_id, voxels) for object_id, voxels in largest]
    titles = wrap(facts.title, letters, 2)
    heads = [*titles, said(facts)] if roomy or not titles else titles
    longest = max([len(head) for head in heads] + [len(text) + 3 for text in rows])
    panel_width = min(width - 2 * margin, LETTER * size * min(longest, letters) * 1.06 + 2 * inset)
    panel_height = step * (len(heads) + len(rows)) + (0.35 * size if rows else 0) + 2 * inset * 0.8
    top = height - margin
    panel = Rect(margin, top - panel_height, panel_width, panel_height)
    left, y = margin + inset, top - 0.8 * inset - step / 2
    lines, swatches = [], []
    for i, head in enumerate(heads):
        lines.append(Line(cut(head, letters), left, y, i < len(titles)))
        y -= step
    y -= 0.35 * size
    for text, (object_id, _) in zip(rows, largest, strict=True):
        side = 0.72 * size
        swatches.append(Swatch(Rect(left, y - side / 2, side, side), object_colour(object_id)))
        lines.append(Line(cut(text, letters - 3), left + 1.35 * size, y, False))
        y -= step
    return Legend(size, panel, tuple(lines), tuple(swatches))


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
    return f"#{object_id}  {grouped(voxels)} voxels"


def grouped(n: int) -> str:
    """A number with commas between thousands."""
    return f"{n:,}"


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
