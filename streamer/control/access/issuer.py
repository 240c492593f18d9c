"""An OpenID provider as we meet it: what it says of itself, its keys, and what it gives for a code (httpx).

It is asked when somebody needs it, not at the start: a provider that is away stops nobody who is signed in already,
and no server.  Keys that are known go on until it can be asked again; a key that is not known is asked for at once,
but not often, so that tokens with invented keys do not make us knock at its door without end.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec
import structlog

from streamer.control.access import signatures
from streamer.control.access.claims import (
    Identity,
    NotBelieved,
    check_bearer,
    check_login,
    completed,
    expiry,
    identity,
    lacks,
)
from streamer.control.access.limits import Limit, Rate
from streamer.control.access.places import is_loopback
from streamer.control.access.rules import Issuer
from streamer.control.access.sessions import Login
from streamer.control.access.signatures import Claimed, SigningKey

DEADLINE_S = 10.0
LARGEST = 1 << 20
FRESH_S = 900.0
"""So long what a provider has said is not asked for again."""
AGAIN = Rate(3, 20.0)
"""So often its keys are asked for besides, because of keys that are not known or since it did not answer."""
log = structlog.get_logger()


class Away(RuntimeError):
    """A provider that does not answer as it should: which, and why."""


class Odd(Away):
    """A provider that answers, though not as it should: to ask again would not help."""


class Said(NamedTuple):
    """What a provider says of itself (OpenID Connect Discovery)."""

    authorization: str
    token: str
    jwks: str
    end_session: str
    userinfo: str
    """Empty if it has none."""
    basic: bool
    """Whether it takes a client's secret in a header."""
    names_itself: bool
    """Whether it puts its name into what it answers to a login (RFC 9207)."""


class Believed(NamedTuple):
    """A bearer token that was believed."""

    identity: Identity
    expires: float


