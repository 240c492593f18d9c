"""The database of the control plane (SQLAlchemy; SQLite, or PostgreSQL by URL), and who may write in it.

Two control planes may share a database: each opens it for a place, and who opens a place last writes of it.  Tables
change by Alembic's migrations when the database is opened; whatever it has against a question becomes a sentence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)  # fmt: skip
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

BUSY_S = 5.0
"""So long SQLite waits for another writer."""
MIGRATING = 0xCA7ECA57
"""The advisory lock of PostgreSQL under which tables are changed."""
HEAD = "0004"
"""The migration that makes the tables what the books expect."""

metadata = MetaData()
"""Of all tables; those about who may are in ``access.ledger``."""
_terms = Table(
    "terms", metadata,
    Column("place", String(64), primary_key=True),
    Column("term", BigInteger, nullable=False),
)  # fmt: skip


class NoBooks(RuntimeError):
    """The database cannot be used now: which, and why."""

    exit_code = 1


class Database:
    """The database at ``url``, for one place.  Raises NoBooks.

    Who opens it last writes of that place: whoever had it open before is refused from then on.
    """

    def __init__(self, url: str, place: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise NoBooks(
                "the setting database is no URL: sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME"
            ) from None
        self._place, self._shown = place, parsed.render_as_string(hide_password=True)
        lite = parsed.get_backend_name() == "sqlite"
        try:
            self._engine: Engine = create_engine(parsed, pool_pre_ping=not lite, **_how(lite))
        except (SQLAlchemyError, ImportError) as why:
            raise NoBooks(f"the database {self._shown} cannot be used: {why}") from None
        if lite:
            event.listen(self._engine, "connect", _careful)
        try:
            self._migrate()
            self._term = self._take_over()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @property
    def place(self) -> str:
        """Whose books these are."""
        return self._place

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction.  Whatever the database has against it becomes a sentence: raises NoBooks."""
        try:
            with self._engine.begin() as books:
                yield books
        except IntegrityError as why:
            raise NoBooks(f"the database {self._shown} holds something else already: {_first_line(why)}") from None
        except SQLAlchemyError as why:
            raise NoBooks(f"the database {self._shown} does not answer as it should: {_first_line(why)}") from None

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes something: of who writes of this place.  Nobody takes over while it lasts.

        Raises NoBooks, also if another control plane has taken over the place.
        """
        with self.transaction() as books:
            mine = select(_terms.c.term).where(_terms.c.place == self._place).with_for_update(read=True)
            if books.execute(mine).scalar() != self._term:
                raise NoBooks(
                    "another control plane has taken over the runs of this folder: this one writes nothing any more"
                )
            yield books

    def _take_over(self) -> int:
        """Begins a term, which ends all others of this place; waits for those who are writing still."""
        with self.transaction() as books:
            mine = _terms.c.place == self._place
            last = books.execute(select(_terms.c.term).where(mine).with_for_update()).scalar()
            if last is None:
                books.execute(insert(_terms).values(place=self._place, term=1))
                return 1
            books.execute(update(_terms).where(mine).values(term=last + 1))
            return int(last) + 1

    def _migrate(self) -> None:
        """Makes the tables what they have to be."""
        with self.transaction() as books:
            version = _version(books)
        if version == HEAD:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        try:
            with self.transaction() as books:
                if books.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                    books.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
                version = _version(books)  # somebody else may have done it by now
                config.attributes["connection"] = books
                command.upgrade(config, "head")
        except CommandError as why:
            raise NoBooks(
                f"the database {self._shown} is of version {version}, which this CaveCast does not know: "
                f"it was made by a newer one; use that, or another database ({why})"
            ) from None


def _version(books: Connection) -> str | None:
    if not inspect(books).has_table("alembic_version"):
        return None
    found: str | None = books.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _how(lite: bool) -> dict[str, Any]:
    if lite:
        return {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}
    deadlines = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=10000",
    }
    return {"pool_size": 2, "max_overflow": 2, "pool_timeout": 10, "connect_args": deadlines}


def _careful(connection: Any, _: object) -> None:
    """A SQLite that keeps what it has committed, also through a power cut, and lets readers read meanwhile."""
    cursor = connection.cursor()
    for what in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {what}")
    cursor.close()


def _first_line(why: Exception) -> str:
    return (str(getattr(why, "orig", None) or why).splitlines() or [type(why).__name__])[0]
