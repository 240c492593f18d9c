"""A view spelled out in JSON: names in place of the order in which its fields travel elsewhere.

``spelled`` gives all of it.  ``merged`` takes what is to be otherwise, as a JSON merge patch (RFC 7396): objects are
merged, lists replaced, and null is the default.  So a program changes one thing and need not know the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from streamer.wire.viewing import Head, Plane, View, view_flaw

Kind = TypeVar("Kind", bound=msgspec.Struct)
LONGEST = 80
"""Letters of a foreign name that are repeated in a complaint."""


class NoView(ValueError):
    """What is asked for cannot be drawn, or is no view: what, and what was expected."""


def spelled(record: View | Head) -> dict[str, Any]:
    """All fields by their names."""
    found: dict[str, Any] = _spelled(record)
    return found


def merged(view: View, changes: object) -> View:
    """The view with these changes, one that can be drawn.  Raises NoView."""
    try:
        found = msgspec.convert(_merged(view, changes, "state"), type=View, strict=False)
    except msgspec.ValidationError as why:
        raise NoView(f"state is no view: {_in_words(str(why))}") from None
    if flaw := view_flaw(found):
        raise NoView(f"the view cannot be drawn: {flaw}")
    return found


def head_of(given: object) -> Head:
    """A head as ``spelled`` gives it.  Raises NoView."""
    return _read(given, Head, "head")


def _read(given: object, kind: type[Kind], where: str) -> Kind:
    try:
        return msgspec.convert(_merged(kind(), given, where), type=kind, strict=False)
    except msgspec.ValidationError as why:
        raise NoView(f"{where}: {_in_words(str(why))}") from None


def _spelled(value: object) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _spelled(getattr(value, name)) for name in value.__struct_fields__}
    return [_spelled(one) for one in value] if isinstance(value, tuple) else value


def _merged(record: msgspec.Struct, changes: object, where: str) -> list[Any]:
    """The fields of a record in their order, as they are to be."""
    names = record.__struct_fields__
    if not isinstance(changes, Mapping):
        raise NoView(f"{where} is {repr(changes)[:LONGEST]}: give an object with some of {', '.join(names)}")
    for name in changes:
        if name not in names:
            raise NoView(f"{where} has no {str(name)[:LONGEST]!r}; there are {', '.join(names)}")
    return [
        _plain(getattr(record, name))
        if name not in changes
        else _new(record, name, changes[name], f"{where}.{name}")
        for name in names
    ]  # fmt: skip


def _new(record: msgspec.Struct, name: str, given: object, where: str) -> Any:
    here = getattr(record, name)
    if given is None:
        default = next(field.default for field in msgspec.structs.fields(record) if field.name == name)
        return _plain(default)
    if isinstance(here, msgspec.Struct):
        return _merged(here, given, where)
    if name == "planes" and isinstance(given, list | tuple):
        return [_plane(one, f"{where}.{number}") for number, one in enumerate(given)]
    return given


def _plane(given: object, where: str) -> list[Any]:
    names = Plane.__struct_fields__
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise NoView(f"{where} is {repr(given)[:LONGEST]}: a plane has {' and '.join(names)}, and nothing else")
    return [given[name] for name in names]


def _plain(value: object) -> Any:
    """As it travels: fields in their order."""
    return msgspec.to_builtins(value)


def _in_words(said: str) -> str:
    """What msgspec says, with the names of the fields in place of their numbers in the way."""
    text, _, path = said.partition(" - at `$")
    steps = [step.strip("[]`") for step in path.replace("][", "] [").split()]
    kind: Any = View
    named = []
    for step in steps:
        fields = getattr(kind, "__struct_fields__", ())
        if step.isdigit() and int(step) < len(fields):
            named.append(fields[int(step)])
            kind = type(getattr(View(), named[0])) if len(named) == 1 else None
        else:
            named.append(step)
            kind = None
    return f"{'.'.join(named)}: {text[:1].lower()}{text[1:]}" if named else text
