"""The commands about inputs: ``cavecast inspect`` and ``cavecast samples``.

Plain functions for typer.  Libraries are loaded when a command runs, so that ``--help`` is quick.
An input that cannot be used is one sentence on stderr and exit status 2.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from inference_workers.source.records import Inspection
    from streamer.wire.volume import Axis, Parameter

_USAGE = 2
SAY_S = 5.0
"""Between two lines about progress."""


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A file (NetCDF, HDF5, .npy), a Zarr store, a glob in quotes, an OPeNDAP address, or sample:NAME.",
            show_default=False,
        ),
    ],
    variable: Annotated[
        str | None,
        typer.Option(
            metavar="V", help="Variable to segment; GROUP/NAME if it lies in a group.  Needed if there are several."
        ),
    ] = None,
    chunk: Annotated[
        str | None, typer.Option(metavar="T,Y,X", help="Voxels of a chunk.  Without it a shape is suggested.")
    ] = None,
    periodic: Annotated[
        str,
        typer.Option(
            metavar="auto|none|AXIS",
            help="Which axis closes: by itself (longitude around the globe), none, or an axis by name or number.",
        ),
    ] = "auto",
    spacing: Annotated[
        str | None, typer.Option(metavar="Z,Y,X", help="Voxel size, for axes without coordinates (.npy).")
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(metavar="NAME", help="Check the parameters of this segmenter as well.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the segmenter; may be repeated."),
    ] = None,
    with_range: Annotated[
        bool, typer.Option("--with-range", help="Say also between which values the field would be drawn (64 reads).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, alone on stdout.")] = False,
) -> None:
    """Look at an input: what would be segmented, where it lies, and how it would be cut into chunks."""
    import msgspec

    from inference_workers.segmenter import SegmenterError, choose_parameters, wishes_of
    from inference_workers.source import InputError, InspectRequest, SeveralVariables
    from inference_workers.source import inspect as look

    try:
        sides, sizes = _integers("--chunk", chunk), _numbers("--spacing", spacing)
        with _Counter(as_json=json) as progress:
            found = look(InspectRequest(source, variable, sides, periodic, sizes, with_range), progress)
        if segmenter is not None:
            chosen = choose_parameters(segmenter, _settings(set_ or []), found.suggested)
            joins, least, compared = wishes_of(segmenter, chosen)
            grid = msgspec.structs.replace(found.grid, compared=compared)
            found = msgspec.structs.replace(found, parameters=chosen, grid=grid, joins=joins, min_voxels=least)
    except (InputError, SegmenterError) as why:
        if json and isinstance(why, SeveralVariables):
            sys.stdout.write(msgspec.json.encode({"variables": why.variables}).decode() + "\n")
        _refuse(why)
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        _show(found)


def segmenters(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array, with the parameters' schemas.")] = False,
) -> None:
    """List the segmenters that are installed, and what each takes (--set NAME=VALUE)."""
    import msgspec

    from inference_workers.segmenter import catalogue

    found = catalogue()
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("segmenter", "parameter", "default", "what")
    for one in found:
        table.add_row(f"[bold]{escape(one.name)}[/]", "", "", escape(one.error or one.description))
        for name, told in one.parameters.get("properties", {}).items():
            needed = name in one.parameters.get("required", ())
            default = "needed" if needed else str(told.get("default", ""))
            table.add_row(
                "", escape(name), "" if default == "None" else escape(default), escape(told.get("description", ""))
            )
    Console().print(table)


def samples(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A sample.", show_default=False)] = None,
    copy: Annotated[
        Path | None,
        typer.Option("--copy", metavar="DIR", help="Copy the sample's file into this folder; never overwrites."),
    ] = None,
) -> None:
    """List the samples that ship with CaveCast, or copy one."""
    from inference_workers import samples as shipped
    from inference_workers.source.records import InputError

    try:
        if copy is not None:
            if name is None:
                _refuse(InputError("--copy needs a sample's name: cavecast samples NAME --copy DIR."))
            typer.echo(shipped.copy(name, copy))
            return
        listed = shipped.SAMPLES if name is None else (shipped.find(name),)
    except InputError as why:
        _refuse(why)
    if not sys.stdout.isatty():
        for s in listed:
            typer.echo(f"{s.name}\t{s.variable}\t{s.threshold:g}\t{s.title}\t{s.provenance}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("sample", "variable", "threshold", "what", "source and licence")
    for s in listed:
        table.add_row(s.name, s.variable, f"{s.threshold:g}", s.title, s.provenance)
    Console().print(table)


def _refuse(why: Exception) -> NoReturn:
    typer.echo(f"cavecast: {why}", err=True)
    raise typer.Exit(_USAGE) from None


def _settings(given: list[str]) -> dict[str, Parameter]:
    """``NAME=VALUE`` as a segmenter takes it: a number, true or false where it reads as one, else text."""
    import msgspec

    from inference_workers.segmenter import SegmenterError

    found: dict[str, Parameter] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise SegmenterError(f"--set {one} is no parameter: give NAME=VALUE, such as threshold=500.")
        try:
            found[name] = msgspec.json.decode(value, type=bool | int | float | str)
        except msgspec.MsgspecError:
            found[name] = value
    return found


def _integers(option: str, text: str | None) -> tuple[int, int, int] | None:
    numbers = _numbers(option, text)
    if numbers is None:
        return None
    z, y, x = (int(n) for n in numbers)
    if min(z, y, x) < 1 or any(n % 1 for n in numbers):
        from inference_workers.source import InputError

        raise InputError(f"{option} {text} is not three whole numbers above 0: give them as T,Y,X, such as 24,32,32.")
    return z, y, x


def _numbers(option: str, text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        z, y, x = (float(part) for part in text.split(","))
        if not all(abs(n) < float("inf") for n in (z, y, x)):
            raise ValueError
    except ValueError:
        from inference_workers.source import InputError

        raise InputError(f"{option} {text} is not three numbers: give them with commas, such as 24,32,32.") from None
    return z, y, x


class _Counter:
    """Says how many of many files have been looked at: on a terminal, or with --json now and then in a line of JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown = as_json or sys.stderr.isatty()
        self._used = False
        self._said = time.monotonic()

    def __enter__(self) -> _Counter:
        return self

    def __call__(self, done: int, total: int) -> None:
        if not self._shown:
            return
        if self._as_json:
            # Whoever waits for the answer takes silence for death.
            if time.monotonic() - self._said >= SAY_S:
                self._said = time.monotonic()
                sys.stderr.write(f'{{"event": "looked at {done} of {total} files", "level": "info"}}\n')
                sys.stderr.flush()
        elif done == total or done % 50 == 0:
            self._used = True
            sys.stderr.write(f"\rlooked at {done:,} of {total:,} files")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._used:
            sys.stderr.write("\n")


