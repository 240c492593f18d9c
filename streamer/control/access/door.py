"""Who is it?  What a request brings (a session's cookie, a bearer token) becomes a person, or is turned away.

What has been proved is remembered for a few seconds, so that neither the books nor anybody's arithmetic are asked for
each picture's list of objects.  Who brings what proves nothing may do so a few times, then is asked to wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import httpx
from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from streamer.control.access import claims, ledger, sessions, signatures, tokens
from streamer.control.access.claims import NotBelieved
from streamer.control.access.diary import Diary
from streamer.control.access.issuer import Away, Provider
from streamer.control.access.limits import Limit, Rate, neighbourhood
from streamer.control.access.people import Person
from streamer.control.access.places import Public, Whence
from streamer.control.access.rules import Access
from streamer.control.database import NoBooks
from streamer.control.desk import Desk

REMEMBERED_S = 10.0
"""A session or token that was revoked through another control plane may open something for so long."""
MOST_REMEMBERED = 2048
FAILURES = Rate(10, 6.0)
"""Tokens that prove nothing, by address."""
STRANGE_COOKIES = Rate(60, 2.0)
"""Sessions that are over, by address: most of them are honest."""
LOGINS = Rate(20, 6.0)
"""Logins begun, by address, and finished, by account."""
STRANGERS = Rate(5, 30.0)
"""Refusals of strangers that are written down, by address."""
REFUSALS = Rate(60, 10.0)
"""Refusals of others that are written down, by account."""


class Turned(Exception):
    """Somebody who is not let in: the HTTP status, a sentence, and headers."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, dict(headers or {})


class Credential(NamedTuple):
    """What a request brings to say who it is from."""

    cookie: bool
    value: str


class Door:
    """Where people come in.  ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        access: Access,
        desk: Desk,
        http: httpx.AsyncClient,
        clock: Callable[[], float],
        public: Public | None = None,
    ) -> None:
        self.access, self.desk, self.clock, self.public = access, desk, clock, public
        self.diary = Diary(desk, access.audit, clock)
        self.providers = {one.name: Provider(one, http, clock, self.forget) for one in access.issuers}
        self._by_url = {one.issuer.url: one for one in self.providers.values()}
        self._remembered: dict[Credential, tuple[Person, float]] = {}
        self._forgotten = 0
        self._failures, self._cookies = Limit(FAILURES), Limit(STRANGE_COOKIES)
        self._logins = Limit(LOGINS)
        self._strangers, self._refusals = Limit(STRANGERS), Limit(REFUSALS)

    async def person(self, credential: Credential | None, whence: Whence) -> Person | None:
        """Whom a credential is of; None for a stranger.  Raises Turned: 401, 429, 503."""
        if credential is None:
            return None
        kept = Credential(credential.cookie, tokens.fingerprint(credential.value))
        now, near = self.clock(), neighbourhood(whence.address)
        person, until = self._remembered.get(kept, (None, 0.0))
        if person is not None and now < until <= now + REMEMBERED_S:
            return person
        limit = self._cookies if credential.cookie else self._failures
        self._wait(limit, near, now, "what was sent to sign in here was wrong too often")
        forgotten = self._forgotten
        try:
            person, until = await self._proved(credential, kept.value)
        except NotBelieved as why:
            limit.count(near, now)
            if credential.cookie:
                return None
            raise Turned(401, str(why), {"www-authenticate": 'Bearer error="invalid_token"'}) from None
        except Away as why:
            raise Turned(503, f"{why}; nobody can be recognised meanwhile", {"retry-after": "10"}) from None
        except NoBooks as why:
            raise Turned(503, str(why), {"retry-after": "5"}) from None
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        if forgotten == self._forgotten:  # else it may have been revoked while it was being proved
            self._remembered[kept] = (person, min(until, now + REMEMBERED_S))
        return person

    def secure(self, whence: Whence) -> bool:
        """Whether browsers reach this server over HTTPS, so that its cookies need never go another way."""
        return whence.secure if self.public is None else self.public.scheme == "https"

    def forget(self) -> None:
        """Something was revoked, or an issuer has other keys: nothing is known by heart any more."""
        self._forgotten += 1
        self._remembered.clear()

    def check_login(self, key: str) -> None:
        """Counts a login of an address or account.  Raises Turned 429."""
        now = self.clock()
        self._wait(self._logins, key, now, "too many logins")
        self._logins.count(key, now)

    def worth_noting(self, person: Person | None, whence: Whence) -> bool:
        """Whether one more refusal is to be written down: a flood of them shall push nothing out of the log."""
        now = self.clock()
        limit, key = self._strangers, neighbourhood(whence.address)
        if person is not None:
            limit, key = self._refusals, person.account
        if limit.wait(key, now) > 0:
            return False
        limit.count(key, now)
        return True

    def _wait(self, limit: Limit, key: str, now: float, why: str) -> None:
        if (wait_s := limit.wait(key, now)) > 0:
            seconds = math.ceil(wait_s)
            raise Turned(429, f"{why}: try again in {seconds} s", {"retry-after": str(seconds)})

    async def _proved(self, credential: Credential, print_: str) -> tuple[Person, float]:
        """Who it is, and until when that holds.  Raises NotBelieved, Away, NoBooks."""
        now, forever = self.clock(), math.inf
        if credential.cookie:
            rules = self.access.sessions
            session = await self.desk.ask(
                lambda books: ledger.session(books, print_, rules, now, sessions.SEEN_EVERY_S)
            )
            if session is None:
                raise NotBelieved("the session is over: sign in again")
            until = session.created + rules.longest_s
            return claims.person(session.identity, self.access, "session"), until
        if len(credential.value) > tokens.LONGEST:
            raise NotBelieved("this is no token that this server knows")
        static = tokens.known(print_, self.access.tokens)
        if static is not None:
            if tokens.expired(static.expires, now):
                raise NotBelieved(f"the token {static.name} has expired: ask for a new one")
            return tokens.bearer_of(static), static.expires or forever
        if credential.value.startswith(tokens.PREFIX):
            issued = await self.desk.ask(lambda books: ledger.token(books, print_))
            if issued is None or issued.project not in self.access.projects:
                raise NotBelieved("this is no token that this server knows")
            if tokens.expired(issued.expires, now):
                raise NotBelieved(f"the token {issued.name} has expired: ask for a new one")
            return tokens.bearer_of_issued(issued), issued.expires or forever
        claim = signatures.claimed(credential.value)
        provider = self._by_url.get(claim.issuer)
        if provider is None:
            raise NotBelieved("the token is of an issuer that this server does not know")
        believed = await provider.bearer(credential.value, claim)
        return claims.person(believed.identity, self.access, "bearer"), believed.expires


def credential_of(headers: Headers, secure: bool) -> Credential | None:
    """What a request brings; a token has precedence over a cookie.  Raises Turned if it is of a kind not known here."""
    given = headers.get("authorization")
    if given is not None:
        scheme, _, value = given.partition(" ")
        if scheme.lower() != "bearer" or not value.strip():
            raise Turned(401, "send a token as Authorization: Bearer …", {"www-authenticate": "Bearer"})
        return Credential(False, value.strip())
    for text in headers.getlist("cookie"):
        found = cookie_parser(text).get(sessions.cookie(secure))
        if found:
            return Credential(True, found[: tokens.LONGEST])
    return None
