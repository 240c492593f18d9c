"""``cavecast serve``: reads the settings, listens, and says where.

One line of JSON on stdout when it is ready: ``{"ready": "serve", "url": "http://127.0.0.1:8750"}``.
SIGTERM and Ctrl-C end all runs with their processes first, so that open event streams and viewers
come to an end by themselves, and the server after them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from streamer import logs
from streamer.control.folder import Folder
from streamer.control.registry import open_registry
from streamer.control.roles import check_keys
from streamer.control.security import check_host
from streamer.settings import Settings, environment, origin, read

GRACEFUL_S = 1
INTERRUPTED = 130


class CannotListen(RuntimeError):
    """The address is taken or not this machine's."""

    exit_code = 1


class _Server(uvicorn.Server):
    """Uvicorn without its own idea of signals: they are ours, since children must be ended first."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where, as soon as it listens."""
        await super().startup(sockets)
        if sockets and self.started:
            print(json.dumps({"ready": "serve", "url": _url(sockets[0])}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; this machine only.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8750")] = None,
    dir: Annotated[
        Path | None, typer.Option(help="Folder for the runs' logs.", show_default="temporary, removed at the end")
    ] = None,
    parts_host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST",
            help="Address at which the parts of runs listen, on ports of their own.",
            show_default="sockets in the run's folder",
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            metavar="auto|FOLDER",
            help="Keys for the parts of runs: new ones for each, or those that cavecast keys made in a folder.",
            show_default="none",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with settings.", show_default="cavecast.toml")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
) -> int:
    """The control plane: the HTTP API under /api/v1, the viewer, and the processes of the runs.

    It prints one line of JSON with its address when it is ready, and ends on Ctrl-C with all that it has started.
    """
    flags = {
        "host": host, "port": port, "dir": dir, "parts_host": parts_host, "run_keys": keys, "log_level": log_level
    }  # fmt: skip
    settings = read(flags, config)
    logs.configure(settings.log_level, settings.log_format)
    os.environ.update(environment(flags, config))  # the parts shall read the same settings
    check_host(settings.host, origin("host", flags, config))
    check_keys(settings)
    listening = _listen(settings)
    folder = Folder(settings.dir)
    try:
        return asyncio.run(_serve(settings, folder, listening))
    finally:
        folder.close()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as why:
        found.close()
        raise CannotListen(
            f"cannot listen on {settings.host} port {settings.port}: {why.strerror}; give another --port, or 0"
        ) from None
    return found


async def _serve(settings: Settings, folder: Folder, listening: socket.socket) -> int:
    from streamer.control.app import make_app

    async with open_registry(settings, folder) as registry:
        config = uvicorn.Config(
            make_app(registry),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=64 << 10,
            ws_per_message_deflate=False,  # pictures are compressed already
            timeout_graceful_shutdown=GRACEFUL_S,
            lifespan="off",
        )
        server = _Server(config)
        stop, asked = asyncio.Event(), [signal.SIGTERM]
        loop = asyncio.get_running_loop()

        def end(number: signal.Signals) -> None:
            asked.append(number)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end, number)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        await registry.close()
        server.should_exit = True
        await serving
        stopping.cancel()
    return INTERRUPTED if asked[-1] == signal.SIGINT else 0


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
