"""What a control plane answers while it does not lead: that it is well and stands by, and when to ask again.

The server listens from the beginning, so that whoever watches over it sees that it lives; when it leads, all requests
go to the application.  A leader that is in doubt whether it still leads shows what it knows, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from starlette.types import ASGIApp, Receive, Scope, Send

from streamer.control.access.places import Public
from streamer.control.answers import as_json, problem
from streamer.control.leading import STANDBY_RETRY_S
from streamer.control.openapi import Health
from streamer.control.security import Gate
from streamer.wire.view import encode_goodbye

MAX_BODY = 64 << 10
AGAIN = 1013
"""The code of a closed WebSocket that says: try again later."""
LOOKING = ("GET", "HEAD", "OPTIONS")


class Front:
    """ASGI: the application ``behind``, if there is one yet."""

    def __init__(
        self, standing: Callable[[], str], known_as: Public | None = None, sure: Callable[[], bool] = lambda: True
    ) -> None:
        """``standing`` says why there is none; ``known_as`` is the server's public address.

        ``sure``: whether anything may be changed at this moment; what is known is shown all the same.
        """
        self.behind: ASGIApp | None = None
        self._standing, self._sure = standing, sure
        self._standby = Gate(self._answer, MAX_BODY, known_as, ("/healthz",))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, or says that it stands by."""
        looks = scope["type"] != "http" or scope["method"] in LOOKING
        behind = self.behind if looks or self._sure() else None
        await (behind or self._standby)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            why = self._standing()
            await send({"type": "websocket.send", "bytes": encode_goodbye(AGAIN, why)})
            await send({"type": "websocket.close", "code": AGAIN, "reason": why[:120]})
            return
        if scope["path"] == "/healthz" and scope["method"] == "GET":
            await as_json(Health("ok", version("cavecast"), self._standing(), "standby"))(scope, receive, send)
            return
        other = ", or ask the one that leads" if self.behind is None else ""
        answer = problem(503, f"{self._standing()}: ask again in {STANDBY_RETRY_S} s{other}")
        answer.headers["retry-after"] = str(STANDBY_RETRY_S)
        await answer(scope, receive, send)
