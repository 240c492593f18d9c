"""Reads an access configuration: a TOML file into frozen records, once, at the start.

    administrators = ["email:ada@example.org"]
    [[issuers]]
    name = "lab"
    url = "https://sso.example.org/realms/lab"
    client_id = "cavecast"
    client_secret_env = "CAVECAST_OIDC_SECRET"
    [projects.rivers]
    quota = { runs = 4, workers = 64, gpus = 8 }
    operators = ["group:rivers"]

All that is wrong with it is one sentence that names the file and the place in it.  Secrets stand in files or in the
environment, from which they are taken out, so that no process that is started here finds them.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import MutableMapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from streamer.control.access.people import DEFAULT, Role
from streamer.control.access.places import is_loopback
from streamer.control.access.quotas import Quota
from streamer.control.access.rules import (
    Access,
    AuditRules,
    Issuer,
    Member,
    Project,
    SessionRules,
    StaticToken,
    What,
)

LARGEST = 1 << 20
"""Bytes of a configuration."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
KINDS: dict[str, What] = {"subject": "subject", "email": "email", "group": "group"}


class WrongAccess(ValueError):
    """An access configuration that cannot be used: what is wrong with it, and where."""

    exit_code = 2


class _Issuer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    url: str
    client_id: str
    client_secret_env: str | None = None
    client_secret_file: str | None = None
    cli_client_id: str | None = None
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    audience: str = ""
    skew_s: float = 60.0


class _Quota(msgspec.Struct, forbid_unknown_fields=True):
    runs: int | None = None
    workers: int | None = None
    gpus: int | None = None


class _Project(msgspec.Struct, forbid_unknown_fields=True):
    namespace: str = ""
    quota: _Quota = msgspec.field(default_factory=_Quota)
    viewers: list[str] = []
    operators: list[str] = []
    admins: list[str] = []


