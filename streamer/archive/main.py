"""``cavecast archive``: writes one run to a Zarr store and CSV tables, from its first entry to its end."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Annotated

import typer

from streamer import logs, settings
from streamer.archive.follow import Patience
from streamer.archive.node import Node
from streamer.wire.keys import read


def archive(
    feed: Annotated[str, typer.Option(help="Address of the streamer's feed.", metavar="ADDRESS", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            help="The store to write; what exists is only overwritten if it is this run's own unfinished store.",
            metavar="STORE.zarr",
            show_default=False,
        ),
    ],
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
    Started again after a crash with the same --out it starts over and ends right.
    """
    chosen = settings.read({})
    logs.configure(chosen.log_level, chosen.log_format)
    logs.bind(part="archive")
    software = f"cavecast {importlib.metadata.version('cavecast')}"
    mine = read(keys, "archive") if keys is not None else None
    node = Node(feed, out, software, Patience(give_up_s=patience), lambda line: print(line, flush=True), mine)
    done = node.run()
    print(
        json.dumps({"archive": done.state, "out": str(out), "objects": done.objects, "chunks": done.chunks}), flush=True
    )
