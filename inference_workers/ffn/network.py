"""The network in Keras 3 on TensorFlow: built, run, saved; and the reader of TensorFlow 1 checkpoints.

The one module of a worker that knows TensorFlow; importing it takes seconds, so others do so only when
they are about to use it.  Image and seed are inputs of their own, (b, z, y, x, 1) each, so that the saved
graph needs standard layers only and opens in any Keras: no code of ours, or of a stranger's, is in a
model file.  Where TensorFlow sees a GPU (``CUDA_VISIBLE_DEVICES``) it is used, and only there with XLA,
which makes 3-D convolutions on a CPU seven times slower.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_workers.cores import processor_has
from inference_workers.ffn.model import ModelError
from inference_workers.ffn.remarks import held_back
from inference_workers.ffn.rounding import carried
from inference_workers.ffn.structure import EXACT, LAST, Shape, Weights, shapes

# Both libraries read the environment when they are imported, and only then.  What is said below the level of errors
# is about instruction sets and graph rewriting, on stderr, in each worker.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

with held_back():
    import keras
    import tensorflow as tf

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FloatArray = NDArray[np.float32]


def gpus() -> int:
    """How many GPUs TensorFlow sees; it takes their memory as it needs it, not all at once."""
    found = tf.config.list_physical_devices("GPU")
    for gpu in found:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # it is at work already
            break
    return len(found)


def use_threads(threads: int) -> None:
    """Lets TensorFlow compute with so many threads; without effect once it has begun."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)  # the layers follow one another
    except RuntimeError:
        return


def computes_in(precision: str) -> str:
    """The number format that convolutions will have here: ``float32``, ``bfloat16`` or ``float16``.

    ``bf16`` is the processor's or the GPU's bfloat16, ``mixed`` the faster of the two short formats.
    """
    if precision == "float32":
        return "float32"
    if gpus():
        return "bfloat16" if precision == "bf16" else "float16"
    return "bfloat16" if processor_has("bfloat16") else "float32"


def build(depth: int, features: int, computed_in: str = "float32") -> Any:
    """A Keras model from [image, seed logits], float32 (b, z, y, x, 1) each, to new seed logits of that shape.

    Any batch, any spatial shape.  ``computed_in`` is what convolutions but those of ``EXACT`` compute in: float32,
    bfloat16 or float16; weights, and what the pairs add up to, are float32 always.  Raises ModelError if too large.
    """
    shapes(depth, features)
    exact, short = (keras.DTypePolicy(POLICIES[name]) for name in ("float32", computed_in))
    make = keras.layers
    whatever: dict[str, Any] = {"data_format": "channels_last"}  # whatever the user's keras.json prefers
    image = keras.Input((None, None, None, 1), name="image", dtype="float32")
    seed = keras.Input((None, None, None, 1), name="seed", dtype="float32")

    def convolution(name: str, activation: str | None = None) -> Any:
        policy = exact if name in EXACT else short
        return make.Conv3D(features, 3, padding="same", activation=activation, name=name, dtype=policy, **whatever)

    def rectified(name: str) -> Any:
        return make.ReLU(name=name, dtype=exact)

    net = make.Concatenate(name="both", dtype=exact)([image, seed])
    net = convolution("conv0_b")(convolution("conv0_a", "relu")(net))
    for i in range(1, depth):
        inner = convolution(f"conv{i}_a", "relu")(rectified(f"relu{i}")(net))
        net = make.Add(name=f"add{i}", dtype=exact)([net, convolution(f"conv{i}_b")(inner)])
    update = make.Conv3D(1, 1, name=LAST, dtype=exact, **whatever)(rectified("relu_lom")(net))
    logits = make.Add(name="logits", dtype="float32")([seed, update])
    return keras.Model([image, seed], logits, name="flood_filling_network")


def put(model: Any, weights: Weights) -> None:
    """Gives a model these weights, which fit it."""
    for layer in model.layers:
        if layer.weights:
            layer.kernel.assign(weights[f"{layer.name}/weights"])
            layer.bias.assign(weights[f"{layer.name}/biases"])


