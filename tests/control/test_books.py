"""The books, on SQLite and on a real PostgreSQL: what is written is found, and what is wrong is said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from streamer.control import booking, books, runs
from streamer.control.access import ledger  # noqa: F401  its tables are among those that are compared
from streamer.control.booking import Booking, Inspection
from streamer.control.books import Books, KeyTaken
from streamer.control.database import NoBooks, metadata
from streamer.control.runs import Run
from streamer.control.schema import RunRequest
from streamer.wire.volume import Source
from tests.streamer.runs import spec_of

SPEC = spec_of()


def booked(run_id: str, created: str = "2026-01-01T00:00:00+00:00", words: str = "blobs") -> tuple[Booking, Run]:
    found = Inspection(Source("npy", f"/data/{words}.npy"), SPEC.volume, SPEC.grid)
    one = booking.book(RunRequest(input=f"/data/{words}.npy", view=False), found, 2, run_id, created)
    return one, booking.record(one)


def ended(record: Run, state: runs.State = "complete") -> Run:
    return msgspec.structs.replace(record, state=state)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'books.db'}"
        return
    from tests.control.postgresql import postgresql

    with postgresql() as address:
        yield address


def test_what_is_written_is_found_again_by_its_own_place_only(url: str) -> None:
    mine, other = Books(url, "here"), Books(url, "there")
    one, record = booked("r-1")
    assert mine.add(one, record) is None
    assert mine.unfinished() == [books.Written(one, record)]
    assert other.unfinished() == []
    assert other.find("r-1") is None
    assert not other.remove("r-1")
    other.put([ended(record)])
    assert mine.unfinished() == [books.Written(one, record)], "nobody else's business"
    mine.put([ended(record)])
    assert mine.unfinished() == []
    assert mine.find("r-1") == books.Written(one, ended(record))
    with pytest.raises(NoBooks, match="holds something else already"):
        mine.add(one, record)
    assert mine.remove("r-1")
    assert mine.find("r-1") is None
    for each in (mine, other):
        each.close()


def test_news_from_before_a_wish_do_not_undo_it(url: str) -> None:
    mine = Books(url, "here")
    one, record = booked("r-1")
    mine.add(one, record)
    wanted = runs.wanted(record, paused=True)
    mine.put([wanted])
    mine.put([msgspec.structs.replace(record, state="running")])
    assert mine.find("r-1") == books.Written(one, wanted)
    mine.put([msgspec.structs.replace(wanted, state="paused")])
    found = mine.find("r-1")
    assert found is not None
    assert (found.record.state, found.record.paused) == ("paused", True)
    mine.close()


def test_a_record_of_another_form_is_said_to_be_one(tmp_path: Path) -> None:
    mine = Books(f"sqlite:///{tmp_path / 'books.db'}", "here")
    one, record = booked("r-1")
    mine.add(one, record)
    with sqlite3.connect(tmp_path / "books.db") as raw:
        raw.execute("UPDATE runs SET booking = '{}'")
    raw.close()
    with pytest.raises(NoBooks, match="run r-1 is written down in a form that this CaveCast does not read"):
        mine.unfinished()
    mine.close()


def test_a_key_stands_for_one_request(url: str) -> None:
    mine = Books(url, "here")
    one, record = booked("r-1")
    assert mine.known("default", "k", "abc") is None
    assert mine.add(one, record, "k", "abc") is None
    two, second = booked("r-2")
    assert mine.add(two, second, "k", "abc") == books.Written(one, record)
    assert mine.find("r-2") is None, "nothing was written"
    with pytest.raises(KeyTaken, match="came with another request before \\(run r-1\\)"):
        mine.known("default", "k", "xyz")
    mine.remove("r-1")
    assert mine.known("default", "k", "xyz") is None
    mine.close()


def test_runs_that_are_over_are_listed_newest_first(url: str) -> None:
    mine = Books(url, "here")
    for number in range(5):
        one, record = booked(
            f"r-{number}", f"2026-01-0{min(number, 3) + 1}T00:00:00+00:00", "a_b%" if number == 1 else "x"
        )
        mine.add(one, record)
        mine.put([ended(record, "failed" if number == 2 else "complete")] if number else [])

    def names(*states: runs.State, words: str = "", before: tuple[str, str] | None = None, limit: int = 9) -> list[str]:
        return [run.run_id for run in mine.ended(states, words, before, limit, ["r-9"]).runs]

    assert names() == ["r-4", "r-3", "r-2", "r-1"], "r-0 has not ended"
    assert names("failed") == ["r-2"]
    assert names("running") == []
    assert names(words="A_B%") == ["r-1"]
    assert names(words="_") == ["r-1"], "signs with a meaning for the database have none here"
    assert names(before=("2026-01-04T00:00:00+00:00", "r-4")) == ["r-3", "r-2", "r-1"]
    assert mine.ended((), "", None, 2).more
    assert not mine.ended((), "", None, 4).more
    mine.close()


def test_the_migrations_make_the_tables_that_are_used(url: str) -> None:
    Books(url, "here").close()
    assert {"tokens", "sessions", "audit"} <= set(metadata.tables)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_runs_from_before_there_were_projects_are_found_with_their_keys(url: str) -> None:
    """A database as version 0001 has left it: the same request with the same key still starts nothing twice."""
    one, record = booked("r-1")
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(books.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO runs (run_id, place, created, state, generation, title, input, booking, record) "
                "VALUES ('r-1', 'here', :created, 'starting', 1, 't', 'i', :booking, :record)"
            ),
            {
                "created": record.created,
                "booking": msgspec.json.encode(one).decode(),
                "record": msgspec.json.encode(record).decode(),
            },
        )
        connection.execute(text("INSERT INTO idempotency_keys VALUES ('here', 'monday', 'abc', 'r-1')"))
    engine.dispose()
    mine = Books(url, "here")
    assert mine.known("default", "monday", "abc") == books.Written(one, record)
    assert mine.known("rivers", "monday", "abc") is None
    mine.put([ended(record)])
    assert [run.run_id for run in mine.ended((), "", None, 9, projects=["default"]).runs] == ["r-1"]
    assert mine.ended((), "", None, 9, projects=["rivers"]).runs == []
    mine.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'books.db'}"
    Books(url, "here").close()
    with sqlite3.connect(tmp_path / "books.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(NoBooks, match="is of version 9999, which this CaveCast does not know"):
        Books(url, "here")
