"""What the server says when it does not do something: Status objects with kube-apiserver's codes, reasons and words."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.k8s.server.kinds import Kind, Obj


class Cause(NamedTuple):
    """One thing that is wrong with an object: which field, and what of it."""

    reason: str
    field: str
    message: str


class Refused(Exception):
    """An answer that is a Status with status Failure."""

    def __init__(
        self, code: int, reason: str | None, message: str, details: Obj | None = None, metadata: Obj | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.metadata = details, metadata or {}

    @property
    def status(self) -> Obj:
        found: Obj = {
            "kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure",
            "message": self.message,
        }  # fmt: skip
        if self.reason:
            found["reason"] = self.reason
        if self.details is not None:
            found["details"] = self.details
        return {**found, "code": self.code}


def _details(kind: Kind, name: str, named: str | None = None) -> Obj:
    found: Obj = {"name": name} if name else {}
    if kind.group:
        found["group"] = kind.group
    return {**found, "kind": named or kind.plural}


def not_found(kind: Kind, name: str) -> Refused:
    return Refused(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> Refused:
    return Refused(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> Refused:
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(kind, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: Kind, name: str, causes: list[Cause]) -> Refused:
    said = [f"{c.field}: {c.message}" for c in dict.fromkeys(causes)]
    words = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details = _details(kind, name, kind.kind)
    details["causes"] = [c._asdict() for c in dict.fromkeys(causes)]
    return Refused(422, "Invalid", f'{kind.kind_name} "{name}" is invalid: {words}', details)


def forbidden(kind: Kind, name: str, why: str, causes: list[Obj] | None = None) -> Refused:
    named = f'{kind.resource} "{name}" is forbidden' if name else f"{kind.resource} is forbidden"
    details = _details(kind, name)
    if causes:
        details["causes"] = causes
    return Refused(403, "Forbidden", f"{named}: {why}", details)


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def expired(message: str, metadata: Obj | None = None) -> Refused:
    return Refused(410, "Expired", message, metadata=metadata)


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> Refused:
    return Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def shown(value: Any) -> str:
    """A value as messages show it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def wrong(field: str, value: Any, why: str) -> Cause:
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {why}")


def required(field: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", field, "Required value" + f": {why}" * bool(why))


def prohibited(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", field, f"Forbidden: {why}")


def unsupported(field: str, value: Any, choices: tuple[str, ...]) -> Cause:
    listed = ", ".join(f'"{choice}"' for choice in choices)
    return Cause("FieldValueNotSupported", field, f"Unsupported value: {shown(value)}: supported values: {listed}")


def immutable(field: str, value: Any) -> Cause:
    return wrong(field, value, "field is immutable")


def too_long(field: str, limit: int) -> Cause:
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")
