"""``cavecast serve``: reads the settings, listens, and says where.

One line of JSON on stdout when it is ready: ``{"ready": "serve", "url": "http://127.0.0.1:8750"}``.
SIGTERM and Ctrl-C end all runs with their processes first, so that open event streams and viewers
come to an end by themselves, and the server after them.  Whatever holds that up, the process ends after a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import structlog
import typer
import uvicorn

from streamer import logs
from streamer.control.access import config as access_config
from streamer.control.access.issuer import DEADLINE_S
from streamer.control.access.places import networks, public
from streamer.control.access.rules import Access
from streamer.control.folder import Folder
from streamer.control.last_moment import LastMoment
from streamer.control.launchers import Choice, chosen
from streamer.control.leading import Leadership, LeadLost
from streamer.control.registry import Registry, open_registry
from streamer.control.roles import check_keys
from streamer.control.security import check_listening
from streamer.control.standby import Front
from streamer.settings import Settings, environment, origin, read

if TYPE_CHECKING:
    from streamer.control.access.door import Door

GRACEFUL_S = 1
STANDBY_AFTER_S = 2.0
"""Who does not lead after so long says that it stands by."""
FOLDER_S = 0.2
"""Between two tries to hold the folder that another control plane still holds."""
LOST_S = 3.0
"""So long a control plane that has lost the lead may take to end: it is gone before another one acts."""
END_S = 20.0
"""So long, beside what its parts may take (``stop_s``), a control plane may take to end."""
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
            scheme = "https" if self.config.is_ssl else "http"
            print(json.dumps({"ready": "serve", "url": _url(sockets[0], scheme)}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8750")] = None,
    dir: Annotated[
        Path | None, typer.Option(help="Folder for the runs' logs.", show_default="temporary, removed at the end")
    ] = None,
    access: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Who may: a TOML file.", show_default="everybody on this machine, without login"
        ),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The address by which browsers reach it.", show_default="none")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate (PEM), to listen with TLS.", show_default="none")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key.", show_default="none")] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(metavar="NETWORKS", help="Proxies whose X-Forwarded-… are believed.", show_default="none"),
    ] = None,
    plain_http: Annotated[
        bool | None,
        typer.Option("--plain-http", help="Listen beyond this machine without TLS, though it is unsafe."),
    ] = None,
    proxy_login: Annotated[
        bool | None,
        typer.Option("--proxy-login", help="The proxy at --public-url, as JupyterHub's, lets nobody else by."),
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
        "host": host, "port": port, "dir": dir, "access": access, "public_url": public_url, "tls_cert": tls_cert,
        "tls_key": tls_key, "trusted_proxies": trusted_proxies, "plain_http": plain_http,
        "proxy_login": proxy_login, "parts_host": parts_host, "run_keys": keys, "log_level": log_level,
    }  # fmt: skip
    settings = read(flags, config)
    logs.configure(settings.log_level, settings.log_format)
    os.environ.update(environment(flags, config))  # the parts shall read the same settings
    warning = check_listening(settings, origin("host", flags, config))
    check_keys(settings)
    rules = access_config.read(settings.access, os.environ) if settings.access is not None else None
    _check_tls(settings)
    if warning:
        structlog.get_logger().warning(warning)
    spaces = {one.name: one.namespace for one in rules.projects.values() if one.namespace} if rules else {}
    choice = chosen(settings, spaces)
    listening = _listen(settings)
    folder = Folder(settings.dir, take=not choice.shared)
    try:
        return asyncio.run(_serve(settings, folder, listening, rules, choice))
    finally:
        folder.close()


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sends answers at once (TCP_NODELAY); else each waits 40 ms for the other side.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as why:
        found.close()
        raise CannotListen(
            f"cannot listen on {settings.host} port {settings.port}: {why.strerror}; give another --port, or 0"
        ) from None
    return found


BEAT_S = 20.0
LEADS, HELD = "this control plane leads", "the control plane that led before has not ended yet, and holds the folder"


async def _serve(
    settings: Settings, folder: Folder, listening: socket.socket, rules: Access | None, choice: Choice
) -> int:
    from streamer.control.app import make_app

    leadership = await choice.leadership(folder)
    known_as = public(settings.public_url) if settings.public_url else None
    front = Front(
        lambda: HELD if choice.shared and leadership.standing == LEADS else leadership.standing,
        known_as,
        lambda: choice.sure() and not leadership.lost.is_set(),
    )
    server = _Server(uvicorn.Config(
        front,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=64 << 10,
        ws_ping_interval=BEAT_S,  # a browser that is not there any more is known to be gone
        ws_ping_timeout=BEAT_S,
        ws_per_message_deflate=False,  # pictures are compressed already
        timeout_graceful_shutdown=GRACEFUL_S,
        lifespan="off",
    ))  # fmt: skip
    stop, asked = asyncio.Event(), [signal.SIGTERM]
    loop, last = asyncio.get_running_loop(), LastMoment(settings.stop_s + END_S)

    def end(number: signal.Signals) -> None:
        last.begin()
        asked.append(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    stopping = asyncio.create_task(stop.wait())
    winning = asyncio.create_task(_won(leadership, folder, choice))
    losing = asyncio.create_task(leadership.lost.wait())
    serving: asyncio.Task[None] | None = None
    try:
        # Whoever leads at once does not answer before it knows its runs.
        await asyncio.wait([winning, stopping], timeout=STANDBY_AFTER_S, return_when=asyncio.FIRST_COMPLETED)
        if not (winning.done() or stop.is_set()):
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await asyncio.wait([winning, stopping, serving, losing], return_when=asyncio.FIRST_COMPLETED)
        if winning.done() and not stop.is_set():
            winning.result()
            async with open_registry(settings, folder, choice) as registry, _door(settings, rules, registry) as door:
                front.behind = make_app(registry, door, networks(settings.trusted_proxies), known_as)
                serving = serving or asyncio.create_task(server.serve(sockets=[listening]))
                await asyncio.wait([serving, stopping, losing], return_when=asyncio.FIRST_COMPLETED)
                last.begin()
                if leadership.lost.is_set():
                    front.behind = None
                    if not choice.shared:  # there the others wait for the folder
                        LastMoment(LOST_S, LeadLost.exit_code).begin()
                await registry.close()
                server.should_exit = True
                await serving
                if door is not None:
                    await door.diary.flush()
    finally:
        last.begin()
        server.should_exit = True
        if serving is not None:
            await serving
        for task in (stopping, winning, losing):
            task.cancel()
        lost = leadership.lost.is_set()
        await leadership.release()
    if lost:
        raise LeadLost("this control plane does not lead any more and ends; it stands by when it is started again")
    return INTERRUPTED if asked[-1] == signal.SIGINT else 0


async def _won(leadership: Leadership, folder: Folder, choice: Choice) -> None:
    """Waits for the lead, and for whoever had it to let go of a folder that is shared, with its parts."""
    await leadership.won()
    while choice.shared and not folder.try_to_take():  # noqa: ASYNC110
        await asyncio.sleep(FOLDER_S)


@contextlib.asynccontextmanager
async def _door(settings: Settings, rules: Access | None, registry: Registry) -> AsyncIterator[Door | None]:
    """Where people come in, if there are accounts."""
    if rules is None:
        yield None
        return
    from streamer.control.access.door import Door

    known_as = public(settings.public_url) if settings.public_url else None
    async with httpx.AsyncClient(trust_env=True, timeout=DEADLINE_S, follow_redirects=False) as http:
        yield Door(rules, registry.desk, http, time.time, known_as)


def _check_tls(settings: Settings) -> None:
    """Raises CannotListen if the certificate and its key cannot be used."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as why:  # ssl.SSLError is one
        raise CannotListen(
            f"the certificate {settings.tls_cert} and its key {settings.tls_key} cannot be used: {why}"
        ) from None


def _url(listening: socket.socket, scheme: str) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
