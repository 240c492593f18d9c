"""Learning in TensorFlow: one step of gradient descent on a batch, on one process or on many.

On many (``MultiWorkerMirroredStrategy``, as TF_CONFIG says) each process computes the gradient of its own
rows, divided by the rows of all, and the sum over processes is what each then applies, so that two
processes learn what one with the doubled batch would.  Adam (Kingma and Ba 2015) is written out, because
its state is part of a checkpoint, number by number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.network import build, put, take, use_threads  # first: it sets TensorFlow's environment
from inference_workers.ffn.structure import Weights

import tensorflow as tf  # isort: skip

FloatArray = NDArray[np.float32]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


class Learner:
    """A network that learns, its moments, and its moving average.  For one thread."""

    def __init__(
        self, depth: int, features: int, weights: Weights, *, clip: float, average: float, threads: int, many: bool
    ) -> None:
        """``many``: with the processes of TF_CONFIG; this must then be the first that TensorFlow is used for."""
        use_threads(threads)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy() if many else None
        resolver = self._strategy.cluster_resolver if self._strategy is not None else None
        self.processes = self._strategy.num_replicas_in_sync if self._strategy is not None else 1
        self.process = int(resolver.task_id or 0) if resolver is not None else 0
        with self._strategy.scope() if self._strategy is not None else contextlib.nullcontext():
            self._model = build(depth, features)
            put(self._model, weights)
            self._names = list(take(self._model))
            self._variables = [v.value for v in self._model.trainable_variables]
            self._first, self._second = (
                [tf.Variable(tf.zeros(v.shape), trainable=False) for v in self._variables] for _ in range(2)
            )
            self._mean = [tf.Variable(weights[name], trainable=False) for name in self._names]
        self._clip, self._average = clip, average
        batch, number = tf.TensorSpec([None] * 4, tf.float32), tf.TensorSpec([], tf.float32)
        self._learn: Any = tf.function(self._run, input_signature=(batch,) * 4 + (number,) * 3)
        self._sum: Any = tf.function(self._total, input_signature=(tf.TensorSpec([None], tf.float32),))
        self._judge_model = build(depth, features)
        self._judge: Any = tf.function(self._predict, input_signature=(batch, batch))

    def learn(
        self, image: FloatArray, seed: FloatArray, target: FloatArray, weight: FloatArray, step: int, rate: float
    ) -> tuple[FloatArray, float]:
        """One step on this process's rows, (b, z, y, x) each.  Returns their logits, and the loss of all processes."""
        # The average follows quickly at first, so that little of the beginning stays in it.
        kept = min(self._average, (1 + step) / (10 + step))
        arrays = [tf.constant(array) for array in (image, seed, target, weight)]
        numbers = [tf.constant(number, tf.float32) for number in (step + 1, rate, kept)]
        logits, loss = self._learn(*arrays, *numbers)
        return logits.numpy(), float(loss)

    def total(self, numbers: FloatArray) -> FloatArray:
        """The sum over all processes of each of some numbers: what they agree on."""
        if self._strategy is None:
            return numbers
        summed: FloatArray = self._sum(tf.constant(numbers)).numpy()
        return summed

    def averaged(self) -> dict[str, FloatArray]:
        """The network that is kept: the moving average."""
        return {name: v.numpy() for name, v in zip(self._names, self._mean, strict=True)}

    def ready_to_judge(self) -> None:
        """Makes ``judge`` use the average as it is now."""
        put(self._judge_model, self.averaged())

    def judge(self, image: FloatArray, seed: FloatArray) -> FloatArray:
        """New seed logits of a batch, (b, z, y, x), by the average."""
        logits: FloatArray = self._judge(tf.constant(image), tf.constant(seed)).numpy()
        return logits

    def state(self) -> dict[str, FloatArray]:
        """All that learning goes on from."""
        return {
            f"{kind}/{name}": v.numpy()
            for kind, variables in self._kinds().items()
            for name, v in zip(self._names, variables, strict=True)
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from there.  Raises KeyError or ValueError if that is the state of another network."""
        for kind, variables in self._kinds().items():
            for name, v in zip(self._names, variables, strict=True):
                v.assign(state[f"{kind}/{name}"])

    def _kinds(self) -> dict[str, list[Any]]:
        return {"weights": self._variables, "first": self._first, "second": self._second, "average": self._mean}

    def _predict(self, image: Any, seed: Any) -> Any:
        return self._judge_model([image[..., None], seed[..., None]], training=False)[..., 0]

    def _run(self, *arguments: Any) -> Any:
        if self._strategy is None:
            return self._replica(*arguments)
        return self._strategy.run(self._replica, arguments)

    def _replica(self, image: Any, seed: Any, target: Any, weight: Any, count: Any, rate: Any, kept: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = self._model([image[..., None], seed[..., None]], training=True)[..., 0]
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
            loss = tf.reduce_mean(entropy * weight) / self.processes
        gradients = tape.gradient(loss, self._variables)
        *gradients, loss = self._over_all([*gradients, loss])
        for variable, gradient, first, second, mean in zip(
            self._variables, gradients, self._first, self._second, self._mean, strict=True
        ):
            clipped = tf.clip_by_value(gradient, -self._clip, self._clip)
            first.assign(BETA_1 * first + (1 - BETA_1) * clipped)
            second.assign(BETA_2 * second + (1 - BETA_2) * tf.square(clipped))
            unbiased = first / (1 - BETA_1**count)
            scale = tf.sqrt(second / (1 - BETA_2**count)) + EPSILON
            variable.assign_sub(rate * unbiased / scale)
            mean.assign(kept * mean + (1 - kept) * variable)
        return logits, loss

    def _total(self, numbers: Any) -> Any:
        strategy = self._strategy
        assert strategy is not None, "one process has nobody to agree with"
        # An argument of a graph has no device yet, and only what has one can be summed.
        return strategy.run(lambda own: self._over_all([tf.identity(own)])[0], (numbers,))

    def _over_all(self, tensors: list[Any]) -> list[Any]:
        if self._strategy is None:
            return tensors
        summed: list[Any] = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)
        return summed


class EventLog:
    """Numbers by step, in a folder that TensorBoard reads."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{name}"))
        self._write(tf.compat.v1.Event(file_version="brain.Event:2"))

    def add(self, wall_s: float, step: int, numbers: Mapping[str, float]) -> None:
        """Writes some numbers of a step."""
        values = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        summary = tf.compat.v1.Summary(value=values)
        self._write(tf.compat.v1.Event(wall_time=wall_s, step=step, summary=summary))

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())
        self._writer.flush()
