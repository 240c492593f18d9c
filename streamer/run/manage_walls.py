"""``cavecast walls``: the walls of a control plane, kept, looked at and tried from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.run.given import WrongUse, wall_text
from streamer.run.manage import Json, RunId, Server, client_of, printed

if TYPE_CHECKING:
    from streamer.control.openapi import Wall

walls = typer.Typer(no_args_is_help=True, help="Keep walls at a control plane, and try them.")
Name = Annotated[str, typer.Argument(metavar="WALL", help="The wall's name.", show_default=False)]


@walls.command("list")
def list_(as_json: Json = False, server: Server = None) -> None:
    """List the walls that are kept."""
    with client_of(server) as client:
        found = client.walls()
    if as_json:
        printed(found)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("wall", "outputs", "nodes", "megapixels", "shows", "what", box=None, padding=(0, 2, 0, 0))
    for wall in found:
        figures = str(wall.tiles), str(wall.nodes), f"{wall.megapixels:.1f}"
        shows = wall.run_id or ("another project's" if wall.busy else "")
        table.add_row(wall.name, *figures, shows, escape(wall.title))
    Console().print(table if found else "There is no wall yet: cavecast walls put WALL.toml")


@walls.command()
def show(
    name: Name,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it to scale into this .svg or .png file.", show_default="none"),
    ] = None,
    file: Annotated[bool, typer.Option("--file", help="Print its file instead, TOML.")] = False,
    as_json: Json = False,
    server: Server = None,
) -> None:
    """Show a wall: what it is, who drives it, what it shows."""
    kind = "svg" if picture is None else picture.suffix.lower().removeprefix(".")
    if kind != "svg" and kind != "png":
        raise WrongUse(f"--picture {picture} is neither .svg nor .png")
    with client_of(server) as client:
        if file:
            typer.echo(client.wall_file(name), nl=False)
            return
        wall = client.wall(name)
        drawn = client.wall_picture(name, "svg" if kind == "svg" else "png") if picture is not None else b""
    if picture is not None:
        try:
            picture.write_bytes(drawn)
        except OSError as why:
            raise WrongUse(f"--picture {picture} cannot be written: {why.strerror}") from None
    if as_json:
        printed(wall)
        return
    facts = wall.facts
    across, up, back = (length / 1000 for length in facts.size_mm)
    typer.echo(
        f"{wall.name}: {wall.title or 'a wall'}, {across:.2f} × {up:.2f} × {back:.2f} m, {len(facts.tiles)} outputs on "
        f"{len(facts.seats)} nodes, {facts.megapixels:,.1f} megapixels"
    )
    typer.echo(f"It shows {wall.run_id}." if wall.run_id else "It shows no run.")
    _nodes(wall)
    for finding in facts.findings:
        typer.echo(f"{finding.level}: {finding.sentence}")


@walls.command()
def nodes(name: Name, as_json: Json = False, server: Server = None) -> None:
    """List a wall's nodes: which machine drives which tiles, and whether it is there."""
    with client_of(server) as client:
        wall = client.wall(name)
    if as_json:
        printed(wall.seats)
        return
    _nodes(wall)


@walls.command()
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A wall file.", show_default=False)],
    as_json: Json = False,
    server: Server = None,
) -> None:
    """Keep a wall file at the control plane, in place of the wall of that name if there is one; it is checked."""
    text = wall_text(file)
    with client_of(server) as client:
        wall = client.put_wall(text)
    if as_json:
        printed(wall)
        return
    typer.echo(f"{wall.name} is kept: {len(wall.facts.tiles)} outputs on {len(wall.facts.seats)} nodes.")
    for finding in wall.facts.findings:
        typer.echo(f"{finding.level}: {finding.sentence}")


@walls.command()
def remove(name: Name, server: Server = None) -> None:
    """Forget a wall on which no run is shown."""
    with client_of(server) as client:
        client.remove_wall(name)
    typer.echo(f"{name} is forgotten.")


@walls.command()
def identify(
    name: Name,
    seconds: Annotated[float, typer.Option(min=1, max=600, metavar="S", help="So long.")] = 10.0,
    server: Server = None,
) -> None:
    """Show the test pattern on a wall's tiles: names, a metric grid, colours, left and right."""
    with client_of(server) as client:
        found = client.identify_wall(name, seconds)
    typer.echo(f"{name} shows the test pattern for {seconds:g} s.")
    for sentence in found.sentences:
        typer.echo(sentence)


@walls.command()
def hang(
    name: Name,
    run_id: RunId,
    take: Annotated[bool, typer.Option("--take", help="Also if the wall shows another run.")] = False,
    server: Server = None,
) -> None:
    """Show a run on a wall."""
    with client_of(server) as client:
        client.show_on(run_id, [name], take=take)
    typer.echo(f"{run_id} is shown on {name}: cavecast runs show {run_id} says how it goes.")


@walls.command()
def clear(name: Name, server: Server = None) -> None:
    """Take the run off a wall that it shows."""
    with client_of(server) as client:
        run_id, left = client.wall(name).run_id, False
        if run_id is not None:
            left = name in client.take_off(run_id, name).leaving
    more = f" Something is left there for a while: cavecast runs show {run_id}." if left else ""
    typer.echo(f"{name} shows nothing." if run_id is None else f"{run_id} is off {name}.{more}")


def _nodes(wall: Wall) -> None:
    for seat in wall.seats:
        where = seat.node or seat.host or "any node"
        typer.echo(f"{seat.seat}\t{where}\t{seat.state}\t{', '.join(seat.tiles)}")
    for sentence in wall.sentences:
        typer.echo(sentence)
