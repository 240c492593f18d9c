"""The segmenter ``connect``: an object is what is connected above a threshold.

Voxels belong if the field is ≥ the threshold (NaN never is); neighbours that belong are one object.
This is how atmospheric rivers are cut from water-vapour transport in the literature, with thresholds
from 250 to 750 kg m-1 s-1 and 6 or 26 neighbours (Sellars et al. 2015, 2017).  A periodic axis needs
nothing here: the block's pad reaches across its seam, and the streamer joins what meets there.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import cc3d
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from inference_workers.segmenter import Block, Labelling
from streamer.wire.grid import Triple


class Connectivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``connect`` takes."""

    threshold: Annotated[float, Meta(description="the least value of the field that belongs to an object")]
    connectivity: Annotated[
        Literal[6, 18, 26], Meta(description="how many neighbours a voxel has: by faces, also edges, also corners")
    ] = 26

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold is a finite number, not {self.threshold}")


class Connect:
    """Connected components of ``field ≥ threshold``."""

    Parameters: ClassVar[type[msgspec.Struct]] = Connectivity
    halo: Triple = (0, 0, 0)

    def __init__(self, parameters: Connectivity) -> None:
        self.parameters = parameters

    def segment(self, block: Block) -> Labelling:
        """Labels core and pad.  The threshold is compared in the field's own precision, as xarray would."""
        field = block.inner_field
        with np.errstate(over="ignore"):  # a threshold beyond the precision's range: nothing is above it
            belongs = np.greater_equal(field, self.parameters.threshold)
        return Labelling(components(np.asarray(belongs), self.parameters.connectivity))


def components(belongs: NDArray[np.bool_], connectivity: int) -> NDArray[np.uint32]:
    """Connected components of a mask (z, y, x): labels 1…n, 0 elsewhere."""
    if np.count_nonzero(belongs) * 8 < belongs.size:
        return _label(belongs, connectivity)
    # Where every second voxel of a thin block stands alone (such as 1 0 1), cc3d 4.1 reserves room for one
    # label too few and raises.  That takes more than an eighth of the voxels; a margin of background cures it.
    return _label(np.pad(belongs, ((0, 1), (0, 1), (0, 1))), connectivity)[:-1, :-1, :-1]


def _label(belongs: NDArray[np.bool_], connectivity: int) -> NDArray[np.uint32]:
    found = cc3d.connected_components(belongs, connectivity=connectivity, out_dtype=np.uint32, binary_image=True)
    return np.asarray(found, np.uint32)
