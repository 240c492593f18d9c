"""The segmenter ``ffn``: a flood-filling network, chunk by chunk.

Every chunk is filled on a canvas of its own that reaches beyond its faces, from seeds whose order follows
from the field alone, so that a chunk's labels do not depend on who makes them, nor on what else is made at
the time.  Two chunks draw an object's outline a little differently where they meet; the streamer joins
what overlaps enough there, on as many layers as both have seen (``joins`` and ``compared``; docs/decisions/0011).

The network is loaded with the first chunk: whoever only asks which parameters there are never loads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
import structlog
from msgspec import Meta

from inference_workers.ffn.batching import fill_together
from inference_workers.ffn.canvas import Canvas, Filled, Predict
from inference_workers.ffn.chunks import canvases, halo_of, labelling, prepare, two_fields, voxels_missing
from inference_workers.ffn.demo_model import located
from inference_workers.ffn.file import read_model
from inference_workers.ffn.model import ModelConfig
from inference_workers.segmenter import Block, Labelling
from streamer.wire.grid import Triple, triple
from streamer.wire.volume import Joins

Share = Annotated[float, Meta(gt=0, lt=1)]


class Flooding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``ffn`` takes.  What is not given is as the model says."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="the model file, as cavecast ffn train or import writes it; demo is the one that ships",
        ),
    ]
    seeds: Annotated[
        Literal["maxima", "peaks", "grid"] | None,
        Meta(description="where objects begin: maxima of the field, peaks between its edges, or a grid"),
    ] = None
    seed_threshold: Annotated[
        float | None, Meta(description="the least value of the field at a seed that is a maximum")
    ] = None
    inverted: Annotated[bool | None, Meta(description="whether the last seed comes first")] = None
    consensus: Annotated[
        bool, Meta(description="whether to fill in both orders and keep apart what either keeps apart")
    ] = False
    join: Annotated[
        bool,
        Meta(description="whether objects of a chunk are one if a later one wants most of what an earlier one has"),
    ] = True
    pad: Annotated[Share | None, Meta(description="what an unseen voxel is taken for, between 0 and 1")] = None
    init: Annotated[Share | None, Meta(description="what a seed is set to, between 0 and 1")] = None
    move: Annotated[Share | None, Meta(description="how likely a voxel must be to go there, between 0 and 1")] = None
    segment: Annotated[
        Share | None, Meta(description="how likely a voxel must be to belong to its object, between 0 and 1")
    ] = None
    min_segment_size: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="the least number of voxels of an object, 0 or more")
    ] = None
    disconnection_bias: Annotated[bool | None, Meta(description="whether what was once unlikely stays so")] = None
    connected: Annotated[
        bool | None, Meta(description="whether objects are what is connected: parts that touch, and no others")
    ] = None
    reach: Annotated[int, Meta(ge=0, le=64, description="steps that a canvas reaches farther than it must")] = 1
    precision: Annotated[
        Literal["float32", "bf16", "mixed"],
        Meta(description="float32 is exact, the others are faster where there is hardware for them"),
    ] = "float32"
    backend: Annotated[
        Literal["auto", "tensorflow", "openvino"], Meta(description="what runs the network; auto: the faster one")
    ] = "auto"
    batch: Annotated[
        int,
        Meta(
            ge=1, le=1024, description="chunks of one worker that share the network's batches, as far as it has leases"
        ),
    ] = 8

    def __post_init__(self) -> None:
        # Workers may be started in another folder.
        msgspec.structs.force_setattr(self, "model", str(located(self.model)))


class Ffn:
    """Flood-filling networks (Januszewski et al. 2018)."""

    Parameters: ClassVar[type[msgspec.Struct]] = Flooding

    def __init__(self, parameters: Flooding, config: ModelConfig | None = None, predict: Predict | None = None) -> None:
        """``config`` and ``predict``: of a network that is loaded already.  Raises ModelError, or ValueError where the
        parameters do not fit the model."""
        self.parameters = parameters
        # The weights are looked at as well, so that a file that cannot be used is refused before a run begins.
        self.config = as_asked(config or read_model(parameters.model).config, parameters)
        self._predict = predict
        self._log = structlog.get_logger()
        self._warned = False

    @property
    def halo(self) -> Triple:
        """Half a field of view and the steps of ``reach``."""
        return halo_of(self.config.flood, self.parameters.reach)

    @property
    def joins(self) -> Joins:
        """Objects that are what is connected are joined as those of ``connect``, others by what they share."""
        return "voxel" if self.config.flood.connected else "overlap"

    @property
    def compared(self) -> Triple:
        """As far beyond a face as fields of view can stand, where overlap counts."""
        if self.joins == "voxel":
            return 1, 1, 1
        return triple(max(self.parameters.reach * delta, 1) for delta in self.config.flood.deltas)

    @property
    def min_voxels(self) -> int:
        """The least size of an object as a whole; a chunk may have less of it."""
        return self.config.flood.min_segment_size

    @property
    def together(self) -> int:
        """How many blocks ``segment_together`` makes good use of."""
        return self.parameters.batch

    def segment(self, block: Block) -> Labelling:
        """Labels core and pad.  Raises ValueError or MemoryError with a sentence."""
        ((_, labelled),) = self.segment_together([block])
        return labelled

    def segment_together(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Labelling]]:
        """Labels blocks whose fields of view share batches; yields the place of each in ``blocks`` and its labelling
        as soon as it is done.  What comes out is what ``segment`` gives for each alone."""
        settings, both = self.config.flood, self.parameters.consensus
        pieces = [prepare(block, self.config) for block in blocks]
        work: list[tuple[Canvas, Any]] = []
        owner: list[int] = []
        for place, (block, piece) in enumerate(zip(blocks, pieces, strict=True)):
            if piece is None:
                yield place, Labelling(np.zeros(block.inner.shape, np.uint32))
                continue
            self._say(block, voxels_missing(block, piece.known))
            made = canvases(piece, self._predictor(), settings, both=both)
            work += made
            owner += [place] * len(made)
        found: dict[int, dict[int, Filled]] = {}

        def beat() -> None:
            blocks[0].beat()

        for number, filled in fill_together(work, self._predictor(), self.parameters.batch, beat) if work else ():
            place = owner[number]
            found.setdefault(place, {})[number] = filled
            if len(found[place]) == owner.count(place):
                piece = pieces[place]
                assert piece is not None, "only what was prepared has canvases"
                in_order = [filled for _, filled in sorted(found.pop(place).items())]
                yield place, labelling(blocks[place], piece, in_order, settings, join=self.parameters.join)

    def _predictor(self) -> Predict:
        if self._predict is None:
            from inference_workers.ffn.loading import load_network

            asked = self.parameters
            self._predict = load_network(asked.model, asked.precision, asked.backend).predict
        return self._predict

    def _say(self, block: Block, missing: int) -> None:
        """What a user should know, once."""
        if missing:
            self._log.warning(
                "voxels that are not numbers were taken for their nearest neighbours and carry no label",
                chunk=block.chunk, voxels=missing,
            )  # fmt: skip
        if not self._warned and not two_fields(block.grid, self.config.fov):
            self._warned = True
            self._log.warning(
                "chunks are smaller than twice the field of view: objects may be cut, and most of the work is done"
                " twice; give larger ones with --chunk",
                chunk=block.grid.chunk, fov=self.config.fov,
            )  # fmt: skip


def as_asked(config: ModelConfig, asked: Flooding) -> ModelConfig:
    """A model's configuration with what was asked instead.  Raises ValueError if it does not fit together."""
    flood = {
        name: getattr(asked, name)
        for name in ("pad", "init", "move", "segment", "min_segment_size", "disconnection_bias", "connected")
        if getattr(asked, name) is not None
    }
    seeds = {"policy": asked.seeds, "threshold": asked.seed_threshold, "inverted": asked.inverted}
    made = msgspec.structs.replace(
        config,
        flood=msgspec.structs.replace(config.flood, **flood),
        seeds=msgspec.structs.replace(config.seeds, **{k: v for k, v in seeds.items() if v is not None}),
    )
    if asked.consensus and made.flood.connected:
        raise ValueError(
            "a consensus keeps objects apart that touch, which connected makes one again: say --set connected=false too"
        )
    if made.seeds.policy == "list":
        raise ValueError("the model's seeds are a list, which a run has not: say --set seeds=maxima, peaks or grid")
    return made
