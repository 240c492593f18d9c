"""How the API answers: records as JSON, refusals as problem documents, a run's course as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from streamer.control.registry import AnyRun
from streamer.control.runs import ENDED

SOONEST_S = 0.2
"""Between two events of a run."""
HEARTBEAT_S = 15.0
"""After so long without news a comment is sent, so that proxies keep the line open."""


def as_json(record: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A record (or list of records) as the body of an answer."""
    return Response(msgspec.json.encode(record), status, headers, "application/json")


def problem(status: int, detail: str) -> Response:
    """A refusal: RFC 9457, one sentence for people in ``detail``."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(body), status, None, "application/problem+json")


async def course(run: AnyRun, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """A run's record whenever it has changed, five times a second at most; then ``end``."""
    version = -1
    ending = asyncio.create_task(closing.wait())
    try:
        while not closing.is_set():
            if run.version == version:
                newer = asyncio.create_task(run.newer(version))
                try:
                    await asyncio.wait([newer, ending], timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    newer.cancel()
                if run.version == version:
                    yield b": still there\n\n"
                    continue
            version = run.version
            record = run.record
            yield b"event: run\ndata: " + msgspec.json.encode(record) + b"\n\n"
            if record.state in ENDED:
                break
            await asyncio.wait([ending], timeout=SOONEST_S)
        if run.version != version:
            yield b"event: run\ndata: " + msgspec.json.encode(run.record) + b"\n\n"
        yield b"event: end\ndata: {}\n\n"
    finally:
        ending.cancel()
