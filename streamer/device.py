"""Signing in from the command line (RFC 8628): a code to type in elsewhere, and asking until that was done.

What an issuer's answers mean is decided by ``heard``; ``Issuer`` asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec

from streamer.control.access.places import is_loopback
from streamer.credentials import Kept, name_of

DEADLINE_S = 15.0
LARGEST = 1 << 20
FIRST_INTERVAL_S = 5.0
SLOWER_S = 5.0
LONGEST_INTERVAL_S = 60.0
LONGEST_WAIT_S = 1800.0
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class NotSignedIn(RuntimeError):
    """The issuer said no, or does not answer: which, why, what to do."""

    exit_code = 1


class Asked(NamedTuple):
    """A sign-in that waits for somebody to type in its code."""

    device_code: str
    user_code: str
    address: str
    whole_address: str
    """With the code in it; empty if the issuer gives none."""
    interval_s: float
    expires_s: float


class Heard(NamedTuple):
    """What an answer to the question "has it been done?" means."""

    interval_s: float
    """Ask again after so long, unless it is done or refused."""
    tokens: Mapping[str, Any] | None = None
    refused: str = ""


def heard(status: int, answer: Mapping[str, Any], interval_s: float) -> Heard:
    """What is to be done after an issuer's answer (RFC 8628, 3.5).  Pure."""
    if status == 200:
        return Heard(interval_s, answer)
    error = str(answer.get("error", ""))
    if error == "authorization_pending":
        return Heard(interval_s)
    if error == "slow_down":
        return Heard(min(LONGEST_INTERVAL_S, interval_s + SLOWER_S))
    if status >= 500 or status == 429:
        return Heard(min(LONGEST_INTERVAL_S, 2 * interval_s))
    said = {"expired_token": "the code has expired", "access_denied": "it was refused there"}
    shown = error if error and error.isprintable() and len(error) < 60 else str(status)
    return Heard(interval_s, refused=said.get(error, f"the issuer says {shown}"))


def wished(groups_claim: str) -> str:
    """What the ID token shall say of somebody (OpenID Connect Core 5.5).  Pure.

    It alone is sent to the server; there are issuers that put names and groups nowhere but into UserInfo otherwise.
    """
    names = ("name", "email", "email_verified", groups_claim.split(".")[0])
    return msgspec.json.encode({"id_token": dict.fromkeys(names)}).decode()


