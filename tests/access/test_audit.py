"""The audit log from the command line and from a program, of a real control plane with accounts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from streamer.client import Client, Refused
from tests.access.parts import Plane, access_of, serving, token_of
from tests.control.parts import CAVECAST, DEADLINE_S, environment

NAMES = [f"machine-{n}" for n in range(5)]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """One where five tokens were made, and one was not."""
    folder = tmp_path_factory.mktemp("audit")
    with serving(access_of(folder), folder / "runs") as plane:
        with Client(plane.url, token_of("rivers-admin")) as admin:
            for name in NAMES:
                admin.make_token("rivers", name, "viewer")
        with Client(plane.url, token_of("rivers-viewer")) as viewer, pytest.raises(Refused):
            viewer.make_token("rivers", "mine", "viewer")
        yield plane


def audit(plane: Plane, who: str, *words: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [CAVECAST, "audit", "--server", plane.url, *words], env=environment(CAVECAST_TOKEN=token_of(who)),
        capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_it_is_a_table_for_people_and_a_document_for_programs(plane: Plane) -> None:
    said, _ = audit(plane, "rivers-admin")
    head, newest, *rest = said.splitlines()
    assert head.split() == ["time", "who", "what", "about", "project", "outcome", "from"]
    assert newest.split()[1:] == [
        "token:rivers-viewer", "make", "a", "token", "rivers", "refused", "(403)", "127.0.0.1",
    ]  # fmt: skip
    assert [line.split()[5] for line in rest] == NAMES[::-1]
    assert all(line.split()[-2:] == ["done", "127.0.0.1"] for line in rest)
    found = json.loads(audit(plane, "rivers-admin", "--json")[0])
    assert [one["about"] for one in found] == ["", *NAMES[::-1]]


def test_it_is_read_page_by_page(plane: Plane) -> None:
    said, _ = audit(plane, "rivers-admin", "--limit", "2")
    *_, older = said.splitlines()
    assert older.startswith("Older ones: cavecast audit --before ")
    number = older.split()[-1]
    found = json.loads(audit(plane, "rivers-admin", "--before", number, "--limit", "3", "--json")[0])
    assert [one["about"] for one in found] == NAMES[3:0:-1]
    assert "Older" not in audit(plane, "rivers-admin", "--before", str(found[-1]["number"]), "--limit", "2")[0]


def test_a_program_gets_as_many_as_it_wants(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(plane.url, token_of("rivers-admin")) as admin:
        asked: list[httpx.URL] = []
        monkeypatch.setattr("streamer.client.AUDIT_PAGE", 2)
        admin._http.event_hooks["request"].append(lambda request: asked.append(request.url))
        assert [one.about for one in admin.audit()] == ["", *NAMES[::-1]]
        assert len(asked) == 4, "the last page is empty: six entries are three pages of two"
        asked.clear()
        assert [one.about for one in admin.audit(limit=3)] == ["", *NAMES[:2:-1]]
        assert [url.params["limit"] for url in asked] == ["2", "1"]


def test_who_may_not_read_it_is_told_in_one_sentence(plane: Plane) -> None:
    _, complaint = audit(plane, "rivers-operator", code=1)
    assert complaint.startswith("cavecast: ")
    assert "takes the role admin" in complaint
    assert complaint.count("\n") == 1
    assert audit(plane, "clouds-admin")[0] == "There is nothing in the audit log that you may read.\n"
    assert audit(plane, "clouds-admin", "--json")[0] == "[]\n"


def test_a_name_from_elsewhere_cannot_speak_to_the_terminal() -> None:
    from streamer.run.audit import _plain

    assert (
        _plain("Ada \x1b]0;mine\x07 Lovelace")
        == "Ada \N{REPLACEMENT CHARACTER}]0;mine\N{REPLACEMENT CHARACTER} Lovelace"
    )
