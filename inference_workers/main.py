"""``cavecast worker``: the command, a plain function for typer.  Libraries are loaded when it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

LONGEST_NAME = 64


def worker(
    ingest: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            envvar="CAVECAST_INGEST",
            help="The streamer's door for workers, as it printed it: ipc://… or tcp://HOST:PORT.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str, typer.Option(help="What to call this worker in tables and logs.  Without it: host and process id.")
    ] = "",
    leases: Annotated[
        int, typer.Option(min=1, max=16, help="Chunks to hold at a time: one at work, the others ready to begin.")
    ] = 2,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Give up when the streamer has been silent for so long.")
    ] = 60.0,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="CAVECAST_KEYS",
            help="worker.toml, as cavecast keys made it, if the streamer asks for keys.",
            show_envvar=False,
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            envvar="CAVECAST_THREADS",
            min=0,
            max=1024,
            help="Threads of a network; 0: this worker's share of the cores that it may use.",
        ),
    ] = 0,
    one_of: Annotated[
        int, typer.Option(metavar="N", min=1, max=1024, help="It is one of so many workers that share these cores.")
    ] = 1,
) -> None:
    """Segment chunks of one run, leased from its streamer, until nothing is left to do.

    Start as many as you like, wherever the volume can be read; stop them at any time: what they had not
    finished goes to others.
    """
    import socket

    from inference_workers import cores
    from inference_workers.node import work
    from inference_workers.session import Manners
    from streamer.wire.keys import read

    called = (name or f"{socket.gethostname()}-{os.getpid()}")[:LONGEST_NAME]
    mine = read(keys, "worker") if keys is not None else None
    cores.give(threads or cores.share(cores.cores(), one_of))
    manners = Manners(leases=leases, patience_s=patience, pulse_s=patience / 12, resend_s=patience / 2)
    work(ingest, called, manners, mine)
