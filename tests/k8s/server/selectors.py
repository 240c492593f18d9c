"""Label selectors and field selectors, as query strings and as objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.k8s.server.kinds import Kind, Obj
from tests.k8s.server.refusals import bad_request

Match = Callable[[Obj], bool]
_SET = re.compile(r"^([^\s=!<>(),]+)\s+(in|notin)\s*\(([^()]*)\)$")
_PLAIN = re.compile(r"^([^\s=!<>(),]+)\s*(==|=|!=|<|>)\s*([^\s=!<>(),]*)$")
_THERE = re.compile(r"^(!?)\s*([^\s=!<>(),]+)$")
_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def labels(text: str) -> Match:
    """A selector of labels.  Raises Refused 400."""
    tests = [_requirement(part.strip(), text) for part in _parts(text)]
    return lambda found: all(test(found.get("metadata", {}).get("labels") or {}) for test in tests)


def _parts(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current] if current.strip() or parts else []


def _requirement(part: str, text: str) -> Callable[[Obj], bool]:
    if found := _SET.match(part):
        key, operator, values = found[1], found[2], tuple(value.strip() for value in found[3].split(","))
        _check(text, key, *values)
        return _one(key, "In" if operator == "in" else "NotIn", values)
    if found := _PLAIN.match(part):
        key, operator, value = found[1], found[2], found[3]
        _check(text, key, value)
        return _one(key, {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}[operator], (value,))
    if found := _THERE.match(part):
        _check(text, found[2])
        return _one(found[2], "DoesNotExist" if found[1] else "Exists", ())
    raise bad_request(f"unable to parse requirement: found '{part}', expected: a requirement, in {text!r}")


def _check(text: str, key: str, *values: str) -> None:
    if not _KEY.match(key):
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": name part must be valid')
    for value in values:
        if not _VALUE.match(value):
            raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": in {text!r}')


def _one(key: str, operator: str, values: tuple[str, ...]) -> Callable[[Obj], bool]:
    def test(found: Obj) -> bool:
        value = found.get(key)
        match operator:
            case "In":
                return value in values
            case "NotIn":  # true as well where the label is not there
                return value not in values
            case "Exists":
                return key in found
            case "DoesNotExist":
                return key not in found
        try:
            return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return False

    return test


def requirements(expressions: list[Obj]) -> Match:
    """matchExpressions over a plain map of labels."""
    tests = [_one(e["key"], e["operator"], tuple(e.get("values") or ())) for e in expressions]
    return lambda found: all(test(found) for test in tests)


def label_selector(selector: Obj | None) -> Match:
    """A LabelSelector object over labels; none selects nothing, an empty one all."""
    if selector is None:
        return lambda _found: False
    wanted, more = selector.get("matchLabels") or {}, requirements(selector.get("matchExpressions") or [])
    return lambda found: all(found.get(key) == value for key, value in wanted.items()) and more(found)


_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    "secrets": ("type",), "namespaces": ("status.phase",), "jobs": ("status.successful",),
    "nodes": ("spec.unschedulable",), "services": ("spec.clusterIP", "spec.type"),
    "replicasets": ("status.replicas",),
}  # fmt: skip


def fields(text: str, kind: Kind, label_text: str = "") -> Match:
    """A selector of fields; a resource knows few of them.  Raises Refused 400."""
    tests: list[tuple[str, str, bool]] = []
    allowed = ("metadata.name", *(("metadata.namespace",) if kind.namespaced else ()), *_FIELDS.get(kind.plural, ()))
    for part in filter(None, text.split(",")):
        found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if found[1] not in allowed:
            raise bad_request(
                f'Unable to find "{kind.group}/{kind.version}, Resource={kind.plural}" that match label selector '
                f'"{label_text}", field selector "{text}": field label not supported: {found[1]}'
            )
        tests.append((found[1], found[3], found[2] != "!="))
    return lambda thing: all((field(thing, path) == value) is same for path, value, same in tests)


def named(text: str) -> str:
    """The one object that a field selector means, if it means one by name."""
    names = [part.partition("=")[2].lstrip("=") for part in text.split(",") if part.startswith("metadata.name=")]
    return names[0] if len(names) == 1 else ""


def field(thing: Obj, path: str) -> str:
    """A field as text; what is not there is empty, a flag that is not there is false."""
    value: Any = thing
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if path == "status.successful":
        value = thing.get("status", {}).get("succeeded", 0)
    if isinstance(value, bool) or (value is None and path in ("spec.unschedulable", "spec.hostNetwork")):
        return "true" if value else "false"
    return "" if value is None else str(value)
