"""``cavecast login``, ``logout``, ``whoami``: who one is to a control plane elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from streamer.run.given import WrongUse

if TYPE_CHECKING:
    from streamer.client import Client

Server = Annotated[
    str | None,
    typer.Argument(
        metavar="SERVER", help="The control plane.", show_default="http://127.0.0.1 at the port that is set"
    ),
]


def login(
    server: Server = None,
    issuer: Annotated[
        str, typer.Option(metavar="NAME", help="One of several issuers.", show_default="the server's first")
    ] = "",
) -> None:
    """Sign in at a control plane: with a code that you type in at its issuer, on whatever device you like.

    Commands with --server, and programs that use streamer.client, then know who you are. For machines there are
    tokens: the variable CAVECAST_TOKEN.
    """
    import httpx

    from streamer.credentials import Credentials
    from streamer.device import DEADLINE_S, Issuer

    with client_of(server) as client:
        found = [one for one in client.issuers() if one.cli_client_id and (not issuer or one.name == issuer)]
        url = client.url
    if not found:
        which = f"an issuer {issuer!r}" if issuer else "any issuer"
        raise WrongUse(f"{url} does not let the command line sign in by {which}: use a token (CAVECAST_TOKEN)")
    chosen, credentials = found[0], Credentials()
    with httpx.Client(timeout=DEADLINE_S) as http:
        at = Issuer(chosen.url, chosen.cli_client_id, http)
        asked, about = at.begin(chosen.scopes, chosen.groups_claim)
        typer.echo(f"Open {asked.address} and type in the code {asked.user_code}")
        if asked.whole_address:
            typer.echo(f"or open {asked.whole_address}")
        typer.echo(f"Waiting, for {asked.expires_s / 60:.0f} minutes at the most …")
        tokens = at.wait(asked, about)
        kept = at.kept(url, tokens, about, chosen.scopes, time.time())
    with credentials.locked():
        credentials.keep(kept)
    if not kept.refresh_token:
        typer.echo("The issuer gives no refresh token, so this holds only for some minutes.")
    whoami(url)


def logout(server: Server = None) -> None:
    """Forget a sign-in, here and at its issuer."""
    import httpx

    from streamer.credentials import Credentials
    from streamer.device import DEADLINE_S, Issuer

    with client_of(server) as client:
        url = client.url
    credentials = Credentials()
    with credentials.locked():
        kept = credentials.find(url)
        if kept is None:
            typer.echo(f"You are not signed in at {url}.")
            return
        credentials.drop(url)
    with httpx.Client(timeout=DEADLINE_S) as http:
        told = Issuer(kept.issuer, kept.client_id, http).revoke(kept)
    typer.echo(
        f"Signed out of {url}"
        + ("." if told else f"; {kept.issuer} was not told, where it may go on until it expires.")
    )


def whoami(server: Server = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say who you are to a control plane, and what you may there."""
    with client_of(server) as client:
        me, url = client.me(), client.url
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(me).decode())
        return
    if me.means == "local":
        typer.echo(f"{url} has no accounts: whoever reaches it may do all.")
        return
    roles = ", ".join(f"{role} of {project}" for project, role in sorted(me.projects.items())) or "nothing yet"
    server_too = ", administrator of the server" if me.administrator else ""
    typer.echo(f"At {url} you are {me.name} ({me.account}): {roles}{server_too}.")


def client_of(server: str | None) -> Client:
    """A client of a server, or of the one on this machine."""
    from streamer import settings
    from streamer.client import Client

    chosen = settings.read({})
    return Client(server or f"http://127.0.0.1:{chosen.port}", plain_http=chosen.plain_http)
