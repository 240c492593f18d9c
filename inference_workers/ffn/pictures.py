"""Planes of labels as small pictures: objects in colours that hold on both sides, and errors.  Pure.

Colours are told apart by people with any colour vision: errors by orange and blue (Okabe and Ito 2008) on
grey, objects by Paul Tol's "muted" scheme.  A picture is a PNG with a palette, as a data address, so that a
page needs nothing but itself.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.integer[Any]]
BOTH, MISSED, FALSE = "#8593a6", "#d55e00", "#0072b2"
ELSEWHERE = "#e69f00"
"""Of a true object: predicted, but as another object."""
OTHERS, ASIDE = "#c3ccd8", "#e7e3da"
MUTED = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499")
UNMATCHED = "#8593a6"


class Picture(NamedTuple):
    """A plane, drawn: what a page shows."""

    address: str
    """``data:image/png;base64,…``"""
    width: int
    height: int
    alt: str


def png(colours: NDArray[np.uint8], palette: Sequence[str]) -> bytes:
    """A picture of palette indices (row from the top, column); colour 0 is transparent.  PNG, W3C 2003."""
    height, width = colours.shape
    table = b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in palette)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), colours], axis=1)  # filter 0 before each row
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", table),
        (b"tRNS", b"\0"),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def picture(colours: NDArray[np.uint8], palette: Sequence[str], alt: str) -> Picture:
    """The same as a picture for a page."""
    raw = base64.b64encode(png(colours, palette)).decode()
    return Picture(f"data:image/png;base64,{raw}", colours.shape[1], colours.shape[0], alt)


def errors(pred: Plane, truth: Plane, alt: str) -> Picture:
    """Where both have an object, only the truth, or only the prediction; negative labels were not compared."""
    p, t = pred > 0, truth > 0
    colours = np.select([(pred < 0) | (truth < 0), p & t, t, p], [4, 1, 2, 3], 0).astype(np.uint8)
    return picture(colours, ("#ffffff", BOTH, MISSED, FALSE, ASIDE), alt)


def objects(labels: Plane, partners: Mapping[int, int] | None, alt: str) -> Picture:
    """Objects in colours by their ids; with ``partners`` by those of the objects that they are matched with, and grey
    where there is none."""
    names = np.unique(labels[labels > 0]).tolist()
    colour = {n: 1 + _spread(n if partners is None else partners[n]) if partners is None or n in partners else
              len(MUTED) + 1 for n in names}  # fmt: skip
    colours = np.zeros(labels.shape, np.uint8)
    if names:
        there = labels > 0
        table = np.array([colour[n] for n in names], np.uint8)
        colours[there] = table[np.searchsorted(names, labels[there])]
    colours[labels < 0] = len(MUTED) + 2
    return picture(colours, ("#ffffff", *MUTED, UNMATCHED, ASIDE), alt)


def portrait(pred: Plane, truth: Plane, true_id: int, pred_id: int, alt: str, margin: int = 4) -> Picture:
    """One object of the truth (or 0) and one of the prediction (or 0), cut out and compared; others are pale.

    x closes: the object is rolled to the middle first.
    """
    t, p = (truth == true_id) & (true_id > 0), (pred == pred_id) & (pred_id > 0)
    either = t | p
    columns = np.flatnonzero(either.any(axis=0))
    if len(columns):
        gaps = np.diff(np.append(columns, columns[0] + either.shape[1]))
        # The widest gap between its columns becomes the picture's border.
        start = int(columns[(int(gaps.argmax()) + 1) % len(columns)])
        shift = margin - start
        pred, truth, t, p, either = (np.roll(a, shift, axis=1) for a in (pred, truth, t, p, either))
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    box = tuple(
        slice(max(int(at[0]) - margin, 0), int(at[-1]) + margin + 1) if len(at) else slice(None)
        for at in (rows, columns)
    )
    others = (pred > 0) | (truth > 0)
    aside = (pred < 0) | (truth < 0)
    colours = np.select([t & p, t & (pred > 0), t, p, aside, others], [1, 6, 2, 3, 4, 5], 0).astype(np.uint8)[box]
    return picture(colours, ("#ffffff", BOTH, MISSED, FALSE, ASIDE, OTHERS, ELSEWHERE), alt)


def _spread(name: int) -> int:
    """Neighbouring numbers get colours that are far apart."""
    return (name * 7 + name // len(MUTED) * 2) % len(MUTED)
