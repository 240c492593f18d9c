"""A training's state on disk: all that it goes on from after a crash, written whole or not at all.

Each process keeps the last two of its states, so that after a crash between two processes' writing there is
still a step that all of them have.  A state is one .npz of numbers and one JSON text; nothing in it is run.
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference_workers.ffn.training import TrainingSettings, Watch

KEPT = 2
FREE = ("steps", "minutes", "patience")
"""What may be another when a training is resumed: when it ends."""
_NAME = re.compile(r"state-(\d+)-(\d+)\.npz")


class TrainingError(ValueError):
    """A training that cannot begin or go on: why, and what to do, in a sentence."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a state says in words."""

    settings: TrainingSettings
    ground: str
    """What is learned from, so that nobody goes on with another."""
    processes: int
    step: int
    minutes: float
    examples: int
    watch: Watch


class State(NamedTuple):
    """A training in the middle."""

    about: About
    arrays: dict[str, NDArray[Any]]


def save(folder: Path, process: int, state: State) -> Path:
    """Writes a state and drops those that are older than the last two; returns its file.  Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"state-{process}-{state.about.step}.npz"
    beside = folder / f".{path.name}.{os.getpid()}"
    about = np.frombuffer(msgspec.json.encode(state.about), np.uint8)
    try:
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, about=about, **state.arrays)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    for step in steps(folder, process)[:-KEPT]:
        (folder / f"state-{process}-{step}.npz").unlink(missing_ok=True)
    return path


def steps(folder: Path, process: int) -> list[int]:
    """The steps of which a process has left a state, in order."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("state-*.npz"))
    return sorted(int(name[2]) for name in names if name and int(name[1]) == process)


def load(folder: Path, process: int, processes: int) -> State:
    """The last state that all processes have.  Raises TrainingError if there is none, or it is damaged."""
    common = set(steps(folder, 0))
    for other in range(1, processes):
        common &= set(steps(folder, other))
    if not common:
        raise TrainingError(f"there is nothing to resume in {folder}: train without --resume")
    path = folder / f"state-{process}-{max(common)}.npz"
    try:
        # Opened here, because NumPy leaves a file open that it cannot read.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = msgspec.json.decode(arrays.pop("about").tobytes(), type=About)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError) as why:
        raise TrainingError(
            f"{path} cannot be read ({' '.join(str(why).split())}): remove it, and training goes on from the state"
            " before"
        ) from None
    return State(about, arrays)


def complete(state: State, path: Path) -> None:
    """Raises TrainingError if a state lacks something to go on from, as those of older versions do."""
    missing = sorted({"begun", "canvas", "queue", "been"} - state.arrays.keys())
    if missing:
        raise TrainingError(
            f"the state in {path} has no {', '.join(missing)}, so another version of CaveCast wrote it: begin again"
            " with --anew"
        )


def fits(about: About, settings: TrainingSettings, ground: str, processes: int) -> None:
    """Raises TrainingError, naming what differs, unless a training of these settings may go on from a state."""
    old, new = msgspec.structs.asdict(about.settings), msgspec.structs.asdict(settings)
    other = [f"{name} {old[name]} and not {new[name]}" for name in old if name not in FREE and old[name] != new[name]]
    if about.ground != ground:
        other.append(f"{about.ground} and not {ground}")
    if about.processes != processes:
        other.append(f"{about.processes} processes and not {processes}")
    if other:
        raise TrainingError(f"this training was begun with {'; '.join(other)}: resume it with the same, or train anew")


def remove(folder: Path, process: int) -> None:
    """Forgets a process's states."""
    for step in steps(folder, process):
        (folder / f"state-{process}-{step}.npz").unlink(missing_ok=True)
