"""What a CalVR configuration says on one host: files, blocks, and the value that wins.

``GLOBAL`` children stand in their parent; those of ``LOCAL host="a,b"`` do on a and b only; what an ``INCLUDE``
brings comes after the whole file that names it.  Then a path such as ``ScreenConfig.Screen:0`` and an
attribute name the first element in that order which has both.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from renderers.wall.tagsoup import Element, parse

Include = Callable[[str, str], tuple[str, str] | None]
"""(path as written, file that names it) → (the file's name, its text), or None if there is none."""
OWN = ("PipeConfig", "WindowConfig", "ChannelConfig", "ScreenConfig", "Input", "Stereo", "Near", "Far", "NumScreens")
LISTS = ("pipe", "window", "channel", "screen")
CLOSES_ITSELF = frozenset(("local", "global", *LISTS, *(f"{one}config" for one in LISTS)))
MOST_FILES = 100
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": 25.4, "deg": 1.0, "°": 1.0, "px": 1.0, "": 1.0}
TOO_LARGE = "is no number that a wall can use; ignored"
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


class Document(NamedTuple):
    """All files of a configuration, read."""

    files: dict[str, list[Element]]
    """By name; the main file first."""
    included: dict[tuple[str, str], str]
    """(file, path as written in it) → the file meant; missing ones are not in it."""
    remarks: list[str]


def read_document(name: str, text: str, include: Include) -> Document:
    """Reads a file and all that it includes.  Raises TagSoupError where the main file has no elements."""
    document = Document({}, {}, [])
    waiting: list[tuple[str, str, tuple[str, ...]]] = [(name, text, ())]
    while waiting:
        name, text, above = waiting.pop(0)
        soup = parse(text, CLOSES_ITSELF)
        document.files[name] = soup.children
        if soup.mended:
            more = f" and {len(soup.mended) - 3} more" if len(soup.mended) > 3 else ""
            document.remarks.append(f"{name} is not well-formed XML; mended: {'; '.join(soup.mended[:3])}{more}")
        for path in [_path(e) for top in soup.children for e in top.walk() if e.is_("INCLUDE") and _path(e)]:
            found = include(path, name)
            if found is None:
                document.remarks.append(f"{name} includes {path}, which was not found: what it says is missing")
            elif found[0] in (*above, name):
                document.remarks.append(f"{name} includes {path}, which includes it in turn: left out")
            else:
                document.included[name, path] = found[0]
                known = {*document.files, *(one[0] for one in waiting)}
                if found[0] not in known and len(known) < MOST_FILES:
                    waiting.append((found[0], found[1], (*above, name)))
    return document


def hosts(document: Document) -> list[str]:
    """All hosts that a LOCAL block names, in order of appearance."""
    found: dict[str, None] = {}
    for elements in document.files.values():
        for block in (e for top in elements for e in top.walk() if e.is_("LOCAL")):
            found |= dict.fromkeys(_entries(block))
    return list(found)


def _entries(block: Element) -> list[str]:
    return [entry for entry in (part.strip() for part in block.attributes.get("host", "").split(",")) if entry]


def _path(element: Element) -> str:
    return element.text.strip() or element.attributes.get("value", element.attributes.get("file", "")).strip()


class Lookup:
    """The configuration as one host sees it."""

    def __init__(self, document: Document, host: str, remarks: dict[str, None]) -> None:
        self.host = host
        self._document = document
        self._remarks = remarks
        self._roots: list[list[Element]] = []
        self._loaded: set[str] = set()
        self._load(next(iter(document.files)))

    def _load(self, name: str) -> None:
        """A file's elements, then those of the files that it includes, each with its own after it.

        A file that is included once more says nothing that has not been said before it.
        """
        self._loaded.add(name)
        paths: list[str] = []
        root = self._spliced(self._document.files[name], paths, top=True)
        self._roots.append(root)
        for path in paths:
            meant = self._document.included.get((name, path))
            if meant is not None and meant in self._document.files and meant not in self._loaded:
                self._load(meant)

    def _spliced(self, elements: Sequence[Element], paths: list[str], top: bool = False) -> list[Element]:
        found: list[Element] = []
        for element in elements:
            if element.is_("INCLUDE"):
                paths.append(_path(element))
            elif element.is_("GLOBAL") or (element.is_("LOCAL") and self.host in _entries(element)):
                found += self._spliced(element.children, paths, top)
            elif element.is_("LOCAL"):
                continue
            elif top and _wraps(element):
                found += self._spliced(element.children, paths, top)
            else:
                children = self._spliced(element.children, paths)
                found.append(Element(element.name, element.attributes, children, element.text, element.line))
        return found

    def elements(self, path: str) -> Iterator[Element]:
        """All elements at a path, in the order in which they win."""
        for root in self._roots:
            yield from _below(root, path.split("."))

    def names(self) -> list[str]:
        """Names of all outermost elements."""
        return list(dict.fromkeys(element.name for root in self._roots for element in root))

    def others(self, path: str, expected: str) -> list[str]:
        """Names of what stands at a path and is not the expected kind."""
        found = (child for element in self.elements(path) for child in element.children)
        return list(dict.fromkeys(child.name for child in found if not child.is_(expected)))

    def text(self, path: str, attribute: str = "value") -> str | None:
        """The attribute of the first element at the path that has it."""
        for element in self.elements(path):
            if (value := element.attributes.get(attribute.lower())) is not None:
                return value.strip()
        return None

    def number(self, path: str, attribute: str, default: float) -> float:
        """A number, or the default where there is none; odd spellings are said."""
        text = self.text(path, attribute)
        if text is None:
            return default
        value, remark = number(text)
        if remark:
            self._remarks[f"{path} {attribute}: “{text}” {remark}"] = None
        return default if value is None else value

    def whole(self, path: str, attribute: str, default: int) -> int:
        """A whole number."""
        return int(self.number(path, attribute, default))

    def flag(self, path: str, attribute: str = "value", default: bool = False) -> bool:
        """Whether it is on (``on``, ``true``, ``yes`` or 1)."""
        text = self.text(path, attribute)
        return default if text is None else text.lower() in ("on", "true", "yes", "1")


def _wraps(element: Element) -> bool:
    """Whether an outermost element is just a root around the configuration, such as <COCONFIG>."""
    return not any(element.is_(name) for name in OWN) and any(
        child.is_(name) for child in element.children for name in (*OWN, "LOCAL", "GLOBAL", "INCLUDE")
    ) and not element.is_("Plugin")  # fmt: skip


def _below(elements: Sequence[Element], path: Sequence[str]) -> Iterator[Element]:
    name, _, suffix = path[0].partition(":")
    for element in elements:
        if element.is_(name) and (not suffix or element.attributes.get("name", "").strip() == suffix):
            if len(path) == 1:
                yield element
            else:
                yield from _below(element.children, path[1:])


def number(text: str) -> tuple[float | None, str]:
    """A number as people write it (mm or degrees), and what is odd about it: 12.5, 12,5, 1,250, 1.2 m, 1018/2."""
    plain = text.strip()
    try:
        value = float(plain)
    except ValueError:
        pass
    else:
        return (value, "") if abs(value) < 1e12 else (None, TOO_LARGE)
    if re.fullmatch(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", plain):
        return float(plain.replace(",", "")), "was read with a comma between thousands"
    found = re.fullmatch(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)\s*(mm|cm|m|in|deg|°|px)?;?", plain)
    if found:
        value = float(found[1].replace(",", ".")) * UNITS[found[2] or ""]
        return (value, f"was read as {value:g}") if abs(value) < 1e12 else (None, TOO_LARGE)
    try:
        value = _reckon(ast.parse(plain.replace(",", "."), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None, "is no number; ignored"
    if not abs(value) < 1e12:
        return None, TOO_LARGE
    return value, f"was reckoned as {value:g} (CalVR itself reads only the first number)"


def _reckon(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and abs(node.value) < 1e12:
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _reckon(node.operand) * (-1.0 if isinstance(node.op, ast.USub) else 1.0)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_reckon(node.left), _reckon(node.right))
    raise ValueError("not arithmetic")
