"""A model file whose network does what can be foretold: an object goes on where the image is above 0."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from inference_workers.ffn.file import CONFIG, WEIGHTS
from inference_workers.ffn.model import ModelConfig, Training, encode_config
from inference_workers.ffn.settings import FloodFillSettings, SeedSettings
from inference_workers.ffn.structure import layers, shapes


def write(path: Path, *, mean: float, training: Training | None = None) -> str:
    """The update is 100 times the image: the conv layers pass on what of it is above 0 and what is below."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes(1, 2).items()}
    weights["conv0_a/weights"][1, 1, 1, 0] = (1, -1)
    weights["conv0_b/weights"][1, 1, 1] = np.eye(2)
    weights["conv_lom/weights"][0, 0, 0, :, 0] = (100, -100)
    raw = io.BytesIO()
    with h5py.File(raw, "w") as file:
        for name in layers(1):
            variables = file.create_group(f"layers/{name}/vars")
            variables.attrs["name"] = name
            variables["0"], variables["1"] = weights[f"{name}/weights"], weights[f"{name}/biases"]
    flood = FloodFillSettings(fov=(3, 5, 5), deltas=(1, 2, 2), min_segment_size=4, disconnection_bias=False)
    config = ModelConfig(depth=1, features=2, mean=mean, std=1.0, flood=flood, seeds=SeedSettings(threshold=mean),
                         training=training)  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(WEIGHTS, raw.getvalue())
        archive.writestr(CONFIG, encode_config(config))
    return str(path)
