"""What the API says about people, projects, tokens and sign-ins, as records."""

from __future__ import annotations

import msgspec

from streamer.control.access.people import Means, Role


class Me(msgspec.Struct, frozen=True):
    """Who somebody is to this server."""

    account: str
    name: str
    email: str
    means: Means
    """`local` where there are no accounts, else `session`, `bearer` or `token`."""
    administrator: bool
    projects: dict[str, Role]
    """The role in each project."""


class Share(msgspec.Struct, frozen=True):
    """What of something is taken, and how much may be."""

    used: int
    limit: int | None
    """None: no limit."""


class ProjectShown(msgspec.Struct, frozen=True):
    """A project that somebody has a role in."""

    name: str
    namespace: str
    role: Role
    runs: Share
    workers: Share
    gpus: Share


class TokenShown(msgspec.Struct, frozen=True):
    """A token, without what opens."""

    token_id: str
    name: str
    project: str
    role: Role
    made_by: str
    created: str
    """ISO 8601, UTC."""
    expires: str | None


class NewToken(msgspec.Struct, frozen=True):
    """A token that was just made: the only time that it is shown."""

    token: str
    about: TokenShown


class SignIn(msgspec.Struct, frozen=True):
    """An issuer at which one can sign in."""

    name: str
    url: str
    cli_client_id: str
    """The client of the command line's device flow; empty if it cannot sign in there."""
    scopes: tuple[str, ...]
    groups_claim: str = "groups"
    """The claim with people's groups."""


class SignedOut(msgspec.Struct, frozen=True):
    """That a session has ended."""

    next: str
    """Where a browser goes to be signed out at the issuer too; empty if that cannot be."""


class Ended(msgspec.Struct, frozen=True):
    """How many sessions have ended."""

    sessions: int


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody has changed, or was not let."""

    number: int = 0
    """Grows with each; those of one server are in its order."""
    time: str
    """ISO 8601, UTC."""
    account: str
    """Who: `ISSUER/SUBJECT`, `token:NAME`, or empty for a stranger."""
    name: str = ""
    address: str
    """From where."""
    operation: str
    project: str = ""
    about: str = ""
    """The run, or whatever else it is about."""
    status: int
    """The HTTP status of the answer."""
    outcome: str
    """`done`, `refused` or `failed`."""
