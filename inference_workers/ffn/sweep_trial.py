"""One trial of a sweep: parts of a volume filled with what it tries, and compared with the truth there.

The volume, the truth and the network are there once for all trials of a process.  Filling is the segmenter's
own, with one canvas for each part of the volume, whose batches all parts share; so what comes out best is
what a run does with the same settings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn import domain as where
from inference_workers.ffn.components import lasting
from inference_workers.ffn.file import read_config
from inference_workers.ffn.labelled import Labelled, check_same, components_of, open_labels
from inference_workers.ffn.measures import contingency
from inference_workers.ffn.model import ModelConfig
from inference_workers.ffn.reconcile import SMALLER_SHARED
from inference_workers.ffn.scores import Scores, scores
from inference_workers.ffn.segmenter import Ffn, Flooding
from inference_workers.ffn.sweep import IN_MODEL, Sweep, SweepError, Value
from inference_workers.segmenter import Block
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.grid import Box, Grid, Triple, triple
from streamer.wire.volume import Volume

Beat = Callable[[], None]
Train = Callable[[Mapping[str, Value], Path], object]
"""Trains a network with these options and writes it."""


class Part(NamedTuple):
    """What a trial is judged by."""

    name: str
    weight: float
    box: Box
    counts: NDArray[np.bool_]
    """Which voxels of the box are compared."""
    truth: NDArray[np.int64]
    wraps: bool


class Trials:
    """All that trials of one process share.  Raises SweepError, InputError or ModelError, one sentence each."""

    def __init__(self, sweep: Sweep, folder: Path, train: Train | None = None) -> None:
        """``folder``: where names of files in the sweep are looked up; ``train``: for trials with a network each."""
        self.sweep, data = sweep, sweep.data
        found = inspect(InspectRequest(near(folder, data.volume), data.variable))
        self._source, self._volume, self._periodic = found.source, found.volume, found.grid.periodic
        self.notes: list[str] = []
        truth: Labelled
        if data.connect is not None:
            truth = components_of(
                near(folder, data.volume), data.variable, data.connect, data.connectivity, data.min_duration_h
            )
        else:
            truth = open_labels(near(folder, str(data.labels)), data.labels_variable)
            check_same(_Field(found.volume, data.volume), truth)
        self._parts = [self._part(name, truth) for name in sweep.validation]
        self._opened = open_source(self._source, self._volume)
        self._model = near(folder, data.model) if data.model is not None else ""
        self._config: ModelConfig | None = None
        self._predict: Any = None
        if self._model:
            self._config = read_config(self._model)
            self._note_seen(self._config)
        self._train = train

    def run(self, chosen: Mapping[str, Value], beat: Beat) -> dict[str, Scores]:
        """The scores of each part.  Raises ValueError if the values do not go together; ``beat`` is called often."""
        flood, learned = self.sweep.complete(chosen)
        if self._model:
            assert self._config is not None, "read at the start"
            if self._predict is None:
                self._predict = self._network(self._model)
            return self._judge(self._config, self._model, self._predict, flood, beat)
        with tempfile.TemporaryDirectory(prefix="cavecast-sweep-") as folder:
            assert self._train is not None, "a sweep without a model trains"
            model = Path(folder) / "model.keras"
            self._train(learned, model)
            config = read_config(model)
            self._note_seen(config)
            return self._judge(config, str(model), self._network(str(model)), flood, beat)

    def value(self, found: Mapping[str, Scores]) -> float:
        """What a trial is worth: the goal, as the parts' mean by their weights.  Raises SweepError where none is."""
        total = 0.0
        for part in self._parts:
            of = found[part.name]
            if self.sweep.goal == "vi_bits":
                value = None if of.vi_split_bits is None or of.vi_merge_bits is None else (
                    of.vi_split_bits + of.vi_merge_bits)  # fmt: skip
            else:
                value = getattr(of, self.sweep.goal)
            if value is None:  # nothing was predicted, or pairs of one: as bad as can be
                value = 0.0 if self.sweep.direction == "maximize" else float(np.log2(part.truth.size))
            total += part.weight * value
        return total / sum(part.weight for part in self._parts)

    def _part(self, name: str, truth: Labelled) -> Part:
        fold, volume = self.sweep.validation[name], self._volume
        try:
            steps = where.steps_of(volume, [fold.interval] if fold.interval else [], "interval")
            cells = np.ones(volume.shape[1:], np.bool_)
            if fold.region:
                cells = where.cells_of(where.read_region(fold.region), volume)
        except ValueError as why:
            raise SweepError(f"validation.{name}: {why}") from None
        z, y, x = (np.flatnonzero(a) for a in (steps, cells.any(axis=1), cells.any(axis=0)))
        if x[-1] - x[0] + 1 != len(x):  # across the seam: all the way round
            x = np.arange(volume.shape[2])
        box = Box((int(z[0]), int(y[0]), int(x[0])), (int(z[-1]) + 1, int(y[-1]) + 1, int(x[-1]) + 1))
        labels = truth.read(box.start[0], box.stop[0])[:, *box.slices[1:]]
        counts = steps[box.slices[0]][:, None, None] & cells[box.slices[1:]]
        if not (labels[counts] > 0).any():
            raise SweepError(f"validation.{name} has no object: choose another interval or region")
        return Part(name, fold.weight, box, counts, labels, self._periodic[2] and len(x) == volume.shape[2])

    def _note_seen(self, config: ModelConfig) -> None:
        steps, cells = where.seen(config.training, self._volume)
        for part in self._parts:
            _, y, x = part.box.slices
            if (part.counts & steps[part.box.slices[0]][:, None, None] & cells[y, x]).any():
                note = f"validation.{part.name} holds voxels that the model was trained on"
                self.notes += [note] if note not in self.notes else []

    def _network(self, model: str) -> Any:
        from inference_workers.ffn.loading import load_network

        return load_network(model, self.sweep.data.precision, self.sweep.data.backend).predict

    def _judge(
        self, config: ModelConfig, model: str, predict: Any, flood: dict[str, Value], beat: Beat
    ) -> dict[str, Scores]:
        asked = {name: value for name, value in flood.items() if name not in IN_MODEL}
        config = _with(config, flood)
        flooding = msgspec.convert({"model": model, "batch": 1024, **asked}, Flooding)
        segmenter = Ffn(flooding, config, predict)
        blocks = [self._block(part, segmenter.halo, beat) for part in self._parts]
        found = {}
        for place, labelling in segmenter.segment_together(blocks):
            part = self._parts[place]
            labels = closed(labelling.labels, part.box.shape, segmenter.min_voxels, by_voxel=segmenter.joins == "voxel")
            if self._volume.has_time:
                hours = self._volume.axes[0].widths[part.box.slices[0]]
                labels = _lasting(labels, hours, self.sweep.data.min_duration_h)
            found[part.name] = scores(contingency(np.where(part.counts, labels, -1), part.truth))
        return found

    def _block(self, part: Part, halo: Triple, beat: Beat) -> Block:
        """A part as one chunk; beyond its faces the field goes on where the volume does."""
        shape = part.box.shape
        grid = Grid(shape, shape, (False, False, part.wraps))
        inner = grid.block_shape(0)
        start = triple(a - h for a, h in zip(part.box.start, halo, strict=True))
        stop = triple(a + n + h for a, n, h in zip(part.box.start, inner, halo, strict=True))
        at = Box(halo, triple(h + n for h, n in zip(halo, inner, strict=True)))
        return Block(grid, 0, self._volume, self._opened.read(Box(start, stop)), at, None, beat)


