"""Tokens of machines: how one looks, what is kept of it, and whether one that came is known.  Pure.

A token is 256 random bits behind a prefix by which scanners of secrets know it.  Only its SHA-256 is kept: there is
nothing to be guessed in 256 bits, so a slow hash would protect nothing more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import NamedTuple

from streamer.control.access.people import Person, Role
from streamer.control.access.rules import StaticToken

PREFIX = "cavecast_"
LONGEST = 16_384
"""Bytes of a credential; what is longer is not looked at."""


class Issued(NamedTuple):
    """A token that was made over the API, as the books have it."""

    token_id: str
    name: str
    project: str
    role: Role
    fingerprint: str
    made_by: str
    """The account that has made it."""
    created: float
    expires: float | None
    """Seconds since 1970."""


def spelled(random: bytes) -> str:
    """A new token, of 32 random bytes."""
    return PREFIX + base64.urlsafe_b64encode(random).decode().rstrip("=")


def fingerprint(credential: str) -> str:
    """What is kept of a token, a session or a login."""
    return hashlib.sha256(credential.encode()).hexdigest()


def known(print_: str, tokens: Iterable[StaticToken]) -> StaticToken | None:
    """The token with a fingerprint.  Each is compared in the same time, and all of them."""
    found = None
    for token in tokens:
        if hmac.compare_digest(token.sha256, print_):
            found = token
    return found


def expired(expires: float | None, now: float) -> bool:
    """Whether the time of something is over."""
    return expires is not None and now >= expires


def bearer_of(token: StaticToken) -> Person:
    """What a token of the configuration may."""
    if token.role == "metrics":
        return Person(f"token:{token.name}", token.name, "token", metrics=True)
    return Person(f"token:{token.name}", token.name, "token", {token.project: token.role})


def bearer_of_issued(token: Issued) -> Person:
    """What a token from the API may."""
    return Person(f"token:{token.project}/{token.name}", token.name, "token", {token.project: token.role})
