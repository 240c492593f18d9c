"""``cavecast archive``: writes one run to a Zarr store and CSV tables, from its first entry to its end."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Annotated

import typer

from streamer import logs, settings
from streamer.archive.check import check_store
from streamer.archive.node import Node
from streamer.archive.place import ArchiveError, place_of
from streamer.archive.there import try_place
from streamer.wire.grid import Triple, triple
from streamer.wire.keys import read


def archive(
    feed: Annotated[
        str | None, typer.Option(help="Address of the streamer's feed.", metavar="ADDRESS", show_default=False)
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The store to write: a folder, or s3://BUCKET/NAME.zarr.  What exists is only gone on with if it is"
            " this run's own.",
            metavar="STORE.zarr",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="T,Y,X",
            help="Chunks of a shard, which is one file; 1,1,1: a file for each chunk.",
            show_default="1,1,1 up to 512 chunks, else chosen",
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="STORE.zarr", help="Only read a finished store back and say whether it is sound."),
    ] = None,
    try_: Annotated[
        str | None,
        typer.Option("--try", metavar="STORE.zarr", help="Only see whether a new store can be written there."),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=1, max=86400, help="Seconds of silence after which the streamer is given up.")
    ] = 120.0,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="CAVECAST_KEYS",
            help="archive.toml, as cavecast keys made it, if the streamer asks for keys.",
            show_envvar=False,
        ),
    ] = None,
) -> None:
    """Writes one run to a Zarr store that xarray opens, with [bold]objects.csv[/] and [bold]object_steps.csv[/] in it.

    Ends with the run and prints one line of JSON: how the run ended, the store, its objects and chunks.
    Started again after a crash with the same --out it goes on where it was.  Credentials for s3:// are taken from
    the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL …).
    """
    chosen = settings.read({})
    logs.configure(chosen.log_level, chosen.log_format)
    logs.bind(part="archive")
    if check is not None:
        place = place_of(check)
        sound = check_store(place)
        place.close()
        print(json.dumps({"sound": check, "state": sound.state, "objects": sound.objects, "chunks": sound.chunks}))
        return
    if try_ is not None:
        try_place(try_)
        print(json.dumps({"writable": try_}))
        return
    if feed is None or out is None:
        raise ArchiveError(
            "an archive needs --feed ADDRESS and --out STORE.zarr, or --check or --try STORE.zarr alone", 2
        )
    software = f"cavecast {importlib.metadata.version('cavecast')}"
    mine = read(keys, "archive") if keys is not None else None
    node = Node(feed, out, software, patience, lambda line: print(line, flush=True), mine, chunks_of(shard))
    done = node.run()
    print(json.dumps({"archive": done.state, "out": out, "objects": done.objects, "chunks": done.chunks}), flush=True)


def chunks_of(shard: str | None) -> Triple | None:
    """The option ``--shard``.  Raises ArchiveError."""
    if shard is None:
        return None
    try:
        sides = triple(tuple(int(part) for part in shard.split(",")))
        if min(sides) < 1:
            raise ValueError
    except ValueError:
        raise ArchiveError(f"--shard {shard} is not three whole numbers above 0: give chunks along T,Y,X", 2) from None
    return sides
