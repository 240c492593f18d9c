"""What the books keep about who may: tokens, sessions and the audit log (SQLAlchemy).

Of secrets there are fingerprints only.  All control planes that share a database share these, unlike runs, which
belong to a place: who has signed in at one of them may ask another.  Everything is bounded: tokens by project,
sessions by account and by time, the audit log by rows and by age.  Calls block and raise NoBooks, as those of
``streamer.control.books`` do, and are made at the same desk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from streamer.control.access.claims import Identity
from streamer.control.access.people import Role
from streamer.control.access.rules import AuditRules, SessionRules
from streamer.control.access.sessions import Session, over
from streamer.control.access.shown import AuditEntry
from streamer.control.access.tokens import Issued
from streamer.control.books import Books
from streamer.control.database import NoBooks, metadata

MOST_TOKENS = 1000
"""Of one project."""
MOST_SESSIONS = 20_000
_number = BigInteger().with_variant(Integer, "sqlite")
_tokens = Table(
    "tokens", metadata,
    Column("token_id", String(32), primary_key=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("project", String(64), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("made_by", String(320), nullable=False),
    Column("created", Float(53), nullable=False),
    Column("expires", Float(53)),
)  # fmt: skip
_sessions = Table(
    "sessions", metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("account", String(320), nullable=False, index=True),
    Column("identity", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("seen", Float(53), nullable=False, index=True),
)  # fmt: skip
_audit = Table(
    "audit", metadata,
    Column("number", _number, primary_key=True, autoincrement=True),
    Column("at", Float(53), nullable=False, index=True),
    Column("project", String(64), nullable=False, index=True),
    Column("entry", Text, nullable=False),
)  # fmt: skip


class TooMany(ValueError):
    """More of something than are kept: which, and what to do."""


# ---------------------------------------------------------------- tokens


def add_token(books: Books, token: Issued) -> None:
    """Writes a token down.  Raises TooMany, NoBooks."""
    with books.transaction() as at:
        mine = at.execute(select(_tokens.c.name).where(_tokens.c.project == token.project)).scalars().all()
        if token.name in mine:
            raise TooMany(f"project {token.project} has a token {token.name} already: take another name, or revoke it")
        if len(mine) >= MOST_TOKENS:
            raise TooMany(f"project {token.project} has {len(mine)} tokens, which is the most: revoke some first")
        at.execute(insert(_tokens).values(**token._asdict()))


def tokens(books: Books, project: str) -> list[Issued]:
    """A project's tokens, oldest first."""
    with books.transaction() as at:
        rows = at.execute(_issued.where(_tokens.c.project == project).order_by(_tokens.c.created, _tokens.c.token_id))
        return [_token(row) for row in rows]


def token(books: Books, fingerprint: str) -> Issued | None:
    """The token with a fingerprint."""
    with books.transaction() as at:
        row = at.execute(_issued.where(_tokens.c.fingerprint == fingerprint)).first()
        return None if row is None else _token(row)


def revoke(books: Books, project: str, token_id: str) -> Issued | None:
    """Lets a token open nothing any more; which it was, None if there is none."""
    mine = (_tokens.c.project == project, _tokens.c.token_id == token_id)
    with books.transaction() as at:
        row = at.execute(_issued.where(*mine)).first()
        at.execute(delete(_tokens).where(*mine))
        return None if row is None else _token(row)


_issued = select(
    _tokens.c.token_id, _tokens.c.name, _tokens.c.project, _tokens.c.role, _tokens.c.fingerprint, _tokens.c.made_by,
    _tokens.c.created, _tokens.c.expires,
)  # fmt: skip


def _token(row: Any) -> Issued:
    return Issued(
        row.token_id, row.name, row.project, cast("Role", row.role), row.fingerprint, row.made_by, row.created,
        row.expires,
    )  # fmt: skip


# ---------------------------------------------------------------- sessions