class Issuer:
    """An OpenID provider, as the command line meets it.  Methods raise NotSignedIn."""

    def __init__(self, url: str, client_id: str, http: httpx.Client) -> None:
        self.url, self.client_id, self._http = url, client_id, http

    def begin(self, scopes: tuple[str, ...], groups_claim: str = "groups") -> tuple[Asked, Mapping[str, Any]]:
        """A sign-in to be confirmed elsewhere, and what the issuer says of itself."""
        status, about = self._ask("GET", self.url.rstrip("/") + "/.well-known/openid-configuration")
        if status != 200 or about.get("issuer") != self.url:
            raise NotSignedIn(f"the issuer {self.url} does not answer as one: {status}")
        endpoint = _address(about, "device_authorization_endpoint", self.url)
        # Without it most issuers give no refresh token, and one would have to sign in every few minutes.
        wanted = " ".join(dict.fromkeys((*scopes, "offline_access")))
        form = {"client_id": self.client_id}
        if about.get("claims_parameter_supported") is True:
            form["claims"] = wished(groups_claim)
        status, answer = self._ask("POST", endpoint, {**form, "scope": wanted})
        if answer.get("error") == "invalid_scope":
            status, answer = self._ask("POST", endpoint, {**form, "scope": " ".join(scopes)})
        if status != 200:
            raise NotSignedIn(f"the issuer {self.url} does not let the command line sign in: {_error(status, answer)}")
        try:
            expires_s = min(LONGEST_WAIT_S, float(answer["expires_in"]))
            interval_s = min(LONGEST_INTERVAL_S, max(1.0, float(answer.get("interval", FIRST_INTERVAL_S))))
            complete = "verification_uri_complete"
            found = Asked(
                str(answer["device_code"]), str(answer["user_code"]), _address(answer, "verification_uri", self.url),
                _address(answer, complete, self.url) if answer.get(complete) else "", interval_s, expires_s,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise NotSignedIn(f"the issuer {self.url} does not say how to go on") from None
        if not found.user_code.isprintable():
            raise NotSignedIn(f"the issuer {self.url} gives a code that cannot be shown")
        return found, about

    def wait(
        self,
        asked: Asked,
        about: Mapping[str, Any],
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> Mapping[str, Any]:
        """Asks until the code has been typed in; what is given then."""
        endpoint, until, interval_s = (
            _address(about, "token_endpoint", self.url),
            clock() + asked.expires_s,
            asked.interval_s,
        )
        form = {"grant_type": DEVICE, "device_code": asked.device_code, "client_id": self.client_id}
        while clock() + interval_s < until:
            sleep(interval_s)
            try:
                now = heard(*self._ask("POST", endpoint, form), interval_s)
            except NotSignedIn:  # it may answer next time
                now = Heard(min(LONGEST_INTERVAL_S, 2 * interval_s))
            if now.refused:
                raise NotSignedIn(f"not signed in: {now.refused}; begin again with cavecast login")
            if now.tokens is not None:
                return now.tokens
            interval_s = now.interval_s
        raise NotSignedIn("not signed in: the code has expired; begin again with cavecast login")

    def kept(
        self, server: str, tokens: Mapping[str, Any], about: Mapping[str, Any], scopes: tuple[str, ...], now: float
    ) -> Kept:
        """A sign-in at a server, made of what the issuer has given."""
        return Kept(
            name_of(server), self.url, self.client_id, _address(about, "token_endpoint", self.url),
            str(tokens.get("refresh_token") or ""), *_bearer(tokens, self.url, now),
            str(about.get("revocation_endpoint") or ""), scopes,
        )  # fmt: skip

    def renewed(self, kept: Kept, now: float) -> Kept | None:
        """The sign-in with a new bearer token; None if the issuer does not take its refresh token any more."""
        form = {"grant_type": "refresh_token", "refresh_token": kept.refresh_token, "client_id": kept.client_id}
        status, answer = self._ask("POST", kept.token_endpoint, form)
        if 400 <= status < 500 and status != 429:
            return None
        if status != 200:
            raise NotSignedIn(f"the issuer {self.url} does not answer as it should: {status}; try again soon")
        bearer, expires = _bearer(answer, self.url, now)
        refresh = str(answer.get("refresh_token") or kept.refresh_token)
        return msgspec.structs.replace(kept, bearer=bearer, expires=expires, refresh_token=refresh)

    def revoke(self, kept: Kept) -> bool:
        """Lets the issuer forget the sign-in; whether it has."""
        if not kept.revocation_endpoint or not kept.refresh_token or not _safe(kept.revocation_endpoint):
            return False
        form = {"token": kept.refresh_token, "token_type_hint": "refresh_token", "client_id": kept.client_id}
        try:
            return self._ask("POST", kept.revocation_endpoint, form)[0] == 200
        except NotSignedIn:
            return False

    def _ask(self, method: str, address: str, form: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, Any]]:
        if not _safe(address):
            raise NotSignedIn(f"{address} is not reached by https://, so nothing secret is sent there")
        try:
            with self._http.stream(method, address, data=form, headers={"accept": "application/json"}) as answer:
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise NotSignedIn(f"the issuer {self.url} answers without end")
        except (httpx.HTTPError, httpx.InvalidURL) as why:
            raise NotSignedIn(f"the issuer {self.url} cannot be reached: {str(why) or type(why).__name__}") from None
        try:
            found = msgspec.json.decode(body) if body else {}
        except msgspec.MsgspecError:
            found = {}
        return answer.status_code, found if isinstance(found, dict) else {}


def _bearer(tokens: Mapping[str, Any], url: str, now: float) -> tuple[str, float]:
    """What is sent to the server, and until when: the ID token, which says who one is, or else the access token."""
    bearer = tokens.get("id_token") or tokens.get("access_token")
    if not isinstance(bearer, str) or not bearer.isascii() or not bearer.isprintable():
        raise NotSignedIn(f"the issuer {url} gave no token")
    try:
        return bearer, now + float(tokens.get("expires_in", 300))
    except (TypeError, ValueError):
        return bearer, now + 300


def _address(answer: Mapping[str, Any], name: str, url: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found.isprintable() or not _safe(found):
        raise NotSignedIn(f"the issuer {url} has no {name}: can one sign in from a command line there?")
    return found


def _error(status: int, answer: Mapping[str, Any]) -> str:
    error = str(answer.get("error", ""))
    return error if error and error.isprintable() and len(error) < 60 else str(status)


def _safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        return False
