"""``cavecast keys``: makes the keys of a run, a file for each role; never overwrites one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
import zmq

from streamer.wire.keys import MEETS, ROLES, Keys, Role, write


class NotMade(RuntimeError):
    """Why there are no new keys, in a sentence."""

    exit_code = 2


def keys(
    run: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A run's folder: the keys go into its folder keys.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Make them in this folder instead; made if need be.")
    ] = None,
) -> None:
    """Make the keys of one run, so that its parts can meet on addresses that other machines reach.

    Writes streamer.toml, worker.toml, renderer.toml, archive.toml, control.toml and relay.toml, which only you can
    read. Bring each part the file of its role and start it with [bold]--keys FILE[/].
    """
    if (run is None) == (out is None):
        raise NotMade("give a run's folder or --out DIR, one of them: where the keys shall be")
    folder = out if run is None else run / "keys"
    assert folder is not None
    if run is not None and not run.is_dir():
        raise NotMade(f"there is no folder {run}: give --out DIR to have one made")
    for path in make(folder):
        print(path, flush=True)


def make(folder: Path) -> list[Path]:
    """A file with new keys for each role; returns them.  Raises NotMade if there is one already, or OSError."""
    there = [role for role in ROLES if (folder / f"{role}.toml").exists()]
    if there:
        raise NotMade(f"{folder / there[0]}.toml is there already: remove the old keys, or give another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pairs: dict[Role, tuple[bytes, bytes]] = {role: zmq.curve_keypair() for role in ROLES}
    made = []
    for role in ROLES:
        found = Keys(role, *pairs[role], {other: pairs[other][0] for other in MEETS[role]})
        path = folder / f"{role}.toml"
        # Made for its owner alone from the first moment on, and only if nobody else has made it meanwhile.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(write(found, folder.parent.name if folder.name == "keys" else folder.name))
        made.append(path)
    return made
