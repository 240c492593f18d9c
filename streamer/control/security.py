"""Who may speak to the control plane: this machine alone, and no page of another site.

There are no accounts yet, so it listens on loopback only.  A web page from elsewhere could still make
the user's own browser call it; therefore the Host must be a name of this machine (a foreign name
that resolves to 127.0.0.1 is refused), and an Origin, which browsers send, must be the same one.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamer.control.answers import problem

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:; "
    "style-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class BeyondLoopback(ValueError):
    """An address that other machines could reach."""

    exit_code = 2


def check_host(host: str, whence: str = "--host") -> None:
    """Raises BeyondLoopback, naming ``whence`` the address came, unless only this machine can reach it."""
    if not is_loopback(host):
        raise BeyondLoopback(
            f"{whence} is {host}, which other machines can reach, and there are no accounts yet to keep strangers out: "
            "use 127.0.0.1 and reach it from elsewhere with ssh -L"
        )


def is_loopback(host: str) -> bool:
    """Whether a host, by name or number, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refusal(host: str | None, origin: str | None) -> str | None:
    """Why a request with these headers is not answered, or None if it is."""
    if host is None or not is_loopback(_name(f"//{host}")):
        return f"the Host {host} is not this machine: open the address that cavecast printed"
    if origin is not None and _place(origin) != host.lower():
        return f"a page of {origin} may not use this server"
    return None


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

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self.app, self.max_body = app, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        why = refusal(headers.get("host"), headers.get("origin"))
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
