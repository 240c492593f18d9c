"""The network on OpenVINO, for workers without a GPU: Intel's inference engine, which also runs on AMD and ARM.

The graph is built from the weights, without TensorFlow.  With one channel each, image and seed are
(b, 1, z, y, x) as they lie, so nothing is transposed.  A graph for one fixed shape runs up to a quarter
faster than one for any shape and takes a twentieth of a second to compile, so the latest few shapes are
kept.  Threads are not pinned to cores: two workers would choose the same ones.

bfloat16 is kept to where it pays: the convolutions between the first pair and the last one.  The first
pair sees the seed's logits, whose third digit bfloat16 does not keep; the last one writes them; and what
the pairs add up to would be rounded once for each.
"""

from __future__ import annotations

import re
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as op

from inference_workers.cores import processor_has
from inference_workers.ffn.model import ModelError
from inference_workers.ffn.rounding import carried
from inference_workers.ffn.structure import EXACT, LAST, Weights

KEPT_SHAPES = 16
FloatArray = NDArray[np.float32]
_EXHAUSTED = ("bad_alloc", "out of memory", "allocat")


def computes_in(precision: str) -> str:
    """The number format that convolutions will have here: ``float32`` or ``bfloat16``."""
    return "bfloat16" if precision != "float32" and processor_has("bfloat16") else "float32"


def graph(depth: int, weights: Weights, shape: tuple[int, ...], short: bool = False) -> Any:
    """The network for image and seed of one shape (b, 1, z, y, x), as an OpenVINO model.

    ``short``: all but the inner convolutions are marked to be computed in float32 whatever the precision hint says,
    and the kernels of those are numbers of bfloat16.
    """

    def convolution(net: Any, name: str) -> Any:
        exact = not short or name in EXACT
        values = weights[f"{name}/weights"] if exact else carried(weights[f"{name}/weights"])
        kernel = np.ascontiguousarray(values.transpose(4, 3, 0, 1, 2))
        around = [side // 2 for side in kernel.shape[2:]]
        bias = op.constant(weights[f"{name}/biases"].reshape(1, -1, 1, 1, 1))
        made = op.convolution(net, op.constant(kernel), [1] * 3, around, around, [1] * 3)
        if not exact:
            made.set_friendly_name(f"{_SHORT}{name}")
        return op.add(made, bias)

    image, seed = op.parameter(list(shape), np.float32), op.parameter(list(shape), np.float32)
    net = convolution(op.relu(convolution(op.concat([image, seed], 1), "conv0_a")), "conv0_b")
    for i in range(1, depth):
        net = op.add(net, convolution(op.relu(convolution(op.relu(net), f"conv{i}_a")), f"conv{i}_b"))
    made = openvino.Model([op.add(seed, convolution(op.relu(net), LAST))], [image, seed], "flood_filling_network")
    return _marked(made) if short else made


_SHORT = "short_"
_LAYER = re.compile(
    rf'<layer id="\d+" name="(?!{_SHORT})[^"]*" type="(?:Convolution|Add|ReLU|Concat)" version="[^"]*">'
)


def _marked(model: Any) -> Any:
    """The model with the mark of what must not be computed in a shorter format at all layers but the short ones.

    Python cannot set that mark; OpenVINO's own text format has it.
    """
    with tempfile.TemporaryDirectory() as folder:
        text, arrays = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino.serialize(model, text, arrays)
        mark = r'\g<0><rt_info><attribute name="precise" version="0"/></rt_info>'
        marked, marks = _LAYER.subn(mark, text.read_text())
        # A tensor of its own, which the model holds: it reads its constants there.
        constants = openvino.Tensor(np.frombuffer(arrays.read_bytes(), np.uint8))
    if marks == 0:
        raise ModelError(f"OpenVINO {openvino.__version__} writes models in a way that is not known: take float32")
    return openvino.Core().read_model(marked, constants)


class OpenVinoEngine:
    """Runs a network in OpenVINO on the CPU.  For one thread at a time."""

    name = "openvino"
    device = "CPU"

    def __init__(self, depth: int, weights: Weights, precision: str, threads: int) -> None:
        self.precision = computes_in(precision)
        self._depth, self._weights = depth, weights
        self._core = openvino.Core()
        self._options = {
            # Said in any case: left alone, OpenVINO takes bfloat16 wherever the processor has it.
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        self._ready: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def __call__(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        """New seed logits, float32 (b, z, y, x), of a normalised image and seed logits of the same shape."""
        try:
            request = self._request((image.shape[0], 1, *image.shape[1:]))
            request.set_input_tensor(0, openvino.Tensor(image[:, None], shared_memory=True))
            request.set_input_tensor(1, openvino.Tensor(seed[:, None], shared_memory=True))
            request.infer()
        except RuntimeError as why:
            said = " ".join(str(why).split())
            if any(sign in said.lower() for sign in _EXHAUSTED):
                self._ready.clear()
                raise MemoryError(said) from None
            raise
        logits: FloatArray = request.get_output_tensor(0).data[:, 0].copy()  # the next call writes there again
        return logits

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape in self._ready:
            self._ready.move_to_end(shape)
            return self._ready[shape]
        compiled = self._core.compile_model(
            graph(self._depth, self._weights, shape, self.precision == "bfloat16"), "CPU", self._options
        )
        request = self._ready[shape] = compiled.create_infer_request()
        if len(self._ready) > KEPT_SHAPES:
            self._ready.popitem(last=False)
        return request
