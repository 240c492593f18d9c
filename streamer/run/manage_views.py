"""``cavecast views``: the views of a control plane's runs, from the command line.

A token of a view is read from the variable CAVECAST_VIEW_TOKEN, never from an argument, which others could read.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from streamer.control.view_roles import Role
from streamer.run.given import WrongUse
from streamer.run.manage import Json, RunId, Server, client_of, printed

if TYPE_CHECKING:
    from streamer.control.openapi import RunView

VARIABLE = "CAVECAST_VIEW_TOKEN"
views = typer.Typer(no_args_is_help=True, help="Look at what those see who look together, and change it.")
Name = Annotated[
    str, typer.Argument(metavar="VIEW", help="The view's name; wall.NAME is a wall's.", show_default=False)
]
State = Annotated[
    str, typer.Option(metavar="JSON", help="Fields of its state, as a JSON merge patch.", show_default="none")
]


@views.command("list")
def list_(run_id: RunId, as_json: Json = False, server: Server = None) -> None:
    """List a run's views that you see, and those of the walls that it is shown on."""
    with client_of(server) as client:
        found = client.views(run_id)
    if as_json:
        printed(found)
        return
    for view in found:
        typer.echo(f"{view.name} ({view.kind}, {'shared' if view.shared else 'private'})")
    if not found:
        typer.echo(f"Run {run_id} has no views yet: cavecast views add {run_id} NAME")


@views.command()
def show(run_id: RunId, name: Name, as_json: Json = False, server: Server = None) -> None:
    """Show a view: what you may with it, and its state."""
    with client_of(server) as client:
        _say(client.view(run_id, name, _token()), as_json)


@views.command()
def add(
    run_id: RunId,
    name: Name,
    private: Annotated[bool, typer.Option("--private", help="For you and those who have a token of it.")] = False,
    state: State = "{}",
    as_json: Json = False,
    server: Server = None,
) -> None:
    """Make a view. Of a private one the token to lead it is printed, this once."""
    asked = _state(state)
    with client_of(server) as client:
        _say(client.add_view(run_id, name, asked, shared=not private), as_json)


@views.command()
def change(run_id: RunId, name: Name, state: State = "{}", as_json: Json = False, server: Server = None) -> None:
    """Change some of a view. A wall shows it at once."""
    asked = _state(state)
    with client_of(server) as client:
        _say(client.change_view(run_id, name, asked, token=_token()), as_json)


@views.command()
def remove(run_id: RunId, name: Name, server: Server = None) -> None:
    """Remove a view with its tokens."""
    with client_of(server) as client:
        client.remove_view(run_id, name, _token())
    typer.echo(f"View {name} is gone, with its tokens.")


@views.command()
def invite(
    run_id: RunId,
    name: Name,
    role: Annotated[str, typer.Option(help="lead, follow or look.")] = "follow",
    hours: Annotated[float, typer.Option(metavar="H", min=0.02, max=2160, help="Good for so long.")] = 24.0,
    as_json: Json = False,
    server: Server = None,
) -> None:
    """Make a token of a view for somebody else, who may see the run; it is printed this once."""
    if role not in get_args(Role):
        raise WrongUse(f"--role is {role!r}; there are {', '.join(get_args(Role))}")
    with client_of(server) as client:
        made = client.add_view_token(run_id, name, cast("Role", role), 3600 * hours, _token())
    if as_json:
        printed(made)
        return
    typer.echo(f"{VARIABLE}={made.token}")


def _say(view: RunView, as_json: bool) -> None:
    if as_json:
        printed(view)
        return
    typer.echo(f"{view.name} of {view.run_id}: revision {view.revision}, which you may {view.role}.")
    typer.echo(json.dumps(view.state, indent=1))
    if view.token is not None:
        typer.echo(f"{VARIABLE}={view.token}")


def _state(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as why:
        raise WrongUse(f"--state is no JSON: {why}") from None
    if not isinstance(found, dict):
        raise WrongUse(f'--state is {text[:80]}: give an object of fields, such as {{"mode": "globe"}}')
    return found


def _token() -> str | None:
    return os.environ.get(VARIABLE) or None
