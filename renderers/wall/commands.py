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
    from renderers.wall.calvr import Imported

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
    from renderers.wall.telling import listed as told

    told(walls, reports)


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
        from renderers.wall.telling import show

        show(report)
    if not report.sound:
        raise typer.Exit(_FAILED)


@wall.command()
def describe(chosen: Wanted, json: AsJson = False) -> None:
    """Say what a wall is made of: its nodes with their tiles, its size, and which nodes of a cluster belong to it.

    Needs no screen.  Exit status 0 also if the wall has errors: they are among the findings.
    """
    import msgspec

    from renderers.wall.complaint import WallError
    from renderers.wall.describe import describe as facts
    from renderers.wall.shelf import load_wall

    try:
        found = facts(load_wall(chosen))
    except WallError as why:
        _refuse(why)
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    from renderers.wall.telling import told

    told(found)


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
    _write(out, made)


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
        _write(out, made.encode())
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
    from renderers.wall.check import check as look
    from renderers.wall.complaint import WallError
    from renderers.wall.findings import count
    from renderers.wall.shelf import load_wall
    from renderers.wall.telling import aside, progress, tell
    from renderers.wall.verify import Booth
    from renderers.wall.verify import verify as tried

    try:
        wanted = load_wall(chosen)
        errors = sum(finding.level == "error" for finding in look(wanted).findings)
        if errors:
            aside(f"{wanted.name} has {count(errors, 'error')}, see cavecast wall check {chosen}: it is drawn as it is")
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
        with closing(Booth()) as booth:
            verdict = tried(booth, wanted, scale, pictures, progress())
    except (WallError, NoOpenGL) as why:
        _refuse(why)
    except OSError as why:
        _wrong(f"--pictures {pictures}: {why.strerror}")
    if json:
        sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    else:
        tell(verdict)
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
    from renderers.wall.telling import aside

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
            save_pattern(wanted, tiles, pictures, aside)
        else:
            code = show_pattern(wanted, tiles, pictures, aside)
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
        """A file that another includes: beside that one, beside the first, or where CalVR has its own.

        A path of the site's own machines is looked for by its last part alone as well.
        """
        home = os.environ.get("CALVR_HOME")
        places = [files[of].parent, file.parent]
        places += [Path(folder) for folder in (os.environ.get("CALVR_CONFIG_DIR"),) if folder]
        places += [Path(home) / "config"] if home else []
        plain = path.replace("\\", "/")
        for wanted in dict.fromkeys((path, plain, plain.rpartition("/")[2])):
            for place in places if wanted else ():
                candidate = (place / wanted).resolve()
                if candidate.is_file():
                    name = file.name if candidate == file.resolve() else path
                    files.setdefault(name, candidate)
                    return name, read_text(candidate)
        return None

    files = {file.name: file.resolve()}
    return import_calvr(file.name, text, include, without)


def _write(out: Path, made: bytes) -> None:
    try:
        out.write_bytes(made)
    except OSError as why:
        there = "" if out.parent.is_dir() else f" (there is no folder {out.parent})"
        typer.echo(f"cavecast: --out {out} cannot be written: {why.strerror}{there}", err=True)
        raise typer.Exit(_FAILED) from None


def _refuse(why: Exception) -> NoReturn:
    typer.echo(f"cavecast: {why}", err=True)
    raise typer.Exit(int(getattr(why, "exit_code", _FAILED))) from None


def _wrong(what: str) -> NoReturn:
    typer.echo(f"cavecast: {what}", err=True)
    raise typer.Exit(_USAGE)
