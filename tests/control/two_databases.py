"""The books in each of the two databases that they may be in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from streamer.control.books import Books
from tests.control.postgresql import postgresql


@contextmanager
def books_in(kind: str, folder: Path) -> Iterator[Books]:
    """New books; ``kind``: sqlite, in a folder, or postgresql, with a server of its own."""
    where = postgresql() if kind == "postgresql" else nullcontext(f"sqlite:///{folder / 'books.db'}")
    with where as address, closing(Books(address, "here")) as books:
        yield books
