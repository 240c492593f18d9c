"""The books: what the control plane must not forget, in a database (SQLAlchemy; SQLite, or PostgreSQL by URL).

A run is written down before anything of it is started, and again whenever its state changes, so that a control plane
that was killed at any moment finds all of its runs.  Each run belongs to a place: the folder that holds its log.
Two control planes may share a database and still never start each other's runs.

Calls block; ``streamer.control.desk`` makes them in a thread of its own.  Tables change by Alembic's migrations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)  # fmt: skip
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from streamer.control.booking import Booking
from streamer.control.runs import ENDED, Page, Run

BUSY_S = 5.0
"""So long SQLite waits for another writer."""
MIGRATING = 0xCA7ECA57
"""The advisory lock of PostgreSQL under which tables are changed."""
HEAD = "0001"
"""The migration that makes the tables what this module expects."""

_meta = MetaData()
_runs = Table(
    "runs", _meta,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False, unique=True),
    Column("place", String(64), nullable=False, index=True),
    Column("created", String(40), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("generation", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("booking", Text, nullable=False),
    Column("record", Text, nullable=False),
)  # fmt: skip
_keys = Table(
    "idempotency_keys", _meta,
    Column("place", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    UniqueConstraint("run_id", name="uq_idempotency_keys_run_id"),
)  # fmt: skip


class NoBooks(RuntimeError):
    """The database cannot be used now: which, and why."""

    exit_code = 1


class KeyTaken(ValueError):
    """An idempotency key that came with another request before."""


class Written(NamedTuple):
    """A run as the books have it."""

    booking: Booking
    record: Run


class Books:
    """The database at ``url``, for the runs of one place.  Raises NoBooks."""

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
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # ------------------------------------------------------------ runs

    def add(self, booking: Booking, record: Run, key: str | None = None, digest: str = "") -> Written | None:
        """Writes a run down; with a key that has come before, returns that run instead and writes nothing.

        Raises KeyTaken if the key came with another request (``digest``), NoBooks.
        """
        with self._at_work() as books:
            if key is not None and (known := self._known(books, key, digest)) is not None:
                return known
            books.execute(insert(_runs).values(
                run_id=booking.run_id, place=self._place, created=record.created, state=record.state,
                generation=record.generation, title=record.title, input=record.input, booking=_text(booking),
                record=_text(record),
            ))  # fmt: skip
            if key is not None:
                books.execute(insert(_keys).values(place=self._place, key=key, digest=digest, run_id=booking.run_id))
        return None

    def known(self, key: str, digest: str) -> Written | None:
        """The run that came with an idempotency key before, if one has.  Raises KeyTaken, NoBooks."""
        with self._at_work() as books:
            return self._known(books, key, digest)

    def put(self, records: Iterable[Run]) -> None:
        """How runs stand now; news from before something else was wanted of a run are left out.  Raises NoBooks."""
        with self._at_work() as books:
            for record in records:
                books.execute(
                    update(_runs)
                    .where(_runs.c.run_id == record.run_id, _runs.c.place == self._place)
                    .where(_runs.c.generation <= record.generation)
                    .values(state=record.state, generation=record.generation, record=_text(record))
                )

    def remove(self, run_id: str) -> bool:
        """Forgets a run; whether it was there.  Raises NoBooks."""
        with self._at_work() as books:
            books.execute(delete(_keys).where(_keys.c.run_id == run_id, _keys.c.place == self._place))
            gone = books.execute(delete(_runs).where(_runs.c.run_id == run_id, _runs.c.place == self._place))
            return gone.rowcount > 0

    def find(self, run_id: str) -> Written | None:
        """A run by its name.  Raises NoBooks."""
        with self._at_work() as books:
            return _written(books.execute(self._mine.where(_runs.c.run_id == run_id)).mappings().first())

    def unfinished(self) -> list[Written]:
        """The runs that had not ended when they were last written down, oldest first.  Raises NoBooks."""
        with self._at_work() as books:
            rows = books.execute(self._mine.where(_runs.c.state.not_in(ENDED)).order_by(_runs.c.number)).mappings()
            return [found for row in rows if (found := _written(row)) is not None]

    def ended(
        self,
        states: Collection[str],
        words: str,
        before: tuple[str, str] | None,
        limit: int,
        besides: Collection[str] = (),
    ) -> Page:
        """Runs that are over, as ``runs.page`` chooses them, without those named in ``besides``.  Raises NoBooks."""
        wanted = ENDED & set(states) if states else ENDED
        asked = select(_runs.c.record).where(_runs.c.place == self._place, _runs.c.state.in_(wanted))
        if besides:
            asked = asked.where(_runs.c.run_id.not_in(besides))
        if words:
            parts = (_runs.c.title, _runs.c.input, _runs.c.run_id)
            asked = asked.where(or_(*(part.icontains(words, autoescape=True) for part in parts)))
        if before is not None:
            at, run_id = before
            earlier = and_(_runs.c.created == at, _runs.c.run_id < run_id)
            asked = asked.where(or_(_runs.c.created < at, earlier))
        newest_first = asked.order_by(_runs.c.created.desc(), _runs.c.run_id.desc())
        with self._at_work() as books:
            rows = books.execute(newest_first.limit(limit + 1)).scalars().all()
        return Page([_record(text) for text in rows[:limit]], len(rows) > limit)

    # ------------------------------------------------------------ the database

    @property
    def _mine(self) -> Any:
        return select(_runs.c.booking, _runs.c.record).where(_runs.c.place == self._place)

    def _known(self, books: Connection, key: str, digest: str) -> Written | None:
        found = books.execute(
            select(_keys.c.digest, _keys.c.run_id).where(_keys.c.place == self._place, _keys.c.key == key)
        ).first()
        if found is None:
            return None
        if found.digest != digest:
            raise KeyTaken(
                f"the Idempotency-Key {key!r} came with another request before (run {found.run_id}): "
                "take a new key for a new run"
            )
        return _written(books.execute(self._mine.where(_runs.c.run_id == found.run_id)).mappings().first())

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[Connection]:
        """A transaction.  Whatever the database has against it becomes a sentence."""
        try:
            with self._engine.begin() as books:
                yield books
        except IntegrityError as why:
            raise NoBooks(f"the database {self._shown} holds something else already: {_first_line(why)}") from None
        except SQLAlchemyError as why:
            raise NoBooks(f"the database {self._shown} does not answer as it should: {_first_line(why)}") from None

    def _migrate(self) -> None:
        """Makes the tables what they have to be."""
        with self._at_work() as books:
            version = _version(books)
        if version == HEAD:
            return
        from alembic import command
        from alembic.config import Config
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        try:
            with self._at_work() as books:
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
        "options": "-c statement_timeout=10000 -c lock_timeout=5000",
    }
    return {"pool_size": 2, "max_overflow": 2, "pool_timeout": 10, "connect_args": deadlines}


def _careful(connection: Any, _: object) -> None:
    """A SQLite that keeps what it has committed, also through a power cut, and lets readers read meanwhile."""
    cursor = connection.cursor()
    for what in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {what}")
    cursor.close()


def _text(record: Booking | Run) -> str:
    return msgspec.json.encode(record).decode()


def _record(text: str) -> Run:
    try:
        return msgspec.json.decode(text, type=Run)
    except msgspec.MsgspecError as why:
        raise NoBooks(
            f"a run is written down in a form that this CaveCast does not read: {why}: {text[:80]}…"
        ) from None


def _written(row: RowMapping | None) -> Written | None:
    if row is None:
        return None
    record = _record(row["record"])
    try:
        return Written(msgspec.json.decode(row["booking"], type=Booking), record)
    except msgspec.MsgspecError as why:
        raise NoBooks(
            f"run {record.run_id} is written down in a form that this CaveCast does not read: {why}"
        ) from None


def _first_line(why: Exception) -> str:
    return (str(getattr(why, "orig", None) or why).splitlines() or [type(why).__name__])[0]
