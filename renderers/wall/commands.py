"""``cavecast wall``: what is known about walls, checked, drawn and carried over from other programs.

A wall is a preset's name or a wall file.  Plain functions for typer; libraries are loaded when a command runs.
Exit status 0 is done, 1 means that the wall has errors or cannot be read, 2 that there is no such wall.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from renderers.wall.calvr import Imported
    from renderers.wall.check import Report
    from renderers.wall.proof import Verdict

_FAILED, _USAGE = 1, 2

wall = typer.Typer(add_completion=False)
Wanted = Annotated[str, typer.Argument(metavar="WALL", help="A wall file, or a preset's name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, alone on stdout.")]


@wall.callback(invoke_without_command=True)
def about(ctx: typer.Context) -> None:
    """Walls: which there are, and whether yours is right."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@wall.command()
def presets(json: AsJson = False) -> None:
    """List the walls that ship with CaveCast."""
    import msgspec

    from renderers.wall.check import check as look
    from renderers.wall.shelf import PRESETS, load_wall

    walls = [load_wall(name) for name in PRESETS]
    reports = [look(one) for one in walls]
    if json:
        listed = [{"title": w.title, **msgspec.to_builtins(r)} for w, r in zip(walls, reports, strict=True)]
        sys.stdout.write(msgspec.json.encode(listed).decode() + "\n")
        return
    if not sys.stdout.isatty():
        for w, r in zip(walls, reports, strict=True):
            typer.echo(f"{w.name}\t{r.screens}\t{r.tiles}\t{r.nodes}\t{r.megapixels:.1f}\t{w.title}")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("preset", "screens", "outputs", "nodes", "megapixels", "field of view", "what")
    for w, r in zip(walls, reports, strict=True):
        seen = f"{r.fov_deg[0]:.0f}° × {r.fov_deg[1]:.0f}°"
        table.add_row(w.name, str(r.screens), str(r.tiles), str(r.nodes), f"{r.megapixels:.1f}", seen, w.title)
    Console().print(table)


@wall.command()
def check(chosen: Wanted, json: AsJson = False) -> None:
    """Check a wall: gaps, overlaps, mirrored corners, wrong units, doubled outputs.

    Exit status 1 if there are errors.
    """
    import msgspec

    from renderers.wall.check import check as look
    from renderers.wall.complaint import WallError
    from renderers.wall.shelf import load_wall

    try:
        report = look(load_wall(chosen))
    except WallError as why:
        _refuse(why)
    if json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _show(report)
    if not report.sound:
        raise typer.Exit(_FAILED)


@wall.command()
def draw(
    chosen: Wanted,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Where to: a .svg or .png file.", show_default=False)
    ],
) -> None:
    """Draw a wall to scale: from above, from the front, and unrolled if it is not flat."""
    from renderers.wall.complaint import WallError
    from renderers.wall.plan import draw as drawn
    from renderers.wall.raster import png
    from renderers.wall.shelf import load_wall

    if out.suffix.lower() not in (".svg", ".png"):
        _wrong(f"--out {out} is neither .svg nor .png")
    try:
        svg = drawn(load_wall(chosen))
        made = svg.encode() if out.suffix.lower() == ".svg" else png(svg)
    except WallError as why:
        _refuse(why)
    except ImportError as why:
        _wrong(str(why))
    out.write_bytes(made)


@wall.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CalVR .xml or a ParaView .pvx file.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="WALL.toml", help="The wall file to write.  Else: stdout.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="HOST", help="Leave out this host, such as an operator's; repeatable."),
    ] = None,
) -> None:
    """Carry a wall over from CalVR or ParaView, and say on stderr what was mended, guessed or left behind."""
    from renderers.wall.axes import CALVR_AXES, WALL_AXES
    from renderers.wall.complaint import WallError
    from renderers.wall.findings import count
    from renderers.wall.write import to_toml

    try:
        found = _imported(file, tuple(without or ()))
    except WallError as why:
        _refuse(why)
    pvx = file.suffix.lower() == ".pvx"
    remarks = [f"Carried over from {file.name} by cavecast wall import.", *found.remarks]
    made = to_toml(found.wall, WALL_AXES if pvx else CALVR_AXES, by_corners=pvx, remarks=remarks)
    if out is None:
        sys.stdout.write(made)
    else:
        out.write_text(made, "utf-8")
    for remark in found.remarks:
        typer.echo(remark, err=True)
    if out is not None:
        typer.echo(
            f"{out}: {count(len(found.wall.screens), 'screen')}, {count(len(found.wall.tiles), 'output')} on "
            f"{count(len(found.wall.nodes), 'node')}.  Next: cavecast wall check {out}",
            err=True,
        )


@wall.command()
def verify(
    chosen: Wanted,
    scale: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, metavar="PART", help="Draw tiles with this part of their pixels across and up."
        ),
    ] = 0.1,
    json: AsJson = False,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save all pictures there as PNG.", show_default=False)
    ] = None,
) -> None:
    """Draw every tile without its screen and compare all with one large picture.

    Exit status 1 if more than 0.01 % of the pixels differ, or a known point is off by more than half a pixel.
    """
    import msgspec

    from renderers.vtk_window import NoOpenGL
    from renderers.wall.complaint import WallError
    from renderers.wall.shelf import load_wall
    from renderers.wall.verify import Booth
    from renderers.wall.verify import verify as tried

    try:
        wanted = load_wall(chosen)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        with closing(Booth()) as booth:
            verdict = tried(booth, wanted, scale, pictures, _progress())
    except (WallError, NoOpenGL) as why:
        _refuse(why)
    except OSError as why:
        _wrong(f"--pictures {pictures}: {why.strerror}")
    if json:
        sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    else:
        _tell(verdict)
    if not verdict.within:
        raise typer.Exit(_FAILED)


