"""Where words stand in the picture: beside the box's edges and in the corner, readable and never over each other.

All positions are pixels from the lower left corner.  A word's size is estimated from its letters, a little
too large rather than too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vec = tuple[float, float, float]
LETTER = 0.56
"""Mean width of a letter, in font sizes."""
LINE = 1.25
"""Height of a line, in font sizes."""


class Rect(NamedTuple):
    """A box of pixels."""

    left: float
    bottom: float
    width: float
    height: float

    def meets(self, other: Rect, gap: float = 0.0) -> bool:
        """Whether the two come nearer than ``gap``."""
        return (
            self.left < other.left + other.width + gap
            and other.left < self.left + self.width + gap
            and self.bottom < other.bottom + other.height + gap
            and other.bottom < self.bottom + self.height + gap
        )

    def inside(self, width: float, height: float) -> bool:
        """Whether it lies wholly in a picture of this size."""
        right, top = self.left + self.width, self.bottom + self.height
        return self.left >= 0 and self.bottom >= 0 and right <= width and top <= height


class Word(NamedTuple):
    """A text and where it stands; ``middle`` is the centre of its box."""

    text: str
    size: int
    box: Rect

    @property
    def middle(self) -> tuple[float, float]:
        """The centre in pixels."""
        return self.box.left + self.box.width / 2, self.box.bottom + self.box.height / 2


def font_size(width: int, height: int, ratio: float = 1.0) -> int:
    """The size of ordinary text in pixels for a picture: 13 on a small one, 18 on a full-HD one.

    ``ratio`` is the number of pixels that look like one: words keep their size on a screen with finer pixels.
    """
    size = 0.0125 * (0.6 * height + 0.4 * width) / ratio + 3.0
    return round(ratio * min(30, max(12, round(size))))


def box_of(text: str, size: int) -> tuple[float, float]:
    """Width and height that a text takes, in pixels."""
    lines = text.split("\n")
    return LETTER * size * max(len(line) for line in lines), LINE * size * len(lines)


class Edge(NamedTuple):
    """An edge of the box on the screen, with the marks along it, in pixels."""

    title: str
    marks: Sequence[tuple[float, float, str]]
    ends: tuple[tuple[float, float], tuple[float, float]]


def place(
    edges: Iterable[Edge], centre: tuple[float, float], size: int, picture: tuple[int, int], taken: Iterable[Rect] = ()
) -> list[Word]:
    """Words along the box's edges, on the side away from its ``centre``; what would meet another word is left out.

    Of an edge every mark is named, or every second or fourth, as there is room.  ``taken`` is not written over.
    """
    busy = list(taken)
    words: list[Word] = []
    edges = list(edges)
    for edge in edges:
        (ax, ay), (bx, by) = edge.ends
        if hypot(bx - ax, by - ay) < 3 * size:
            continue
        out = _away(edge.ends, centre)
        placed: list[Word] = []
        for level in _ends_first(edge.marks):
            before = len(busy)
            tried = [_beside(text, size, (x, y), out, 0.55 * size) for x, y, text in level]
            finer = [word for word in tried if _room(word, picture, busy)]
            # A row in which every second mark is missing here and none there reads as if the axis were bent.
            row = [*placed, *finer]
            if placed and any(_crowded(word, row, size) for word in tried):
                del busy[before:]
                break
            placed.extend(finer)
        words.extend(placed)
        reach = max((_reach(word, out) for word in placed), default=0.0)
        at = ((ax + bx) / 2, (ay + by) / 2)
        for further in (0.9, 1.8, 2.7):
            title = _put(edge.title, size, at, out, 0.55 * size + reach + further * size, picture, busy)
            if title is not None:
                words.append(title)
                break
    return words


def _ends_first(marks: Sequence[tuple[float, float, str]]) -> list[list[tuple[float, float, str]]]:
    """Every fourth, every second, and the rest: what is dropped leaves an even row."""
    found, seen = [], set[int]()
    for step in (4, 2, 1):
        level = [i for i in range(0, len(marks), step) if i not in seen]
        seen.update(level)
        found.append([marks[i] for i in level])
    return found


def _away(ends: tuple[tuple[float, float], tuple[float, float]], centre: tuple[float, float]) -> tuple[float, float]:
    """The unit vector across an edge that leads away from the centre."""
    (ax, ay), (bx, by) = ends
    length = max(hypot(bx - ax, by - ay), 1e-9)
    across = ((by - ay) / length, (ax - bx) / length)
    to_edge = ((ax + bx) / 2 - centre[0], (ay + by) / 2 - centre[1])
    sign = 1.0 if across[0] * to_edge[0] + across[1] * to_edge[1] >= 0 else -1.0
    return across[0] * sign, across[1] * sign


def _reach(word: Word, out: tuple[float, float]) -> float:
    return abs(out[0]) * word.box.width + abs(out[1]) * word.box.height


def _beside(text: str, size: int, at: tuple[float, float], out: tuple[float, float], gap: float) -> Word:
    """A word beside a place."""
    width, height = box_of(text, size)
    push = gap + (abs(out[0]) * width + abs(out[1]) * height) / 2
    return Word(text, size, Rect(at[0] + out[0] * push - width / 2, at[1] + out[1] * push - height / 2, width, height))


def _room(word: Word, picture: tuple[int, int], busy: list[Rect]) -> bool:
    """Whether a word meets no other and stays in the picture; then its place is taken."""
    if not word.box.inside(*picture) or any(word.box.meets(other, 0.25 * word.size) for other in busy):
        return False
    busy.append(word.box)
    return True


def _crowded(word: Word, others: Iterable[Word], size: int) -> bool:
    """Whether a word does not fit beside its own row's."""
    return any(word.box != other.box and word.box.meets(other.box, 0.25 * size) for other in others)


def _put(
    text: str,
    size: int,
    at: tuple[float, float],
    out: tuple[float, float],
    gap: float,
    picture: tuple[int, int],
    busy: list[Rect],
) -> Word | None:
    """A word beside a place, or None where it would meet another or leave the picture."""
    word = _beside(text, size, at, out, gap)
    return word if _room(word, picture, busy) else None


def project(points: NDArray[np.float64], matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Pixels (n, 2) of room points (n, 3) under a 4×4 matrix to clip space; NaN behind the eye."""
    clip = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    w = np.where(clip[:, 3:] > 1e-6, clip[:, 3:], np.nan)
    return (clip[:, :2] / w + 1) / 2 * (width, height)


def facing_edges(position: Vec) -> tuple[float, float]:
    """The sides of the box (signs along x and y) that look at the eye."""
    return (1.0 if position[0] >= 0 else -1.0), (1.0 if position[1] >= 0 else -1.0)
