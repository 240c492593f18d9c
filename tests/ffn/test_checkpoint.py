"""A checkpoint as TensorFlow 1 writes it, through the command, to a network that predicts the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from inference_workers.ffn import load_network
from inference_workers.ffn.checkpoint import prefix_of
from inference_workers.ffn.commands import ffn
from inference_workers.ffn.file import read_config
from inference_workers.ffn.settings import FloodFillSettings
from tests.ffn.forward import forward, some_input, some_weights

DEPTH, FEATURES = 3, 4


def write_checkpoint(prefix: Path, variables: Mapping[str, NDArray[Any]]) -> Path:
    """What ``tf.train.Saver`` of TensorFlow 1 leaves behind: prefix.index, .data-…, and .meta."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in variables.items():
            v1.get_variable(name, initializer=tf.constant(array), use_resource=False)
        v1.train.get_or_create_global_step()
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(prefix))
    return prefix


def scoped(weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """The names that the reference gives, with an optimiser's variable among them."""
    found: dict[str, NDArray[Any]] = {f"seed_update/{name}": array for name, array in weights.items()}
    return found | {"seed_update/conv0_a/weights/Momentum": np.ones((3, 3, 3, 2, FEATURES), np.float32)}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a network of DEPTH and FEATURES."""
    folder = tmp_path_factory.mktemp("checkpoint")
    return write_checkpoint(folder / "model.ckpt-27465036", scoped(some_weights(DEPTH, FEATURES)))


def bring(
    checkpoint: Path | str, out: Path, *more: str, depth: int = DEPTH, features: int = FEATURES
) -> tuple[int, str]:
    """``cavecast ffn import``: its exit status and what it said."""
    result = CliRunner().invoke(
        ffn,
        ["import", str(checkpoint), "--depth", str(depth), "--features", str(features), "--fov", "5,9,9",
         "--deltas", "1,2,2", "--mean", "128", "--std", "33", "-o", str(out), *more],
    )  # fmt: skip
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 0 or re.fullmatch(r"cavecast: [^\n]+\n", result.stderr)
    return result.exit_code, result.output


@pytest.mark.parametrize("backend", ["tensorflow", "openvino"])
def test_an_imported_network_gives_what_its_weights_give(backend: str, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.keras"
    code, said = bring(checkpoint, out)
    assert (code, said) == (0, f"{out}: depth 3, 4 features, 2,405 parameters\n")
    image, seed = some_input(5, 9, 9)
    found = load_network(out, backend=backend).predict(image[None], seed[None])[0]
    np.testing.assert_allclose(found, forward(some_weights(DEPTH, FEATURES), DEPTH, image, seed), atol=1e-4)


def test_the_configuration_is_in_the_file(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.keras"
    more = ("--variable", "IVT", "--units", "kg m-1 s-1", "--provenance", "CC0", "--set", "move=0.6",
            "--set", "disconnection_bias=false", "--set", "min_segment_size=50")  # fmt: skip
    assert bring(checkpoint, out, *more)[0] == 0
    found = read_config(out)
    assert found.flood == FloodFillSettings(
        fov=(5, 9, 9), deltas=(1, 2, 2), move=0.6, disconnection_bias=False, min_segment_size=50
    )
    assert (found.depth, found.features, found.mean, found.std) == (3, 4, 128.0, 33.0)
    assert (found.variable, found.units, found.provenance) == ("IVT", "kg m-1 s-1", "CC0")
    assert msgspec.structs.replace(found, version=1) == found


def test_any_file_of_a_checkpoint_names_it(checkpoint: Path, tmp_path: Path) -> None:
    assert prefix_of("a/model.ckpt-7.data-00000-of-00001") == "a/model.ckpt-7" == prefix_of("a/model.ckpt-7")
    assert bring(f"{checkpoint}.index", tmp_path / "model.keras")[0] == 0


@pytest.mark.parametrize(
    ("depth", "features", "sentence"),
    [
        (4, 4, r"has no variable seed_update/conv3_a/weights of shape \(3, 3, 3, 4, 4\).*--depth 3 --features 4$"),
        (2, 4, r"goes on with seed_update/conv2_a/weights of shape \(3, 3, 3, 4, 4\) after --depth 2"),
        (3, 8, r"seed_update/conv0_a/weights has shape \(3, 3, 3, 2, 4\), but .* means \(3, 3, 3, 2, 8\)"),
        (100_000, 4, r"depth 100000 .* out of reach"),
    ],
)
def test_what_the_checkpoint_contradicts_is_said_with_names_and_shapes(
    depth: int, features: int, sentence: str, checkpoint: Path, tmp_path: Path
) -> None:
    code, said = bring(checkpoint, tmp_path / "model.keras", depth=depth, features=features)
    assert code == 1
    assert re.search(sentence, said.strip()), said
    assert not (tmp_path / "model.keras").exists()


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    weights = scoped(some_weights(DEPTH, FEATURES))
    del weights["seed_update/conv1_b/biases"]
    code, said = bring(write_checkpoint(tmp_path / "partial", weights), tmp_path / "model.keras")
    assert code == 1
    assert "has no variable seed_update/conv1_b/biases of shape (4,)" in said


def test_a_checkpoint_of_something_else_is_called_so(tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "other", {"dense/kernel": np.ones((3, 3), np.float32)})
    assert "it holds no flood-filling network" in bring(other, tmp_path / "model.keras")[1]


def test_a_checkpoint_that_is_not_there_or_damaged_is_named(checkpoint: Path, tmp_path: Path) -> None:
    assert "there is no checkpoint" in bring(tmp_path / "none", tmp_path / "model.keras")[1]
    (tmp_path / "bad.index").write_bytes(b"no table at all" * 9)
    assert "is no TensorFlow checkpoint that can be read" in bring(tmp_path / "bad", tmp_path / "model.keras")[1]
    (tmp_path / "alone.index").write_bytes(checkpoint.with_name(checkpoint.name + ".index").read_bytes())
    code, said = bring(tmp_path / "alone", tmp_path / "model.keras")
    assert code == 1
    assert str(tmp_path / "alone") in said


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--fov", "5,9", "--fov is three whole numbers"),
        ("--fov", "4,9,9", "fov is odd along each axis"),
        ("--deltas", "1,x,2", "--deltas is three whole numbers"),
        ("--std", "0", "std"),
        ("--set", "move", "--set takes NAME=VALUE"),
        ("--set", "mvoe=0.6", "mvoe"),
        ("--set", "move=2", "move"),
    ],
)
def test_a_wrong_option_is_named(option: str, value: str, sentence: str, checkpoint: Path, tmp_path: Path) -> None:
    code, said = bring(checkpoint, tmp_path / "model.keras", option, value)
    assert code == 2
    assert sentence in said