class _Token(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    sha256: str
    role: Literal["viewer", "operator", "admin", "metrics"]
    project: str = ""
    expires: Any = None
    """A date or a time of TOML."""


class _Sessions(msgspec.Struct, forbid_unknown_fields=True):
    idle_h: float = 8.0
    longest_h: float = 7 * 24.0
    most: int = 20


class _Audit(msgspec.Struct, forbid_unknown_fields=True):
    rows: int = 100_000
    days: float = 400.0


class _Access(msgspec.Struct, forbid_unknown_fields=True):
    administrators: list[str] = []
    issuers: list[_Issuer] = []
    projects: dict[str, _Project] = {}
    tokens: list[_Token] = []
    sessions: _Sessions = msgspec.field(default_factory=_Sessions)
    audit: _Audit = msgspec.field(default_factory=_Audit)


def read(path: Path, environment: MutableMapping[str, str]) -> Access:
    """The configuration in a file.  Secrets that it names are taken *out* of ``environment``.  Raises WrongAccess."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise WrongAccess(
                f"the access configuration {path} has more than {LARGEST >> 20} MiB: is it the right file?"
            )
        found: Any = tomllib.loads(raw.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as why:
        said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
        raise WrongAccess(f"the access configuration {path} cannot be read as TOML: {said}") from None
    try:
        return _checked(msgspec.convert(found, _Access), path, environment)
    except msgspec.ValidationError as why:
        raise WrongAccess(f"the access configuration {path}: {_plainly(str(why))}") from None
    except _Wrong as why:
        raise WrongAccess(f"the access configuration {path}: {why}") from None


class _Wrong(ValueError):
    """What is wrong, without the file's name."""


def _plainly(said: str) -> str:
    """What msgspec has to say, in the words of a TOML file."""
    said, _, where = said.partition(" - at `$")
    place = where.strip("`.").replace("[...]", "").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", said)
    missing = re.fullmatch(r"Object missing required field `(.*)`", said)
    if unknown:
        return f"{unknown[1]}{f' in {place}' if place else ''} means nothing here (see docs/security.md)"
    if missing:
        return f"{missing[1]} is missing{f' in {place}' if place else ''}"
    return f"{place or 'it'}: {said[:1].lower()}{said[1:]}".replace("object", "table")


def _checked(raw: _Access, path: Path, environment: MutableMapping[str, str]) -> Access:
    issuers = tuple(_issuer(one, path, environment) for one in raw.issuers)
    names = [one.name for one in issuers]
    _once(names, "issuers are called")
    _once([one.url for one in issuers], "issuers have the url")
    projects = {name: _project(name, one, names) for name, one in (raw.projects or {DEFAULT: _Project()}).items()}
    tokens = tuple(_token(one, projects) for one in raw.tokens)
    _once([one.name for one in tokens], "tokens are called")
    _once([one.sha256 for one in tokens], "tokens have the sha256")
    if not issuers and not tokens:
        raise _Wrong("it has neither issuers nor tokens, so nobody could ever get in")
    sessions, audit = raw.sessions, raw.audit
    if not 0 < sessions.idle_h <= sessions.longest_h <= 24 * 366:
        raise _Wrong("sessions: idle_h must be above 0, and longest_h no less and at most a year")
    if not 1 <= sessions.most <= 1000:
        raise _Wrong(f"sessions: most is {sessions.most}; it must be 1 to 1000")
    if not 100 <= audit.rows <= 100_000_000 or not 1 <= audit.days <= 36_500:
        raise _Wrong("audit: rows must be 100 to 100000000, and days 1 to 36500")
    return Access(
        issuers=issuers,
        projects=projects,
        administrators=tuple(_member(one, names, "administrators") for one in raw.administrators),
        tokens=tokens,
        sessions=SessionRules(sessions.idle_h * 3600, sessions.longest_h * 3600, sessions.most),
        audit=AuditRules(audit.rows, audit.days),
    )


def _once(found: list[str], words: str) -> None:
    twice = next((one for one in found if found.count(one) > 1), None)
    if twice is not None:
        raise _Wrong(f"two {words} {twice}")


def _issuer(raw: _Issuer, path: Path, environment: MutableMapping[str, str]) -> Issuer:
    if not NAME.fullmatch(raw.name) or raw.name in KINDS:
        raise _Wrong(
            f"an issuer is called {raw.name!r}; take small letters, digits and hyphens, and none of {set(KINDS)}"
        )
    here = f"issuer {raw.name}"
    try:
        parts = urlsplit(raw.url)
        host = parts.hostname or ""
    except ValueError:
        raise _Wrong(f"{here}: url is {raw.url!r}, which is no address") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise _Wrong(f"{here}: url is {raw.url!r}; an issuer is reached by https://, or by http:// on this machine")
    if not host or parts.query or parts.fragment or parts.username:
        raise _Wrong(f"{here}: url is {raw.url!r}; it must be the issuer's address alone, as its tokens have it (iss)")
    if not raw.client_id:
        raise _Wrong(f"{here}: client_id is empty")
    if "openid" not in raw.scopes:
        raise _Wrong(f"{here}: scopes must have openid, or there is no ID token")
    if not 0 <= raw.skew_s <= 600:
        raise _Wrong(f"{here}: skew_s is {raw.skew_s:g}; clocks may be 0 to 600 seconds apart")
    secret = _secret(raw, here, path, environment)
    # Without a secret of the web's client the command line can use the same one.
    cli = raw.cli_client_id if raw.cli_client_id is not None else "" if secret else raw.client_id
    return Issuer(
        raw.name, raw.url, raw.client_id, secret, cli, raw.scopes, raw.groups_claim, raw.audience, raw.skew_s
    )  # fmt: skip


def _secret(raw: _Issuer, here: str, path: Path, environment: MutableMapping[str, str]) -> str:
    if raw.client_secret_env and raw.client_secret_file:
        raise _Wrong(f"{here}: its secret is in the environment or in a file, not in both")
    if raw.client_secret_env:
        found = environment.pop(raw.client_secret_env, "")
        if not found:
            raise _Wrong(f"{here}: the environment has no {raw.client_secret_env}, which is to be its secret")
        return found
    if not raw.client_secret_file:
        return ""
    file = path.parent / Path(raw.client_secret_file).expanduser()
    try:
        # A Secret of Kubernetes is mounted so that its group reads it; everybody is too many.
        if stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO:
            raise _Wrong(f"{here}: everybody on this machine can read its secret in {file}: chmod o= {file}")
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as why:
        said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
        raise _Wrong(f"{here}: its secret cannot be read from {file}: {said}") from None
    if not 0 < len(found) <= 4096:
        raise _Wrong(f"{here}: its secret in {file} is empty, or no secret")
    return found


def _project(name: str, raw: _Project, issuers: list[str]) -> Project:
    here = f"project {name}"
    if not NAME.fullmatch(name):
        raise _Wrong(f"a project is called {name!r}; take up to 63 small letters, digits and hyphens")
    if raw.namespace and not NAME.fullmatch(raw.namespace):
        raise _Wrong(f"{here}: namespace is {raw.namespace!r}, which is no name of a namespace")
    quota = Quota(raw.quota.runs, raw.quota.workers, raw.quota.gpus)
    for what, limit in quota._asdict().items():
        if limit is not None and limit < 0:
            raise _Wrong(f"{here}: quota.{what} is {limit}; it must be 0 or more")
    given: list[tuple[list[str], Role]] = [
        (raw.viewers, "viewer"), (raw.operators, "operator"), (raw.admins, "admin")
    ]  # fmt: skip
    members = tuple((_member(one, issuers, here), role) for listed, role in given for one in listed)
    return Project(name, raw.namespace, quota, members)


def _member(text: str, issuers: list[str], here: str) -> Member:
    kind, _, value = text.partition(":")
    issuer = ""
    if kind in issuers:
        issuer = kind
        kind, _, value = value.partition(":")
    if kind not in KINDS or not value:
        raise _Wrong(f"{here}: {text!r} is nobody; write email:ADDRESS, group:NAME or subject:ID")
    if not issuer and len(issuers) > 1:
        raise _Wrong(
            f"{here}: {text!r} does not say of which issuer: write {issuers[0]}:{text}, or another of {issuers}"
        )
    return Member(KINDS[kind], value, issuer)


def _token(raw: _Token, projects: dict[str, Project]) -> StaticToken:
    here = f"token {raw.name}"
    if not NAME.fullmatch(raw.name):
        raise _Wrong(f"a token is called {raw.name!r}; take small letters, digits and hyphens")
    if not re.fullmatch(r"[0-9a-f]{64}", raw.sha256):
        raise _Wrong(f"{here}: sha256 must be 64 digits, 0-9 and a-f: printf %s TOKEN | sha256sum")
    if raw.role == "metrics" and raw.project:
        raise _Wrong(f"{here}: metrics are of all projects: leave project out")
    if raw.role != "metrics" and raw.project not in projects:
        raise _Wrong(f"{here}: there is no project {raw.project!r}; there are {', '.join(projects)}")
    expires = _expiry(raw.expires, here)
    return StaticToken(raw.name, raw.sha256, raw.role, raw.project, expires)


def _expiry(found: object, here: str) -> float | None:
    """Seconds since 1970 of a date or a time; without a zone it is UTC."""
    if found is None:
        return None
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if not isinstance(found, datetime):
        raise _Wrong(f"{here}: expires is {found!r}; write a date without quotes, such as 2027-01-31")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
