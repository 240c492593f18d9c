"""What is wrong with a wall file, in one sentence: which file, which table, which key, and what belongs there.

msgspec says what it expected and where; here that becomes words, with the value that came, and with the
key or the word that was probably meant.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from renderers.wall.schema import BezelTable, Table

WORDS = {
    "str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
    "object": "a table",
}  # fmt: skip


class WallError(ValueError):
    """A wall file that cannot be read; the message says where and why."""

    exit_code = 1


class NoSuchWall(WallError):
    """Neither a file nor a preset."""

    exit_code = 2


def convert(kind: type[Table], raw: object, where: str) -> Any:
    """One table of a file as its record.  Raises WallError with ``where`` (the file and the table) in front."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as why:
        raise WallError(f"{where}{complaint(kind, raw, str(why))}") from None


def complaint(kind: type[Table], raw: object, said: str) -> str:
    """What msgspec said, in words; continues “FILE: TABLE”."""
    reason, _, path = said.partition(" - at ")
    keys = re.findall(r"\.(\w+)|\[(\d+)\]", path)
    value: Any = raw
    for key, index in keys:
        value = value[key] if key else value[int(index)]
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", reason):
        inside = BezelTable if keys else kind
        known = list(inside.__struct_encode_fields__)
        within = f" “{keys[0][0]}”" if keys else ""
        return f"{within} has no key “{unknown[1]}”{meant(unknown[1], known)}; its keys are {', '.join(known)}"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", reason):
        return f" lacks the key “{missing[1]}”, which is {_expected_of(kind, missing[1])}"
    name = "".join(f"“{key}”" if key else f" number {int(index) + 1}" for key, index in keys)
    subject = f": {name} is {_value(value)}" if keys else f" is {_value(value)}"
    if reason.startswith("Invalid enum value"):
        allowed = [str(word) for word in _choices(kind, keys[0][0])]
        return f"{subject}, but it is one of {', '.join(allowed)}{meant(str(value), allowed)}"
    return f"{subject}, but {_expected(reason)} is expected"


def meant(word: str, known: list[str]) -> str:
    """“; did you mean …?” if a known word is near, else nothing."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" (did you mean “{near[0]}”?)" if near else ""


def _value(value: Any) -> str:
    if isinstance(value, str):
        return f"“{value}”"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    return str(list(value) if isinstance(value, tuple) else value)


def _expected(reason: str) -> str:
    found = re.match(r"Expected `([^`]*)`(?: of length )?\s*(>=|<=|>|<)?\s*([-\d.]+)?(?=,|$|\s)", reason)
    if found is None:
        return reason
    kinds, sign, bound = found.groups()
    words = " or ".join(WORDS.get(kind, kind) for kind in kinds.split(" | ") if kind != "null")
    if "of length" in reason:
        if kinds == "str":
            return f"{words} of {'at least' if sign == '>=' else 'at most'} {bound} letter{'s' * (bound != '1')}"
        return f"{words} of {bound}"
    limits = {">=": "from {} up", "<=": "up to {}", ">": "above {}", "<": "below {}"}
    return f"{words} {limits[sign].format(f'{float(bound or 0):g}')}" if sign else words


def _fields(kind: type[Table]) -> dict[str, msgspec.inspect.Field]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.encode_name: field for field in info.fields}


def _plain(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _choices(kind: type[Table], name: str) -> list[Any]:
    found: list[Any] = []
    inner = _plain(_fields(kind)[name].type)
    for one in inner.types if isinstance(inner, msgspec.inspect.UnionType) else (inner,):
        plain = _plain(one)
        if isinstance(plain, msgspec.inspect.LiteralType):
            found += plain.values
    return found


def _expected_of(kind: type[Table], name: str) -> str:
    inner = _plain(_fields(kind)[name].type)
    if isinstance(inner, msgspec.inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in inner.values)}"
    if isinstance(inner, msgspec.inspect.TupleType):
        return f"a list of {len(inner.item_types)} numbers"
    names = {msgspec.inspect.IntType: "int", msgspec.inspect.FloatType: "float", msgspec.inspect.StrType: "str"}
    return WORDS.get(names.get(type(inner), ""), "needed")
