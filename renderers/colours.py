"""Perceptually uniform colour maps for fields, by name: those of cmocean, colorcet and crameri.

They come from the package ``cmap``, which holds all of them as tables and needs nothing but NumPy; cmocean's
own package would load matplotlib, which takes longer than the first picture.
"""

from __future__ import annotations

from difflib import get_close_matches

import cmap
import numpy as np
from numpy.typing import NDArray

OFFERED = {
    "ice": "cmocean:ice",
    "rain": "cmocean:rain",
    "dense": "cmocean:dense",
    "deep": "cmocean:deep",
    "thermal": "cmocean:thermal",
    "haline": "cmocean:haline",
    "tempo": "cmocean:tempo",
    "amp": "cmocean:amp",
    "balance": "cmocean:balance",
    "grey": "colorcet:CET_L1",
    "fire": "colorcet:CET_L3",
    "bmw": "colorcet:CET_L8",
    "blues": "colorcet:CET_L12",
    "batlow": "crameri:batlow",
    "lapaz": "crameri:lapaz",
    "viridis": "bids:viridis",
    "cividis": "cividis",
}
"""Short names of what is offered, and cmap's."""


class NoSuchColours(ValueError):
    """There is no colour map of that name; the message says which there are."""


def colour_table(name: str) -> NDArray[np.uint8]:
    """256 colours, (256, 3) RGB, from the low end to the high one.  Raises NoSuchColours."""
    if name not in OFFERED:
        near = get_close_matches(name, OFFERED, 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(OFFERED))}"
        raise NoSuchColours(f"no colour map is called {name!r}: {meant}")
    table = np.asarray(cmap.Colormap(OFFERED[name]).lut(256))[:, :3]
    return np.round(255 * table).astype(np.uint8)


def opacities(points: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """256 opacities, (256,) in 0…1, of a transfer function's points (share of the range, opacity); none: a ramp."""
    if not points:
        return np.linspace(0, 1, 256)
    shares, values = zip(*sorted(points), strict=True)
    curve: NDArray[np.float64] = np.clip(np.interp(np.linspace(0, 1, 256), shares, values), 0, 1)
    return curve
