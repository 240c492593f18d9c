"""Sign-ins that the command line keeps: a file for its owner's eyes only, one entry for each server.

Each entry has the refresh token with which a new bearer token is had, and the last of those.  The file is replaced as a
whole, so that no half of it is ever read, and a lock is held while a refresh token is used up: issuers take it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

TOKEN = "CAVECAST_TOKEN"  # noqa: S105  the variable's name
"""The environment's token, which has precedence; no process that is started here inherits it."""
LARGEST = 1 << 20


class WrongCredentials(RuntimeError):
    """The file of sign-ins cannot be used: which, and what to do."""

    exit_code = 1


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign-in at one server."""

    server: str
    issuer: str
    client_id: str
    token_endpoint: str
    refresh_token: str
    bearer: str
    expires: float
    """Seconds since 1970, of ``bearer``."""
    revocation_endpoint: str = ""
    scopes: tuple[str, ...] = ()


def name_of(server: str) -> str:
    """A server's address in the one form by which its sign-in is found."""
    parts = urlsplit(server)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


class Credentials:
    """The sign-ins of this user.  Methods raise WrongCredentials."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        home = environment.get("XDG_CONFIG_HOME", "")
        self.file = (Path(home) if home.startswith("/") else Path.home() / ".config") / "cavecast" / "credentials.json"

    def find(self, server: str) -> Kept | None:
        """The sign-in at a server."""
        return self._read().get(name_of(server))

    def keep(self, kept: Kept) -> None:
        """Keeps a sign-in in place of the server's last one.  Hold ``locked`` meanwhile."""
        self._write({**self._read(), kept.server: kept})

    def drop(self, server: str) -> None:
        """Forgets the sign-in at a server.  Hold ``locked`` meanwhile."""
        found = self._read()
        if found.pop(name_of(server), None) is not None:
            self._write(found)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the sign-ins meanwhile."""
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise WrongCredentials(f"sign-ins cannot be kept in {self.file.parent}: {why.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> dict[str, Kept]:
        try:
            with self.file.open("rb") as file:
                mode, raw = os.fstat(file.fileno()).st_mode, file.read(LARGEST)
        except FileNotFoundError:
            return {}
        except OSError as why:
            raise WrongCredentials(f"the sign-ins in {self.file} cannot be read: {why.strerror}") from None
        if mode & 0o077:
            raise WrongCredentials(f"others can read the sign-ins in {self.file}: chmod 600 {self.file}")
        try:
            return msgspec.json.decode(raw, type=dict[str, Kept])
        except msgspec.MsgspecError:
            raise WrongCredentials(
                f"the sign-ins in {self.file} cannot be read: remove the file and sign in again"
            ) from None

    def _write(self, found: dict[str, Kept]) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=".credentials-")  # mode 0600
        except OSError as why:
            raise WrongCredentials(f"sign-ins cannot be kept in {self.file.parent}: {why.strerror}") from None
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(found)))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.file)
        except OSError as why:
            raise WrongCredentials(f"sign-ins cannot be kept in {self.file}: {why.strerror}") from None
        finally:
            Path(name).unlink(missing_ok=True)
