"""The API's description for machines: FastAPI's, with the schemas of the records that are answered.

Records are msgspec structs, so their schemas come from msgspec; the two are put together here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from streamer.control.access.shown import AuditEntry, Ended, Me, NewToken, ProjectShown, SignedOut, SignIn, TokenShown
from streamer.control.booking import Dataset
from streamer.control.report import Report
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.control.seats import NodeFacts, Seated
from streamer.control.view_books import Camera
from streamer.control.view_roles import Role
from streamer.wire.grid import Triple
from streamer.wire.status import Course, ObjectPage, RunStatus
from streamer.wire.walls import WallFacts

PROBLEM = "application/problem+json"
_REF = "#/components/schemas/{name}"


class Chunks(msgspec.Struct, frozen=True):
    """The state of every chunk."""

    counts: Triple
    """Chunks along (z, y, x)."""
    states: list[int]
    """In C order: 0 pending, 1 leased, 2 committed, 3 failed."""


class Health(msgspec.Struct, frozen=True):
    """The control plane answers."""

    status: str
    version: str
    note: str = ""
    """What is not as it should be, in a sentence (a database that is away); empty if all is well."""
    state: Literal["leading", "standby"] = "leading"
    """``standby`` while another control plane has the runs of this place: it answers nothing else then."""


class Entry(msgspec.Struct, frozen=True):
    """A segmenter that is installed."""

    name: str
    package: str
    """The distribution that brings it, and its version."""
    description: str = ""
    parameters: dict[str, Any] = {}
    """The JSON Schema of what it takes."""
    error: str = ""
    """Why it cannot be had, in a sentence; empty if it can."""


class System(msgspec.Struct, frozen=True):
    """What this control plane is, and how much of it is taken."""

    version: str
    launcher: str
    """Where parts run: ``local``, as processes of this machine; ``kubernetes``, as pods of a cluster."""
    runs: int
    """At work now, in your projects."""
    max_runs: int
    queued: int
    """Waiting for room."""
    max_queued: int
    workers: int
    """Wanted by the runs that are at work."""
    max_workers: int
    """The most that one run may ask for."""
    cores: int
    """Of this machine that this process may use."""
    keys: bool
    """Whether the parts of runs use keys."""
    packages: dict[str, str]
    """Versions of what is installed beside it and matters for results."""
    note: str = ""
    """What is not as it should be, in a sentence, for administrators; empty if all is well."""
    projects: tuple[ProjectShown, ...] = ()
    """Your projects, and what is taken of their quotas."""


class WallEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A wall in a list."""

    name: str
    title: str
    generation: int
    """The ETag."""
    changed: str
    """ISO 8601, UTC."""
    nodes: int
    """Those that drive tiles."""
    tiles: int
    screens: int
    megapixels: float
    busy: bool = False
    """Whether it shows a run, also one of a project that is not yours."""
    run_id: str | None = None
    """The run that it shows, if it is of a project of yours."""


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """A wall, and which of its nodes are there."""

    name: str
    title: str
    generation: int
    """Grows with each change of the file; the ETag."""
    created: str
    changed: str
    busy: bool = False
    """Whether it shows a run, also one of a project that is not yours."""
    run_id: str | None = None
    """The run that it shows, if it is of a project of yours."""
    facts: WallFacts
    """What its file says."""
    seats: tuple[Seated, ...] = ()
    """The nodes of its file, and who sits there."""
    nodes: tuple[NodeFacts, ...] = ()
    """The nodes that its selector finds."""
    sentences: tuple[str, ...] = ()
    """What is missing or doubled, each with what to do."""


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """The test pattern is shown on a wall."""

    wall: str
    seconds: float
    """So long."""
    run_id: str | None = None
    """The run that is shown there besides."""
    sentences: tuple[str, ...] = ()
    """Where it is not shown, and why."""


class ViewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A view in a list."""

    run_id: str
    name: str
    kind: Literal["browser", "wall"]
    shared: bool
    created: str
    changed: str


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a run: what those who look together see."""

    run_id: str
    name: str
    """That of a wall is ``wall.`` and the wall's name."""
    kind: Literal["browser", "wall"]
    shared: bool
    """Whether it is listed; a private one is for those alone who have a token of it."""
    role: Role
    """What who asks may do: ``lead`` changes it."""
    revision: str
    """Another one with each change; the ETag."""
    state: dict[str, Any]
    """``streamer.wire.viewing.View`` by the names of its fields."""
    camera: Camera | None = None
    """None: a wall, which is looked at by heads."""
    head: dict[str, Any] | None = None
    """Of a wall: where the tracked head is, mm."""
    created: str
    changed: str
    token: str | None = None
    """Of a private view that has just been made: a token to lead it, shown this once."""


class ViewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token with which somebody may use a view."""

    token_id: str
    role: Role
    created: str
    expires: str
    token: str | None = None
    """What to send in the header ``View-Token``; shown once, when it is made."""


RECORDS: tuple[type, ...] = (
    Run, RunStatus, ObjectPage, Course, Chunks, Health, Line, Dataset, Entry, System, Report,
    Me, ProjectShown, TokenShown, NewToken, SignIn, SignedOut, Ended, AuditEntry, WallEntry, Wall, Identified,
    ViewEntry, RunView, ViewToken,
)  # fmt: skip
EVERYWHERE = (400, 401, 403, 429, 503)
"""What may come before a route is asked: by the gate and the guard."""


_LATER = {
    "description": "After so many seconds it is worth asking again; of a full queue when the first run may have ended.",
    "schema": {"type": "integer", "minimum": 0},
}
TEXT = {"type": "string"}
"""The schema of an answer that is text but no JSON."""


def of_bytes(description: str) -> dict[str, Any]:
    """The schema of an answer that is no text."""
    return {"type": "string", "format": "binary", "description": description}


_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "What kind of token is taken.", "schema": {"type": "string"}}},
    429: {"Retry-After": _LATER},
    503: {"Retry-After": _LATER},
}


def answers(record: type | None, *refusals: int, status: int = 200, many: bool = False) -> dict[int | str, Any]:
    """The ``responses`` of a route: a record, and the problems that it may answer with."""
    schema: dict[str, Any] = {"$ref": _REF.format(name=record.__name__)} if record else {}
    if many:
        schema = {"type": "array", "items": schema}
    found: dict[int | str, Any] = {}
    if record:
        found[status] = {"description": "As asked.", "content": {"application/json": {"schema": schema}}}
    said = {
        400: "A token in the address, or a login that cannot be finished.",
        401: "Sign in, or send a token.",
        403: "A foreign Host or Origin, more than you may, or a token of a view that does not allow it.",
        429: "Too many tries, or too many that wait: come again later.",
        404: "There is no such thing.",
        409: "There is no room for it, or it is not the time.",
        412: "It has been changed since it was looked at.",
        411: "The body has no length.",
        413: "The body is too large.",
        422: "The request cannot be carried out as it is.",
        500: "It failed for a reason of ours.",
        501: "A package that this needs is not installed on the server.",
        503: "The run's streamer, the database or an issuer does not answer, or the control plane is ending.",
        504: "It took too long.",
    }
    for code in refusals:
        content = {PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}}
        found[code] = {"description": said[code], "content": content}
        if code in _HEADERS:
            found[code]["headers"] = _HEADERS[code]
    return found


Example = Callable[[str, str, str, str], Any]
"""From a method, a path, a media type and a record's name to what is answered there; None if there is no example."""


def document(app: FastAPI, problem: dict[str, Any], example: Example) -> dict[str, Any]:
    """The whole OpenAPI document.  ``problem`` is the schema of a refusal."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, schemas = msgspec.json.schema_components(RECORDS, ref_template=_REF)
    components = found.setdefault("components", {}).setdefault("schemas", {})
    components.update(schemas)
    components["Problem"] = problem
    found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{}, {"token": []}]  # without accounts none is needed
    everywhere = {str(code): answer for code, answer in answers(None, *EVERYWHERE).items()}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            operation["responses"] = dict(sorted({**everywhere, **operation["responses"]}.items()))
            _exemplify(operation, components, partial(example, method.upper(), path))
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    _even(found)
    return found


def _exemplify(operation: dict[str, Any], schemas: dict[str, Any], example: Callable[[str, str], Any]) -> None:
    """Puts examples beside the schemas of what an operation takes (it is said there) and of what it answers."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content.get("schema", {})
        said = schemas.get(_named(schema), schema).get("examples")
        if said:
            content.setdefault("example", said[0])
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            if media == PROBLEM:
                title = HTTPStatus(int(status)).phrase
                refusal = {
                    "type": "about:blank",
                    "title": title,
                    "status": int(status),
                    "detail": answer["description"],
                }
                content.setdefault("example", refusal)
                continue
            schema = content.get("schema", {})
            many = schema.get("type") == "array"
            found = example(media, _named(schema["items"] if many else schema))
            if found is not None:
                content.setdefault("example", [found] if many else found)


def _named(schema: dict[str, Any]) -> str:
    """The name of the record that a schema refers to; empty if it refers to none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _even(part: Any) -> None:
    """Tuples of one kind are written as arrays of a certain length, which all readers of such documents know."""
    if isinstance(part, dict):
        kinds = part.get("prefixItems")
        if isinstance(kinds, list) and kinds and all(kind == kinds[0] for kind in kinds):
            del part["prefixItems"]
            part.update(items=kinds[0], minItems=len(kinds), maxItems=len(kinds))
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _even(inner)
