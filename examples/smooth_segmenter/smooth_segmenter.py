"""A segmenter of one's own: objects of the smoothed field."""

from typing import Annotated

import msgspec
import numpy as np
from scipy import ndimage

from inference_workers.segmenter import Block, Labelling


class Smooth:
    """Labels what is at or above a threshold once each voxel is the mean of the 3×3×3 voxels around it."""

    class Parameters(msgspec.Struct, frozen=True):
        threshold: Annotated[float, msgspec.Meta(description="in the field's units")]

    halo = (1, 1, 1)  # voxels wanted around the block; what is seen there is the same for all neighbours

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    def segment(self, block: Block) -> Labelling:
        smooth = ndimage.uniform_filter(np.nan_to_num(block.field), 3, mode="nearest")
        above = smooth[block.inner.slices] >= self.parameters.threshold
        labels, _ = ndimage.label(above, structure=np.ones((3, 3, 3)))
        return Labelling(labels.astype(np.uint32))
