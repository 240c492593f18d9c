"""The API's description for machines: FastAPI's, with the schemas of the records that are answered.

Records are msgspec structs, so their schemas come from msgspec; the two are put together here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from streamer.control.booking import Dataset
from streamer.control.runs import Run
from streamer.control.said import Line
from streamer.wire.grid import Triple
from streamer.wire.status import ObjectPage, RunStatus

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
    """Where parts run: ``local``, as processes of this machine."""
    runs: int
    """At work now."""
    max_runs: int
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
    """What is not as it should be, in a sentence; empty if all is well."""


RECORDS: tuple[type, ...] = (Run, RunStatus, ObjectPage, Chunks, Health, Line, Dataset, Entry, System)


def answers(record: type | None, *refusals: int, status: int = 200, many: bool = False) -> dict[int | str, Any]:
    """The ``responses`` of a route: a record, and the problems that it may answer with."""
    schema: dict[str, Any] = {"$ref": _REF.format(name=record.__name__)} if record else {}
    if many:
        schema = {"type": "array", "items": schema}
    found: dict[int | str, Any] = {}
    if record:
        found[status] = {"description": "As asked.", "content": {"application/json": {"schema": schema}}}
    said = {
        403: "A foreign Host or Origin.",
        404: "There is no such thing.",
        409: "There is no room for it, or it is not the time.",
        412: "The run has been changed since it was looked at.",
        411: "The body has no length.",
        413: "The body is too large.",
        422: "The request cannot be carried out as it is.",
        500: "It failed for a reason of ours.",
        501: "A package that this needs is not installed on the server.",
        503: "The run's streamer does not answer, or the control plane is ending.",
        504: "It took too long.",
    }
    for code in refusals:
        content = {PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}}
        found[code] = {"description": said[code], "content": content}
    return found


def document(app: FastAPI, problem: dict[str, Any]) -> dict[str, Any]:
    """The whole OpenAPI document.  ``problem`` is the schema of a refusal."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, schemas = msgspec.json.schema_components(RECORDS, ref_template=_REF)
    components = found.setdefault("components", {}).setdefault("schemas", {})
    components.update(schemas)
    components["Problem"] = problem
    everywhere = {str(code): answer for code, answer in answers(None, 403).items()}
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["responses"] = dict(sorted({**everywhere, **operation["responses"]}.items()))
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    return found
