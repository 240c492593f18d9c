"""What an issuer's word means: the claims of a token whose signature is right.  Pure; time is an argument.

Here a token is told from one that is meant for somebody else, is over, or answers another login (OpenID Connect Core
3.1.3.7, RFC 9068, RFC 8725), and what is left becomes an identity, and an identity a person with roles.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from streamer.control.access.people import Means, Person, Role, highest
from streamer.control.access.rules import Access, Issuer, Member

MOST_GROUPS = 1000
LONGEST_TEXT = 1024


class NotBelieved(ValueError):
    """A token that proves nothing here: why, in a sentence without anything secret in it."""


class Identity(msgspec.Struct, frozen=True):
    """Whom an issuer says that somebody is."""

    issuer: str
    """Its name here."""
    subject: str
    name: str = ""
    email: str = ""
    """Empty unless the issuer says that it is verified."""
    groups: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """What tells them from all others."""
        return f"{self.issuer}/{self.subject}"


def check_login(claims: Mapping[str, Any], issuer: Issuer, nonce: str, now: float) -> Identity:
    """Whom the ID token of a login is about.  Raises NotBelieved."""
    _check(claims, issuer, frozenset((issuer.client_id,)), now)
    azp = claims.get("azp")
    if azp != issuer.client_id and (azp is not None or len(_audience(claims)) > 1):
        raise NotBelieved("the ID token was made for another client (azp)")
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
        raise NotBelieved("the ID token answers another login (nonce)")
    return identity(claims, issuer)


def lacks(claims: Mapping[str, Any], issuer: Issuer) -> bool:
    """Whether an ID token leaves out something that its issuer may tell by UserInfo instead (Core 5.4)."""
    groups = claims.keys() & {issuer.groups_claim, issuer.groups_claim.split(".")[0]}
    return not (groups and "email" in claims and ("name" in claims or "preferred_username" in claims))


def completed(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of an ID token that was checked, with what UserInfo tells besides.

    Raises NotBelieved if that is about somebody else (Core 5.3.2).
    """
    if told.get("sub") != claims["sub"]:
        raise NotBelieved("the issuer's UserInfo is about somebody else (sub)")
    # Whether an address is verified is said by whoever says the address.
    others = told if "email" in claims else claims
    pair = {name: None for name in ("email", "email_verified") if name in others}
    kept = {name: value for name, value in others.items() if name not in pair}
    return {**kept, **claims} if others is told else {**told, **kept}


def check_bearer(claims: Mapping[str, Any], issuer: Issuer, now: float) -> Identity:
    """Whom an access or ID token that somebody sends is about.  Raises NotBelieved."""
    if "events" in claims or str(claims.get("typ", "")).lower() in ("refresh", "offline", "logout"):
        raise NotBelieved("the token is none to sign in with")
    _check(claims, issuer, issuer.audiences, now)
    azp = claims.get("azp")
    if azp is not None and azp not in issuer.clients:
        raise NotBelieved("the token was made for a client that this server does not know (azp)")
    return identity(claims, issuer)


def _check(claims: Mapping[str, Any], issuer: Issuer, audiences: frozenset[str], now: float) -> None:
    if claims.get("iss") != issuer.url:
        raise NotBelieved("the token is another issuer's (iss)")
    if not audiences & _audience(claims):
        raise NotBelieved("the token is meant for somebody else (aud)")
    if now >= _time(claims, "exp") + issuer.skew_s:
        raise NotBelieved("the token has expired: sign in again")
    for claim, words in (("nbf", "is not valid yet"), ("iat", "was made in the future")):
        if claim in claims and _time(claims, claim) > now + issuer.skew_s:
            raise NotBelieved(f"the token {words} ({claim}): is a clock wrong?")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise NotBelieved("the token does not say who it is about (sub)")


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return frozenset(one for one in listed if isinstance(one, str))


def _time(claims: Mapping[str, Any], claim: str) -> float:
    found = claims.get(claim)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e12:
        raise NotBelieved(f"the token has no time that could be {claim}")
    return float(found)


def expiry(claims: Mapping[str, Any]) -> float:
    """When a token that was believed is over.  Raises NotBelieved."""
    return _time(claims, "exp")


def identity(claims: Mapping[str, Any], issuer: Issuer) -> Identity:
    """What is taken from claims that were checked."""
    verified = claims.get("email_verified") in (True, "true")
    email = _text(claims.get("email")) if verified else ""
    subject = str(claims["sub"])
    name = _text(claims.get("name")) or _text(claims.get("preferred_username")) or email or subject
    return Identity(issuer.name, subject, name, email, _groups(claims, issuer.groups_claim))


def _text(found: object) -> str:
    return found if isinstance(found, str) and len(found) <= LONGEST_TEXT and found.isprintable() else ""


def _groups(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The groups in a claim, which may lie deeper: ``realm_access.roles``."""
    found: object = claims.get(claim)
    if found is None:
        found = claims
        for step in claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return tuple(one for one in listed[:MOST_GROUPS] if isinstance(one, str) and _text(one))


def person(identity: Identity, access: Access, means: Means) -> Person:
    """What somebody may, by what the configuration says of them now."""
    roles: dict[str, Role] = {}
    for project in access.projects.values():
        held = [role for member, role in project.members if _is(member, identity)]
        if held:
            roles[project.name] = highest(held)
    administrator = any(_is(member, identity) for member in access.administrators)
    return Person(identity.account, identity.name, means, roles, administrator, administrator, identity.email)


def _is(member: Member, identity: Identity) -> bool:
    if member.issuer and member.issuer != identity.issuer:
        return False
    match member.what:
        case "subject":
            return member.value == identity.subject
        case "email":
            return bool(identity.email) and member.value.casefold() == identity.email.casefold()
        case "group":
            return member.value in identity.groups