def take(model: Any) -> dict[str, FloatArray]:
    """A copy of a model's weights by name."""
    found: dict[str, FloatArray] = {}
    for layer in model.layers:
        if layer.weights:
            found[f"{layer.name}/weights"] = layer.kernel.value.numpy()
            found[f"{layer.name}/biases"] = layer.bias.value.numpy()
    return found


def write_keras(path: Path, depth: int, features: int, weights: Weights) -> None:
    """Writes the network alone, in float32, as a file that ``keras.models.load_model`` opens."""
    model = build(depth, features)
    put(model, weights)
    with warnings.catch_warnings():
        # Keras asks TensorFlow's tensors for an array in a way that NumPy 2 warns of.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        model.save(path)


def filled_up(batch: FloatArray) -> FloatArray:
    """A batch (b, …) with rows of zeros up to the next power of two."""
    missing = (1 << (len(batch) - 1).bit_length()) - len(batch)
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)]) if missing else batch


class TensorFlowEngine:
    """Runs a network in TensorFlow; traced once, for all batches and shapes.  For one thread at a time.

    ``compiled``: by XLA, without being said where there is a GPU.  XLA compiles anew for each size of a batch, so
    batches are filled up to the next power of two there: flood fills have any number of rows.
    """

    name = "tensorflow"

    def __init__(
        self, depth: int, features: int, weights: Weights, precision: str, threads: int, compiled: bool | None = None
    ) -> None:
        use_threads(threads)
        self.precision = computes_in(precision)
        on_gpu = gpus() > 0
        self.device = "GPU" if on_gpu else "CPU"
        model = build(depth, features, self.precision)
        if self.precision == "bfloat16":
            weights = {
                name: carried(array) if array.ndim > 1 and name.partition("/")[0] not in EXACT else array
                for name, array in weights.items()
            }
        put(model, weights)
        batch = tf.TensorSpec([None] * 4, tf.float32)

        def run(image: Any, seed: Any) -> Any:
            return model([image[..., None], seed[..., None]], training=False)[..., 0]

        self._compiled = on_gpu if compiled is None else compiled
        self._run: Any = tf.function(run, input_signature=(batch, batch), jit_compile=self._compiled)

    @property
    def traces(self) -> int:
        """How often the network was traced into a graph."""
        return int(self._run.experimental_get_tracing_count())

    def __call__(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        """New seed logits, float32 (b, z, y, x), of a normalised image and seed logits of the same shape."""
        rows = len(image)
        if self._compiled:
            image, seed = filled_up(image), filled_up(seed)
        try:
            logits: FloatArray = self._run(tf.constant(image), tf.constant(seed)).numpy()[:rows]
        except tf.errors.ResourceExhaustedError as why:
            raise MemoryError(str(why).partition("\n")[0]) from None
        return logits


class Checkpoint:
    """A TensorFlow 1 checkpoint, by its prefix (``…/model.ckpt-27465036``).  Raises ModelError if it is none."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        try:
            self._reader = tf.train.load_checkpoint(prefix)
        except (tf.errors.OpError, ValueError, RuntimeError) as why:
            said = " ".join(str(why).split())
            raise ModelError(
                f"{prefix} is no TensorFlow checkpoint that can be read ({said}): give the path without .index or"
                " .data-00000-of-00001, and keep both files together"
            ) from None

    def shapes(self) -> dict[str, Shape]:
        """The shapes of its variables."""
        return {name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()}

    def read(self, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """These variables.  Raises ModelError if one cannot be read."""
        found: dict[str, NDArray[Any]] = {}
        for name in names:
            try:
                found[name] = np.asarray(self._reader.get_tensor(name))
            except (tf.errors.OpError, ValueError, RuntimeError) as why:
                said = " ".join(str(why).split())
                raise ModelError(f"{self.prefix}: {name} cannot be read ({said}); copy the checkpoint again") from None
        return found
