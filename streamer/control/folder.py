"""Where runs keep their logs and sockets: a folder that only this user can enter.

Without ``--dir`` it is a fresh temporary one, removed at the end.  A lock is held on it while its
owner lives, so that what a killed owner left behind is known as such and removed by the next start;
only the lock of a temporary folder is called ``temporary.lock``, and no other folder is ever removed.
Sockets are ``ipc://`` in there, which keeps other users of the machine out; where the path is too
long for a socket's name (about 100 bytes) they are free loopback ports instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PREFIX = "cavecast-"
SEAL = "seats.seal"
LOCK, TEMPORARY_LOCK, PLACE = "lock", "temporary.lock", "place"
LONGEST_SOCKET = 100
_YOUNG_S = 60.0


class InUse(RuntimeError):
    """The folder belongs to a control plane that runs."""

    exit_code = 1


class Folder:
    """The folder of one control plane.  ``close`` lets go of it, and removes it if it is temporary."""

    def __init__(self, path: Path | None, *, take: bool = True) -> None:
        """Raises InUse if another control plane holds ``path``, OSError if it cannot be made.

        Not to be held at once (``take``) it is by ``try_to_take``, before anything but its name is used.
        """
        self.temporary = path is None
        if path is None:
            sweep(Path(tempfile.gettempdir()), time.time())
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()  # made with mode 0700
            # The lock gets its name when it is held: whoever sweeps meanwhile must not take it first.
            self._lock = _lock(self.path / LOCK)
            _take(self._lock)
            (self.path / LOCK).rename(self.path / TEMPORARY_LOCK)
            return
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        self._lock = _lock(self.path / LOCK)
        if take and not _take(self._lock):
            os.close(self._lock)
            raise InUse(f"{self.path} is in use by another cavecast serve: end it, or give another --dir")

    def try_to_take(self) -> bool:
        """Whether this control plane holds it from now on."""
        return _take(self._lock)

    def place(self) -> str:
        """The name of this place, as the books know it: made up once and kept in the folder.

        Raises OSError, ValueError if what is kept there is no name.
        """
        path = self.path / PLACE
        name = self._kept(PLACE, lambda: secrets.token_hex(8))
        if not (0 < len(name) <= 64 and name.isalnum()):
            raise ValueError(f"{path} holds {name[:80]!r}, which is no name of a place: put its old content back")
        return name

    def secret(self) -> bytes:
        """What tokens of seats are sealed with: made up once and kept in the folder.  Raises OSError, ValueError."""
        text = self._kept(SEAL, lambda: secrets.token_hex(32))
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise ValueError(f"{self.path / SEAL} holds no secret of this server: remove it, and a new one is made")
        return bytes.fromhex(text)

    def _kept(self, called: str, make: Callable[[], str]) -> str:
        path = self.path / called
        if not path.exists():
            fresh = path.with_name(f"{called}.{os.getpid()}.new")
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(make())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)  # whoever comes first has made it
            fresh.unlink()
        return path.read_text(errors="replace").strip()

    def run(self, run_id: str) -> Path:
        """The folder of a run, made if it is not there."""
        path = self.path / run_id
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def close(self) -> None:
        """Let go."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def address(folder: Path, name: str, host: str | None = None) -> str:
    """Where a part shall listen: a free port of ``host``, or a socket in the run's folder, or a free loopback port."""
    if host:
        return f"tcp://[{host}]:0" if ":" in host and not host.startswith("[") else f"tcp://{host}:0"
    path = folder / name
    if len(os.fsencode(path)) < LONGEST_SOCKET:
        return f"ipc://{path}"
    return "tcp://127.0.0.1:0"


def sweep(parent: Path, now: float) -> list[Path]:
    """Removes the temporary folders of this user whose owners are dead; returns them."""
    gone = []
    for path in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            facts = path.lstat()
            # A folder without a lock may belong to an owner that is about to take it.
            if facts.st_uid != os.getuid() or not path.is_dir() or path.is_symlink():
                continue
            if not (path / TEMPORARY_LOCK).exists():
                if now - facts.st_mtime > _YOUNG_S and not any(path.iterdir()):
                    path.rmdir()
                continue
            lock = os.open(path / TEMPORARY_LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                if _take(lock):
                    shutil.rmtree(path, ignore_errors=True)
                    gone.append(path)
            finally:
                os.close(lock)
    return gone


def _lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
