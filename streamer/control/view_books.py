"""The views of runs in the books: what those who look together see, and the tokens that let others in.

A view belongs to a run and goes with it.  Of a token its digest alone is kept, so that nobody who reads the books can
use one.  Functions of a ``Books``, to be called at the desk.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Connection, RowMapping, String, Table, Text, delete, func, insert, select
from sqlalchemy import update as updating

from streamer.control.books import Books
from streamer.control.database import NoBooks, metadata
from streamer.control.view_roles import Role
from streamer.control.wall_books import NotSo
from streamer.wire.viewing import View

MOST_VIEWS, MOST_TOKENS = 64, 64
"""Of a run; of a view."""

_views = Table(
    "views", metadata,
    Column("place", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
)  # fmt: skip
_tokens = Table(
    "view_tokens", metadata,
    Column("place", String(64), primary_key=True),
    Column("token_id", String(16), primary_key=True),
    Column("run_id", String(64), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("role", String(8), nullable=False),
    Column("created", String(40), nullable=False),
    Column("expires", String(40), nullable=False),
)  # fmt: skip


class Camera(msgspec.Struct, frozen=True):
    """An orbiting camera, in units of the scene's radius and radians."""

    azimuth: float = -0.55
    elevation: float = 0.5
    distance: float = 3.2
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)


class KeptView(msgspec.Struct, frozen=True, kw_only=True):
    """A view as it is kept."""

    run_id: str
    name: str
    shared: bool = True
    """Whether it is listed; a private one is for its owner, and for those who have a token of it."""
    owner: str = ""
    """The account that made it; empty on a server without accounts."""
    revision: int = 1
    view: View = View()
    camera: Camera = Camera()
    created: str
    changed: str


class TokenFacts(msgspec.Struct, frozen=True):
    """A token of a view, without its secret."""

    token_id: str
    role: Role
    created: str
    expires: str
    """ISO 8601, UTC."""


def every(books: Books, run_id: str) -> list[KeptView]:
    """The views of a run, by name.  Raises NoBooks."""
    with books.transaction() as line:
        rows = line.execute(
            select(_views).where(_views.c.place == books.place, _views.c.run_id == run_id).order_by(_views.c.name)
        ).mappings()
        return [_view(row) for row in rows]


def find(books: Books, run_id: str, name: str) -> KeptView | None:
    """A view.  Raises NoBooks."""
    with books.transaction() as line:
        row = line.execute(_one(books, run_id, name)).mappings().first()
        return None if row is None else _view(row)


def add(books: Books, view: KeptView, token: tuple[TokenFacts, str] | None = None) -> KeptView:
    """A new view, with its first token and the token's secret.  Raises NotSo (409), NoBooks."""
    with books.writing() as line:
        if line.execute(_one(books, view.run_id, view.name)).first() is not None:
            raise NotSo(409, f"run {view.run_id} has a view {view.name} already: give another name")
        many = select(func.count()).select_from(_views)
        held = line.execute(many.where(_views.c.place == books.place, _views.c.run_id == view.run_id)).scalar_one()
        if held >= MOST_VIEWS:
            raise NotSo(409, f"run {view.run_id} has {held} views, and room for {MOST_VIEWS}: remove one first")
        _insert(line, books, view)
        if token is not None:
            _add_token(line, books, view.run_id, view.name, *token)
    return view


def change(books: Books, before: KeptView, after: KeptView) -> KeptView | None:
    """Writes a view that was made of ``before``; None if that is not the newest any more.  Raises NoBooks."""
    written = msgspec.structs.replace(after, revision=before.revision + 1)
    with books.writing() as line:
        done = line.execute(
            updating(_views)
            .where(_views.c.place == books.place, _views.c.run_id == after.run_id, _views.c.name == after.name)
            .where(_views.c.revision == before.revision)
            .values(revision=written.revision, record=_text(written))
        )
        return written if done.rowcount else None


def note(books: Books, view: KeptView) -> None:
    """What a wall shows, in place of what was noted of it before.  Raises NoBooks."""
    with books.writing() as line:
        done = line.execute(
            updating(_views)
            .where(_views.c.place == books.place, _views.c.run_id == view.run_id, _views.c.name == view.name)
            .values(revision=_views.c.revision + 1, record=_text(view))
        )
        if not done.rowcount:
            _insert(line, books, view)


