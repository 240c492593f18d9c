"""The walls that people have put there, in the books: the file's text, and the facts that were found in it.

Functions of a ``Books``, to be called at the desk.  Whatever is written is written under a generation, so that two
people do not undo each other's changes unawares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Column, RowMapping, String, Table, Text, delete, func, insert, select, update

from streamer.control.books import Books
from streamer.control.database import NoBooks, metadata
from streamer.wire.walls import WallFacts

MOST_WALLS = 200
"""Of one place."""

_walls = Table(
    "walls", metadata,
    Column("place", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("created", String(40), nullable=False),
    Column("changed", String(40), nullable=False),
)  # fmt: skip


class WallFile(msgspec.Struct, frozen=True):
    """A wall file that is kept."""

    name: str
    text: str
    """TOML."""
    facts: WallFacts
    generation: int
    """Grows with each change; the ETag."""
    created: str
    changed: str


class NotSo(ValueError):
    """It cannot be written: the HTTP status that says so, and why, in a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class WallLine(NamedTuple):
    """A wall in a list."""

    name: str
    title: str
    generation: int
    changed: str
    nodes: int
    tiles: int
    screens: int
    megapixels: float


def every(books: Books) -> list[WallLine]:
    """All walls, by name.  Raises NoBooks."""
    with books.transaction() as line:
        rows = line.execute(select(_walls).where(_walls.c.place == books.place).order_by(_walls.c.name)).mappings()
        return [_line(_file(row)) for row in rows]


def names(books: Books) -> list[str]:
    """The names of all walls.  Raises NoBooks."""
    with books.transaction() as line:
        mine = select(_walls.c.name).where(_walls.c.place == books.place).order_by(_walls.c.name)
        return list(line.execute(mine).scalars())


def find(books: Books, name: str) -> WallFile | None:
    """A wall.  Raises NoBooks."""
    with books.transaction() as line:
        row = line.execute(_one(books, name)).mappings().first()
        return None if row is None else _file(row)


def put(
    books: Books, text: str, facts: WallFacts, now: str, generation: int | None = None, *, fresh: bool = False
) -> WallFile:
    """Writes a wall under the name that its file has; ``fresh``: only if there is none yet.

    Raises NotSo: 409 if it is there (``fresh``) or there are too many, 412 if it is not of that ``generation``.
    """
    name = facts.name
    with books.writing() as line:
        row = line.execute(_one(books, name).with_for_update()).mappings().first()
        _check(name, None if row is None else int(row["generation"]), generation)
        if row is not None:
            if fresh:
                raise NotSo(409, f"there is a wall {name} already: change it with PUT, or give the file another name")
            after = WallFile(name, text, facts, int(row["generation"]) + 1, str(row["created"]), now)
            values = {"generation": after.generation, "text": text, "facts": _text(facts), "changed": now}
            line.execute(update(_walls).where(_walls.c.place == books.place, _walls.c.name == name).values(**values))
            return after
        held = line.execute(select(func.count()).select_from(_walls).where(_walls.c.place == books.place)).scalar_one()
        if held >= MOST_WALLS:
            raise NotSo(409, f"{held} walls are kept, and there is room for {MOST_WALLS}: remove one first")
        made = WallFile(name, text, facts, 1, now, now)
        line.execute(insert(_walls).values(
            place=books.place, name=name, generation=1, text=text, facts=_text(facts), created=now, changed=now,
        ))  # fmt: skip
        return made


def remove(books: Books, name: str, generation: int | None = None) -> bool:
    """Forgets a wall; whether it was there.  Raises NotSo (412), NoBooks."""
    with books.writing() as line:
        row = line.execute(_one(books, name).with_for_update()).mappings().first()
        if row is None:
            return False
        _check(name, int(row["generation"]), generation)
        line.execute(delete(_walls).where(_walls.c.place == books.place, _walls.c.name == name))
        return True


def _one(books: Books, name: str) -> Any:
    return select(_walls).where(_walls.c.place == books.place, _walls.c.name == name)


def _check(name: str, there: int | None, wanted: int | None) -> None:
    if wanted is not None and wanted != there:
        how = f"is of generation {there}" if there is not None else "is not there any more"
        raise NotSo(412, f"wall {name} {how}, not {wanted}: somebody else has changed it; look at it again")


def _line(wall: WallFile) -> WallLine:
    facts = wall.facts
    return WallLine(
        wall.name, facts.title, wall.generation, wall.changed, len(facts.seats), len(facts.tiles), facts.screens,
        facts.megapixels,
    )  # fmt: skip


def _text(facts: WallFacts) -> str:
    return msgspec.json.encode(facts).decode()


def _file(row: RowMapping) -> WallFile:
    try:
        facts = msgspec.json.decode(row["facts"], type=WallFacts)
    except msgspec.MsgspecError as why:
        raise NoBooks(f"wall {row['name']} is written down in a form that this CaveCast does not read: {why}") from None
    return WallFile(row["name"], row["text"], facts, int(row["generation"]), row["created"], row["changed"])
