"""``cavecast ffn sweep``: tries settings of the flood fill, or of a training, and says which are best.

Exit status 2 is wrong use, 1 something that went wrong on the way, 130 interrupted; the trials that are done
stay in the study, and the same command goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from inference_workers.ffn.sweep import Sweep, Trial, Value

_FAILED, _USAGE = 1, 2


def sweep(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="What to try, on what, and by what to judge.", show_default=False),
    ],
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Trials altogether, those of other workers too.  0: only show."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Where the study is: sqlite:///FILE, redis://…, valkey://… or postgresql://…."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="REPORT.html", help="Write a page with all trials, in one file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, alone on stdout.")] = False,
) -> None:
    """Try settings on parts of a volume; goes on where it was stopped, and with as many workers as you start."""
    import os

    import structlog

    from inference_workers.ffn.model import ModelError
    from inference_workers.ffn.sweep import SweepError, read_sweep
    from inference_workers.ffn.sweep_trial import Trials
    from inference_workers.source import InputError

    try:
        from inference_workers.ffn.study import OUT_OF_REACH, Study, open_storage
    except ModuleNotFoundError as why:
        if not (why.name or "").startswith("optuna"):
            raise
        _refuse("a sweep needs Optuna: pip install 'cavecast[sweep]'", _USAGE)
    from inference_workers.ffn.sweep_report import page
    from inference_workers.ffn.sweep_work import bury_dead, work

    if not structlog.is_configured():  # as it comes, it would write into the JSON; the stream is looked up each time
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    if html is not None and not html.parent.is_dir():
        _refuse(f"there is no folder {html.parent} for the report", _USAGE)
    try:
        raw = config.read_bytes()
    except OSError as why:
        _refuse(f"{config} cannot be read: {why.strerror}", _USAGE)
    try:
        asked = read_sweep(raw, str(config), options_of_training())
        target = asked.trials if trials is None else trials
        place = storage or f"sqlite:///{config.absolute().with_suffix('.study.db')}"
        prepared = Trials(asked, config.absolute().parent, trainer(asked, config.absolute().parent)) if target else None
        study = Study(open_storage(place), asked, salt=os.getpid() if storage else None)
    except (SweepError, InputError, ModelError) as why:
        _refuse(why, _USAGE)
    with study:
        try:
            if prepared is not None:
                work(study, prepared, target, _Shown(asked, target, quiet=json))
            else:
                bury_dead(study)
            done, importances = study.trials(), study.importances()
        except SweepError as why:
            _refuse(why, _FAILED)
        except OUT_OF_REACH as why:
            _refuse(
                f"the study at {_plain(place)} does not answer any more ({_first_line(why)}); what is done stays there,"
                " and the same command goes on",
                _FAILED,
            )
        except KeyboardInterrupt:
            _refuse(f"interrupted; the same command goes on with the study at {_plain(place)}", 130)
    notes = prepared.notes if prepared else []
    if html is not None:
        try:
            html.write_text(page(asked, done, importances, notes), encoding="utf-8")
        except OSError as why:
            _refuse(f"{html} cannot be written: {why.strerror}", _FAILED)
    if json:
        _print_json(asked, done, importances, notes)
    else:
        _show(asked, done, notes)
        if html is not None:
            typer.echo(f"report  {html}")


NOT_FOR_SWEEPS = (
    "volume", "variable", "out", "labels", "labels_variable", "connect", "connectivity", "min_duration_h", "resume",
    "anew", "strategy", "json", "provenance", "periodic", "set_",
)  # fmt: skip
"""Options of a training that follow from ``[data]`` or ``[parameters]``, or make no sense in a trial."""


def options_of_training() -> list[str]:
    """What ``[training]`` may set."""
    import inspect

    from inference_workers.ffn.train_command import train

    return [name for name in inspect.signature(train).parameters if name not in NOT_FOR_SWEEPS]


def trainer(sweep: Sweep, folder: Path) -> Callable[[Mapping[str, Value], Path], object]:
    """What trains the network of a trial, as ``cavecast ffn train`` would with the same options."""
    import inspect

    from inference_workers.ffn.sweep_trial import near
    from inference_workers.ffn.train_command import train
    from inference_workers.ffn.training_loop import train as run
    from inference_workers.ffn.training_task import task_of

    _check_types(sweep, train)
    data, parameters = sweep.data, inspect.signature(train).parameters
    usual = {name: None if p.default is p.empty else p.default for name, p in parameters.items()}
    usual |= {
        "volume": near(folder, data.volume), "variable": data.variable, "connect": data.connect,
        "connectivity": data.connectivity, "min_duration_h": data.min_duration_h,
        "labels": None if data.labels is None else near(folder, data.labels), "labels_variable": data.labels_variable,
    }  # fmt: skip
    return lambda options, out: run(task_of({**usual, **options, "out": out}))


def _check_types(sweep: Sweep, train: Callable[..., None]) -> None:
    """Raises SweepError if an option of a training is given a value that it cannot take."""
    from typing import get_type_hints

    import msgspec

    from inference_workers.ffn.sweep import Span, SweepError

    kinds = get_type_hints(train)
    for name, choice in sweep.training.items():
        values = (
            [choice.low, choice.high] if isinstance(choice, Span) else choice if isinstance(choice, list) else [choice]
        )
        for value in values:
            try:
                msgspec.convert(value, kinds[name])
            except msgspec.ValidationError as why:
                raise SweepError(f"training.{name} cannot be {value!r}: {why}") from None


class _Shown:
    """Says after each trial how it went, on stderr."""

    def __init__(self, sweep: Sweep, target: int, *, quiet: bool) -> None:
        self._sweep, self._target, self._quiet = sweep, target, quiet

    def __call__(self, trials: list[Trial]) -> None:
        from inference_workers.ffn.sweep import ranked

        best = ranked(trials, self._sweep.direction)
        if best and not self._quiet:
            done = sum(t.state in ("complete", "refused") for t in trials)
            said = (
                f"{done} of {self._target} trials, best {self._sweep.goal} {best[0].value:.4f} (trial {best[0].number})"
            )
            typer.echo(said, err=True)


def _print_json(sweep: Sweep, trials: list[Trial], importances: dict[str, float], notes: list[str]) -> None:
    import msgspec

    from inference_workers.ffn.sweep import ranked, settings_of

    best = ranked(trials, sweep.direction)
    told: dict[str, Any] = {
        "study": sweep.name,
        "goal": sweep.goal,
        "direction": sweep.direction,
        "best": best[0].number if best else None,
        "value": best[0].value if best else None,
        "settings": settings_of(sweep, best[0].parameters) if best else "",
        "importances": importances,
        "notes": notes,
        "trials": [t._asdict() for t in trials],
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")


def _show(sweep: Sweep, trials: list[Trial], notes: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from inference_workers.ffn.sweep import ranked, settings_of
    from inference_workers.ffn.sweep_report import word

    for note in notes:
        typer.echo(f"note: {note}")
    best = ranked(trials, sweep.direction)
    names = list(sweep.varied())
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 40 + sum(len(name) + 3 for name in names)))
    table = Table("trial", sweep.goal, *names, "seconds")
    for trial in best[:20]:
        seconds = trial.attributes.get("seconds")
        cells = [word(trial.parameters[name]) for name in names]
        table.add_row(str(trial.number), f"{trial.value:.4f}", *cells, "" if seconds is None else f"{seconds:.1f}")
    if best:
        console.print(table)
    others = [t for t in trials if t.state not in ("complete", "waiting")]
    for trial in others:
        why = " ".join(str(trial.attributes.get("why", "")).split())
        typer.echo(f"trial {trial.number} {trial.state}" + (f": {why}" if why else ""))
    if best:
        typer.echo(f"best: trial {best[0].number}, {settings_of(sweep, best[0].parameters)}".rstrip(", "))


def _plain(address: str) -> str:
    import re

    return re.sub(r"//[^/@]*@", "//…@", address)


def _first_line(why: BaseException) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0]


def _refuse(why: object, code: int) -> NoReturn:
    typer.echo(f"cavecast: {' '.join(str(why).split())}", err=True)
    raise typer.Exit(code)
