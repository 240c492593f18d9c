"""Tokens, sessions and the audit log in the books, on SQLite and on a real PostgreSQL: all of it bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.control.access import ledger
from streamer.control.access.claims import Identity
from streamer.control.access.ledger import TooMany
from streamer.control.access.rules import AuditRules, SessionRules
from streamer.control.access.sessions import Session
from streamer.control.access.shown import AuditEntry
from streamer.control.access.tokens import Issued
from streamer.control.books import Books
from tests.control.two_databases import books_in

ADA = Identity("lab", "ada-1", "Ada \u00fc", "ada@example.org", ("a", "b"))


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    with books_in(request.param, tmp_path) as found:
        yield found


def issued(name: str, project: str = "rivers") -> Issued:
    return Issued(f"id-{project}-{name}", name, project, "viewer", f"print-{project}-{name}", "lab/ada-1", 1000.5, None)


def session(number: int, now: float, subject: str = "ada-1") -> Session:
    return Session(f"print-{number}", Identity("lab", subject, "Ada"), now, now)


def entry(project: str, about: str = "") -> AuditEntry:
    return AuditEntry(
        time="t", account="a", address="127.0.0.1", operation="o", project=project, about=about, status=200,
        outcome="done",
    )  # fmt: skip


def test_a_token_is_of_one_project_and_has_a_name_there(books: Books) -> None:
    one, other = issued("x"), issued("x", "clouds")
    ledger.add_token(books, one)
    ledger.add_token(books, other)
    with pytest.raises(TooMany, match="project rivers has a token x already"):
        ledger.add_token(books, one._replace(token_id="another"))
    assert ledger.tokens(books, "rivers") == [one]
    assert ledger.token(books, one.fingerprint) == one
    assert ledger.token(books, "guess") is None
    assert ledger.revoke(books, "clouds", one.token_id) is None, "nobody revokes another project's"
    assert ledger.revoke(books, "rivers", one.token_id) == one
    assert ledger.token(books, one.fingerprint) is None


def test_a_project_has_so_many_tokens(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MOST_TOKENS", 3)
    for name in "abc":
        ledger.add_token(books, issued(name))
    with pytest.raises(TooMany, match="has 3 tokens, which is the most: revoke some first"):
        ledger.add_token(books, issued("d"))


def test_a_session_is_found_while_it_is_used_and_its_use_is_written_now_and_then(books: Books) -> None:
    rules = SessionRules(idle_s=100, longest_s=1000)
    mine = Session("print", ADA, 0.0, 0.0)
    ledger.add_session(books, mine, rules)
    assert ledger.session(books, "print", rules, 50, 60) == mine
    assert ledger.session(books, "print", rules, 99, 60) == mine
    assert ledger.session(books, "print", rules, 198, 60) == mine._replace(seen=99.0), "99 was written down"
    assert ledger.session(books, "print", rules, 298, 60) is None
    assert ledger.session(books, "print", rules, 199, 60) is None, "it is gone for good"
    assert ledger.end_session(books, "print") is None


def test_sessions_are_bounded_by_account_by_time_and_in_all(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = SessionRules(idle_s=100, longest_s=1000, most=3)
    ledger.add_session(books, session(0, 0.0, "bob"), rules)
    for number in range(1, 6):
        ledger.add_session(books, session(number, float(number)), rules)
    found = [ledger.session(books, f"print-{number}", rules, 6, 1000) is not None for number in range(6)]
    assert found == [True, False, False, True, True, True]
    monkeypatch.setattr(ledger, "MOST_SESSIONS", 2)
    ledger.add_session(books, session(6, 6.0, "eve"), rules)
    found = [ledger.session(books, f"print-{number}", rules, 6, 1000) is not None for number in range(7)]
    assert found == [False] * 5 + [True, True]
    ledger.add_session(books, session(7, 500.0, "eve"), rules)
    assert ledger.end_sessions(books, "lab/ada-1") == 0, "it was over long ago"
    assert ledger.end_sessions(books, "lab/eve") == 1


def test_the_audit_log_is_read_by_project_and_page_and_bounded(books: Books) -> None:
    rules = AuditRules(rows=5, days=1)
    ledger.note(books, [(0.0, entry("rivers", "old"))], rules)
    ledger.note(
        books, [(90_000.0, entry("clouds" if number % 2 else "rivers", str(number))) for number in range(4)], rules
    )
    assert [one.about for one in ledger.audit(books, None, None, 99)] == ["3", "2", "1", "0"], "a day is over"
    assert [one.about for one in ledger.audit(books, ["rivers"], None, 99)] == ["2", "0"]
    assert ledger.audit(books, [], None, 99) == []
    first = ledger.audit(books, None, None, 2)
    assert [one.about for one in ledger.audit(books, None, first[-1].number, 2)] == ["1", "0"]
    for number in range(20):
        ledger.note(books, [(90_001.0, entry("", str(number)))], rules)
    assert [one.about for one in ledger.audit(books, None, None, 99)] == ["19", "18", "17", "16", "15"]
    ledger.note(books, [], rules)
