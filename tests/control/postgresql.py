"""A PostgreSQL of a test's own: started in a temporary folder, on a socket in there, and ended with the test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.ending import ending, lines_within, tied

DEADLINE_S = 60.0


def programs() -> Path:
    """The folder of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    beside = shutil.which("initdb")
    assert found or beside, "the tests need PostgreSQL's server: make test installs it where it may"
    return found[-1].parent if found else Path(str(beside)).parent


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL, for SQLAlchemy.  It refuses to run as root, so root lends it the name of a user without rights."""
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    who = {} if nobody is None else {"user": nobody.pw_uid, "group": nobody.pw_gid}
    env = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    folder = Path(tempfile.mkdtemp(prefix="cavecast-pg-"))
    if nobody is not None:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def call(program: str, *words: str) -> None:
        done = subprocess.run(
            [programs() / program, *words], capture_output=True, text=True, timeout=DEADLINE_S, cwd=folder,
            env=env, **who,
        )  # type: ignore[call-overload]  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call("initdb", "-D", "data", "-U", "tester", "--auth", "trust", "--no-sync")
        server = subprocess.Popen(
            tied(programs() / "postgres", "-D", "data", "-k", folder, "-h", "", "-F", lent=bool(who)),
            stderr=subprocess.PIPE, text=True, cwd=folder, env=env, **who,
        )  # type: ignore[call-overload]  # fmt: skip
        with ending(server, signal.SIGQUIT):  # at once, whoever is connected
            said: list[str] = []
            for line in lines_within(server.stderr):
                said.append(line)
                if "ready to accept connections" in line:
                    break
            else:
                raise AssertionError("".join(said))
            # What it says from now on is to fill no pipe.
            threading.Thread(target=server.stderr.read, daemon=True).start()
            yield f"postgresql+psycopg://tester@/postgres?host={quote(str(folder), safe='')}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
