"""Who may no longer do in a shared view what they might when they came is let go, on a line that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from streamer.control.permits import barred
from streamer.control.schema import Problem
from streamer.control.view_roles import Role
from tests.control.parts import DEADLINE_S, consume, control_plane, start, volume


def told(*answers: Role | Problem, held: Role, every_s: float = 0.0) -> tuple[str, int]:
    """What somebody hears who is asked about again and again, and how many answers that took."""
    left = list(answers)

    async def ask() -> Role:
        found = left.pop(0)
        if isinstance(found, Problem):
            raise found
        return found

    async def story() -> str:
        return await asyncio.wait_for(barred(ask, held, asyncio.Event(), every_s), DEADLINE_S)

    return asyncio.run(story()), len(answers) - len(left)


def test_a_token_that_has_run_out_and_a_lesser_role_end_a_line_and_nothing_else_does() -> None:
    away, over = Problem(503, "the database is away"), Problem(403, "not good any more")
    assert told("lead", away, "lead", over, "lead", held="lead") == ("not good any more", 4)
    assert (
        told("lead", "follow", "look", held="follow")[0]
        == "you may no longer follow this view, but look it: come again"
    )
    assert told("follow", Problem(404, "run r has no view talk"), held="look") == ("run r has no view talk", 2)


def test_it_is_asked_at_once_when_something_was_revoked() -> None:
    async def story() -> str:
        again = asyncio.Event()

        async def ask() -> Role:
            return "look"

        asking = asyncio.create_task(barred(ask, "lead", again, every_s=3600))
        again.set()
        return await asyncio.wait_for(asking, DEADLINE_S)

    assert "come again" in asyncio.run(story())


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with control_plane() as (client, _):
        yield client


@pytest.mark.parametrize("how", ["tokens/{token_id}", ""], ids=["the token is revoked", "the view is removed"])
def test_who_leads_with_a_token_leads_no_more_once_it_is_revoked(
    client: httpx.Client, tmp_path: Path, how: str
) -> None:
    wish = {"threshold": 0.55, "chunk": [2, 4, 4], "workers": 1, "pace_s": 60}
    run_id = start(client, input=str(volume(tmp_path / "blobs.npy", (4, 8, 8))), **wish)["run_id"]
    here = f"/api/v1/runs/{run_id}/views"
    mine = {"View-Token": client.post(here, json={"name": "stage", "shared": False}).json()["token"]}
    made = client.post(f"{here}/stage/tokens", json={"role": "lead"}, headers=mine).json()
    address = f"ws://{client.base_url.netloc.decode()}/api/v1/runs/{run_id}/view?view=stage"

    def looks(token: str) -> ClientConnection:
        offered = [Subprotocol("cavecast.view"), Subprotocol(f"view.{token}")]
        return connect(address, subprotocols=offered, compression=None, max_size=None, proxy=None)

    with looks(made["token"]) as browser:
        browser.recv(DEADLINE_S)
        gone = client.delete(f"{here}/stage/{how}".format(**made).rstrip("/"), headers=mine)
        assert gone.status_code == 204
        with pytest.raises(ConnectionClosed) as closed:
            consume(browser)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "not good any more" in closed.value.rcvd.reason) == (4403, True)
    client.post(f"/api/v1/runs/{run_id}/cancel")
