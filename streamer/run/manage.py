"""``cavecast runs``: the runs of a control plane, looked at and changed from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from streamer.run.given import WrongUse

if TYPE_CHECKING:
    from streamer.client import Client
    from streamer.control.runs import Run, State

runs = typer.Typer(no_args_is_help=True, help="Look at the runs of a control plane, and change them.")
Server = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The control plane.", show_default="http://127.0.0.1 at the port that is set"),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, alone on stdout.")]


@runs.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="Only such runs; repeatable.", show_default="all")
    ] = None,
    words: Annotated[str, typer.Option("--words", metavar="TEXT", help="In the title, the input or the name.")] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 20,
    as_json: Json = False,
    server: Server = None,
) -> None:
    """List runs, newest first."""
    from streamer.control.runs import STATES

    for one in state or ():
        if one not in STATES:
            raise WrongUse(f"there is no state {one!r}; there are {', '.join(STATES)}")
    with client_of(server) as client:
        found = list(client.runs(cast("list[State]", state or []), words, limit))
    if as_json:
        printed(found)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from streamer.control.runs import waits
    from streamer.run.progress import facts

    table = Table("run", "state", "what", "how far", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for run in found:
        table.add_row(run.run_id, run.state, escape(run.title), waits(run) or facts(run))
    Console().print(table if found else "There are no such runs.")


@runs.command()
def show(run_id: RunId, as_json: Json = False, server: Server = None) -> None:
    """Show one run as it stands."""
    with client_of(server) as client:
        run = client.run(run_id)
        address = f"{client.url}{run.view_url}" if run.view_url else None
    if as_json:
        printed(run)
        return
    from rich.console import Console

    from streamer.run.progress import picture

    Console().print(picture(run, address))
    if run.error:
        typer.echo(run.error)


@runs.command()
def manifests(
    run_id: RunId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; it never does.")] = True,
    server: Server = None,
) -> None:
    """Print every object of a run in a cluster as YAML, without secrets, for kubectl or for reading."""
    del dry_run
    with client_of(server) as client:
        typer.echo(client.manifests(run_id), nl=False)


@runs.command()
def cancel(run_id: RunId, server: Server = None) -> None:
    """Stop a run; what is committed stays."""
    with client_of(server) as client:
        _say(client.cancel(run_id))


@runs.command()
def pause(run_id: RunId, server: Server = None) -> None:
    """Let a run begin no more chunks."""
    with client_of(server) as client:
        client.pause(run_id)
    typer.echo(f"{run_id} pauses when the chunks in hand are done.")


@runs.command()
def resume(run_id: RunId, server: Server = None) -> None:
    """Let a run go on after a pause."""
    with client_of(server) as client:
        client.resume(run_id)
    typer.echo(f"{run_id} goes on.")


@runs.command()
def scale(
    run_id: RunId,
    workers: Annotated[int, typer.Argument(min=1, metavar="WORKERS", help="So many workers.", show_default=False)],
    server: Server = None,
) -> None:
    """Let a run work with another number of workers."""
    with client_of(server) as client:
        client.scale(run_id, workers)
    typer.echo(f"{run_id} works with {workers} worker{'s' if workers != 1 else ''} from now on.")


@runs.command()
def remove(run_id: RunId, server: Server = None) -> None:
    """Forget a run that is over, with its log; a store that it has written stays."""
    with client_of(server) as client:
        client.remove(run_id)
    typer.echo(f"{run_id} is forgotten.")


@runs.command()
def logs(
    run_id: RunId,
    lines: Annotated[int, typer.Option(min=1, max=5000, metavar="N", help="The newest so many.")] = 200,
    part: Annotated[str, typer.Option(metavar="NAME", help="Only of this part.", show_default="all")] = "",
    server: Server = None,
) -> None:
    """Print what a run's parts have said."""
    with client_of(server) as client:
        for line in client.logs(run_id, lines, part):
            typer.echo(f"{line.time} {line.part} {line.level}: {line.text}")


@runs.command()
def objects(
    run_id: RunId,
    format: Annotated[str, typer.Option(metavar="csv|geojson", help="In which form.")] = "csv",
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="The largest so many.")] = 10_000,
    server: Server = None,
) -> None:
    """Print a run's objects, the largest first."""
    if format not in ("csv", "geojson"):
        raise WrongUse(f"--format is {format!r}; there are csv and geojson")
    with client_of(server) as client:
        typer.echo(client.table(run_id, format, limit).decode(), nl=format == "geojson")
        total = client.objects(run_id, limit=1).total
    if total > limit:
        typer.echo(f"These are the largest {limit:,} of {total:,} objects.", err=True)


@runs.command()
def report(
    run_id: RunId,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    as_json: Json = False,
    server: Server = None,
) -> None:
    """Print what the steps of a run have taken: processes, CPUs, GPUs, bytes, memory, time."""
    from streamer.control import report as reports

    if markdown and as_json:
        raise WrongUse("--markdown and --json are two forms of one table: give one of them")
    with client_of(server) as client:
        found = client.report(run_id)
    if as_json:
        printed(found)
        return
    if markdown:
        typer.echo(reports.markdown(found))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*reports.COLUMNS, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for step in found.steps:
        table.add_row(*reports.cells(step))
    Console().print(table if found.steps else "Nothing has been measured of this run yet.")
    for sentence in reports.said(found):
        typer.echo(sentence)


def client_of(server: str | None) -> Client:
    """A client of the control plane at an address, or of the one whose port is set, that knows who one is."""
    from streamer.run.login import client_of

    return client_of(server)


def _say(run: Run) -> None:
    from streamer.run.progress import facts

    typer.echo(f"{run.run_id} is {run.state}: {facts(run)}.")


def printed(record: object) -> None:
    """Prints a record as JSON."""
    import msgspec

    typer.echo(msgspec.json.encode(record).decode())
