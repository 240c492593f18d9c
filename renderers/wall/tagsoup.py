"""Reads XML as people write it by hand: several roots, forgotten quotes and end tags, ``--`` in comments, bare ``&``.

A strict reader refuses such files and a recovering one guesses differently for each kind of mistake.  This one
has few rules, each said below, and reports what it mended.  Names are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
DEEPEST = 100
_NAME = re.compile(r"[A-Za-z0-9_:.\-]+")
_ATTRIBUTE = re.compile(r"([^\s=<>/\"']+)\s*(=?)\s*")


class TagSoupError(ValueError):
    """Not even tag soup."""


class Element(msgspec.Struct):
    """One element.  ``attributes`` by lower-case name, the first of equal ones; ``text`` without its children's."""

    name: str
    attributes: dict[str, str] = {}
    children: list[Element] = []
    text: str = ""
    line: int = 0

    def is_(self, name: str) -> bool:
        """Whether it is called so, in any case."""
        return self.name.lower() == name.lower()

    def walk(self) -> Iterator[Element]:
        """Itself and all below it, in document order."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += reversed(one.children)


class Soup(msgspec.Struct):
    """A document without a single root, and the mistakes in it that were mended."""

    children: list[Element]
    mended: list[str]


def parse(text: str, closes_itself: frozenset[str] = frozenset()) -> Soup:
    """Reads a document.

    An element of a name in ``closes_itself`` (lower case) ends where the next of the same name begins, should its
    end tag be missing.  Raises TagSoupError if nothing in the text looks like an element, or nests too deep.
    """
    reader = _Reader(text, closes_itself)
    reader.read()
    if not reader.root.children:
        raise TagSoupError("there is no element in it")
    return Soup(reader.root.children, reader.mended)


class _Reader:
    def __init__(self, text: str, closes_itself: frozenset[str]) -> None:
        self.text, self.at = text, 0
        self.counted, self.lines = 0, 1
        self.root = Element("", children=[])
        self.stack = [self.root]
        self.mended: list[str] = []
        # Elements of which every one is closed may lie in each other: then a second opening is meant.
        self.closes_itself = {
            name
            for name in closes_itself
            if len(re.findall(rf"<{name}\b(?![^<>]*/>)", text, re.IGNORECASE))
            != len(re.findall(rf"</{name}\b", text, re.IGNORECASE))
        }

    def read(self) -> None:
        while (start := self.text.find("<", self.at)) >= 0:
            self.stack[-1].text += unescape(self.text[self.at : start])
            self.at = start
            if self.text.startswith("<!--", start):
                self.skip("-->", "comment")
            elif self.text.startswith("<![CDATA[", start):
                end = self.text.find("]]>", start)
                self.stack[-1].text += self.text[start + 9 : end if end >= 0 else len(self.text)]
                self.skip("]]>", "CDATA section")
            elif self.text.startswith(("<?", "<!"), start):
                self.skip(">", "declaration")
            elif self.text.startswith("</", start):
                self.close()
            elif _NAME.match(self.text, start + 1):
                self.open()
            else:
                self.stack[-1].text += "<"
                self.at = start + 1
        for element in self.stack[1:]:
            self.mend(element.line, f"<{element.name}> is never closed")

    def skip(self, end: str, what: str) -> None:
        found = self.text.find(end, self.at + 2)
        if found < 0:
            self.mend(self.line(), f"a {what} is never closed")
        self.at = len(self.text) if found < 0 else found + len(end)

    def line(self) -> int:
        # From where it was asked last: a file of many elements is not counted through for each.
        self.lines += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.lines

    def mend(self, line: int, what: str) -> None:
        self.mended.append(f"line {line}: {what}")

    def open(self) -> None:
        line = self.line()
        found = _NAME.match(self.text, self.at + 1)
        assert found is not None
        element = Element(found[0], {}, [], "", line)
        self.at = found.end()
        ended = self.attributes(element)
        if element.name.lower() in self.closes_itself:
            self.close_twin(element)
        self.stack[-1].children.append(element)
        if not ended:
            self.stack.append(element)
            if len(self.stack) > DEEPEST:
                raise TagSoupError(f"elements lie in each other more than {DEEPEST} deep (line {line})")

    def close_twin(self, element: Element) -> None:
        """Ends an open element of the same name, and what lies open in it."""
        for depth in range(len(self.stack) - 1, 0, -1):
            if self.stack[depth].is_(element.name):
                self.mend(element.line, f"<{element.name}> begins before the one of line {self.stack[depth].line} ends")
                del self.stack[depth:]
                return

    def attributes(self, element: Element) -> bool:
        """Reads up to the end of the tag; says whether the element ends with it."""
        while True:
            while self.at < len(self.text) and self.text[self.at].isspace():
                self.at += 1
            if self.text.startswith("/>", self.at):
                self.at += 2
                return True
            if self.text.startswith(">", self.at):
                self.at += 1
                return False
            if self.at >= len(self.text) or self.text[self.at] == "<":
                # A tag without its end: it most likely was a short one, such as <Screen … />.
                self.mend(element.line, f"<{element.name}> lacks its >")
                return True
            found = _ATTRIBUTE.match(self.text, self.at)
            if found is None:  # a stray quote, slash or sign
                self.at += 1
                continue
            self.at = found.end()
            value = self.value(element) if found[2] else ""
            element.attributes.setdefault(found[1].lower(), unescape(value))

    def value(self, element: Element) -> str:
        """An attribute's value, quoted or not; where a closing quote is missing it ends at the next blank."""
        quote = self.text[self.at : self.at + 1]
        if quote in ('"', "'") and quote:
            end = self.text.find(quote, self.at + 1)
            inside = self.text[self.at + 1 : end] if end >= 0 else self.text[self.at + 1 :]
            # A quote that closes nothing takes in what follows, up to the quote that opens the next value.
            if end >= 0 and "<" not in inside and not re.search(r"\s[\w:.\-]+\s*=\s*$", inside):
                self.at = end + 1
                return inside
            self.mend(self.line(), f"a quote is missing in <{element.name}>")
            self.at += 1
        found = re.compile(r"(?:(?!/>)[^\s>\"'])*").match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        if self.text[self.at : self.at + 1] in ('"', "'"):
            self.at += 1  # only the opening quote was missing
        return found[0]

    def close(self) -> None:
        found = re.compile(r"</\s*([^\s<>/]*)[^<>]*>?").match(self.text, self.at)
        assert found is not None
        line = self.line()
        self.at = found.end()
        for depth in range(len(self.stack) - 1, 0, -1):
            if self.stack[depth].is_(found[1]):
                for lost in self.stack[depth + 1 :]:
                    self.mend(line, f"</{found[1]}> comes before <{lost.name}> of line {lost.line} is closed")
                del self.stack[depth:]
                return
        self.mend(line, f"</{found[1]}> closes nothing")


def unescape(text: str) -> str:
    """Entities with their semicolon become what they stand for; any other ``&`` stays."""

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        if not name.startswith("#"):
            return ENTITIES.get(name, found[0])
        code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        # Half of a surrogate pair is no letter, and could not be written.
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else found[0]

    return re.sub(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{1,8});", replaced, text)
