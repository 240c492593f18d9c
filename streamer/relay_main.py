"""``cavecast streamer --relay-of``: opens the copy, listens, and says so on one line; and what both kinds need.

A copy that turns out to be damaged is opened anew, which cuts it there, and served on at the same address.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from streamer import logs
from streamer.doors import check_address
from streamer.durable import Policy
from streamer.exposition import Endpoint
from streamer.log import Log, LogDamaged, LogInUse
from streamer.node import clock
from streamer.record import BadLog, LogFull
from streamer.relay import CopyDamaged
from streamer.relay_node import RelayNode
from streamer.segment import FULL, LEAN
from streamer.wire.keys import read as read_keys

SPEC_FILE, COPY_FILE = "run.json", "copy.json"
"""Lies beside the log, and says of which run it is; the second one beside a relay's."""


class CannotServe(RuntimeError):
    """Why the streamer does not start, in a sentence."""

    exit_code = 1


class RelayUse(NamedTuple):
    """How a relay is used."""

    source: str
    folder: Path
    feed: str
    keys: Path | None
    name: str | None
    durability: Policy
    segment_bytes: int
    metrics_port: int | None


def serve_copy(use: RelayUse) -> int:
    """Serves a copy of the log behind ``source``."""
    logs.bind(part="relay")
    say = structlog.get_logger("relay")
    mine = read_keys(use.keys, "relay") if use.keys is not None else None
    check_address(use.feed, locked=mine is not None)
    if (use.folder / SPEC_FILE).exists():
        raise CannotServe(f"{use.folder} has a streamer's own log, which a relay would overwrite: take another folder")
    feed, damaged = use.feed, -1
    with endpoint_at(use.metrics_port) as endpoint:
        while True:
            with closing(_copy(use.folder, use.segment_bytes)) as log:
                if 0 <= damaged < log.head:
                    raise CannotServe(
                        f"the copy in {use.folder} is damaged in a way that is not found: remove the folder"
                    )
                try:
                    node = RelayNode(
                        use.source, log, use.folder / COPY_FILE, feed, use.name or socket.gethostname(), clock, mine,
                        use.durability, endpoint,
                    )  # fmt: skip
                except (BadLog, msgspec.MsgspecError, ValueError) as why:
                    if hasattr(why, "exit_code"):
                        raise
                    raise CannotServe(f"{use.folder} is not a relay's: {why}; take another folder") from None
                with closing(node):
                    if damaged < 0:
                        say.info("ready", source=use.source, feed=node.address, entries=log.head)
                        ready = {"ready": "relay", "feed": node.address}
                        if endpoint is not None:
                            ready["metrics"] = f"http://127.0.0.1:{endpoint.port}/metrics"
                        print(json.dumps(ready), flush=True)
                    try:
                        return node.run()
                    except CopyDamaged as why:
                        say.warning("copy damaged", why=str(why))
                        feed, damaged = node.address, why.number


def _copy(folder: Path, segment_bytes: int) -> Log:
    """A relay's log; one whose beginning cannot be read is thrown away, since all of it can be had again."""
    try:
        log = log_in(folder, segment_bytes, copy=True)
    except CannotServe as why:
        if not (folder / COPY_FILE).exists() or not isinstance(why.__context__, LogDamaged):
            raise
        structlog.get_logger("relay").warning("copy damaged", why=f"{why}; all of it is fetched again")
        # The beginning goes last, and then what says whose copy it was: a crash meanwhile brings us here again.
        for path in sorted((*folder.glob(f"*{FULL}"), *folder.glob(f"*{LEAN}")), reverse=True):
            path.unlink()
        (folder / COPY_FILE).unlink()
        log = log_in(folder, segment_bytes, copy=True)
    if log.cut:
        structlog.get_logger("relay").warning("log cut", what=log.cut)
    return log


@contextmanager
def endpoint_at(port: int | None) -> Iterator[Endpoint | None]:
    """Where metrics are served, if they are; raises CannotServe."""
    if port is None:
        yield None
        return
    try:
        endpoint = Endpoint(port)
    except OSError as why:
        raise CannotServe(f"metrics cannot be served on port {port} of 127.0.0.1: {why.strerror}") from None
    with closing(endpoint):
        yield endpoint


def log_in(folder: Path, segment_bytes: int, *, copy: bool = False) -> Log:
    """The log in a folder; raises CannotServe."""
    try:
        return Log.open(folder, segment_bytes, copy=copy)
    except (LogInUse, LogDamaged, LogFull) as why:
        raise CannotServe(str(why)) from None
    except OSError as why:
        raise CannotServe(f"the log in {folder} cannot be opened: {why.strerror}") from None
