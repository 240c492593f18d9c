"""``cavecast ffn evaluate``: a segmentation against the truth, as a table, as JSON or as a page.

Exit status 2 is wrong use, 1 something that went wrong on the way.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from inference_workers.ffn.scores import Evaluation

_FAILED, _USAGE = 1, 2


def evaluate(
    pred: Annotated[
        str,
        typer.Argument(
            metavar="PRED", help="Labels: a store of CaveCast, or any volume of labels.", show_default=False
        ),
    ],
    truth: Annotated[
        str,
        typer.Argument(
            metavar="TRUTH", help="Labels, or with --connect a field; sample:NAME as well.", show_default=False
        ),
    ],
    pred_variable: Annotated[
        str | None, typer.Option(metavar="V", help="The variable of PRED, if there are several.")
    ] = None,
    truth_variable: Annotated[
        str | None, typer.Option(metavar="V", help="The variable of TRUTH, if there are several.")
    ] = None,
    connect: Annotated[
        float | None,
        typer.Option(metavar="THRESHOLD", help="TRUTH is a field: its objects are what is connected at or above this."),
    ] = None,
    connectivity: Annotated[int, typer.Option(metavar="6|18|26", help="Neighbours, for --connect.")] = 26,
    min_duration_h: Annotated[
        float, typer.Option(metavar="H", min=0, help="Objects of either side that live shorter are background.")
    ] = 0.0,
    interval: Annotated[
        list[str] | None,
        typer.Option(metavar="A:B", help="Compare these only: steps A to B − 1, or two dates; may be repeated."),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=S,N,W,E", help="Compare this region only, and by its name; may be repeated."),
    ] = None,
    block: Annotated[
        int, typer.Option(metavar="N", min=0, help="Steps of a block of time.  0: two dozen blocks at most.")
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL.keras", help="Leave out what this model was trained on, not what PRED's was."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all/--leave-out-training", help="Compare also what the model was trained on.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="REPORT.html", help="Write a page with pictures, in one file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, alone on stdout.")] = False,
) -> None:
    """Compare a segmentation with the truth: by voxels, by objects, through time and by region."""
    import msgspec

    from inference_workers.ffn.evaluation import Request, opened
    from inference_workers.ffn.evaluation import evaluate as compare
    from inference_workers.ffn.model import ModelError
    from inference_workers.source import InputError

    if connectivity not in (6, 18, 26):
        _refuse(f"--connectivity is 6, 18 or 26, not {connectivity}", _USAGE)
    request = Request(
        pred=pred, truth=truth, pred_variable=pred_variable, truth_variable=truth_variable, connect=connect,
        connectivity=connectivity, min_duration_h=min_duration_h, intervals=interval or [], regions=region or [],
        model=model, all=everything, block=block,
    )  # fmt: skip
    if html is not None and not html.parent.is_dir():
        _refuse(f"there is no folder {html.parent} for the report", _USAGE)
    try:
        with opened(request) as (ours, theirs):
            compared = compare(ours, theirs, request)
            if html is not None:
                from inference_workers.ffn.report_pictures import report

                html.write_text(report(compared), encoding="utf-8")
    except (InputError, ModelError) as why:
        _refuse(why, _USAGE)
    except (OSError, MemoryError) as why:
        _refuse(why, _FAILED)
    if json:
        sys.stdout.write(msgspec.json.encode(compared.evaluation).decode() + "\n")
    else:
        _show(compared.evaluation, html)


def _show(e: Evaluation, html: Path | None) -> None:
    from inference_workers.ffn.report import EXPLAINED, number

    typer.echo(f"prediction  {e.pred}\ntruth       {e.truth}")
    t = e.total
    typer.echo(
        f"compared    {t.voxels:,} voxels of {len(e.steps):,} steps, {t.objects_truth:,} true and"
        f" {t.objects_pred:,} predicted objects"
    )
    for note in [*e.notes, *([f"left out: {e.left_out}"] if e.left_out else [])]:
        typer.echo(f"note        {note}")
    for key, name, said in EXPLAINED:
        typer.echo(f"  {name:32} {number(getattr(t, key)):>6}  {said}")
    for part in e.regions:
        f1 = [number(value) for value in (part.scores.voxel_f1, part.scores.object_f1)]
        typer.echo(f"  {part.name:32} voxel F1 {f1[0]}, object F1 {f1[1]}, {part.scores.objects_truth:,} true objects")
    if html is not None:
        typer.echo(f"report      {html}")


def _refuse(why: object, code: int) -> NoReturn:
    typer.echo(f"cavecast: {' '.join(str(why).split())}", err=True)
    raise typer.Exit(code)