class Provider:
    """One issuer.  ``clock`` gives seconds since 1970; ``renewed`` is called when it has other keys than before."""

    def __init__(
        self, issuer: Issuer, http: httpx.AsyncClient, clock: Callable[[], float], renewed: Callable[[], None]
    ) -> None:
        self.issuer, self._http, self._clock, self._renewed = issuer, http, clock, renewed
        self._said: Said | None = None
        self._keys: tuple[SigningKey, ...] = ()
        self._asked_at = float("-inf")
        self._turn = asyncio.Lock()
        self._again = Limit(AGAIN)
        self._version = 0

    async def begin(self, login: Login, redirect_uri: str) -> str:
        """The address to which a browser goes to sign in.  Raises Away."""
        said = await self.said()
        asked = {
            "response_type": "code",
            "client_id": self.issuer.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.issuer.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return f"{said.authorization}{'&' if '?' in said.authorization else '?'}{urlencode(asked)}"

    async def finish(self, login: Login, code: str, redirect_uri: str, named: str | None) -> Identity:
        """Whom a code is about; ``named`` is the provider's name in its answer.  Raises Away, NotBelieved."""
        said = await self.said()
        if named != self.issuer.url and (named is not None or said.names_itself):
            raise NotBelieved("the answer comes from another issuer than the one that was asked (iss)")
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": login.verifier, "client_id": self.issuer.client_id,
        }  # fmt: skip
        headers = {}
        if self.issuer.secret and said.basic:
            pair = f"{quote_plus(self.issuer.client_id)}:{quote_plus(self.issuer.secret)}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        elif self.issuer.secret:
            form["client_secret"] = self.issuer.secret
        found = await self._ask("POST", said.token, data=form, headers=headers)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise NotBelieved("the issuer gave no ID token: are its scopes right?")
        claims = await self._proved(token)
        who = check_login(claims, self.issuer, login.nonce, self._clock())
        access_token = found.get("access_token")
        if said.userinfo and isinstance(access_token, str) and lacks(claims, self.issuer):
            told = await self._userinfo(said.userinfo, access_token)
            return identity(completed(claims, told), self.issuer) if told else who
        return who

    async def bearer(self, token: str, claim: Claimed) -> Believed:
        """Whom a bearer token is about.  Raises Away, NotBelieved."""
        claims = await self._proved(token, claim)
        return Believed(check_bearer(claims, self.issuer, self._clock()), expiry(claims) + self.issuer.skew_s)

    async def goodbye(self, back_to: str) -> str:
        """Where a browser goes to be signed out at the provider too; empty if it does not offer that, or is away."""
        try:
            said = await self.said()
        except Away:
            return ""
        if not said.end_session:
            return ""
        asked = {"client_id": self.issuer.client_id, "post_logout_redirect_uri": back_to}
        return f"{said.end_session}{'&' if '?' in said.end_session else '?'}{urlencode(asked)}"

    async def said(self) -> Said:
        """What the provider says of itself.  Raises Away."""
        await self._refresh(FRESH_S)
        assert self._said is not None
        return self._said

    async def _userinfo(self, address: str, access_token: str) -> Mapping[str, Any]:
        """What UserInfo has to say; nothing if it does not let us in.  Raises Away."""
        try:
            return await self._ask("GET", address, headers={"authorization": f"Bearer {access_token}"})
        except Odd as why:
            log.warning("no UserInfo", issuer=self.issuer.name, why=str(why))
            return {}

    async def _proved(self, token: str, claim: Claimed | None = None) -> Mapping[str, Any]:
        claim = claim or signatures.claimed(token)
        if claim.issuer != self.issuer.url:
            raise NotBelieved("the token is another issuer's (iss)")
        await self._refresh(FRESH_S)
        fitting = signatures.fitting(claim, self._keys)
        if not fitting:
            await self._refresh(0.0)
            fitting = signatures.fitting(claim, self._keys)
        if not fitting:
            raise NotBelieved("the token is signed with a key that its issuer does not have")
        return signatures.proved(token, claim, fitting)

    async def _refresh(self, fresh_s: float) -> None:
        """Asks the provider again if what is known is older.  Raises Away if nothing is known and it is away."""
        version, now = self._version, self._clock()
        if 0 <= now - self._asked_at < fresh_s:  # a clock that was put back shall not keep old keys
            return
        async with self._turn:
            if version != self._version:
                return  # somebody else has asked meanwhile
            if self._again.wait("", now) > 0:
                if self._said is None:
                    raise Away(f"the issuer {self.issuer.name} did not answer a moment ago: try again soon")
                return
            self._again.count("", now)
            try:
                before = self._keys
                self._said, self._keys = await self._discover()
                self._asked_at = now
                if before and signatures.public(self._keys) != signatures.public(before):
                    self._renewed()
            except Away as why:
                log.warning("issuer away", issuer=self.issuer.name, why=str(why))
                if self._said is None:
                    raise
            self._version += 1

    async def _discover(self) -> tuple[Said, tuple[SigningKey, ...]]:
        base = self.issuer.url.rstrip("/")
        found = await self._ask("GET", f"{base}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer.url:
            raise Away(
                f"the issuer {self.issuer.name} calls itself {str(found.get('issuer'))[:200]!r} and not "
                f"{self.issuer.url!r}: its url must be the very same"
            )
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        said = Said(
            authorization=self._address(found, "authorization_endpoint"),
            token=self._address(found, "token_endpoint"),
            jwks=self._address(found, "jwks_uri"),
            end_session=self._address(found, "end_session_endpoint") if "end_session_endpoint" in found else "",
            userinfo=self._userinfo_address(found),
            basic=isinstance(methods, list) and "client_secret_basic" in methods,
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
        )
        try:
            return said, signatures.signing_keys(await self._ask("GET", said.jwks))
        except NotBelieved as why:
            raise Away(f"the issuer {self.issuer.name} does not answer as it should: {why}") from None

    def _userinfo_address(self, found: Mapping[str, Any]) -> str:
        """Empty also if it cannot be used: an ID token may say all that is needed."""
        if "userinfo_endpoint" not in found:
            return ""
        try:
            return self._address(found, "userinfo_endpoint")
        except Away as why:
            log.warning("no UserInfo", issuer=self.issuer.name, why=str(why))
            return ""

    def _address(self, found: Mapping[str, Any], name: str) -> str:
        address = found.get(name)
        try:
            parts = urlsplit(address if isinstance(address, str) else "")
            safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        except ValueError:
            safe = False
        if not safe:
            raise Away(f"the issuer {self.issuer.name} has no {name} that can be used: {str(address)[:200]!r}")
        return str(address)

    async def _ask(self, method: str, address: str, **how: Any) -> dict[str, Any]:
        """What is answered, a JSON table.  Raises Away; NotBelieved if the provider says no."""
        whose = f"the issuer {self.issuer.name}"
        try:
            async with asyncio.timeout(DEADLINE_S), self._http.stream(method, address, **how) as answer:
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise Away(f"{whose} answers with more than {LARGEST >> 20} MiB")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as why:
            raise Away(f"{whose} cannot be reached: {str(why) or type(why).__name__}") from None
        try:
            found = msgspec.json.decode(body)
        except msgspec.MsgspecError:
            found = None
        if method == "POST" and 400 <= answer.status_code < 500:
            said = found.get("error") if isinstance(found, dict) else None
            shown = str(said)[:60] if isinstance(said, str) and said.isprintable() else answer.status_code
            raise NotBelieved(f"{whose} did not accept the login ({shown}): sign in again")
        if answer.status_code != 200 or not isinstance(found, dict):
            kind = Away if answer.status_code >= 500 or answer.status_code == 429 else Odd
            raise kind(f"{whose} answers {answer.status_code}, or no JSON, at {urlsplit(address).path}")
        return found
