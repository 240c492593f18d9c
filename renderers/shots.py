"""How a picture or a film that is taken away is made: in steps, each a picture small enough to hold nobody up.  Pure.

A large picture is drawn tile by tile, each several times, shifted by parts of a pixel; a film picture by picture.
Title, time, and what the picture was made of stand in a panel at its foot.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, pi
from typing import NamedTuple

from renderers.layout import LETTER, Rect, font_size
from renderers.legend import Facts, Legend, Line, cut
from streamer.wire.taking import Wish
from streamer.wire.view import Camera
from streamer.wire.viewing import View
from streamer.wire.volume import RunSpec

TILE = 1280, 800
"""No more is drawn at a time."""
RATE = 25
"""Pictures a second of a film."""
MOST_LINES = 3
_LONGEST_ADDRESS = 80


class Tile(NamedTuple):
    """A part of a picture, in pixels from its lower left corner, and the whole."""

    left: int
    bottom: int
    width: int
    height: int
    whole: tuple[int, int]


def strips(width: int, height: int) -> list[list[Tile]]:
    """The tiles of a picture: strips from the top to the bottom, each from the left to the right."""
    across, down = ceil(width / TILE[0]), ceil(height / TILE[1])
    columns = [(width * i // across, width * (i + 1) // across) for i in range(across)]
    rows = [(height * i // down, height * (i + 1) // down) for i in range(down)]
    return [
        [Tile(left, height - under, right - left, under - over, (width, height)) for left, right in columns]
        for over, under in rows
    ]


def even(size: tuple[int, int]) -> tuple[int, int]:
    """The size of a film: colour is coded for two by two pixels."""
    return size[0] - size[0] % 2, size[1] - size[1] % 2


def pictures(wish: Wish, steps: int) -> list[tuple[Camera, View]]:
    """From where and what each picture of a film shows; ``steps`` of the time axis."""
    count, eye, view = round(wish.seconds * RATE), wish.eye, wish.view
    if wish.kind == "turn":
        return [(eye._replace(azimuth=eye.azimuth + 2 * pi * i / count), view) for i in range(count)]
    first, last = 0, steps - 1
    if view.window is not None:
        low, high = (min(last, max(0, round(end))) for end in view.window)
        first, last = min(low, high), max(low, high)
    span = last - first + 1
    return [(eye, _at(view, first + min(span - 1, i * span // count))) for i in range(count)]


def _at(view: View, step: int) -> View:
    return View(**{**{name: getattr(view, name) for name in view.__struct_fields__}, "time": float(step)})


class Provenance(NamedTuple):
    """What a picture was made of, and by what."""

    spec: RunSpec
    version: str
    """Of CaveCast."""
    date: str


def words(facts: Facts, made: Provenance, position: int) -> tuple[str, tuple[str, ...]]:
    """What stands at the foot of a picture: its title with the time, and where it comes from, in parts."""
    spec = made.spec
    address = spec.source.address.split("?")[0].rsplit("@")[-1]
    address = address if len(address) <= _LONGEST_ADDRESS else "…" + address[1 - _LONGEST_ADDRESS :]
    parameters = ", ".join(f"{name} {value}" for name, value in sorted(spec.parameters.items()))
    segmenter = f"{spec.segmenter} ({parameters})" if parameters else spec.segmenter
    parts = (
        f"run {spec.run_id}", f"{address} [{spec.source.variable}]", segmenter, f"log position {position}",
        made.date, f"CaveCast {made.version}",
    )  # fmt: skip
    return " · ".join(filter(None, (facts.title, facts.moment))), parts


def foot(head: str, parts: Sequence[str], width: int, height: int, ratio: float) -> Legend:
    """The panel at the foot of a picture."""
    size = font_size(width, height, ratio)
    margin, inset, step = 0.6 * size, 0.65 * size, 1.35 * size
    letters = max(8, int((width - 2 * (margin + inset)) / (LETTER * size)))
    rows: list[str] = []
    for part in parts:
        if rows and (len(rows) == MOST_LINES or len(rows[-1]) + 3 + len(part) <= letters):
            rows[-1] += f" · {part}"
        else:
            rows.append(part)
    lines = [cut(text, letters) for text in (head, *rows)]
    panel = Rect(margin, margin, width - 2 * margin, step * len(lines) + 1.3 * inset)
    top = panel.bottom + panel.height - 0.65 * inset - step / 2
    return Legend(
        size, panel, tuple(Line(text, margin + inset, top - i * step, i == 0) for i, text in enumerate(lines)), ()
    )
