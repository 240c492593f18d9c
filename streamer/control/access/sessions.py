"""A browser that has signed in, and one that is about to.  Pure.

A session is a random secret in a cookie; the books have its fingerprint, whom it is of, and until when.  It ends when
it has not been used for a while, and after a longest time in any case.

A login on its way is a random secret in a cookie of its own, from which ``state``, ``nonce`` and the PKCE verifier are
derived: nothing of it is kept here, so a flood of logins that nobody finishes takes no memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NamedTuple

import msgspec

from streamer.control.access.claims import Identity
from streamer.control.access.rules import SessionRules

LOGIN_S = 600.0
"""So long a login may take."""
SEEN_EVERY_S = 60.0
"""So often the books hear that a session is used."""


class Session(NamedTuple):
    """A browser that has signed in."""

    fingerprint: str
    identity: Identity
    created: float
    seen: float


def over(session: Session, rules: SessionRules, now: float) -> bool:
    """Whether a session has ended by time."""
    return now - session.seen >= rules.idle_s or now - session.created >= rules.longest_s


def cookie(secure: bool) -> str:
    """The name of the session's cookie.  With ``__Host-`` no other host, and no plain HTTP, can set it."""
    return "__Host-cavecast" if secure else "cavecast"


def login_cookie(secure: bool) -> str:
    """The name of the cookie of a login on its way."""
    return "__Host-cavecast-login" if secure else "cavecast-login"


class Login(msgspec.Struct, frozen=True, array_like=True):
    """A login on its way, as its cookie has it."""

    secret: str
    issuer: str
    next: str
    begun: float

    @property
    def state(self) -> str:
        """What the issuer has to give back."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the ID token has to hold."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """PKCE: what only we know until the code is exchanged."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """PKCE: what the issuer is shown of the verifier (S256)."""
        return _plain(hashlib.sha256(self.verifier.encode()).digest())

    def spelled(self) -> str:
        """As the cookie's value."""
        return _plain(msgspec.json.encode(self))

    def _derived(self, what: str) -> str:
        return _plain(hmac.digest(self.secret.encode(), what.encode(), "sha256"))


def login_of(value: str, now: float) -> Login | None:
    """The login that a cookie tells of; None if it is none, or too old."""
    if len(value) > 4096:
        return None
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), type=Login)
    except (ValueError, msgspec.MsgspecError):
        return None
    return found if len(found.secret) >= 32 and 0 <= now - found.begun < LOGIN_S else None


def _plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