def _show(found: Inspection) -> None:
    volume, grid = found.volume, found.grid
    name = f"{volume.long_name} ({volume.variable})" if volume.long_name else volume.variable
    lines = [
        found.title,
        f"  input      {found.source.address}",
        f"  variable   {name}{f', {volume.units}' if volume.units else ''}",
        f"  voxels     {_times(grid.shape)} = {grid.voxels:,}",
    ]
    lines += [f"  axis {i}     {_axis(axis, grid.periodic[i])}" for i, axis in enumerate(volume.axes)]
    lines.append(f"  chunks     {grid.size:,} of {_times(grid.chunk)}")
    lines += [f"  suggested  {key} {value:g}" for key, value in found.suggested.items() if isinstance(value, float)]
    lines += [f"  parameter  {key} {value}" for key, value in found.parameters.items()]
    if found.field_range is not None:
        lines.append(f"  range      {found.field_range[0]:g} to {found.field_range[1]:g}")
    if volume.provenance:
        lines.append(f"  source     {volume.provenance}")
    lines += [f"  note       {note}" for note in found.notes]
    typer.echo("\n".join(lines))


def _axis(axis: Axis, periodic: bool) -> str:
    from inference_workers.source.times import say

    first, last = float(axis.points[0]), float(axis.points[-1])
    if axis.kind == "time":
        reach = f"{say(first, axis.units, axis.calendar)} to {say(last, axis.units, axis.calendar)}"
    else:
        reach = f"{first:g} to {last:g} {axis.units}".rstrip()
    kind = f" ({axis.kind})" if axis.kind not in ("other", axis.name) else ""
    return f"{axis.name}{kind}: {len(axis)} from {reach}{', periodic' if periodic else ''}"


def _times(triple: tuple[int, int, int]) -> str:
    return " × ".join(f"{n:,}" for n in triple)
