"""What ``cavecast wall`` says of a wall file that somebody brings: its facts, or its picture.

The file's text is foreign: it is bounded before it comes here, written to a folder of its own, and read by a child
process with a deadline.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec

from streamer.control import launcher
from streamer.control.schema import Problem
from streamer.control.scrutiny import Looks
from streamer.lifeline import Lifeline
from streamer.wire.walls import WALL_NAME, WallFacts

LONGEST_S = 60.0
MAX_TEXT = 64 << 10
"""Bytes of a wall file."""
FILE = "wall.toml"
MOST_TILES = 1024
"""Of a wall that is kept: a grid in a few words has thousands."""
MOST_WAIT = 64
"""So many may wait for their wall file to be looked at, or for a drawing."""
MOST_DRAWINGS = 64
"""So many are kept in memory, those that were asked for last."""


async def described(text: str, lifeline: Lifeline, turn: Looks) -> WallFacts:
    """The facts of a wall that can be kept.  Raises Problem with what is wrong with it.

    ``turn``: so many children look at walls at a time; some others wait, all others are refused.
    """
    async with turn:
        out = await _asked(["wall", "describe", FILE, "--json"], text, lifeline)
    try:
        facts = msgspec.json.decode(out, type=WallFacts)
    except msgspec.MsgspecError as why:
        raise Problem(500, f"cavecast wall describe printed what is no description: {why}") from None
    check(facts)
    return facts


class Drawings:
    """Drawings of walls, which whoever may look at a wall may ask for: one at a time, and each made once for a file."""

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline, self._turn = lifeline, Looks(1, MOST_WAIT, "drawings of walls")
        self._drawn: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def of(self, text: str, kind: Literal["svg", "png"]) -> bytes:
        """A drawing of the wall, as ``cavecast wall draw`` makes it.  Raises Problem, 429 if too many wait for one."""
        if (text, kind) not in self._drawn:
            async with self._turn:
                if (text, kind) not in self._drawn:  # nobody has asked for the same before
                    drawn = f"drawn.{kind}"
                    made = await _asked(["wall", "draw", FILE, "--out", drawn], text, self._lifeline, drawn)
                    self._drawn[text, kind] = made
                    if len(self._drawn) > MOST_DRAWINGS:
                        self._drawn.popitem(last=False)
        self._drawn.move_to_end((text, kind))
        return self._drawn[text, kind]


def check(wall: WallFacts) -> None:
    """Raises Problem if a wall cannot be kept, or not be shown."""
    if not re.fullmatch(WALL_NAME, wall.name):
        raise Problem(
            422, f"the file calls its wall {wall.name[:80]!r}: give it a name of at most 63 letters, digits, dots, "
            "hyphens and underscores, by which it can be asked for",
        )  # fmt: skip
    errors = [finding.sentence.rstrip(".") for finding in wall.findings if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more: cavecast wall check)" if len(errors) > 1 else ""
        first = f"{errors[0][:1].lower()}{errors[0][1:]}"
        raise Problem(422, f"wall {wall.name} would show a wrong picture or none: {first}{more}")
    if len(wall.tiles) > MOST_TILES:
        raise Problem(422, f"wall {wall.name} has {len(wall.tiles):,} outputs; {MOST_TILES:,} are allowed")
    for seat in wall.seats:
        if not (seat.name.isprintable() and 0 < len(seat.name) <= 253):
            raise Problem(422, f"wall {wall.name} has a node that is called {seat.name[:80]!r}: give it a plain name")


async def _asked(asked: list[str], text: str, lifeline: Lifeline, made: str = "") -> bytes:
    """What a command prints about a file, or the file that it makes.  Raises Problem."""
    if "\0" in text:
        raise Problem(422, "the wall file holds a NUL character, so it is no TOML")
    folder = await asyncio.to_thread(TemporaryDirectory, prefix="cavecast-wall.")
    try:
        path = Path(folder.name)
        await asyncio.to_thread((path / FILE).write_text, text, encoding="utf-8")
        whole = [str(path / word) if word in (FILE, made) and word else word for word in asked]
        try:
            code, out, err = await launcher.ask(whole, lifeline, LONGEST_S, LONGEST_S)
        except launcher.Silent as why:
            raise Problem(504, f"the wall file could not be looked at: {why}") from None
        said = [line.removeprefix("cavecast: ") for line in err.splitlines() if line.startswith("cavecast: ")]
        if code != 0 and not said:
            raise Problem(500, f"looking at the wall file ended with exit code {code}: {err.strip()[-300:]}")
        if code != 0:
            sentence = said[-1].replace(str(path / FILE), "the wall file").replace(str(path / "x")[:-1], "")
            raise Problem(501 if made and code == 2 else 422, sentence)
        return await asyncio.to_thread((path / made).read_bytes) if made else out
    finally:
        await asyncio.to_thread(folder.cleanup)
