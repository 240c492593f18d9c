"""The books: what the control plane must not forget of its runs, in a database.

A run is written down before anything of it is started, and again whenever its state changes, so that a control plane
that was killed at any moment finds all of its runs.  Each run belongs to a place: the folder that holds its log.
Two control planes may share a database and still never start each other's runs.

Calls block; ``streamer.control.desk`` makes them in a thread of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)  # fmt: skip

from streamer.control.access.people import DEFAULT
from streamer.control.booking import Booking
from streamer.control.database import Database, NoBooks, metadata
from streamer.control.runs import ENDED, Page, Run
from streamer.control.usage import Series

_runs = Table(
    "runs", metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False, unique=True),
    Column("place", String(64), nullable=False, index=True),
    Column("project", String(64), nullable=False, index=True, server_default=DEFAULT),
    Column("created", String(40), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("generation", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("booking", Text, nullable=False),
    Column("record", Text, nullable=False),
)  # fmt: skip
_keys = Table(
    "idempotency_keys", metadata,
    Column("place", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    UniqueConstraint("run_id", name="uq_idempotency_keys_run_id"),
)  # fmt: skip
_samples = Table(
    "samples", metadata,
    Column("run_id", String(64), primary_key=True),
    Column("role", String(32), primary_key=True),
    Column("place", String(64), nullable=False),
    Column("series", Text, nullable=False),
)  # fmt: skip


class KeyTaken(ValueError):
    """An idempotency key that came with another request before."""


class Written(NamedTuple):
    """A run as the books have it."""

    booking: Booking
    record: Run


class Books(Database):
    """What is written of the runs of one place, in the database at ``url``.  Raises NoBooks.

    Who opens it last writes of that place: whoever had it open before is refused from then on.
    """

    def add(
        self,
        booking: Booking,
        record: Run,
        key: str | None = None,
        digest: str = "",
        roles: Mapping[str, Series] | None = None,
    ) -> Written | None:
        """Writes a run down; with a key that has come before, returns that run instead and writes nothing.

        ``roles`` are the samples that there are already.

        Raises KeyTaken if the key came with another request (``digest``), NoBooks.
        """
        with self.writing() as books:
            if key is not None and (known := self._known(books, booking.project, key, digest)) is not None:
                return known
            books.execute(insert(_runs).values(
                run_id=booking.run_id, place=self._place, project=booking.project, created=record.created,
                state=record.state, generation=record.generation, title=record.title, input=record.input,
                booking=_text(booking), record=_text(record),
            ))  # fmt: skip
            if key is not None:
                own = _key_of(booking.project, key)
                books.execute(insert(_keys).values(place=self._place, key=own, digest=digest, run_id=booking.run_id))
            self._put_usage(books, booking.run_id, roles or {})
        return None

    def known(self, project: str, key: str, digest: str) -> Written | None:
        """The run of a project that came with an idempotency key before, if one has.  Raises KeyTaken, NoBooks."""
        with self.transaction() as books:
            return self._known(books, project, key, digest)

    def put(self, records: Iterable[Run]) -> None:
        """How runs stand now; news from before something else was wanted of a run are left out.  Raises NoBooks."""
        with self.writing() as books:
            for record in records:
                books.execute(
                    update(_runs)
                    .where(_runs.c.run_id == record.run_id, _runs.c.place == self._place)
                    .where(_runs.c.generation <= record.generation)
                    .values(state=record.state, generation=record.generation, record=_text(record))
                )

    def begin(self, record: Run) -> bool:
        """A run that waited begins; False if it does not wait any more, and nothing is written.  Raises NoBooks."""
        with self.writing() as books:
            begun = books.execute(
                update(_runs)
                .where(_runs.c.run_id == record.run_id, _runs.c.place == self._place, _runs.c.state == "queued")
                .values(state=record.state, generation=record.generation, record=_text(record))
            )
            return begun.rowcount > 0

    def remove(self, run_id: str) -> bool:
        """Forgets a run; whether it was there.  Raises NoBooks."""
        with self.writing() as books:
            for table in (_keys, _samples):
                books.execute(delete(table).where(table.c.run_id == run_id, table.c.place == self._place))
            gone = books.execute(delete(_runs).where(_runs.c.run_id == run_id, _runs.c.place == self._place))
            return gone.rowcount > 0

    def find(self, run_id: str) -> Written | None:
        """A run by its name.  Raises NoBooks."""
        with self.transaction() as books:
            return _written(books.execute(self._mine.where(_runs.c.run_id == run_id)).mappings().first())

    def put_usage(self, run_id: str, roles: Mapping[str, Series]) -> None:
        """What the parts of a run have used, in place of what was written before.  Raises NoBooks."""
        with self.writing() as books:
            mine = select(_runs.c.run_id).where(_runs.c.run_id == run_id, _runs.c.place == self._place)
            if books.execute(mine).first() is None:
                return  # it was removed meanwhile
            self._put_usage(books, run_id, roles)

    def usage(self, run_id: str) -> dict[str, Series]:
        """What the parts of a run have used, by role.  Raises NoBooks."""
        asked = select(_samples.c.role, _samples.c.series).where(
            _samples.c.run_id == run_id, _samples.c.place == self._place
        )
        with self.transaction() as books:
            rows = books.execute(asked).all()
        try:
            return {row.role: msgspec.json.decode(row.series, type=Series) for row in rows}
        except msgspec.MsgspecError as why:
            raise NoBooks(
                f"the samples of run {run_id} are in a form that this CaveCast does not read: {why}"
            ) from None

    def unfinished(self) -> list[Written]:
        """The runs that had not ended when they were last written down, oldest first.  Raises NoBooks."""
        with self.transaction() as books:
            rows = books.execute(self._mine.where(_runs.c.state.not_in(ENDED)).order_by(_runs.c.number)).mappings()
            return [found for row in rows if (found := _written(row)) is not None]

    def ended(
        self,
        states: Collection[str],
        words: str,
        before: tuple[str, str] | None,
        limit: int,
        besides: Collection[str] = (),
        projects: Collection[str] | None = None,
    ) -> Page:
        """Runs that are over, as ``runs.page`` chooses them, without those named in ``besides``; only of some projects
        (None: all).  Raises NoBooks."""
        wanted = ENDED & set(states) if states else ENDED
        asked = select(_runs.c.record).where(_runs.c.place == self._place, _runs.c.state.in_(wanted))
        if projects is not None:
            asked = asked.where(_runs.c.project.in_(projects))
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
        with self.transaction() as books:
            rows = books.execute(newest_first.limit(limit + 1)).scalars().all()
        return Page([_record(text) for text in rows[:limit]], len(rows) > limit)

    # ------------------------------------------------------------ inside

    @property
    def _mine(self) -> Any:
        return select(_runs.c.booking, _runs.c.record).where(_runs.c.place == self._place)

    def _put_usage(self, books: Connection, run_id: str, roles: Mapping[str, Series]) -> None:
        for role, series in roles.items():
            books.execute(delete(_samples).where(_samples.c.run_id == run_id, _samples.c.role == role))
            books.execute(insert(_samples).values(run_id=run_id, role=role, place=self._place, series=_text(series)))

    def _known(self, books: Connection, project: str, key: str, digest: str) -> Written | None:
        mine = (_keys.c.place == self._place, _keys.c.key == _key_of(project, key))
        found = books.execute(select(_keys.c.digest, _keys.c.run_id).where(*mine)).first()
        if found is None:
            return None
        if found.digest != digest:
            raise KeyTaken(
                f"the Idempotency-Key {key!r} came with another request before (run {found.run_id}): "
                "take a new key for a new run"
            )
        return _written(books.execute(self._mine.where(_runs.c.run_id == found.run_id)).mappings().first())


def _key_of(project: str, key: str) -> str:
    """A key as it is kept: one project's is not another's."""
    return hashlib.sha256(f"{project}\n{key}".encode()).hexdigest()


def _text(record: Booking | Run | Series) -> str:
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
