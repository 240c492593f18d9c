"""What a sweep is asked for, and its decisions: which values are tried, when a trial is dead, which one is best.  Pure.

A sweep is one TOML file.  Every name in it is checked before anything is computed, and what is wrong is said
in a sentence with its place.  Trials live in a study that many processes may share; a process that is gone
leaves trials that run for ever, which the others find by their pulse.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

Value = bool | int | float | str
PULSE_S = 5.0
"""A worker says so often that it is at a trial."""
GRACE_S = 60.0
"""After so long without a pulse a trial is dead."""
MOST_RETRIES = 2
FLOOD = (
    "seeds", "seed_threshold", "seed_min_distance", "inverted", "consensus", "pad", "init", "move", "segment",
    "min_segment_size", "disconnection_bias", "connected", "reach", "deltas",
)  # fmt: skip
"""What a sweep may vary of a flood fill: the parameters of the segmenter, and two that a model keeps."""
IN_MODEL = ("deltas", "seed_min_distance")
GOALS: dict[str, Literal["maximize", "minimize"]] = {
    "object_f1": "maximize", "object_precision": "maximize", "object_recall": "maximize", "mean_object_iou": "maximize",
    "voxel_f1": "maximize", "voxel_iou": "maximize", "vi_bits": "minimize", "adapted_rand_error": "minimize",
}  # fmt: skip


class SweepError(ValueError):
    """A sweep that cannot be done: what is wrong, where, and what to do, in a sentence."""


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values between two ends, both included: whole numbers if both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether ratios count rather than differences."""
    step: int | float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log, low is above 0 and there is no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step {self.step:g} is not between 0 and high − low")

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step or 1))


