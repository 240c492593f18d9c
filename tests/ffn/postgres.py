"""A PostgreSQL server of one's own: begun in a temporary folder, ended with the test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.ending import ending, lines_within, tied

NEEDED = "these tests need PostgreSQL: install the package postgresql"
DEADLINE_S = 60.0


def program(name: str) -> str:
    """Where a program of the server is; Debian keeps them out of the way, by version.  Fails if it is nowhere."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, NEEDED
    return path


@contextmanager
def server() -> Iterator[str]:
    """Its address; it is reached on the loopback only, and keeps nothing."""
    folder = Path(tempfile.mkdtemp(prefix="cavecast-postgres-"))
    me: dict[str, Any] = {}
    if os.geteuid() == 0:  # as root it refuses to run
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        me = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        data = folder / "data"
        subprocess.run(
            [program("initdb"), "-D", str(data), "-A", "trust", "-U", "cavecast", "-E", "UTF8", "--no-sync",
             "--no-locale"],
            check=True, capture_output=True, cwd=folder, timeout=DEADLINE_S, **me,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as door:
            port = door.getsockname()[1]
        process: subprocess.Popen[str] = subprocess.Popen(
            tied(program("postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder, "-F",
                 lent=bool(me)),
            stderr=subprocess.PIPE, text=True, cwd=folder, **me,
        )  # fmt: skip
        with ending(process, signal.SIGINT):  # who is still connected is let go
            yield f"postgresql://cavecast@127.0.0.1:{_ready(process, port)}/postgres"
    finally:
        shutil.rmtree(folder)


def database(address: str) -> str:
    """The address of a new, empty database beside the one at an address."""
    name = f"study_{secrets.token_hex(6)}"
    with psycopg.connect(address, autocommit=True) as line:
        line.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"{address.rpartition('/')[0]}/{name}"


def _ready(process: subprocess.Popen[str], port: int) -> int:
    """The port, once the server says that it takes connections."""
    said = []
    for line in lines_within(process.stderr):
        said.append(line)
        if "ready to accept connections" in line:
            return port
    raise AssertionError("".join(said))
