"""How a client says who it is: a token in each request, had from the environment or from ``cavecast login``.

A token that is about to expire is renewed first, and one that the server does not take any more is renewed once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping

import httpx

from streamer.control.access.places import is_loopback
from streamer.credentials import TOKEN, Credentials, Kept
from streamer.device import DEADLINE_S, Issuer

SOON_S = 30.0
"""A token that expires so soon is renewed before it is used."""


class Unsafe(RuntimeError):
    """A token would be sent where others can read it on its way."""

    exit_code = 2


class Signed(httpx.Auth):
    """Puts a token into each request to ``server``; none where there is none.

    ``token`` has precedence over the environment's, and that over what ``cavecast login`` keeps.  Raises Unsafe,
    WrongCredentials, NotSignedIn when a request is made.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        plain_http: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.server, self._plain_http = server, plain_http
        self._token = token or environment.get(TOKEN) or ""
        self._credentials = Credentials(environment)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """As httpx asks for it."""
        kept = None if self._token else self._credentials.find(self.server)
        bearer = self._token
        if kept is not None:
            bearer = self._fresh(kept, again=kept.expires - time.time() < SOON_S)
        if not bearer:
            yield request
            return
        url = request.url
        if url.scheme != "https" and not is_loopback(url.host) and not self._plain_http:
            raise Unsafe(
                f"a token for {self.server} could be read on its way: use https://, or CAVECAST_PLAIN_HTTP=true if you "
                "mean it"
            )
        request.headers["Authorization"] = f"Bearer {bearer}"
        answer = yield request
        if answer.status_code == 401 and kept is not None and kept.refresh_token:
            again = self._fresh(kept, again=True)
            if again and again != bearer:
                request.headers["Authorization"] = f"Bearer {again}"
                yield request

    def _fresh(self, kept: Kept, *, again: bool) -> str:
        """A bearer token of a sign-in: a new one if ``again``; empty if it is over."""
        if not again or not kept.refresh_token:
            return kept.bearer
        with self._credentials.locked():
            now = self._credentials.find(self.server)
            if now is None:
                return ""
            if now.bearer != kept.bearer:  # another command was quicker
                return now.bearer
            with httpx.Client(timeout=DEADLINE_S) as http:
                renewed = Issuer(now.issuer, now.client_id, http).renewed(now, time.time())
            if renewed is None:
                self._credentials.drop(self.server)
                return ""
            self._credentials.keep(renewed)
            return renewed.bearer
