"""The patches of the API: JSON patch (RFC 6902), merge patch (RFC 7386) and the strategic merge patch.

The strategic one merges a list by the key that the OpenAPI document names for it
(``x-kubernetes-patch-merge-key``), and knows ``$patch: delete``, ``$patch: replace``, ``$deleteFromPrimitiveList/…``
and ``$setElementOrder/…`` (which only orders, and is left aside).
"""

from __future__ import annotations

import copy
from typing import Any

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import Refused, bad_request
from tests.k8s.server.schema import field_schema, item_schema

MOST_OPERATIONS = 10_000


def _refused(why: str) -> Refused:
    message = "the server rejected our request due to an error in our request"
    return Refused(422, "Invalid", message, {"causes": [{"message": why}]})


def json_patch(found: Obj, operations: Any) -> Obj:
    """Raises Refused 400 for what is no patch, 422 for one that does not apply."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MOST_OPERATIONS:
        raise Refused(
            413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}"
        )
    holder: Obj = {"": copy.deepcopy(found)}
    for operation in operations:
        _operate(holder, operation)
    result: Obj = holder[""]
    return result


def _operate(holder: Obj, operation: Any) -> None:
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise bad_request("error decoding patch: an operation needs op and path")
    path, op = operation["path"], operation.get("op")
    match op:
        case "test":
            if _get(holder, path) != operation.get("value"):
                raise _refused(f"testing value {path} failed: test failed")
        case "remove":
            _take(holder, path)
        case "add":
            _add(holder, path, copy.deepcopy(operation.get("value")))
        case "replace":
            _take(holder, path)
            _add(holder, path, copy.deepcopy(operation.get("value")))
        case "move":
            _add(holder, path, _take(holder, operation["from"]))
        case "copy":
            _add(holder, path, copy.deepcopy(_get(holder, operation["from"])))
        case _:
            raise bad_request(f"Unexpected kind: {op}")


def _steps(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise bad_request(f"error decoding patch: path {path!r} does not start with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")]


def _walk(holder: Any, path: str) -> tuple[Any, str]:
    *steps, last = _steps(path)
    place = holder
    for step in steps:
        place = _step(place, step, path)
    return place, last


def _step(place: Any, step: str, path: str) -> Any:
    try:
        if isinstance(place, list):
            return place[_index(step)]
        return place[step]
    except (KeyError, IndexError, TypeError, ValueError):
        raise _refused(f"unable to find {path}: Unable to access invalid index or key: {step}") from None


def _index(step: str) -> int:
    if not step.isdecimal():
        raise ValueError(step)
    return int(step)


def _get(holder: Any, path: str) -> Any:
    place, last = _walk(holder, path)
    return _step(place, last, path)


def _take(holder: Any, path: str) -> Any:
    place, last = _walk(holder, path)
    found = _step(place, last, path)
    if isinstance(place, list):
        del place[_index(last)]
    else:
        del place[last]
    return found


def _add(holder: Any, path: str, value: Any) -> None:
    place, last = _walk(holder, path)
    if isinstance(place, list):
        if last != "-" and (not last.isdecimal() or int(last) > len(place)):
            raise _refused(f"add operation does not apply: doc is missing path: {path}")
        place.insert(len(place) if last == "-" else int(last), value)
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise _refused(f"add operation does not apply: doc is missing path: {path}")


def merge_patch(found: Any, patch: Any) -> Any:
    """Null removes, objects are merged, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(found: Obj, patch: Obj, kind: Kind) -> Obj:
    result: Obj = _strategic(found, patch, {"$ref": f"#/$defs/{kind.schema}"})
    return result


def _strategic(found: Any, patch: Obj, schema: Obj) -> Any:
    patch = dict(patch)
    directive = patch.pop("$patch", None)
    if directive == "replace":
        return copy.deepcopy(patch)
    if directive == "delete":
        return {}
    result = copy.deepcopy(found) if isinstance(found, dict) else {}
    for key in (patch.pop("$retainKeys", None) and list(result)) or ():
        if key not in patch:
            del result[key]
    for key, value in patch.items():
        if key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [one for one in result.get(name, []) if one not in value]
            continue
        inner = field_schema(schema, key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _strategic(result.get(key), value, inner)
        elif isinstance(value, list) and "merge" in str(inner.get("x-kubernetes-patch-strategy")):
            result[key] = _merged_list(result.get(key) or [], value, inner)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merged_list(found: list[Any], patch: list[Any], schema: Obj) -> list[Any]:
    by = schema.get("x-kubernetes-patch-merge-key")
    if by is None:  # a list of plain values: what is new is added
        return [*found, *(one for one in patch if one not in found)]
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in patch):
        return [copy.deepcopy(one) for one in patch if "$patch" not in one]
    result = copy.deepcopy(found)
    for one in patch:
        if not isinstance(one, dict) or by not in one:
            raise bad_request(f"map: {one} does not contain declared merge key: {by}")
        there = next((n for n, old in enumerate(result) if old.get(by) == one[by]), None)
        if one.get("$patch") == "delete":
            result = [old for old in result if old.get(by) != one[by]]
        elif there is None:
            result.append(_strategic({}, one, item_schema(schema)))
        else:
            result[there] = _strategic(result[there], one, item_schema(schema))
    return result
