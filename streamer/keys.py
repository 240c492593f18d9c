"""``cavecast keys``: makes the keys of a run, a file for each role."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamer.keyring import NotMade, make

__all__ = ["NotMade", "keys", "make"]


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
