"""``cavecast ffn train``: a network for a volume, from labels or from a threshold.

What was typed becomes one task for the training loop; all that can be wrong with it is found before
TensorFlow is loaded.  Exit status 2 is wrong use, 1 something that went wrong on the way.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self

import typer

if TYPE_CHECKING:
    from inference_workers.ffn.training_loop import Progress, Result, Task

_FAILED, _USAGE = 1, 2


def train(
    volume: Annotated[
        str, typer.Argument(metavar="VOLUME", help="A file, a store or an address, or sample:NAME.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="MODEL.keras", help="The model file to write; also `-o`.")
    ],
    variable: Annotated[str | None, typer.Option(metavar="V", help="The field, if there are several.")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="LABELS", help="Objects to learn: a volume of labels of the same shape.")
    ] = None,
    labels_variable: Annotated[
        str | None, typer.Option(metavar="V", help="The variable of the labels, if there are several.")
    ] = None,
    connect: Annotated[
        float | None,
        typer.Option(metavar="THRESHOLD", help="Objects to learn: what is connected at or above this value."),
    ] = None,
    connectivity: Annotated[int, typer.Option(metavar="6|18|26", help="Neighbours, for --connect.")] = 26,
    min_duration_h: Annotated[
        float, typer.Option(metavar="H", min=0, help="With --connect: objects that live shorter are not learned.")
    ] = 24.0,
    short_lived: Annotated[
        Literal["ignore", "background"],
        typer.Option(metavar="ignore|background", help="What is made of those that live shorter."),
    ] = "ignore",
    depth: Annotated[int, typer.Option(metavar="N", min=1, help="Pairs of convolutions.")] = 4,
    features: Annotated[int, typer.Option(metavar="N", min=1, help="Filters of each convolution.")] = 8,
    fov: Annotated[str, typer.Option(metavar="Z,Y,X", help="Field of view, odd along each axis.")] = "9,17,17",
    deltas: Annotated[str, typer.Option(metavar="Z,Y,X", help="Steps of the field of view.")] = "3,6,6",
    mean: Annotated[
        float | None,
        typer.Option(metavar="V", help="Subtracted from the field.  Without it the threshold, else the mean."),
    ] = None,
    std: Annotated[
        float | None,
        typer.Option(metavar="V", help="The field is divided by it.  Without it, its deviation."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting of the flood fill, such as move=0.6; may be repeated."
        ),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="A:B", help="Learn from these only: steps A to B − 1, or two dates.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="S,N,W,E", help="Learn from this region only: degrees, or low and high y and x."),
    ] = None,
    validation: Annotated[
        str, typer.Option(metavar="SHARE|A:B", help="Set aside for validation: a share in blocks of time, or steps.")
    ] = "0.2",
    periodic: Annotated[str, typer.Option(metavar="auto|none|AXIS", help="Which axis closes.")] = "auto",
    steps: Annotated[int, typer.Option(metavar="N", min=0, help="Stop after so many batches.  0: by time.")] = 0,
    minutes: Annotated[float, typer.Option(metavar="M", min=0, help="Stop after so long.  0: by steps.")] = 0.0,
    patience: Annotated[
        int, typer.Option(metavar="N", min=0, help="Stop after so many validations without a better one.  0: never.")
    ] = 20,
    watch: Annotated[Literal["f1", "loss"], typer.Option(metavar="f1|loss", help="What is best.")] = "f1",
    validate_every: Annotated[int, typer.Option(metavar="N", min=1, help="Batches between validations.")] = 250,
    validation_examples: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many examples a validation takes.")
    ] = 128,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Examples at a time, over all processes.")] = 16,
    learning_rate: Annotated[float, typer.Option(metavar="R", help="Of Adam.")] = 2e-3,
    object_weight: Annotated[
        float, typer.Option(metavar="W", help="What a voxel of the object counts where another counts 1.")
    ] = 1.0,
    mirror: Annotated[
        str, typer.Option(metavar="AXES", help="Mirror examples along these of z, y and x; z is time.  none: no.")
    ] = "x",
    moves: Annotated[
        Literal["fixed", "max_pred"],
        typer.Option(
            metavar="fixed|max_pred",
            help="Where the field of view goes in an example: to all neighbours at a step, or as in a flood fill.",
        ),
    ] = "fixed",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the random numbers.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was interrupted.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Begin again where a training was begun before.")] = False,
    strategy: Annotated[
        Literal["one", "multi-worker"],
        typer.Option(metavar="one|multi-worker", help="multi-worker: with the processes that TF_CONFIG names."),
    ] = "one",
    threads: Annotated[int, typer.Option(metavar="N", min=0, help="To compute with.  0: all cores.")] = 0,
    readers: Annotated[int, typer.Option(metavar="N", min=1, help="Threads that read examples.")] = 2,
    provenance: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the model: what it is, its licence.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object, alone on stdout.")] = False,
) -> None:
    """Train a network on a volume; what it was trained on is kept in the model."""
    import msgspec

    from inference_workers.ffn.training_loop import train as run
    from inference_workers.ffn.training_task import task_of

    given = {name: value for name, value in locals().items() if name not in ("msgspec", "run")}
    try:
        task = task_of(given)
    except ValueError as why:  # what a record or a room complains of, InputError too
        _refuse(why, _USAGE)
    try:
        with Shown(task, quiet=json) as shown:
            result = run(task, shown)
    except (ValueError, OSError, MemoryError) as why:  # TrainingError, ModelError and InputError are of the first kind
        _refuse(why, _FAILED)
    except KeyboardInterrupt:
        _refuse(f"interrupted; go on with the same command and --resume ({task.folder} has the state)", 130)
    if json:
        sys.stdout.write(msgspec.json.encode({**result._asdict(), "model": str(task.out)}).decode() + "\n")
    else:
        typer.echo(_said(task, result))


class Shown:
    """Says how a training goes: a bar with what is left on a terminal, else a line now and then, on stderr."""

    def __init__(self, task: Task, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._steps, self._minutes = task.settings.steps, task.settings.minutes
        self._bar = (
            Progress(
                BarColumn(bar_width=16), TimeElapsedColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[said]}"), console=console,
            )
            if console.is_terminal and not quiet
            else None
        )  # fmt: skip
        self._task: Any = None
        self._said_score: object = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("training", total=1.0 if self._steps or self._minutes else None, said="")
        return self

    def __call__(self, progress: Progress) -> None:
        said = words(progress)
        if self._bar is not None:
            done = share(progress, self._steps, self._minutes)
            self._bar.update(self._task, completed=done, said=said.partition(" (")[0])
        elif progress.last is not self._said_score:
            self._said_score = progress.last
            left = left_minutes(progress, self._steps, self._minutes)
            typer.echo(said + (f", {left:.0f} min left" if left is not None else ""), err=True)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def words(progress: Progress) -> str:
    """How far a training is, in a line."""
    said = f"step {progress.step:,}, loss {progress.loss:.4f}, waiting {progress.waiting:.1%}"
    return (
        said if progress.last is None else f"{said}, F1 {progress.last.f1:.3f} (best at {progress.watch.best_step:,})"
    )


def share(progress: Progress, steps: int, minutes: float) -> float:
    """How much of a training is done, 0 … 1, by steps or by time, whichever is nearer to its end."""
    return min(1.0, max(progress.step / steps if steps else 0.0, progress.minutes / minutes if minutes else 0.0))


def left_minutes(progress: Progress, steps: int, minutes: float) -> float | None:
    """How long it will take if it goes on like this; None if its end is not known."""
    done = share(progress, steps, minutes)
    return progress.minutes * (1 - done) / done if done > 0 else None


def _said(task: Task, result: Result) -> str:
    return (
        f"{task.out}: {result.why}; {result.step:,} steps, {result.examples:,} fields of view,"
        f" {result.minutes:.1f} minutes, {result.waiting:.1%} of learning spent waiting for examples; best validation"
        f" {task.settings.watch} {abs(result.watch.best or 0):.4f} at step {result.watch.best_step:,}"
    )


def _refuse(why: object, code: int) -> NoReturn:
    typer.echo(f"cavecast: {' '.join(str(why).split())}", err=True)
    raise typer.Exit(code)
