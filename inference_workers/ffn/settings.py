"""What steers a flood fill, apart from the network: fields of view, steps, thresholds, seeds.

Triples are (z, y, x).  Thresholds are probabilities here and become logits once, in the canvas.  The
defaults are those of the published configuration (Januszewski et al. 2018), in which the disconnection
bias is on as soon as one voxel of a prediction is likely.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamer.wire.grid import Triple, triple

Probability = Annotated[float, Meta(gt=0, lt=1)]
Count = Annotated[int, Meta(ge=0)]
Policy = Literal["maxima", "peaks", "grid", "list"]


def plainly(why: Exception, known: Iterable[str]) -> str:
    """What a record complains of, with the option's name in the place of where in the record it is."""
    said = str(why)
    unknown = re.match(r"Object contains unknown field `(.+?)`", said)
    if unknown:
        return f"--set {unknown[1]}: there is no such setting of the flood fill; there are {', '.join(sorted(known))}"
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", said)
    return f"--{found[2].replace('_', '-')}: {found[1][0].lower()}{found[1][1:]}" if found and found[2] else said


def logit(probability: float) -> float:
    """ln(p / (1 − p)), for 0 < p < 1."""
    return math.log(probability / (1 - probability))


class FloodFillSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one canvas is filled."""

    fov: Triple
    """What the network sees and predicts at a time; odd on each axis."""
    deltas: Triple
    """How far the field of view moves along each axis; 0 never moves along it."""
    pad: Probability = 0.05
    """What a voxel is taken for that no prediction has reached."""
    init: Probability = 0.95
    """What the seed's voxel is set to."""
    move: Probability = 0.9
    """What a voxel must reach for the field of view to go there."""
    segment: Probability = 0.6
    """What a voxel must reach to belong to the object in the end."""
    min_boundary_dist: Triple = (1, 1, 1)
    """Seeds so near to an object that is there already are rejected."""
    min_segment_size: Count = 1000
    """Objects of fewer voxels are rejected."""
    disconnection_bias: bool = True
    """Whether a voxel that was once unlikely can never become likelier, so that objects do not leak into others."""
    disconnection_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """The bias acts where more than this share of a prediction is likely enough to move to."""
    connected: bool = False
    """Whether objects are, in the end, what is connected (26 neighbours): parts of one that do not touch are objects of
    their own, and objects that touch are one."""

    def __post_init__(self) -> None:
        """Raises ValueError, naming what does not fit."""
        for name, at_least in (("fov", 1), ("deltas", 0), ("min_boundary_dist", 0)):
            sides = getattr(self, name)
            if len(sides) != 3 or any(side != int(side) or side < at_least for side in sides):
                raise ValueError(f"{name} is three whole numbers (z, y, x) of {at_least} or more, not {sides}")
        if any(side % 2 == 0 for side in self.fov):
            raise ValueError(f"fov is odd along each axis, so that it has a centre; {self.fov} is not")
        if any(delta > side // 2 for delta, side in zip(self.deltas, self.fov, strict=True)):
            raise ValueError(f"deltas {self.deltas} go beyond the field of view {self.fov}: half of it is the most")
        for name in ("pad", "init", "move", "segment"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} is a probability between 0 and 1, not {getattr(self, name)}")
        if self.init < self.move:
            raise ValueError(f"a seed of {self.init} is weaker than {self.move}, so nothing would ever move")
        if self.min_segment_size < 0:
            raise ValueError(f"min_segment_size is 0 or more, not {self.min_segment_size}")

    @property
    def margin(self) -> Triple:
        """How near to an edge the centre of a field of view can come."""
        return triple(tuple(side // 2 for side in self.fov))


class SeedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where objects are begun, and in which order."""

    policy: Policy = "maxima"
    """``maxima`` of the field, highest first; ``peaks`` of the distance to edges; ``grid``; or a ``list`` given."""
    threshold: float = 0.0
    """Maxima below it, in the field's units, are no seeds."""
    min_distance: Annotated[int, Meta(ge=1)] = 3
    """Of two maxima or peaks nearer than that along each axis, the higher is a seed."""
    step: Annotated[int, Meta(ge=1)] = 16
    """Spacing of the grid."""
    inverted: bool = False
    """Whether the last comes first."""
