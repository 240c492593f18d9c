"""Signing in at an OpenID provider that is not of our making, with a real browser and from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route

from streamer.credentials import Credentials, name_of
from tests.access.certified import Certified, certified
from tests.access.issuer import CLI, SECRET
from tests.access.parts import access_text
from tests.control.parts import CAVECAST, DEADLINE_S, control_plane, environment
from tests.ending import ending, line_within

pytestmark = [pytest.mark.long, pytest.mark.browser]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    with certified(tmp_path_factory.mktemp("provider") / "complaints.txt") as provider:
        yield provider


@pytest.fixture(scope="module")
def server(provider: Certified, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real ``cavecast serve`` whose people sign in there."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "access.toml").write_text(access_text(provider.url))
    with control_plane("--access", str(folder / "access.toml"), TEST_SECRET=SECRET) as (client, _):
        url = str(client.base_url).rstrip("/")
        provider.know(url)
        yield url


@contextmanager
def looking(chromium: Browser) -> Iterator[Page]:
    """A browser of its own that finds nothing but this machine: the provider's pages ask for fonts from elsewhere."""

    def only_here(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            route.abort()

    context = chromium.new_context(viewport={"width": 900, "height": 600})
    context.route("**/*", only_here)
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def sign_in(page: Page, who: str) -> None:
    """Fills in the provider's forms."""
    page.locator("input[name=login]").fill(who)
    page.locator("input[name=password]").fill("any will do")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def cavecast(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAVECAST, *words], env=environment(XDG_CONFIG_HOME=str(home)), capture_output=True, text=True,
        timeout=DEADLINE_S,
    )  # fmt: skip


@contextmanager
def logging_in(server: str, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``cavecast login`` as it waits, and the address that it says with the code in it."""
    login = subprocess.Popen(
        [CAVECAST, "login", server], env=environment(XDG_CONFIG_HOME=str(home)), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with ending(login, signal.SIGKILL):
        assert line_within(login.stdout).startswith("Open http://127.0.0.1:")
        yield login, line_within(login.stdout).removeprefix("or open ").strip()


def change(home: Path, server: str, **fields: object) -> None:
    """Writes something else into what ``cavecast login`` keeps."""
    path = home / "cavecast" / "credentials.json"
    found = json.loads(path.read_text())
    found[name_of(server)].update(fields)
    path.write_text(json.dumps(found))


def renewed(provider: Certified, refresh_token: str) -> dict[str, str]:
    """What the provider gives or says for a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": CLI}
    with httpx.Client(trust_env=False) as http:
        found: dict[str, str] = http.post(f"{provider.url}/token", data=form).json()
    return found


def bearer(home: Path, server: str) -> tuple[str, str]:
    kept = Credentials({"XDG_CONFIG_HOME": str(home)}).find(server)
    assert kept is not None
    return kept.bearer, kept.refresh_token


def another(provider: Certified, bearer: str, refresh_token: str) -> dict[str, str]:
    """What it gives for a refresh token, with an ID token that was not seen: those of one second are alike."""
    found = renewed(provider, refresh_token)
    while found["id_token"] == bearer:
        found = renewed(provider, found["refresh_token"])
    return found


def test_somebody_signs_in_and_out_with_the_browser(chromium: Browser, server: str) -> None:
    with looking(chromium) as page:
        page.goto(server)
        page.get_by_role("link", name="Sign in").click()
        sign_in(page, "ada")
        account = page.locator("#runs .account span")
        account.get_by_text("Ada Lovelace").wait_for()
        assert account.get_attribute("title") == "operator of rivers", "her groups are in UserInfo alone"
        me = page.evaluate("fetch('/api/v1/me').then((answer) => answer.json())")
        assert (me["account"], me["email"]) == ("lab/ada", "ada@example.org")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{server}/")
        page.get_by_role("link", name="Sign in").click()
        page.locator("input[name=login]").wait_for()


def test_an_address_that_is_not_verified_gives_no_role(chromium: Browser, server: str) -> None:
    with looking(chromium) as page:
        page.goto(f"{server}/auth/login")
        sign_in(page, "eve")
        page.get_by_text("you are Eve Mallory, and nobody has given you a role here yet").wait_for()


def test_who_turns_back_at_the_provider_is_not_signed_in(chromium: Browser, server: str) -> None:
    with looking(chromium) as page:
        page.goto(f"{server}/auth/login")
        page.get_by_role("link", name="[ Cancel ]").click()
        page.get_by_text("the issuer lab did not let you in (access_denied)").wait_for()


def test_somebody_signs_in_from_the_command_line_past_new_keys_and_out(
    chromium: Browser, server: str, provider: Certified, tmp_path: Path
) -> None:
    with logging_in(server, tmp_path) as (login, address), looking(chromium) as page:
        page.goto(address)
        page.get_by_role("button", name="Continue").click()
        sign_in(page, "ada")
        page.get_by_role("heading", name="Sign-in Success").wait_for()
        said, complaints = login.communicate(timeout=DEADLINE_S)
        assert login.returncode == 0, complaints
    assert "you are Ada Lovelace (lab/ada): operator of rivers." in said
    assert "no refresh token" not in said
    unseen = another(provider, *bearer(tmp_path, server))
    change(tmp_path, server, refresh_token=unseen["refresh_token"], expires=0.0)
    before = bearer(tmp_path, server)

    provider.rotate()
    done = cavecast(tmp_path, "whoami", server)
    assert "operator of rivers" in done.stdout, done.stderr
    after = bearer(tmp_path, server)
    assert after[0] != before[0]
    assert after[1] != before[1], "refresh tokens are good for once"
    with httpx.Client(base_url=server, trust_env=False) as http:
        old = http.get("/api/v1/me", headers={"authorization": f"Bearer {unseen['id_token']}"})
        assert old.status_code == 401, "its key is gone"
        assert "a key that its issuer does not have" in old.json()["detail"]

    assert cavecast(tmp_path, "logout", server).stdout == f"Signed out of {server}.\n"
    assert renewed(provider, after[1])["error"] == "invalid_grant", "the provider was told"


def test_a_refresh_token_that_was_used_by_somebody_else_ends_the_sign_in(
    chromium: Browser, server: str, provider: Certified, tmp_path: Path
) -> None:
    with logging_in(server, tmp_path) as (login, address), looking(chromium) as page:
        page.goto(address)
        page.get_by_role("button", name="Continue").click()
        sign_in(page, "ada")
        login.communicate(timeout=DEADLINE_S)
        assert login.returncode == 0
    assert "id_token" in renewed(provider, bearer(tmp_path, server)[1]), "the thief was quicker"
    change(tmp_path, server, expires=0.0)
    refused = cavecast(tmp_path, "whoami", server)
    assert refused.returncode == 1
    assert "cavecast login" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_code_that_somebody_does_not_confirm_signs_nobody_in(chromium: Browser, server: str, tmp_path: Path) -> None:
    with logging_in(server, tmp_path) as (login, address), looking(chromium) as page:
        page.goto(address)
        page.get_by_role("button", name="[ Abort ]").click()
        page.get_by_text("interrupted").wait_for()
        _, complaints = login.communicate(timeout=DEADLINE_S)
    assert login.returncode == 1
    assert complaints == "cavecast: not signed in: it was refused there; begin again with cavecast login\n"