Choice = Span | list[Value] | Value
"""A range, some values to choose from, or one value for all trials."""


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[data]``: the volume, what is true there, and with which network."""

    volume: str
    variable: str | None = None
    connect: float | None = None
    connectivity: Literal[6, 18, 26] = 26
    min_duration_h: Annotated[float, Meta(ge=0)] = 0.0
    labels: str | None = None
    labels_variable: str | None = None
    model: str | None = None
    precision: Literal["float32", "bf16", "mixed"] = "float32"
    backend: Literal["auto", "tensorflow", "openvino"] = "auto"


class Fold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[validation.NAME]``: a part of the volume by which trials are judged."""

    interval: str | None = None
    region: str | None = None
    weight: Annotated[float, Meta(gt=0)] = 1.0


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sweep, as its file says."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    data: Truth
    validation: Annotated[dict[str, Fold], Meta(min_length=1)]
    parameters: dict[str, Choice] = {}
    training: dict[str, Choice] = {}
    """Options of ``cavecast ffn train``, with ``_`` for ``-``; each trial trains a network of its own then."""
    goal: str = "object_f1"
    trials: Annotated[int, Meta(ge=1)] = 30
    seed: Annotated[int, Meta(ge=0)] = 0

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Whether more of the goal is better."""
        return GOALS[self.goal]

    def varied(self) -> dict[str, Span | list[Value]]:
        """What differs between trials; what is varied in training is called ``training.NAME``."""
        both = {**self.parameters, **{f"training.{name}": choice for name, choice in self.training.items()}}
        return {name: c for name, c in both.items() if isinstance(c, Span | list)}

    def complete(self, chosen: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
        """Parameters of the flood fill and of the training of one trial."""
        fixed = {name: c for name, c in self.parameters.items() if not isinstance(c, Span | list)}
        learned = {name: c for name, c in self.training.items() if not isinstance(c, Span | list)}
        for name, value in chosen.items():
            if name.startswith("training."):
                learned[name.removeprefix("training.")] = value
            else:
                fixed[name] = value
        return fixed, learned

    @property
    def digest(self) -> str:
        """Tells sweeps apart whose trials cannot be compared or are chosen differently."""
        return hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(self, trials=1)), digest_size=12).hexdigest()


def read_sweep(raw: bytes, what: str, options: Sequence[str] = ()) -> Sweep:
    """A sweep from its TOML; ``options``: what a training takes.  Raises SweepError."""
    try:
        told = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise SweepError(f"{what} is no TOML: {' '.join(str(why).split())}") from None
    try:
        sweep = msgspec.convert(told, Sweep)
    except msgspec.ValidationError as why:
        raise SweepError(f"{what}: {_plain(str(why))}") from None
    problem = _problem(sweep, options)
    if problem:
        raise SweepError(f"{what}: {problem}")
    return sweep


def _plain(said: str) -> str:
    """A complaint with its place as TOML writes it."""
    said, _, place = said.partition(" - at `$")
    key = re.sub(r"\[\.\.\.\]", ".…", place.rstrip("`")).lstrip(".")
    return f"{key}: {said}" if key else said


def _problem(sweep: Sweep, options: Sequence[str]) -> str:
    """What is wrong with a sweep though every type is right, in words; empty if nothing."""
    data = sweep.data
    if sweep.goal not in GOALS:
        return f"goal is one of {', '.join(GOALS)}, not {sweep.goal!r}"
    if (data.connect is None) == (data.labels is None):
        return 'data: say what is true, either connect = THRESHOLD or labels = "FILE"'
    if (data.model is None) == (not sweep.training):
        return 'say which network: either data.model = "MODEL.keras", or [training] with what each trial trains'
    for name in sweep.parameters:
        if name not in FLOOD:
            return f"parameters.{name} is none of {', '.join(FLOOD)}"
    for name in sweep.training:
        if name not in options:
            return f"training.{name} is no option of cavecast ffn train that a sweep may set"
    if not sweep.varied():
        return "nothing varies: give a parameter as {low = …, high = …} or as a list of values"
    for name, choice in sweep.varied().items():
        if isinstance(choice, list) and (len(choice) < 2 or len({(type(v), v) for v in choice}) < len(choice)):
            return f"{name} is a list of two different values at least"
    return ""


class Trial(NamedTuple):
    """A trial of a study, as it stands there."""

    number: int
    state: Literal["complete", "running", "failed", "refused", "waiting"]
    value: float | None
    parameters: dict[str, Value]
    attributes: dict[str, Any]
    """What its worker wrote: ``pulse``, ``worker``, ``scores``, ``why``, ``retry``, ``seconds``."""


class Worker(NamedTuple):
    """A process that works on trials."""

    host: str
    pid: int
    started: str
    """Tells it from a later process of the same number."""


def dead(trial: Trial, now: float, gone: Sequence[Worker] = ()) -> bool:
    """Whether nobody works on a running trial any more: its worker is known to be gone, or has no pulse."""
    if trial.state != "running":
        return False
    worker = trial.attributes.get("worker")
    if worker is not None and Worker(*worker) in gone:
        return True
    return now - float(trial.attributes.get("pulse", 0.0)) > GRACE_S


def retries(trial: Trial) -> int | None:
    """How many retries the successor of a dead trial has behind it; None if it gets none."""
    tried = int(trial.attributes.get("retry", 0)) + 1
    return tried if tried <= MOST_RETRIES else None


def wanted(trials: Sequence[Trial], target: int) -> int:
    """How many trials are still to be begun, those that others are at not counted."""
    return max(0, target - sum(t.state in ("complete", "refused", "running") for t in trials))


def ranked(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The complete trials, the best first, of equal ones the earlier."""
    sign = -1 if direction == "maximize" else 1
    done = [t for t in trials if t.state == "complete" and t.value is not None]
    return sorted(done, key=lambda t: (sign * (t.value or 0.0), t.number))


def settings_of(sweep: Sweep, chosen: Mapping[str, Value]) -> str:
    """What a run takes to be filled as in a trial; then, in brackets, what the model has to be made with."""
    flood, learned = sweep.complete(chosen)
    run = " ".join(f"--set {name}={_word(value)}" for name, value in flood.items() if name not in IN_MODEL)
    kept = [f"{name}={_word(value)}" for name, value in {**flood, **learned}.items() if name in (*IN_MODEL, *learned)]
    return f"{run} (the model: {', '.join(kept)})".strip() if kept else run


def _word(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
