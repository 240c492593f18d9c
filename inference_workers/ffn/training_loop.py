"""Training, from the first example to the file: the shell around what the other rooms decide and compute.

Every so many steps the moving average of the network is judged on examples of the validation; if it is the
best so far, it becomes the model file.  Then the state is written, so that after a crash training goes on
from there as if nothing had been: weights, moments, rows, and which examples come next.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn import training_state
from inference_workers.ffn.file import write_model
from inference_workers.ffn.model import ModelConfig, Training
from inference_workers.ffn.pipeline import Blocks, Pipeline
from inference_workers.ffn.structure import fresh
from inference_workers.ffn.training import Score, TrainingSettings, Watch, rate, score, why_stop
from inference_workers.ffn.training_data import Examples, Ground, MakeExample, Range
from inference_workers.ffn.training_row import Row, as_arrays, restore
from inference_workers.ffn.training_state import About, State, TrainingError

ASK = 10
"""Steps between two looks at the clock."""


class Task(NamedTuple):
    """What to train, on what, and where it goes."""

    settings: TrainingSettings
    ground: Ground
    learned: Sequence[Range]
    """Ranges of axis 0 of the ground's box that are learned from."""
    validated: Sequence[Range]
    config: ModelConfig
    """The model file's, but for ``examples``."""
    out: Path
    resume: bool = False
    threads: int = 1
    readers: int = 2
    many: bool = False

    @property
    def folder(self) -> Path:
        """Where state and logs are: beside the model file."""
        return self.out.with_suffix(".training")

    @property
    def about_ground(self) -> str:
        """What is learned from, in words that differ if it does."""
        g = self.ground
        return (
            f"{g.source.variable} of {g.source.address} at {g.box.start} to {g.box.stop}, {g.labels},"
            f" learned {list(self.learned)}, validated {list(self.validated)}"
        )


class Progress(NamedTuple):
    """How far a training is."""

    step: int
    loss: float
    """Since the last report."""
    waiting: float
    """The share of time that the network waited for examples."""
    examples: int
    minutes: float
    last: Score | None
    watch: Watch
    steps_per_s: float


class Result(NamedTuple):
    """What became of a training."""

    why: str
    step: int
    examples: int
    """Fields of view that were learned from."""
    waiting: float
    minutes: float
    watch: Watch
    reads: int


def train(task: Task, report: Callable[[Progress], None] = lambda _: None) -> Result:
    """Trains until the settings say stop; the best network is in ``task.out`` then.

    Raises TrainingError, ModelError, InputError or OSError, each a sentence.
    """
    settings = task.settings
    blocks = Blocks(task.ground.source, task.ground.volume)
    try:
        learned = Examples(task.ground, task.learned, settings, blocks, settings.seed)
        judged = Examples(task.ground, task.validated, settings, blocks, settings.seed + 1)
        # TensorFlow, and with many processes the waiting for the others, only when all else is known to be there.
        from inference_workers.ffn.network_training import EventLog, Learner

        learner = Learner(
            settings.depth, settings.features, fresh(settings.depth, settings.features, settings.seed),
            clip=settings.clip, average=settings.average, threads=task.threads, many=task.many,
        )  # fmt: skip
        if settings.batch % learner.processes:
            raise TrainingError(
                f"a batch of {settings.batch} cannot be shared by {learner.processes} processes: give a multiple"
            )
        log = EventLog(
            task.folder / "logs", f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}.{learner.process}"
        )
        try:
            return _Course(task, learner, learned, judged, blocks, log, report).run()
        finally:
            log.close()
    finally:
        blocks.close()


