"""The network in both backends against one that is written apart, and the published structure."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_workers.ffn import load_network
from inference_workers.ffn.file import Model, write_model
from inference_workers.ffn.loading import engine, start
from inference_workers.ffn.model import ModelError
from inference_workers.ffn.settings import FloodFillSettings
from inference_workers.ffn.structure import check, fresh, layers, parameters, shapes
from tests.ffn.forward import config, forward, some_input, some_weights

SHARED = Path(__file__).parents[2].parent / "shared" / "ffn" / "ivt_canvas_small.npz"
BACKENDS = ("tensorflow", "openvino")


def test_the_published_network_has_as_many_parameters_as_published() -> None:
    assert parameters(12, 32) == 638_433 == sum(int(np.prod(shape)) for shape in shapes(12, 32).values())
    assert len(layers(12)) == 25
    from inference_workers.ffn.network import build

    assert build(12, 32).count_params() == 638_433


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("depth", "features"), [(1, 1), (2, 5), (4, 3)])
def test_a_network_gives_what_plain_arithmetic_gives(backend: str, depth: int, features: int) -> None:
    weights = some_weights(depth, features)
    network = start(Model(config(depth, features), weights), backend=backend)
    image, seed = some_input(2, 3, 6, 5)
    found = network.predict(image, seed)
    assert found.dtype == np.float32
    expected = [forward(weights, depth, *one) for one in zip(image, seed, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_batch_and_any_shape_can_be_predicted_and_nothing_is_traced_again(backend: str) -> None:
    weights = some_weights(2, 4)
    run = engine(Model(config(2, 4), weights), backend, "float32", 1)
    for shape in [(1, 1, 1, 1), (3, 2, 4, 3), (2, 7, 3, 5), (1, 3, 3, 9)]:
        image, seed = some_input(*shape)
        expected = [forward(weights, 2, *one) for one in zip(image, seed, strict=True)]
        np.testing.assert_allclose(run(image, seed), expected, atol=1e-4)
    assert getattr(run, "traces", 1) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_result_is_not_overwritten_by_the_next(backend: str) -> None:
    network = start(Model(config(1, 2), some_weights(1, 2)), backend=backend)
    image, seed = some_input(1, 3, 4, 5)
    first = network.predict(image, seed)
    kept = first.copy()
    network.predict(image, seed + 1)
    np.testing.assert_array_equal(first, kept)


@settings(max_examples=10)
@given(st.tuples(*[st.integers(1, 4)] * 4))
def test_a_row_of_a_batch_does_not_depend_on_the_others(shape: tuple[int, int, int, int]) -> None:
    network = start(Model(config(2, 3), some_weights(2, 3)), backend="openvino")
    image, seed = some_input(*shape)
    whole = network.predict(image, seed)
    for i in range(shape[0]):
        np.testing.assert_allclose(network.predict(image[i : i + 1], seed[i : i + 1])[0], whole[i], atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_views_and_other_numbers_are_taken_as_they_come(backend: str) -> None:
    network = start(Model(config(1, 2), some_weights(1, 2)), backend=backend)
    image, seed = some_input(1, 4, 6, 8)
    expected = network.predict(image[:, ::2, 1:, ::-1].copy(), seed[:, ::2, 1:, ::-1].copy())
    found = network.predict(image[:, ::2, 1:, ::-1].astype(np.float64), seed[:, ::2, 1:, ::-1])
    np.testing.assert_array_equal(found, expected)
    assert network.predict(image[:0], seed[:0]).shape == (0, 4, 6, 8)


def test_image_and_seed_of_different_shapes_are_refused() -> None:
    network = start(Model(config(1, 2), some_weights(1, 2)), backend="openvino")
    image, seed = some_input(1, 4, 6, 8)
    with pytest.raises(ValueError, match=r"of one shape, not \(1, 4, 6, 8\) and \(1, 4, 6, 7\)"):
        network.predict(image, seed[..., 1:])
    with pytest.raises(ValueError, match=r"are \(b, z, y, x\)"):
        network.predict(image[0], seed[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", ["bf16", "mixed"])
def test_short_numbers_stay_near_the_exact_result(backend: str, precision: str) -> None:
    model = Model(config(3, 8), some_weights(3, 8))
    image, seed = some_input(2, 5, 9, 9)
    exact = start(model, backend=backend).predict(image, seed)
    network = start(model, precision, backend)
    found = network.predict(image, seed)
    assert network.precision in ("bfloat16", "float16", "float32")
    assert found.dtype == np.float32
    assert np.abs(found - exact).max() < 0.006 * np.abs(exact - seed).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_bfloat16_does_not_keep_of_the_seed_is_in_the_result_all_the_same(backend: str) -> None:
    """Logits around 8 are 1/16 apart in bfloat16; an update of nearly nothing must not move them."""
    weights = {name: array * np.float32(0.01) for name, array in some_weights(3, 8).items()}
    image, seed = some_input(1, 5, 9, 9)
    found = start(Model(config(3, 8), weights), "bf16", backend).predict(image, seed + 8)
    np.testing.assert_allclose(
        found, start(Model(config(3, 8), weights), backend=backend).predict(image, seed + 8), atol=1e-4
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_of_one_pair_is_exact_in_every_precision(backend: str) -> None:
    model = Model(config(1, 4), some_weights(1, 4))
    image, seed = some_input(1, 5, 9, 9)
    exact = start(model, backend=backend).predict(image, seed)
    np.testing.assert_allclose(start(model, "bf16", backend).predict(image, seed), exact, atol=1e-5)


def test_what_xla_compiles_is_filled_up_to_few_sizes_and_gives_the_same() -> None:
    """As on a GPU: there XLA compiles anew for each number of rows."""
    from inference_workers.ffn.network import TensorFlowEngine, filled_up

    image, seed = some_input(5, 2, 3, 4)
    assert [len(filled_up(image[:rows])) for rows in (1, 2, 3, 4, 5)] == [1, 2, 4, 4, 8]
    run = TensorFlowEngine(2, 3, some_weights(2, 3), "float32", 1, compiled=True)
    expected = [forward(some_weights(2, 3), 2, *one) for one in zip(image, seed, strict=True)]
    for rows in (5, 3, 1):
        np.testing.assert_allclose(run(image[:rows], seed[:rows]), expected[:rows], atol=1e-4)


def test_weights_go_into_a_model_and_come_out_by_name() -> None:
    from inference_workers.ffn.network import build, put, take

    weights, model = some_weights(2, 3), build(2, 3)
    put(model, weights)
    found = take(model)
    assert set(found) == set(shapes(2, 3))
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_fresh_weights_change_little_and_are_the_same_for_the_same_seed() -> None:
    weights = fresh(4, 8, seed=5)
    check(weights, 4, 8, "fresh")
    np.testing.assert_array_equal(weights["conv2_a/weights"], fresh(4, 8, seed=5)["conv2_a/weights"])
    image, seed = some_input(1, 5, 17, 17)
    network = start(Model(config(4, 8), weights), backend="openvino")
    assert np.abs(network.predict(image, seed) - seed).std() < 1


def test_a_network_beyond_reach_is_refused_before_memory_is_taken() -> None:
    from inference_workers.ffn.network import build

    for depth, features in [(10**9, 1), (1, 10**9), (128, 512), (0, 3)]:
        with pytest.raises(ModelError, match=r"depth|parameters"):
            build(depth, features)


def test_what_is_saved_is_a_plain_keras_model_that_opens_without_code_of_ours(tmp_path: Path) -> None:
    import keras

    weights, path = some_weights(2, 4), tmp_path / "model.keras"
    write_model(path, config(2, 4), weights)
    model: Any = keras.models.load_model(path, safe_mode=True, compile=False)
    image, seed = some_input(2, 3, 6, 5)
    found = model([image[..., None], seed[..., None]]).numpy()[..., 0]
    np.testing.assert_allclose(found, load_network(path, backend="openvino").predict(image, seed), atol=1e-5)
    described = json.loads(zipfile.ZipFile(path).read("config.json"))
    kinds = {(one["module"], one["class_name"]) for one in described["config"]["layers"]}
    assert kinds == {
        ("keras.layers", kind) for kind in ("InputLayer", "Concatenate", "Conv3D", "ReLU", "Add")
    }  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_reference_vector_is_met(backend: str) -> None:
    if not SHARED.is_file():
        pytest.skip(f"the reference vectors are not there ({SHARED}); test_a_network_gives_… stands for them")
    with np.load(SHARED) as vectors:
        weights = {name: vectors[f"seed_update.{name.replace('/', '.')}"] for name in shapes(4, 8)}
        image, seed, expected = (vectors[f"fwd_{what}"] for what in ("image", "seed", "logits"))
    flood = FloodFillSettings(fov=(5, 33, 33), deltas=(1, 8, 8), min_segment_size=200)
    model = Model(config(4, 8, flood.fov), weights)
    np.testing.assert_allclose(start(model, backend=backend).predict(image[None], seed[None])[0], expected, atol=1e-3)
    short = start(model, "bf16", backend).predict(image[None], seed[None])[0]
    np.testing.assert_allclose(short, expected, atol=0.02, rtol=0)
