"""``cavecast audit``: what was changed at a control plane, and what somebody was not let."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def audit(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest so many.")] = 50,
    before: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Only what is older than this entry.", show_default="the newest"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, alone on stdout.")] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The control plane.", show_default="http://127.0.0.1 at the port that is set"),
    ] = None,
) -> None:
    """Print what was changed or refused in the projects that you administer, newest first."""
    from streamer.run.login import client_of

    with client_of(server) as client:
        found = list(client.audit(limit, before))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(found).decode())
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "time", "who", "what", "about", "project", "outcome", "from", box=None, padding=(0, 2, 0, 0), header_style="dim"
    )
    for one in found:
        cells = (
            one.time, _who(one.account, one.name), one.operation, one.about, one.project,
            one.outcome if one.outcome == "done" else f"{one.outcome} ({one.status})", one.address,
        )  # fmt: skip
        table.add_row(*(escape(_plain(cell)) for cell in cells))
    # For a pipe each entry is one line, however long.
    Console(width=None if sys.stdout.isatty() else 10_000).print(
        table if found else "There is nothing in the audit log that you may read."
    )
    if len(found) == limit and found[-1].number > 1:
        typer.echo(f"Older ones: cavecast audit --before {found[-1].number}")


def _who(account: str, name: str) -> str:
    if not account:
        return "a stranger"
    return f"{name} ({account})" if name and account != f"token:{name}" else account


def _plain(text: str) -> str:
    """What others have named cannot speak to the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
