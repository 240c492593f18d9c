"""``cavecast ffn``: the commands about flood-filling networks.

Plain functions for typer, one module for each larger one; libraries are loaded when a command runs.
Exit status 2 is wrong use, 1 a file that cannot be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from inference_workers.ffn.evaluate_command import evaluate
from inference_workers.ffn.sweep_command import sweep
from inference_workers.ffn.train_command import train

if TYPE_CHECKING:
    from streamer.wire.grid import Triple

_FAILED, _USAGE = 1, 2

ffn = typer.Typer(add_completion=False)
ffn.command()(train)
ffn.command()(evaluate)
ffn.command()(sweep)


@ffn.callback(invoke_without_command=True)
def about(ctx: typer.Context) -> None:
    """Flood-filling networks: bring, train and judge them."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@ffn.command("import")
def import_(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT", help="A TensorFlow 1 checkpoint's prefix: …/model.ckpt-27465036.", show_default=False
        ),
    ],
    depth: Annotated[int, typer.Option(metavar="N", min=1, help="Pairs of convolutions.")],
    features: Annotated[int, typer.Option(metavar="N", min=1, help="Filters of each convolution.")],
    fov: Annotated[str, typer.Option(metavar="Z,Y,X", help="Field of view, odd along each axis.")],
    deltas: Annotated[str, typer.Option(metavar="Z,Y,X", help="Steps of the field of view.")],
    mean: Annotated[float, typer.Option(metavar="V", help="What was subtracted from the field.")],
    std: Annotated[float, typer.Option(metavar="V", help="What the field was divided by then.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="MODEL.keras", help="The model file to write; also `-o`.")
    ],
    variable: Annotated[str, typer.Option(metavar="V", help="The field's variable, if it is to be told.")] = "",
    units: Annotated[str, typer.Option(metavar="UNITS", help="The field's units, if they are to be told.")] = "",
    provenance: Annotated[
        str, typer.Option(metavar="TEXT", help="Where the weights are from, and their licence.")
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting of the flood fill, such as move=0.6; may be repeated."
        ),
    ] = None,
) -> None:
    """Make a model file of a checkpoint that the published reference implementation has trained."""
    import msgspec

    from inference_workers.ffn.checkpoint import prefix_of, weights_of
    from inference_workers.ffn.file import write_model
    from inference_workers.ffn.model import ModelConfig, ModelError
    from inference_workers.ffn.settings import FloodFillSettings, plainly
    from inference_workers.ffn.structure import parameters, shapes

    fields = {"fov": _triple("--fov", fov), "deltas": _triple("--deltas", deltas), **_settings(set_ or [])}
    try:
        flood = msgspec.convert(fields, FloodFillSettings, strict=False)
        config = msgspec.convert(
            {"depth": depth, "features": features, "mean": mean, "std": std, "flood": flood}, ModelConfig
        )
    except msgspec.ValidationError as why:
        _refuse(plainly(why, FloodFillSettings.__struct_fields__), _USAGE)
    config = msgspec.structs.replace(config, variable=variable, units=units, provenance=provenance)
    prefix = prefix_of(checkpoint)
    try:
        shapes(depth, features)
        if not Path(f"{prefix}.index").is_file() and not Path(prefix).is_file():
            raise ModelError(
                f"there is no checkpoint {prefix}: neither {prefix}.index nor a file of that name is there"
            )
        from inference_workers.ffn.network import Checkpoint

        write_model(out, config, weights_of(Checkpoint(prefix), depth, features))
    except (ModelError, OSError) as why:
        _refuse(why, _FAILED)
    typer.echo(f"{out}: depth {depth}, {features} features, {parameters(depth, features):,} parameters")


def _triple(option: str, text: str) -> Triple:
    from streamer.wire.grid import triple

    try:
        return triple(int(part) for part in text.split(","))
    except ValueError:
        _refuse(f"{option} is three whole numbers Z,Y,X such as 33,33,33, not {text!r}", _USAGE)


def _settings(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, is_, value = one.partition("=")
        if not is_:
            _refuse(f"--set takes NAME=VALUE, not {one!r}", _USAGE)
        found[name.strip()] = value.strip()
    return found


def _refuse(why: object, code: int) -> NoReturn:
    typer.echo(f"cavecast: {' '.join(str(why).split())}", err=True)
    raise typer.Exit(code)
