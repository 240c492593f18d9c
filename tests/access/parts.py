"""A control plane with accounts, as the tests of who may need it: in this process, over real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from streamer.control.access import config
from streamer.control.access.door import Door
from streamer.control.access.places import Public, networks
from streamer.control.access.rules import Access
from streamer.control.app import make_app
from streamer.control.folder import Folder
from streamer.control.registry import Registry, open_registry
from streamer.settings import Settings
from tests.access.issuer import CLI, SECRET, WEB

DEADLINE_S = 60.0


def token_of(name: str) -> str:
    """The token that the configuration of the tests knows by a name."""
    return f"cavecast_{name}_{'x' * 40}"


def token_text(name: str, role: str, project: str = "", more: str = "") -> str:
    """A token as an access configuration names it."""
    sha256 = hashlib.sha256(token_of(name).encode()).hexdigest()
    of = f'project = "{project}"\n' if project else ""
    return f'[[tokens]]\nname = "{name}"\nsha256 = "{sha256}"\nrole = "{role}"\n{of}{more}\n'


def access_text(issuer_url: str = "", extra: str = "") -> str:
    """Two projects with a token for each role in each, one for metrics, an administrator, and perhaps an issuer."""
    tokens = [token_text(f"{project}-{role}", role, project) for project in ("rivers", "clouds")
              for role in ("viewer", "operator", "admin")]  # fmt: skip
    issuer = (
        f'[[issuers]]\nname = "lab"\nurl = "{issuer_url}"\nclient_id = "{WEB}"\nclient_secret_env = "TEST_SECRET"\n'
        f'cli_client_id = "{CLI}"\nscopes = ["openid", "email", "profile", "offline_access"]\n'
    )
    return "\n".join([
        'administrators = ["email:root@example.org"]',
        issuer if issuer_url else "",
        '[projects.rivers]\nnamespace = "cavecast-rivers"\nquota = { runs = 2, workers = 4, gpus = 0 }',
        'viewers = ["email:ada@example.org"]\noperators = ["group:rivers"]\nadmins = ["subject:boss"]',
        "[projects.clouds]\nviewers = [\"group:clouds\"]",
        *tokens, token_text("prometheus", "metrics"), extra,
    ])  # fmt: skip


def access_of(folder: Path, issuer_url: str = "", extra: str = "") -> Access:
    """The configuration, read from a file as ``cavecast serve`` does."""
    path = folder / "access.toml"
    path.write_text(access_text(issuer_url, extra))
    return config.read(path, {"TEST_SECRET": SECRET})


class Clock:
    """Seconds since 1970 that a test may move."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class Plane:
    """A control plane that answers."""

    def __init__(self, url: str, registry: Registry, door: Door, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.registry, self.door, self.clock, self.loop = url, registry, door, clock, loop
        self.address = ""
        """From where its clients come, by the word of a proxy that the server trusts."""

    def client(self, token: str = "", **how: Any) -> httpx.Client:
        """A client of it, with one of the tests' tokens, or none."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers |= {"x-forwarded-for": self.address} if self.address else {}
        return httpx.Client(
            base_url=how.pop("url", self.url), headers=headers, trust_env=False, timeout=DEADLINE_S, **how
        )  # fmt: skip

    def of(self, name: str) -> httpx.Client:
        """A client with the token of a name."""
        return self.client(token_of(name))


@contextmanager
def serving(access: Access, folder: Path, public: Public | None = None, trusted: str = "") -> Iterator[Plane]:
    """A control plane with these rules until left, on a loopback port."""
    ready: list[Plane] = []
    up, door_socket = threading.Event(), socket.socket()
    door_socket.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{door_socket.getsockname()[1]}"
    stop: list[uvicorn.Server] = []
    why: list[BaseException] = []

    async def serve() -> None:
        place, clock = Folder(folder), Clock()
        try:
            async with open_registry(Settings(), place) as registry, httpx.AsyncClient(trust_env=False) as http:
                door = Door(access, registry.desk, http, clock, public)
                config = uvicorn.Config(
                    make_app(registry, door, networks(trusted)), log_config=None, access_log=False, lifespan="off",
                    proxy_headers=False, timeout_graceful_shutdown=1, ws="websockets-sansio",
                )  # fmt: skip
                server = uvicorn.Server(config)
                stop.append(server)
                serving = asyncio.create_task(server.serve([door_socket]))
                # Uvicorn tells in no other way that it listens.
                while not server.started and not serving.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                ready.append(Plane(url, registry, door, clock, asyncio.get_running_loop()))
                up.set()
                await serving
        finally:
            place.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as broken:
            why.append(broken)
        finally:
            up.set()

    thread = threading.Thread(target=run, name="control-plane")
    thread.start()
    try:
        assert up.wait(DEADLINE_S), "it did not start"
        assert ready, why
        yield ready[0]
    finally:
        for server in stop:
            server.should_exit = True
        thread.join(DEADLINE_S)
        door_socket.close()
    assert not thread.is_alive(), "it did not stop"
    assert not why, why