@wall.command("test-pattern")
def pattern_(
    chosen: Wanted,
    tile: Annotated[
        list[str] | None, typer.Option("--tile", metavar="TILE", help="Only this tile; repeatable.")
    ] = None,
    node: Annotated[str, typer.Option(metavar="NODE", help="The tiles of this node.  Else: this host's.")] = "",
    offscreen: Annotated[
        bool,
        typer.Option(
            "--offscreen", help="Open no windows; save the pictures of the wall, or of what is chosen, and end."
        ),
    ] = False,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save the pictures there as TILE.png.", show_default=False)
    ] = None,
) -> None:
    """Show the test pattern on this node's screens until Ctrl-C: tile ids, a metric grid, colours, left and right."""
    import socket

    from renderers.vtk_window import NoOpenGL
    from renderers.wall.complaint import WallError
    from renderers.wall.shelf import load_wall
    from renderers.wall.standing import chosen_tiles, save_pattern, show_pattern

    if offscreen and pictures is None:
        _wrong("--offscreen shows nothing to anybody: add --pictures FOLDER, where the pictures are saved")
    try:
        wanted = load_wall(chosen)
        host = "" if offscreen else socket.gethostname()
        tiles = chosen_tiles(wanted, tuple(tile or ()), node, host)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        code = 0
        if offscreen:
            assert pictures is not None
            save_pattern(wanted, tiles, pictures, _aside)
        else:
            code = show_pattern(wanted, tiles, pictures, _aside)
    except LookupError as why:
        _wrong(str(why.args[0]))
    except (WallError, NoOpenGL) as why:
        _refuse(why)
    except OSError as why:
        _wrong(f"--pictures {pictures}: {why.strerror}")
    raise typer.Exit(code)


@wall.command()
def schema() -> None:
    """Print the JSON Schema of wall files, for editors that complete and check TOML."""
    from renderers.wall.shelf import schema_text

    sys.stdout.write(schema_text())


def _imported(file: Path, without: tuple[str, ...]) -> Imported:
    from renderers.wall.calvr import import_calvr
    from renderers.wall.paraview import import_pvx
    from renderers.wall.shelf import read_text

    text = read_text(file)
    if file.suffix.lower() == ".pvx" or "<pvx" in text[:4000].lower():
        return import_pvx(file.name, text)

    def include(path: str, of: str) -> tuple[str, str] | None:
        """A file that another includes: beside that one, beside the first, or where CalVR has its own."""
        home = os.environ.get("CALVR_HOME")
        places = [files[of].parent, file.parent]
        places += [Path(folder) for folder in (os.environ.get("CALVR_CONFIG_DIR"),) if folder]
        places += [Path(home) / "config"] if home else []
        for place in places:
            candidate = (place / path).resolve()
            if candidate.is_file():
                name = file.name if candidate == file.resolve() else path
                files.setdefault(name, candidate)
                return name, read_text(candidate)
        return None

    files = {file.name: file.resolve()}
    return import_calvr(file.name, text, include, without)


def _show(report: Report) -> None:
    from renderers.wall.findings import count

    across, up = report.fov_deg
    typer.echo(
        f"{report.name}: {count(report.screens, 'screen')}, {count(report.tiles, 'output')} on "
        f"{count(report.nodes, 'node')}, "
        f"{report.megapixels:,.1f} megapixels, {across:.0f}° × {up:.0f}° from the head"
    )
    for finding in report.findings:
        typer.echo(f"{finding.level:8} {finding.sentence}")
    if not report.findings:
        typer.echo("nothing to complain about")


def _aside(line: str) -> None:
    typer.echo(line, err=True)


def _progress() -> Callable[[int, int], None]:
    """Says on a terminal how far it is; elsewhere, at each quarter."""
    quarters = iter((0.25, 0.5, 0.75, 1.0, 2.0))
    due = [next(quarters)]

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done} of {total} pictures compared", err=True, nl=done == total)
        elif done >= due[0] * total:
            due[0] = next(quarters)
            typer.echo(f"{done} of {total} pictures compared", err=True)

    return tell


def _tell(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = [
        (
            row.group, str(row.tiles), f"{row.against[0]} × {row.against[1]}", f"{100 * row.share:.4f} %",
            f"{row.worst_tile} {100 * row.worst_share:.4f} %", f"{row.error_px:.2f} px", f"{100 * row.seen:.0f} %",
        )
        for row in verdict.groups
    ]  # fmt: skip
    heads = ("tiles", "how many", "beside", "differ", "worst tile", "points off by", "seen")
    if sys.stdout.isatty():
        table = Table(*heads)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    else:
        for row in (heads, *rows):
            typer.echo("\t".join(row))
    typer.echo(
        f"{verdict.wall}, {verdict.tiles} tiles at {verdict.scale:g}: {100 * verdict.share:.4f} % of the pixels differ "
        f"(worst tile {verdict.worst_tile}, {100 * verdict.worst_share:.4f} %), points are off by at most "
        f"{verdict.error_px:.2f} px, in {verdict.seconds:.0f} s: {'within' if verdict.within else 'ABOVE'} the budget "
        f"of {100 * verdict.budget:g} % in each view and 0.5 px"
    )
    for one in verdict.trials:
        if one.differing > verdict.budget * one.pixels:
            typer.echo(f"above: {one.trial}, {one.eye} eye, {100 * one.differing / one.pixels:.4f} %")


def _refuse(why: Exception) -> NoReturn:
    typer.echo(f"cavecast: {why}", err=True)
    raise typer.Exit(int(getattr(why, "exit_code", _FAILED))) from None


def _wrong(what: str) -> NoReturn:
    typer.echo(f"cavecast: {what}", err=True)
    raise typer.Exit(_USAGE)
