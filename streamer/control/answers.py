"""How the API answers: records as JSON, refusals as problem documents."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response


def as_json(record: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A record (or list of records) as the body of an answer."""
    return Response(msgspec.json.encode(record), status, headers, "application/json")


def problem(status: int, detail: str, variables: Sequence[str] = ()) -> Response:
    """A refusal: RFC 9457, one sentence for people in ``detail``; ``variables`` of which one has to be named."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if variables:
        body["variables"] = list(variables)
    return Response(msgspec.json.encode(body), status, None, "application/problem+json")