def remove(books: Books, run_id: str, name: str) -> bool:
    """Forgets a view with its tokens; whether it was there.  Raises NoBooks."""
    with books.writing() as line:
        for table in (_tokens, _views):
            mine = table.c.place == books.place, table.c.run_id == run_id, table.c.name == name
            gone = line.execute(delete(table).where(*mine))
        return gone.rowcount > 0


def remove_all(books: Books, run_id: str) -> None:
    """Forgets what a run had of views and tokens.  Raises NoBooks."""
    with books.writing() as line:
        for table in (_tokens, _views):
            line.execute(delete(table).where(table.c.place == books.place, table.c.run_id == run_id))


# ---------------------------------------------------------------- tokens


def add_token(books: Books, run_id: str, name: str, facts: TokenFacts, secret: str, now: str) -> None:
    """Takes note of a token; those that have expired are forgotten.  Raises NotSo (409), NoBooks."""
    with books.writing() as line:
        mine = _tokens.c.place == books.place, _tokens.c.run_id == run_id, _tokens.c.name == name
        line.execute(delete(_tokens).where(*mine, _tokens.c.expires <= now))
        held = line.execute(select(func.count()).select_from(_tokens).where(*mine)).scalar_one()
        if held >= MOST_TOKENS:
            raise NotSo(409, f"view {name} has {held} tokens, and room for {MOST_TOKENS}: revoke one first")
        _add_token(line, books, run_id, name, facts, secret)


def tokens(books: Books, run_id: str, name: str, now: str) -> list[TokenFacts]:
    """The tokens of a view that are good.  Raises NoBooks."""
    with books.transaction() as line:
        mine = _tokens.c.place == books.place, _tokens.c.run_id == run_id, _tokens.c.name == name
        rows = line.execute(select(_tokens).where(*mine, _tokens.c.expires > now).order_by(_tokens.c.created))
        return [TokenFacts(row.token_id, row.role, row.created, row.expires) for row in rows]


def role_of(books: Books, run_id: str, name: str, secret: str, now: str) -> Role | None:
    """What a token allows at a view; None if it is not one of its, or no longer good.  Raises NoBooks."""
    with books.transaction() as line:
        found: Role | None = line.execute(
            select(_tokens.c.role)
            .where(_tokens.c.place == books.place, _tokens.c.run_id == run_id, _tokens.c.name == name)
            .where(_tokens.c.digest == digest(secret), _tokens.c.expires > now)
        ).scalar()
        return found


def revoke(books: Books, run_id: str, name: str, token_id: str) -> bool:
    """Ends a token; whether it was there.  Raises NoBooks."""
    with books.writing() as line:
        mine = _tokens.c.place == books.place, _tokens.c.run_id == run_id, _tokens.c.name == name
        return line.execute(delete(_tokens).where(*mine, _tokens.c.token_id == token_id)).rowcount > 0


def digest(secret: str) -> str:
    """By which a token is known again.  Tokens are random and long: there is nothing to guess, so no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _one(books: Books, run_id: str, name: str) -> Any:
    return select(_views).where(_views.c.place == books.place, _views.c.run_id == run_id, _views.c.name == name)


def _insert(line: Connection, books: Books, view: KeptView) -> None:
    line.execute(insert(_views).values(
        place=books.place, run_id=view.run_id, name=view.name, revision=view.revision, record=_text(view),
    ))  # fmt: skip


def _add_token(line: Connection, books: Books, run_id: str, name: str, facts: TokenFacts, secret: str) -> None:
    line.execute(insert(_tokens).values(
        place=books.place, token_id=facts.token_id, run_id=run_id, name=name, digest=digest(secret),
        role=facts.role, created=facts.created, expires=facts.expires,
    ))  # fmt: skip


def _text(view: KeptView) -> str:
    return msgspec.json.encode(view).decode()


def _view(row: RowMapping) -> KeptView:
    try:
        found = msgspec.json.decode(row["record"], type=KeptView)
    except msgspec.MsgspecError as why:
        raise NoBooks(
            f"view {row['name']} of run {row['run_id']} is written down in a form that this CaveCast does not "
            f"read: {why}"
        ) from None
    return msgspec.structs.replace(found, revision=int(row["revision"]))