class _Field(NamedTuple):
    """A field in the place of labels, where only its axes are looked at."""

    volume: Volume
    words: str
    store: None = None

    def read(self, first: int, stop: int) -> NDArray[np.int64]:
        """None."""
        return np.zeros((stop - first, *self.volume.shape[1:]), np.int64)


def closed(
    labels: NDArray[np.unsignedinteger[Any]], shape: Triple, least: int, *, by_voxel: bool = False
) -> NDArray[np.uint32]:
    """The labels of a block's core (z, y, x): what its pad says to be one across the seam of x joined, as in a run (by
    what they share, or ``by_voxel`` wherever they meet), and without objects smaller than ``least`` as a whole."""
    core = labels[: shape[0], : shape[1], : shape[2]].astype(np.uint32)
    if labels.shape[2] > shape[2]:
        pad, first = labels[: shape[0], : shape[1], shape[2]], core[:, :, 0]
        rows = contingency(pad.astype(np.int64), first.astype(np.int64))
        sizes = [np.bincount(side.reshape(-1), minlength=int(labels.max()) + 1) for side in (pad, first)]
        names = np.arange(int(labels.max()) + 1)
        for a, b, n in zip(rows.pred.tolist(), rows.truth.tolist(), rows.voxels.tolist(), strict=True):
            if a and b and (by_voxel or n >= SMALLER_SHARED * min(sizes[0][a], sizes[1][b])):
                names[names == max(names[a], names[b])] = min(names[a], names[b])
        core = names[core].astype(np.uint32)
    small = np.bincount(core.reshape(-1)) < least
    small[0] = False
    return np.where(small[core], np.uint32(0), core)


def _lasting(labels: NDArray[np.uint32], hours: NDArray[np.float64], least_h: float) -> NDArray[np.uint32]:
    """Without short-lived objects, but with those that may go on before the first step or after the last."""
    kept = lasting(labels, hours, least_h)
    ends = np.unique(np.concatenate([labels[0].reshape(-1), labels[-1].reshape(-1)]))
    return np.where(np.isin(labels, ends), labels, kept)


def _with(config: ModelConfig, flood: Mapping[str, Value]) -> ModelConfig:
    """A model's configuration with what only a model keeps.  Raises ValueError if it does not go together."""
    replace = msgspec.structs.replace
    if "deltas" in flood:
        try:
            deltas = triple(int(part) for part in str(flood["deltas"]).split(","))
        except ValueError:
            raise ValueError(f'deltas is three whole numbers such as "1,8,8", not {flood["deltas"]!r}') from None
        config = replace(config, flood=replace(config.flood, deltas=deltas))
    if "seed_min_distance" in flood:
        config = replace(config, seeds=replace(config.seeds, min_distance=int(flood["seed_min_distance"])))
    return config


def near(folder: Path, address: str) -> str:
    """An address of the configuration, as seen from its folder."""
    if "://" in address or address.startswith("sample:") or Path(address).expanduser().is_absolute():
        return address
    return str(folder / address)
