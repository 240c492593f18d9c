"""What may come to the control plane at all, before anybody asks who it is from: right names, no page of another site.

Without an access configuration it listens on loopback only, and has a name beyond it only where a proxy is said to let
nobody else by.  A web page from elsewhere could still make the user's own browser call it; therefore the Host must be a
name of this machine or the server's public one (a foreign name that resolves to 127.0.0.1 is refused), and an Origin,
which browsers send, must be the same one.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.control.access.places import Public, is_loopback, networks, public, same_netloc
from streamer.control.answers import problem
from streamer.settings import Settings

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:; "
    "style-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


OPEN = "open the address that cavecast printed, or start it with --public-url if a proxy gives it this one"
NAMELESS = ("/healthz", "/metrics")
"""Paths that probes and Prometheus ask for by an address, where there are accounts: what they get does not depend on
who somebody is to their browser."""


class BeyondLoopback(ValueError):
    """An address that other machines could reach, and what is missing for that."""

    exit_code = 2


def check_listening(settings: Settings, whence: str = "--host") -> str:
    """Whether the server may listen as it is told, naming ``whence`` its host came; a warning, if there is one.

    Raises BeyondLoopback, or WrongPlace for a ``public_url`` or ``trusted_proxies`` that is none.
    """
    host, trusted = settings.host, networks(settings.trusted_proxies)
    known_as = public(settings.public_url) if settings.public_url else None
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise BeyondLoopback("TLS takes both: --tls-cert with the certificate and --tls-key with its key")
    named = known_as is not None and not is_loopback(_name(f"//{known_as.netloc}"))
    if known_as is not None and named and settings.access is None and not settings.proxy_login:
        raise BeyondLoopback(
            f"public_url is {known_as.url}, and there is no access configuration: give --access FILE, or "
            "--proxy-login if what is there lets nobody by but you, as JupyterHub does"
        )
    if not is_loopback(host):
        check_host(host, whence, accounts=settings.access is not None)
        if known_as is None:
            raise BeyondLoopback(f"{whence} is {host}: give --public-url, the address by which people reach the server")
    safe = settings.tls_cert is not None or (bool(trusted) and (known_as is None or known_as.scheme == "https"))
    inside = is_loopback(host) and (known_as is None or known_as.scheme == "https" or is_loopback(_name(known_as.url)))
    if safe or inside:
        return ""
    if not settings.plain_http:
        raise BeyondLoopback(
            f"{whence} is {host} without encryption, so that whoever is on the way reads tokens: give --tls-cert and "
            "--tls-key, or --trusted-proxies of what does it before us, or --plain-http if you mean it"
        )
    return f"listens on {host} without encryption (plain_http): whoever is on the way can read tokens and sessions"


def check_host(host: str, whence: str = "--host", *, accounts: bool = False) -> None:
    """Raises BeyondLoopback, naming ``whence`` the address came, unless only this machine can reach it."""
    if not accounts and not is_loopback(host):
        raise BeyondLoopback(
            f"{whence} is {host}, which other machines can reach, and without an access configuration nothing keeps "
            "strangers out: give --access FILE, or use 127.0.0.1 and reach it from elsewhere with ssh -L"
        )


def refusal(host: str | None, origin: str | None, known_as: Public | None = None) -> str | None:
    """Why a request with these headers is not answered, or None if it is.  ``known_as``: the public address."""
    by_name = host is not None and known_as is not None and same_netloc(host, known_as)
    if host is None or not (by_name or is_loopback(_name(f"//{host}"))):
        way = f"open {known_as.url}" if known_as else OPEN
        return f"the Host {host} is not this {'server' if known_as else 'machine'}: {way}"
    if origin is None:
        return None
    if by_name and known_as is not None:
        ours = same_netloc(_place(origin), known_as) and origin.lower().startswith(f"{known_as.scheme}://")
    else:
        ours = _place(origin) == host.lower()
    return None if ours else f"a page of {origin} may not use this server"


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


class Gate:
    """ASGI middleware: refuses foreign hosts and origins and long bodies; adds the security headers to every answer."""

    def __init__(
        self, app: ASGIApp, max_body: int, known_as: Public | None = None, nameless: Collection[str] = ()
    ) -> None:
        """``known_as``: the server's public address; ``nameless``: paths that may be asked for by any name."""
        self.app, self.max_body, self.known_as, self.nameless = app, max_body, known_as, nameless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        why = None
        if scope["path"] not in self.nameless:
            why = refusal(headers.get("host"), headers.get("origin"), self.known_as)
        length = headers.get("content-length", "0")
        if why is None and "transfer-encoding" in headers:
            await problem(411, "a body without a length; send Content-Length")(scope, receive, _with_headers(send))
        elif why is None and int(length) > self.max_body:
            large = f"a body of {length} bytes; {self.max_body} are allowed"
            await problem(413, large)(scope, receive, _with_headers(send))
        elif why is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            await problem(403, why)(scope, receive, _with_headers(send))
        else:
            await receive()  # the handshake; closing before accepting answers it with 403
            await send({"type": "websocket.close", "code": 1008, "reason": ""})


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return add