class _Course:
    """One training's way."""

    def __init__(
        self, task: Task, learner: Any, learned: MakeExample, judged: MakeExample, blocks: Blocks, log: Any,
        report: Callable[[Progress], None],
    ) -> None:  # fmt: skip
        self.task, self.settings, self.learner, self.log, self.report = task, task.settings, learner, log, report
        self.learned, self.judged, self.blocks = learned, judged, blocks
        self.size = self.settings.batch // learner.processes
        self.first = self.size * learner.process
        self.step, self.minutes, self.clock, self.watch = 0, 0.0, 0.0, Watch()
        self.last: Score | None = None
        self.learning_s = 0.0
        self.validation: list[Any] = []
        self.begun = [0] * self.size
        self.saved: State | None = None
        if task.resume:
            self._restore(training_state.load(task.folder, learner.process, learner.processes))

    def run(self) -> Result:
        """Until it is over."""
        settings, began = self.settings, time.monotonic()
        before = self.minutes
        with Pipeline(
            self.learned, self.size, self.first, settings.batch, self.task.readers, [max(n - 1, 0) for n in self.begun]
        ) as pipeline:
            rows = self._rows(pipeline)
            losses: list[float] = []
            since, asked = time.perf_counter(), False
            while True:
                self.minutes = before + (time.monotonic() - began) / 60
                asks = not asked or self.step % ASK == 0 or self.step == settings.steps
                why, asked = self._why_stop() if asks else None, True
                due = self.step % settings.validate_every == 0 and self.step > 0
                if (why or due) and losses:
                    self.learning_s += time.perf_counter() - since
                    self._tell(pipeline, losses)
                    self._validate()
                    losses = []
                    self._save(rows, pipeline)
                    since = time.perf_counter()
                    why = why or self._why_stop()
                if why:
                    break
                losses.append(self._learn(rows, pipeline))
                if self.step % ASK == 0:
                    self._tell(pipeline, losses, time.perf_counter() - since)
            return Result(
                why, self.step, self._examples(), self._waiting(pipeline), self.minutes, self.watch, self.blocks.reads
            )

    def _learn(self, rows: list[Row], pipeline: Pipeline) -> float:
        boxes = []
        for number, row in enumerate(rows):
            box = row.box()
            while box is None:
                rows[number] = Row(pipeline.take(number), self.settings)
                box = rows[number].box()
            boxes.append(box)
        both = list(zip(rows, boxes, strict=True))
        logits, loss = self.learner.learn(
            np.stack([row.example.image[box] for row, box in both]),
            np.stack([row.canvas[box] for row, box in both]),
            np.stack([row.example.target[box] for row, box in both]),
            np.stack([row.example.weight[box] for row, box in both]),
            self.step,
            rate(self.settings, self.step, self.clock),
        )
        if not np.isfinite(loss):
            raise TrainingError(
                f"the loss is not a number any more after {self.step:,} steps: take a smaller --learning-rate than"
                f" {self.settings.learning_rate:g}, and look whether --mean and --std fit the field"
                + (f"; {self.task.out} holds the best network so far" if self.watch.best_step else "")
            )
        for (row, box), said in zip(both, logits, strict=True):
            row.put(box, said)
        self.step += 1
        return float(loss)

    def _rows(self, pipeline: Pipeline) -> list[Row]:
        rows = [Row(pipeline.take(number), self.settings) for number in range(self.size)]
        if self.saved is not None:
            restore(rows, self.saved.arrays)
        return rows

    def _why_stop(self) -> str | None:
        """The same in all processes: if one stops, all do.  The clock that the rate goes by is the first one's."""
        why = why_stop(self.settings, self.step, self.minutes, self.watch)
        clock = self.minutes if self.learner.process == 0 else 0.0
        stopping, self.clock = self.learner.total(np.array([why is not None, clock], np.float32)).tolist()
        return (why or "another process stopped") if stopping else None

    def _validate(self) -> None:
        """Judges the average; the first process does so for all."""
        told = np.zeros(3, np.float32)
        if self.learner.process == 0:
            told = np.array(self._score(), np.float32)
        told = self.learner.total(told)
        found = Score(*(float(number) for number in told))
        self.last = found
        if self.watch.better(self.step, found.f1 if self.settings.watch == "f1" else -found.loss):
            self._write()
        self.log.add(
            time.time(), self.step,
            {"validation/loss": found.loss, "validation/f1": found.f1, "validation/precision": found.precision,
             "validation/recall": found.recall},
        )  # fmt: skip

    def _score(self) -> Score:
        if not self.validation:
            self.validation = [self.judged(number) for number in range(self.settings.validation_examples)]
        self.learner.ready_to_judge()
        rows = [Row(example, self.settings) for example in self.validation]
        going = [(row, row.box()) for row in rows]
        while going:
            for first in range(0, len(going), 32):
                some = going[first : first + 32]
                image = np.stack([row.example.image[box] for row, box in some])
                seed = np.stack([row.canvas[box] for row, box in some])
                for (row, box), said in zip(some, self.learner.judge(image, seed), strict=True):
                    assert box is not None, "only rows that go on are here"
                    row.put(box, said)
            going = [(row, box) for row, box in ((row, row.box()) for row, _ in going) if box is not None]
        return score(
            np.stack([row.canvas for row in rows]),
            np.stack([row.example.target for row in rows]),
            np.stack([row.example.weight for row in rows]),
            self.settings.flood.segment,
        )

    def _write(self) -> None:
        if self.learner.process:
            return
        training = self.task.config.training or Training(source=self.task.ground.source.address)
        training = msgspec.structs.replace(training, examples=self._examples(), seed=self.settings.seed)
        write_model(
            self.task.out, msgspec.structs.replace(self.task.config, training=training), self.learner.averaged()
        )

    def _save(self, rows: list[Row], pipeline: Pipeline) -> None:
        self.begun = pipeline.begun
        about = About(
            settings=self.settings, ground=self.task.about_ground, processes=self.learner.processes,
            step=self.step, minutes=self.minutes, examples=self._examples(), watch=self.watch,
        )  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {**self.learner.state(), **as_arrays(rows), "begun": np.array(self.begun)}
        training_state.save(self.task.folder, self.learner.process, State(about, arrays))

    def _restore(self, state: State) -> None:
        training_state.complete(state, self.task.folder)
        training_state.fits(state.about, self.settings, self.task.about_ground, self.learner.processes)
        self.learner.restore(state.arrays)
        self.step, self.minutes, self.watch = state.about.step, state.about.minutes, state.about.watch
        self.begun = state.arrays["begun"].tolist()
        self.saved = state

    def _examples(self) -> int:
        return self.step * self.settings.batch

    def _waiting(self, pipeline: Pipeline, more_s: float = 0.0) -> float:
        return pipeline.waited_s / max(self.learning_s + more_s, 1e-9)

    def _tell(self, pipeline: Pipeline, losses: list[float], more_s: float = 0.0) -> None:
        if self.learner.process:
            return
        loss, waiting = float(np.mean(losses)), self._waiting(pipeline, more_s)
        pace = len(losses) / more_s if more_s > 0 else 0.0
        self.report(Progress(self.step, loss, waiting, self._examples(), self.minutes, self.last, self.watch, pace))
        self.log.add(time.time(), self.step, {"train/loss": losses[-1], "train/waiting": waiting})
