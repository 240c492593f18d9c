"""``cavecast streamer``: reads its options once, opens the log, listens, and says so on one line."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

from streamer import logs
from streamer.doors import check_address
from streamer.durable import Policy
from streamer.hub import Hub, HubSettings
from streamer.keeper import Keeper, worked_before
from streamer.layout import note
from streamer.log import Log
from streamer.node import Node, clock
from streamer.record import BadLog
from streamer.relay_main import SPEC_FILE, CannotServe, RelayUse, endpoint_at, log_in, serve_copy
from streamer.settings import read
from streamer.wire.keys import read as read_keys
from streamer.wire.volume import RunSpec


class WrongUse(CannotServe):
    """The options do not fit."""

    exit_code = 2


def streamer(
    log: Annotated[Path, typer.Option("--log", metavar="DIR", help="Folder of the run's log; made if need be.")],
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN.json", help="The run's specification, as JSON.")
    ] = None,
    relay_of: Annotated[
        str | None,
        typer.Option(
            "--relay-of",
            metavar="ADDRESS",
            help="Keep a copy of the log behind this feed and serve that: one for each site or display node. "
            "Takes --log, --feed, --name, --durability, --segment-mb, --metrics-port and --keys only.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What a relay is called at its source.", show_default="the host's name")
    ] = None,
    ingest: Annotated[
        str, typer.Option(help="Where workers connect: ipc://PATH, or tcp://127.0.0.1:PORT (0: a free one).")
    ] = "tcp://127.0.0.1:0",
    feed: Annotated[str, typer.Option(help="Where subscribers and the control plane connect.")] = "tcp://127.0.0.1:0",
    hold: Annotated[bool, typer.Option("--hold", help="Give out no work before the command to start.")] = False,
    pace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Take at least so long for the whole run.")
    ] = 0.0,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="CAVECAST_KEYS",
            help="streamer.toml, as cavecast keys made it; needed beyond loopback.",
            show_envvar=False,
        ),
    ] = None,
    durability: Annotated[
        Policy | None,
        typer.Option(
            help="When a chunk is acknowledged: once it is written, once it is flushed together with all that came "
            "within 20 ms, or once it has been flushed by itself.",
            show_default="written",
        ),
    ] = None,
    segment_mb: Annotated[
        float, typer.Option(min=0.001, metavar="MB", help="The log begins a new file after so many megabytes.")
    ] = 256.0,
    retain_gb: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="GB",
            help="When the log is larger, labels that the archive serves leave it. Otherwise it keeps all.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Serve metrics for Prometheus on this port of 127.0.0.1 (0: a free one).",
        ),
    ] = None,
    lease_s: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="A worker that is silent for so long loses its chunks.")
    ] = 30.0,
) -> int:
    """The log of one run: leases go out, commits come in, entries go on to whoever asks.

    Prints one line of JSON with the addresses when it is ready.  Started again on the same folder it goes on
    where it stopped.  After the run's end it serves the log until it is told to stop (SIGTERM).
    """
    settings = read({"durability": durability})
    logs.configure(settings.log_level, settings.log_format)
    if relay_of is not None:
        of_relay = RelayUse(relay_of, log, feed, keys, name, settings.durability, round(segment_mb * 1e6), metrics_port)
        return serve_copy(of_relay)
    if run is None:
        raise WrongUse("a streamer needs --run RUN.json, or --relay-of ADDRESS if it is to be a relay")
    spec = read_spec(run)
    logs.bind(run=spec.run_id, part="streamer")
    mine = read_keys(keys, "streamer") if keys is not None else None
    check_address(ingest, locked=mine is not None)
    check_address(feed, locked=mine is not None)
    with closing(_open(log, spec, round(segment_mb * 1e6))) as opened:
        of_hub = HubSettings(
            lease_s=lease_s, pace_s=pace, hold=hold, durability=settings.durability, before_s=worked_before(log)
        )
        try:
            hub = Hub(spec, opened, of_hub, clock())
        except BadLog as why:
            raise CannotServe(f"{log}: {why}") from None
        with (
            endpoint_at(metrics_port) as endpoint,
            closing(Keeper(hub, opened, None if retain_gb is None else round(retain_gb * 1e9))) as keeper,
            closing(Node(hub, spec.grid, ingest, feed, clock, mine, keeper, spec.run_id, endpoint)) as node,
        ):
            at_ingest, at_feed = node.addresses
            structlog.get_logger("streamer").info(
                "ready", ingest=at_ingest, feed=at_feed, log=str(log), entries=opened.head
            )
            ready = {"ready": "streamer", "ingest": at_ingest, "feed": at_feed}
            if endpoint is not None:
                ready["metrics"] = f"http://127.0.0.1:{endpoint.port}/metrics"
            print(json.dumps(ready), flush=True)
            return node.run()


def read_spec(path: Path) -> RunSpec:
    """A run's specification from a JSON file.  Raises WrongUse."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunSpec)
    except OSError as why:
        raise WrongUse(f"the run's specification {path} cannot be read: {why.strerror}") from None
    except (msgspec.MsgspecError, ValueError) as why:
        raise WrongUse(f"{path} is not the specification of a run: {why}") from None


def _open(folder: Path, spec: RunSpec, segment_bytes: int) -> Log:
    """The log, which is that of this run; raises CannotServe."""
    log = log_in(folder, segment_bytes)
    try:
        _same_run(folder / SPEC_FILE, spec, log.head)
    except BaseException:
        log.close()
        raise
    if log.cut:
        structlog.get_logger("streamer").warning("log cut", what=log.cut)
    return log


def _same_run(path: Path, spec: RunSpec, entries: int) -> None:
    """Notes beside a new log of which run it is; raises CannotServe if an old one is of another."""
    raw = msgspec.json.encode(spec)
    if entries and path.exists():
        if path.read_bytes() != raw:
            raise CannotServe(f"the log in {path.parent} is of another run (see {path}): take another folder")
        return
    try:
        note(path, raw)
    except OSError as why:
        raise CannotServe(f"{path} cannot be written: {why.strerror}") from None
