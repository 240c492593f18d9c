"""Signing in and out with a browser: OpenID Connect's authorization code with PKCE, ending in a session's cookie.

The cookie of a login on its way ties the answer to the browser that has asked; ``state``, ``nonce`` and the verifier
come from it (see ``sessions``).  A session always begins with a new secret, and an answer is taken once.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from streamer.control import pages
from streamer.control.access import claims, ledger, sessions, tokens
from streamer.control.access.claims import Identity, NotBelieved
from streamer.control.access.door import Door
from streamer.control.access.guard import Visit, Who, check_same_site
from streamer.control.access.issuer import Away
from streamer.control.access.limits import Limit, Rate, neighbourhood
from streamer.control.access.places import way_back
from streamer.control.access.sessions import LOGIN_S, Login, Session
from streamer.control.access.shown import SignedOut, SignIn
from streamer.control.answers import as_json
from streamer.control.openapi import answers
from streamer.control.registry import Registry
from streamer.control.schema import Problem

CALLBACK = "/auth/callback"
log = structlog.get_logger()
Text = Annotated[str | None, Query(max_length=4096)]


class NotSignedIn(Exception):
    """A login that came to nothing: the HTTP status, and a sentence for whoever sits before the browser."""

    def __init__(self, status: int, why: str, account: str = "", name: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.account, self.name = status, why, account, name


def add_login(app: FastAPI, registry: Registry, door: Door | None) -> None:
    """Adds the routes under ``/auth``."""
    used = Limit(Rate(1, LOGIN_S), most=10_000)
    """The logins that have come back already; none comes twice."""

    @app.get("/auth/issuers", responses=answers(SignIn, many=True))
    async def list_issuers() -> Response:
        """Where one can sign in; empty where there are no accounts."""
        issuers = door.access.issuers if door is not None else ()
        return as_json([SignIn(one.name, one.url, one.cli_client_id, one.scopes, one.groups_claim) for one in issuers])

    @app.get("/auth/login", status_code=303, response_class=RedirectResponse, responses=_browser(404, 422, 503))
    async def sign_in(
        request: Request,
        who: Who,
        next: Annotated[str, Query(max_length=1024, description="A page of this server, such as view/run-1.")] = "",
        issuer: Annotated[str, Query(max_length=63, description="One of several; the first if not given.")] = "",
    ) -> Response:
        """Send the browser to an issuer to sign in, and then to `next`."""
        at = _open(door)
        chosen = at.access.issuer(issuer)
        if chosen is None:
            raise Problem(
                404, "there is no issuer of that name" if issuer else "nobody can sign in here: no issuers are set"
            )
        at.check_login(neighbourhood(who.whence.address))
        login = Login(secrets.token_urlsafe(32), chosen.name, way_back(next), at.clock())
        try:
            address = await at.providers[chosen.name].begin(login, _base(at, who, request) + CALLBACK)
        except Away as why:
            raise Problem(503, f"{why}; try again soon") from None
        answer = RedirectResponse(address, 303, {"cache-control": "no-store"})
        _bake(answer, sessions.login_cookie(secure := at.secure(who.whence)), login.spelled(), secure, int(LOGIN_S))
        return answer

    @app.get(
        CALLBACK,
        status_code=303,
        response_class=RedirectResponse,
        responses=_browser(400, 403, 404, 422, 503, for_people=(400, 403, 503)),
    )
    async def come_back(
        request: Request,
        who: Who,
        state: Text = None,
        code: Text = None,
        error: Text = None,
        iss: Text = None,
    ) -> Response:
        """Where an issuer sends the browser back to: the session begins, if all is as it should be."""
        at = _open(door)
        secure, address = at.secure(who.whence), who.whence.address
        login = sessions.login_of(request.cookies.get(sessions.login_cookie(secure), ""), at.clock())
        identity: Identity | None = None
        try:
            identity = await _answered(at, used, login, _base(at, who, request) + CALLBACK, state, code, error, iss)
            at.check_login(identity.account)
            person = claims.person(identity, at.access, "session")
            if not person.administrator and not person.roles:
                raise NotSignedIn(
                    403, f"you are {identity.name}, and nobody has given you a role here yet: ask an administrator",
                    identity.account, identity.name,
                )  # fmt: skip
        except NotSignedIn as why:
            if why.account or at.worth_noting(None, who.whence):
                await at.diary.note(why.account, why.name, address, "sign in", "", "", why.status)
            page = HTMLResponse(pages.notice("Not signed in", f"{why.why}."), why.status, {"cache-control": "no-store"})
            _eat(page, sessions.login_cookie(secure), secure)
            return page
        before = request.cookies.get(sessions.cookie(secure))
        if before is not None:
            await registry.ask(lambda books: ledger.end_session(books, tokens.fingerprint(before)))
            at.forget()
        secret, now = secrets.token_urlsafe(32), at.clock()
        session = Session(tokens.fingerprint(secret), identity, now, now)
        await registry.ask(lambda books: ledger.add_session(books, session, at.access.sessions))
        await at.diary.note(person.account, person.name, address, "sign in", "", "", 303)
        assert login is not None
        answer = RedirectResponse(
            f"{_base(at, who, request)}/{way_back(login.next)}", 303, {"cache-control": "no-store"}
        )
        _bake(answer, sessions.cookie(secure), secret, secure, int(at.access.sessions.longest_s))
        _eat(answer, sessions.login_cookie(secure), secure)
        return answer

    @app.post("/auth/logout", responses=answers(SignedOut, 422, 503))
    async def sign_out(
        request: Request,
        who: Who,
        everywhere: Annotated[bool, Query(description="End all your sessions, not only this one.")] = False,
    ) -> Response:
        """End the session. `next`, if there is one, ends the one at the issuer."""
        next = ""
        if door is None:
            return as_json(SignedOut(next))
        secure = door.secure(who.whence)
        secret = request.cookies.get(sessions.cookie(secure))
        if secret is not None:
            check_same_site(request.headers)
            ended = await registry.ask(lambda books: ledger.end_session(books, tokens.fingerprint(secret)))
            if ended is not None:
                if everywhere:
                    await registry.ask(lambda books: ledger.end_sessions(books, ended.account))
                await door.diary.note(ended.account, ended.name, who.whence.address, "sign out", "", "", 200)
                if (provider := door.providers.get(ended.issuer)) is not None:
                    next = await provider.goodbye(_base(door, who, request) + "/")
            door.forget()
        answer = as_json(SignedOut(next), headers={"cache-control": "no-store"})
        _eat(answer, sessions.cookie(secure), secure)
        return answer


async def _answered(
    door: Door,
    used: Limit,
    login: Login | None,
    back: str,
    state: str | None,
    code: str | None,
    error: str | None,
    iss: str | None,
) -> Identity:
    """Whom an issuer's answer is about.  Raises NotSignedIn."""
    provider = door.providers.get(login.issuer) if login is not None else None
    if login is None or provider is None:
        raise NotSignedIn(400, "this browser has not asked to sign in, or too long ago: begin again")
    if state is None or not hmac.compare_digest(state.encode(), login.state.encode()):
        raise NotSignedIn(400, "this answer belongs to another login than this browser's (state): begin again")
    once, now = tokens.fingerprint(login.secret), door.clock()
    if used.wait(once, now) > 0:
        raise NotSignedIn(400, "this answer has come before: begin again")
    used.count(once, now)
    if error is not None or code is None:
        shown = error if error and error.isprintable() and error.isascii() and len(error) < 60 else "no code"
        raise NotSignedIn(403, f"the issuer {login.issuer} did not let you in ({shown})")
    try:
        return await provider.finish(login, code, back, iss)
    except NotBelieved as why:
        log.warning("login refused", issuer=login.issuer, why=str(why))
        raise NotSignedIn(403, str(why)) from None
    except Away as why:
        raise NotSignedIn(503, f"{why}; try again soon") from None


def _open(door: Door | None) -> Door:
    if door is None:
        raise Problem(404, "this server has no accounts: whoever reaches it may use it")
    return door


def _base(door: Door, who: Visit, request: Request) -> str:
    """The address of this server as the browser knows it, without a slash at its end."""
    if door.public is not None:
        return door.public.url
    scheme = "https" if door.secure(who.whence) else "http"
    return f"{scheme}://{request.headers['host']}"  # the gate has seen that it is this machine


def _bake(answer: Response, name: str, value: str, secure: bool, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="lax")


def _eat(answer: Response, name: str, secure: bool) -> None:
    answer.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def _browser(*refusals: int, for_people: Sequence[int] = ()) -> dict[int | str, Any]:
    """The ``responses`` of a route that sends a browser on; refusals ``for_people`` may be pages."""
    found = {303: {"description": "The browser goes on there."}, **answers(None, *refusals)}
    for status in for_people:
        found[status]["content"]["text/html"] = {}
    return found
