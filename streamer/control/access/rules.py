"""What an access configuration says, as records.  Read by ``streamer.control.access.config``.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from streamer.control.access.people import DEFAULT, Role
from streamer.control.access.quotas import NO_LIMIT, Quota

What = Literal["subject", "email", "group"]


class Member(NamedTuple):
    """Whom a role is given to: a subject, a verified e-mail address or a group, of one issuer or of any."""

    what: What
    value: str
    issuer: str = ""
    """The issuer's name here; empty where there is only one."""


class Issuer(NamedTuple):
    """Somebody whose word about people is taken: an OpenID provider."""

    name: str
    url: str
    client_id: str
    secret: str = ""
    """Of the client; a public client has none."""
    cli_client_id: str = ""
    """The public client with which the command line signs in; empty: it cannot."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: str = "groups"
    audience: str = ""
    """What ``aud`` of a bearer token must name, if not one of the clients."""
    skew_s: float = 60.0
    """So far clocks may be apart."""

    @property
    def audiences(self) -> frozenset[str]:
        """Whom a bearer token may be meant for."""
        return frozenset(filter(None, (self.audience or self.client_id, self.cli_client_id)))

    @property
    def clients(self) -> frozenset[str]:
        """Who may have asked for a bearer token (``azp``)."""
        return frozenset(filter(None, (self.client_id, self.cli_client_id)))


class Project(NamedTuple):
    """People who share their runs."""

    name: str
    namespace: str = ""
    """Where its runs are, in a cluster."""
    quota: Quota = NO_LIMIT
    members: tuple[tuple[Member, Role], ...] = ()


class StaticToken(NamedTuple):
    """A token of a machine, as the configuration names it: only its fingerprint."""

    name: str
    sha256: str
    role: Role | Literal["metrics"]
    project: str = ""
    """Empty for ``metrics``."""
    expires: float | None = None
    """Seconds since 1970."""


class SessionRules(NamedTuple):
    """How long a browser stays signed in."""

    idle_s: float = 8 * 3600.0
    longest_s: float = 7 * 86400.0
    most: int = 20
    """Of one account; the oldest ends."""


class AuditRules(NamedTuple):
    """How much of the audit log is kept."""

    rows: int = 100_000
    days: float = 400.0


class Access(NamedTuple):
    """Who may, as configured."""

    issuers: tuple[Issuer, ...] = ()
    projects: Mapping[str, Project] = {}
    administrators: tuple[Member, ...] = ()
    tokens: tuple[StaticToken, ...] = ()
    sessions: SessionRules = SessionRules()
    audit: AuditRules = AuditRules()

    def issuer(self, name: str) -> Issuer | None:
        """The issuer of that name here; the first one if the name is empty."""
        return next((one for one in self.issuers if not name or one.name == name), None)


ALONE: Mapping[str, Project] = {DEFAULT: Project(DEFAULT)}
"""The projects of a server without an access configuration."""
