"""The shape of every object, from Kubernetes' own OpenAPI document as the package kubernetes-validate carries it.

``decode`` does what the API server's decoder does: a value of a wrong type is refused, a field that is not known is
dropped and named, null is as if it were not there.  ``missing`` names required fields that are not given.
"""

from __future__ import annotations

import base64
import binascii
import json
from functools import cache
from importlib.resources import files
from typing import Any

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import Cause, bad_request, required

VERSION = "1.37.0"
_TYPES: dict[str, Any] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,),
    "array": (list,),
}  # fmt: skip
_WORDS = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


@cache
def _definitions() -> dict[str, Obj]:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{VERSION}-local"
    found: dict[str, Obj] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return found


def definition(name: str) -> Obj:
    """One definition by its whole name."""
    return _definitions()[name]


def _resolve(schema: Obj) -> tuple[Obj, str]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _definitions()[name], name
    return schema, ""


def decode(kind: Kind, body: Obj) -> tuple[Obj, list[str]]:
    """The object as the server keeps it, and the paths of the fields it does not know.  Raises Refused 400."""
    unknown: list[str] = []
    return _decode(body, {"$ref": f"#/$defs/{kind.schema}"}, "", kind, "", unknown), unknown


def _decode(value: Any, schema: Obj, path: str, kind: Kind, struct: str, unknown: list[str]) -> Any:
    schema, name = _resolve(schema)
    struct = name.rpartition(".")[2] or struct
    if "oneOf" in schema:  # a quantity, or a port by name or number
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise _mismatch(kind, value, struct, path, struct)
        return str(value) if struct == "Quantity" else value
    wanted = next((t for t in _as_list(schema.get("type")) if t != "null"), None)
    if wanted is None:
        return value
    if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        go = {"integer": schema.get("format", "int"), "boolean": "bool", "array": "[]", "object": struct}
        raise _mismatch(kind, value, struct, path, str(go.get(wanted, wanted)))
    if wanted == "array":
        items = schema.get("items", {})
        return [_decode(one, items, f"{path}[{n}]", kind, struct, unknown) for n, one in enumerate(value)]
    if schema.get("format") == "byte":
        _check_base64(kind, value)
    if wanted != "object":
        return value
    fields, rest = schema.get("properties"), schema.get("additionalProperties")
    found = {}
    for key, one in value.items():
        inner = f"{path}.{key}" if path else key
        if one is None:
            continue
        if fields is not None and key in fields:
            found[key] = _decode(one, fields[key], inner, kind, struct, unknown)
        elif isinstance(rest, dict):
            found[key] = _decode(one, rest, inner, kind, struct, unknown)
        elif fields is None:
            found[key] = one
        else:
            unknown.append(inner)
    return found


def _as_list(found: Any) -> list[str]:
    return found if isinstance(found, list) else [found]


def _mismatch(kind: Kind, value: Any, struct: str, path: str, wanted: str) -> Exception:
    return bad_request(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot unmarshal '
        f"{_WORDS.get(type(value), 'null')} into Go struct field {struct}.{path} of type {wanted}"
    )


def _check_base64(kind: Kind, value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: illegal base64 data at '
            "input byte 0"
        ) from None


def missing(kind: Kind, found: Obj) -> list[Cause]:
    """Required fields that are not there, of the object and all that is in it."""
    causes: list[Cause] = []
    found = {key: value for key, value in found.items() if key != "status"}  # numbers of a status are 0 by themselves
    _missing(found, {"$ref": f"#/$defs/{kind.schema}"}, "", causes)
    return causes


def _missing(value: Any, schema: Obj, path: str, causes: list[Cause]) -> None:
    schema, _ = _resolve(schema)
    if isinstance(value, list):
        for number, one in enumerate(value):
            _missing(one, schema.get("items", {}), f"{path}[{number}]", causes)
    elif isinstance(value, dict):
        fields, rest = schema.get("properties", {}), schema.get("additionalProperties")
        lacking = (key for key in schema.get("required", ()) if value.get(key) in (None, "", []))
        causes += [required(f"{path}.{key}" if path else key) for key in lacking]
        for key, one in value.items():
            inner = fields.get(key) or (rest if isinstance(rest, dict) else None)
            if inner is not None:
                _missing(one, inner, f"{path}.{key}" if path else key, causes)


def field_schema(schema: Obj, key: str) -> Obj:
    """The schema of a field of an object, with the marks that stand at the field itself; {} if it has none."""
    there, _ = _resolve(schema)
    rest = there.get("additionalProperties")
    found: Obj = there.get("properties", {}).get(key) or (rest if isinstance(rest, dict) else {})
    return found


def item_schema(schema: Obj) -> Obj:
    """The schema of the items of a list."""
    found: Obj = _resolve(schema)[0].get("items", {})
    return found