def add_session(books: Books, session: Session, rules: SessionRules) -> None:
    """Writes a session down; the account's oldest ones end where there are too many, and all that are over are gone."""
    account, now = session.identity.account, session.created
    with books.transaction() as at:
        gone = or_(_sessions.c.seen <= now - rules.idle_s, _sessions.c.created <= now - rules.longest_s)
        at.execute(delete(_sessions).where(gone))
        for whose, most in ((_sessions.c.account == account, rules.most), (None, MOST_SESSIONS)):
            oldest = select(_sessions.c.fingerprint).order_by(_sessions.c.seen.desc()).offset(most - 1)
            old = at.execute(oldest if whose is None else oldest.where(whose)).scalars().all()
            if old:
                at.execute(delete(_sessions).where(_sessions.c.fingerprint.in_(old)))
        at.execute(insert(_sessions).values(
            fingerprint=session.fingerprint, account=account, identity=msgspec.json.encode(session.identity).decode(),
            created=session.created, seen=session.seen,
        ))  # fmt: skip


def session(books: Books, fingerprint: str, rules: SessionRules, now: float, seen_every_s: float) -> Session | None:
    """The session with a fingerprint, if it is not over; that it is used is written down now and then."""
    with books.transaction() as at:
        row = at.execute(select(_sessions).where(_sessions.c.fingerprint == fingerprint)).first()
        if row is None:
            return None
        try:
            identity = msgspec.json.decode(row.identity, type=Identity)
        except msgspec.MsgspecError:
            raise NoBooks("a session is written down in a form that this CaveCast does not read") from None
        found = Session(row.fingerprint, identity, row.created, row.seen)
        mine = _sessions.c.fingerprint == fingerprint
        if over(found, rules, now):
            at.execute(delete(_sessions).where(mine))
            return None
        if now - found.seen >= seen_every_s:
            at.execute(update(_sessions).where(mine).values(seen=now))
        return found


def end_session(books: Books, fingerprint: str) -> Identity | None:
    """Ends a session; whose it was."""
    mine = _sessions.c.fingerprint == fingerprint
    with books.transaction() as at:
        text = at.execute(select(_sessions.c.identity).where(mine)).scalar()
        at.execute(delete(_sessions).where(mine))
        return None if text is None else msgspec.json.decode(text, type=Identity)


def end_sessions(books: Books, account: str) -> int:
    """Ends all sessions of an account; how many there were."""
    with books.transaction() as at:
        return at.execute(delete(_sessions).where(_sessions.c.account == account)).rowcount


# ---------------------------------------------------------------- the audit log


def note(books: Books, entries: Sequence[tuple[float, AuditEntry]], rules: AuditRules) -> None:
    """Writes down what has happened, each with its time in seconds since 1970, and lets go of what is too old."""
    with books.transaction() as at:
        for when, entry in entries:
            at.execute(insert(_audit).values(at=when, project=entry.project, entry=msgspec.json.encode(entry).decode()))
        if not entries:
            return
        newest = at.execute(select(func.max(_audit.c.number))).scalar() or 0
        at.execute(delete(_audit).where(_audit.c.number <= newest - rules.rows))
        at.execute(delete(_audit).where(_audit.c.at < max(when for when, _ in entries) - rules.days * 86400))


def audit(books: Books, projects: Collection[str] | None, before: int | None, limit: int) -> list[AuditEntry]:
    """What has happened in some projects (None: all, and the server itself), newest first, before a number."""
    asked = select(_audit.c.number, _audit.c.entry).order_by(_audit.c.number.desc()).limit(limit)
    if projects is not None:
        asked = asked.where(_audit.c.project.in_(projects))
    if before is not None:
        asked = asked.where(_audit.c.number < before)
    with books.transaction() as at:
        rows = at.execute(asked).all()
    return [msgspec.structs.replace(msgspec.json.decode(row.entry, type=AuditEntry), number=row.number) for row in rows]
