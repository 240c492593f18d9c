"""Whether a token was signed by an issuer's key (joserfc): only then are its claims looked at at all.

The algorithms are a list of ours, all of them with public keys: what a token says of itself (``none``, ``HS256`` with
the public key as the secret) cannot talk anybody into another one.
"""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from streamer.control.access.claims import NotBelieved
from streamer.control.access.tokens import LONGEST

ALGORITHMS: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
KINDS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
    "RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey,
}  # fmt: skip
MOST_KEYS = 100
SMALLEST_RSA = 2048


class Claimed(NamedTuple):
    """What a token says before anything is proved."""

    algorithm: str
    kid: str | None
    issuer: str


class SigningKey(NamedTuple):
    """A key of an issuer."""

    kid: str | None
    key: Key


def claimed(token: str) -> Claimed:
    """What a token claims, to find out whose keys to try.  Raises NotBelieved."""
    if len(token) > LONGEST:
        raise NotBelieved(f"a token of {len(token)} characters; {LONGEST} are allowed")
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise NotBelieved("this is no token that this server knows")
    header, claims = (_decoded(part) for part in parts[:2])
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
    if algorithm not in ALGORITHMS:
        raise NotBelieved(f"the token is not signed as it has to be ({', '.join(ALGORITHMS)})")
    if "crit" in header:
        raise NotBelieved("the token asks for extensions (crit) that are not known here")
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in ("jwt", "at+jwt"):
        raise NotBelieved("the token is of a type that is none to sign in with (typ)")
    if not (kid is None or isinstance(kid, str)) or not isinstance(issuer, str):
        raise NotBelieved("the token does not say whose it is (iss)")
    return Claimed(str(algorithm), kid, issuer)


def signing_keys(document: object) -> tuple[SigningKey, ...]:
    """The keys of a JWKS that may sign; those that we cannot use are left out.  Raises NotBelieved if it is none."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise NotBelieved("the issuer's keys are no JWKS")
    found = []
    for one in listed[:MOST_KEYS]:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        try:
            public = {name: value for name, value in one.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
            key = import_key(public)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey) and key.raw_value.key_size < SMALLEST_RSA:
            continue
        kid = one.get("kid")
        found.append(SigningKey(kid if isinstance(kid, str) else None, key))
    return tuple(found)


def public(keys: tuple[SigningKey, ...]) -> list[object]:
    """What makes keys the same or others."""
    return [(one.kid, one.key.as_dict(private=False)) for one in keys]


def fitting(claim: Claimed, keys: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
    """The keys with which a token may have been signed."""
    kind = KINDS[claim.algorithm]
    return tuple(
        one
        for one in keys
        if isinstance(one.key, kind)
        and (claim.kid is None or one.kid == claim.kid)
        and one.key.as_dict(private=False).get("alg", claim.algorithm) == claim.algorithm
    )


def proved(token: str, claim: Claimed, keys: tuple[SigningKey, ...]) -> Mapping[str, Any]:
    """The claims of a token that one of some keys has signed.  Raises NotBelieved."""
    registry = JWSRegistry(algorithms=[claim.algorithm], strict_check_header=False)
    for one in keys:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # "EdDSA" is the old name of what issuers still send
                return jwt.decode(token, one.key, algorithms=[claim.algorithm], registry=registry).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise NotBelieved("the token's signature is not its issuer's")


def _decoded(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        raise NotBelieved("this is no token that this server knows") from None
    if not isinstance(found, dict):
        raise NotBelieved("this is no token that this server knows")
    return found
