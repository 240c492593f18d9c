"""A network that needs no weights: it fills what is connected above a threshold, as far as it sees.

What a flood fill makes of it can be said without one: the connected components of the image ≥ 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Patch = NDArray[np.float32]
SURE = 4.0


class GrowingNetwork:
    """Logits are near ``SURE`` where the image is ≥ 0 and connected, as far as is seen, to where the seed is likely."""

    def __init__(self, leap: int = 0) -> None:
        """``leap``: over so many voxels along y that are not of it an object goes on."""
        self.batches: list[int] = []
        self._across = (1, 2 * (leap // 2) + 1, 1)

    def predict(self, image: Patch, seed: Patch) -> Patch:
        """Images and seeds (batch, z, y, x) → logits."""
        self.batches.append(len(image))
        return np.stack([self._one(*pair) for pair in zip(image, seed, strict=True)])

    def _one(self, image: Patch, seed: Patch) -> Patch:
        body = image >= 0
        parts, _ = ndimage.label(ndimage.maximum_filter(body, self._across), np.ones((3, 3, 3)))
        parts = np.where(body, parts, 0)
        reached = np.unique(parts[(seed >= 1) & (parts > 0)])
        # Like real networks it is surer of what it sees around, so that it moves straight on.
        places = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in image.shape)]
        far = np.sqrt(sum((place / n) ** 2 for place, n in zip(places, image.shape, strict=True)))
        return np.where(np.isin(parts, reached) & (parts > 0), SURE - far, -SURE).astype(np.float32)


def blobs(shape: tuple[int, int, int], seed: int = 3, sigma: float = 2.5, wraps: bool = True) -> NDArray[np.float32]:
    """A smooth field of mean 0 and deviation 1, periodic along x if ``wraps``."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    field = ndimage.gaussian_filter(noise, sigma, mode=("nearest", "nearest", "wrap" if wraps else "nearest"))
    return np.asarray(field / field.std(), np.float32)
