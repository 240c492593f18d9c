"""From the options of ``cavecast ffn train`` to a task: all that can be wrong with them is found here.

Reads the volume's description, some steps of the field where its scale is not given, and for ``--connect``
the interval; TensorFlow is not loaded.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers import cores
from inference_workers.ffn import training_choice as choice
from inference_workers.ffn import training_data as data
from inference_workers.ffn.model import ModelConfig, Training
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings, plainly
from inference_workers.ffn.structure import shapes
from inference_workers.ffn.training import TrainingSettings
from inference_workers.ffn.training_data import Ground
from inference_workers.ffn.training_loop import Task
from inference_workers.ffn.training_state import steps as states
from inference_workers.source import InspectRequest, inspect, open_source
from streamer.wire.grid import Box


def task_of(given: dict[str, Any]) -> Task:
    """What was typed, as a task.  Reads the volume's description, and for --connect the interval's field.

    Raises ValueError, of which InputError is one: a sentence.
    """
    out: Path = given["out"]
    connect, labels = given["connect"], given["labels"]
    if (connect is None) == (labels is None):
        raise ValueError("say what the objects are: either --labels LABELS or --connect THRESHOLD")
    if out.suffix != ".keras":
        raise ValueError(f"{out} does not end in .keras, as a model file's name does")
    if given["resume"] and given["anew"]:
        raise ValueError("--resume goes on and --anew begins again: give one of them")
    if given["connectivity"] not in (6, 18, 26):
        raise ValueError(f"--connectivity is 6, 18 or 26, not {given['connectivity']}")
    mirror = choice.mirrored(given["mirror"])
    if not given["steps"] and not given["minutes"] and not given["patience"]:
        raise ValueError("training would never end: give --steps, --minutes or --patience")
    fov, deltas = choice.whole_triple("--fov", given["fov"]), choice.whole_triple("--deltas", given["deltas"])
    try:
        flood = msgspec.convert(
            {"fov": fov, "deltas": deltas, "disconnection_bias": False, **choice.settings(given["set_"])},
            FloodFillSettings, strict=False,
        )  # fmt: skip
        asked = _asked(given, flood, mirror)
    except msgspec.ValidationError as why:
        raise ValueError(plainly(why, FloodFillSettings.__struct_fields__)) from None
    shapes(given["depth"], given["features"])
    found = inspect(InspectRequest(given["volume"], given["variable"], periodic=given["periodic"]))
    volume = found.volume
    box = choice.box(volume, given["interval"], given["region"])
    learned, validated = choice.parts(volume, box, given["validation"], flood.fov[0])
    if connect is not None:
        ground = data.connect_truth(
            found.source, volume, box, threshold=connect, connectivity=given["connectivity"],
            min_duration_h=given["min_duration_h"], short_lived=given["short_lived"],
        )  # fmt: skip
    else:
        ground = data.stored_truth(found.source, volume, box, labels, given["labels_variable"])
    mean, std = choice.scale(_sample(ground), given["mean"], given["std"], connect)
    settings = msgspec.structs.replace(asked, mean=mean, std=std)
    training = Training(
        source=ground.source.address, variable=volume.variable, labels=ground.labels,
        steps=[(box.start[0], box.stop[0])], times=choice.times(volume, box),
        region=choice.degrees(volume, box) if box.shape[1:] != volume.shape[1:] else None,
    )  # fmt: skip
    config = ModelConfig(
        depth=settings.depth, features=settings.features, mean=mean, std=std, flood=flood, variable=volume.variable,
        units=volume.units, training=training, provenance=given["provenance"],
        seeds=SeedSettings(threshold=connect if connect is not None else mean),
    )  # fmt: skip
    task = Task(
        settings, ground, learned, validated, config, out, resume=given["resume"], many=given["strategy"] != "one",
        threads=given["threads"] or cores.threads(), readers=given["readers"],
    )  # fmt: skip
    if not given["resume"] and not given["anew"] and states(task.folder, 0):
        raise ValueError(f"a training of {out} was begun before: go on with --resume, or begin again with --anew")
    return task


def _asked(given: dict[str, Any], flood: FloodFillSettings, mirror: tuple[bool, bool, bool]) -> TrainingSettings:
    """How to train, with 0 and 1 for a mean and a deviation that were not given.  Raises msgspec.ValidationError."""
    names = (
        "depth", "features", "batch", "learning_rate", "steps", "minutes", "patience", "watch", "validate_every",
        "validation_examples", "object_weight", "moves", "seed", "mean", "std",
    )  # fmt: skip
    for name in ("mean", "std", "learning_rate", "object_weight", "minutes"):
        if given[name] is not None and not math.isfinite(given[name]):
            raise ValueError(f"--{name.replace('_', '-')} is a finite number, not {given[name]:g}")
    told = {name: given[name] for name in names if given[name] is not None}
    return msgspec.convert({"mean": 0.0, "std": 1.0, **told, "flood": flood, "mirror": mirror}, TrainingSettings)


def _sample(ground: Ground) -> NDArray[np.floating]:
    """Some steps of the field where it is learned from, spread over them."""
    (first, *low), (stop, *high) = ground.box
    chosen = sorted({first + (stop - first) * i // 8 for i in range(8)})
    with open_source(ground.source, ground.volume) as opened:
        return np.stack([opened.read(Box((z, low[0], low[1]), (z + 1, high[0], high[1]))) for z in chosen])
