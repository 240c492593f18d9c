"""Signing in from the command line: the device flow with a real issuer, and the commands as they are typed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamer.client import Client, Refused
from streamer.control.access.tokens import fingerprint
from streamer.credentials import Credentials, Kept, WrongCredentials, name_of
from streamer.device import Heard, Issuer, NotSignedIn, heard, wished
from streamer.signed import Signed, Unsafe
from tests.access.issuer import CLI, issuing
from tests.access.issuer import Issuer as Provider
from tests.access.parts import Plane, access_of, serving, token_of
from tests.control.parts import CAVECAST, DEADLINE_S, environment
from tests.ending import ending, line_within


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def plane(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("cli")
    with serving(access_of(folder, provider.url), folder / "runs") as plane:
        yield plane


def cavecast(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAVECAST, *words], env=environment(XDG_CONFIG_HOME=str(home), **more), capture_output=True, text=True,
        timeout=DEADLINE_S,
    )  # fmt: skip


def file_of(home: Path) -> Path:
    return home / "cavecast" / "credentials.json"


def test_somebody_signs_in_works_and_signs_out(plane: Plane, provider: Provider, tmp_path: Path) -> None:
    provider.approved.clear()
    login = subprocess.Popen(
        [CAVECAST, "login", plane.url], env=environment(XDG_CONFIG_HOME=str(tmp_path)), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with ending(login, signal.SIGKILL):
        assert line_within(login.stdout) == f"Open {provider.url}/activate and type in the code WDJB-MJHT\n"
        provider.approved.set()
        said, complaints = login.communicate(timeout=DEADLINE_S)
    assert login.returncode == 0, complaints
    assert "you are Ada Lovelace (lab/ada-1): operator of rivers." in said
    kept = file_of(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in kept.parent.iterdir()) == ["credentials.json", "credentials.lock"]
    assert cavecast(tmp_path, "runs", "list", "--server", plane.url).stdout == "There are no such runs.\n"

    before = Credentials({"XDG_CONFIG_HOME": str(tmp_path)}).find(plane.url)
    assert before is not None
    found = json.loads(kept.read_text())
    found[name_of(plane.url)]["expires"] = 0.0
    kept.write_text(json.dumps(found))
    me = json.loads(cavecast(tmp_path, "whoami", plane.url, "--json").stdout)
    assert me["account"] == "lab/ada-1"
    after = Credentials({"XDG_CONFIG_HOME": str(tmp_path)}).find(plane.url)
    assert after is not None
    assert after.refresh_token != before.refresh_token, "it was used up, and the new one is kept"

    assert cavecast(tmp_path, "logout", plane.url).stdout == f"Signed out of {plane.url}.\n"
    assert after.refresh_token not in provider.refresh_tokens, "the issuer was told"
    refused = cavecast(tmp_path, "whoami", plane.url)
    assert refused.returncode == 1
    assert "cavecast login, or the variable CAVECAST_TOKEN, says who you are" in refused.stderr
    assert cavecast(tmp_path, "logout", plane.url).stdout == f"You are not signed in at {plane.url}.\n"


def test_a_machine_uses_its_token_from_the_environment(plane: Plane, tmp_path: Path) -> None:
    said = cavecast(tmp_path, "whoami", plane.url, CAVECAST_TOKEN=token_of("rivers-viewer")).stdout
    assert said == f"At {plane.url} you are rivers-viewer (token:rivers-viewer): viewer of rivers.\n"
    wrong = cavecast(tmp_path, "runs", "list", "--server", plane.url, CAVECAST_TOKEN="cavecast_nobody")
    assert wrong.returncode == 1
    assert "no token that this server knows" in wrong.stderr
    assert "cavecast_nobody" not in wrong.stderr


def test_a_program_makes_and_revokes_tokens(plane: Plane) -> None:
    with Client(plane.url, token_of("rivers-admin")) as admin:
        made = admin.make_token("rivers", "nightly", "operator")
        with Client(plane.url, made.token) as machine:
            assert machine.me().projects == {"rivers": "operator"}
            assert [one.name for one in admin.tokens("rivers")] == ["nightly"]
            with pytest.raises(Refused, match="takes the role admin in project rivers; you are operator"):
                machine.make_token("rivers", "another", "viewer")
            admin.revoke_token("rivers", made.about.token_id)
            with pytest.raises(Refused, match="no token that this server knows"):
                machine.me()
        assert admin.projects()[0].runs.limit == 2


def test_without_accounts_nobody_signs_in(tmp_path: Path) -> None:
    from tests.control.parts import control_plane

    with control_plane() as (client, _):
        url = str(client.base_url)
        assert client.get("/auth/issuers").json() == []
        assert client.get("/auth/login").status_code == 404
        refused = cavecast(tmp_path, "login", url)
        assert refused.returncode == 2
        assert "does not let the command line sign in" in refused.stderr
        assert "has no accounts" in cavecast(tmp_path, "whoami", url).stdout
        assert cavecast(tmp_path, "runs", "list", "--server", url, CAVECAST_TOKEN="x").returncode == 0


def test_what_an_answer_means() -> None:
    assert heard(200, {"id_token": "x"}, 5) == Heard(5, {"id_token": "x"})
    assert heard(400, {"error": "authorization_pending"}, 5) == Heard(5)
    assert heard(400, {"error": "slow_down"}, 5) == Heard(10)
    assert heard(400, {"error": "slow_down"}, 58).interval_s == 60
    assert heard(503, {}, 5) == Heard(10)
    assert heard(400, {"error": "expired_token"}, 5).refused == "the code has expired"
    assert heard(400, {"error": "access_denied"}, 5).refused == "it was refused there"
    assert heard(400, {"error": "a\x1b[2J"}, 5).refused == "the issuer says 400"


class Waits:
    """A clock that only sleeping moves, and that does something after so many seconds."""

    def __init__(self, provider: Provider, approve_after_s: float) -> None:
        self.now, self.slept, self._provider, self._after_s = 0.0, [], provider, approve_after_s  # type: ignore[var-annotated]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        if self.now >= self._after_s:
            self._provider.approved.set()


def test_the_issuer_is_asked_as_seldom_as_it_wants(provider: Provider) -> None:
    provider.approved.clear()
    provider.slow_downs, waits = 2, Waits(provider, 20)
    with httpx.Client(trust_env=False) as http:
        at = Issuer(provider.url, CLI, http)
        asked, about = at.begin(("openid",))
        assert asked.interval_s == 1
        tokens = at.wait(asked, about, waits.sleep, lambda: waits.now)
    assert tokens["refresh_token"]
    assert waits.slept == [1, 6, 11, 11]


def test_a_code_that_nobody_types_in_expires_and_one_that_is_refused_ends(provider: Provider) -> None:
    provider.approved.clear()
    with httpx.Client(trust_env=False) as http:
        at = Issuer(provider.url, CLI, http)
        asked, about = at.begin(("openid",))
        waits = Waits(provider, float("inf"))
        with pytest.raises(NotSignedIn, match="the code has expired"):
            at.wait(asked, about, waits.sleep, lambda: waits.now)
        assert waits.now < asked.expires_s
        provider.refuse_login = "access_denied"
        try:
            with pytest.raises(NotSignedIn, match="it was refused there"):
                at.wait(at.begin(("openid",))[0], about, waits.sleep, lambda: 0.0)
        finally:
            provider.refuse_login = ""
        with pytest.raises(NotSignedIn, match="does not let the command line sign in: invalid_client"):
            Issuer(provider.url, "stranger", http).begin(("openid",))
        with pytest.raises(NotSignedIn, match="nothing secret is sent there"):
            Issuer("http://example.org", CLI, http).begin(("openid",))


def kept(server: str, **more: object) -> Kept:
    found = {"server": name_of(server), "issuer": "http://127.0.0.1:1", "client_id": CLI, "refresh_token": "r",
             "token_endpoint": "http://127.0.0.1:1/token", "bearer": "b", "expires": time.time() + 300}  # fmt: skip
    return Kept(**{**found, **more})  # type: ignore[arg-type]


def test_sign_ins_are_kept_by_server_and_for_their_owner_alone(tmp_path: Path) -> None:
    credentials = Credentials({"XDG_CONFIG_HOME": str(tmp_path)})
    assert credentials.find("http://a") is None
    with credentials.locked():
        credentials.keep(kept("https://Lab.example.org/x/"))
        credentials.keep(kept("https://other.example.org"))
    found = credentials.find("https://lab.example.org/x")
    assert found is not None
    assert credentials.find("https://lab.example.org") is None
    assert credentials.find("http://lab.example.org/x") is None, "not over another scheme"
    with credentials.locked():
        credentials.drop("https://lab.example.org/x")
    assert credentials.find("https://lab.example.org/x") is None
    assert credentials.find("https://other.example.org") is not None
    credentials.file.chmod(0o644)
    with pytest.raises(WrongCredentials, match="chmod 600"):
        credentials.find("https://other.example.org")
    credentials.file.chmod(0o600)
    credentials.file.write_text("{")
    with pytest.raises(WrongCredentials, match="remove the file and sign in again"):
        credentials.find("https://other.example.org")


def test_one_refresh_token_is_used_once_however_many_commands_there_are(
    plane: Plane, provider: Provider, tmp_path: Path
) -> None:
    given = {"XDG_CONFIG_HOME": str(tmp_path)}
    credentials = Credentials(given)
    provider.refresh_tokens.add("first")
    old = kept(
        plane.url, issuer=provider.url, token_endpoint=f"{provider.url}/token", refresh_token="first", expires=0.0
    )  # fmt: skip
    with credentials.locked():
        credentials.keep(old)
    answers: list[int] = []

    def ask() -> None:
        signed = Signed(plane.url, environment=given)
        with httpx.Client(base_url=plane.url, auth=signed, trust_env=False, timeout=DEADLINE_S) as client:
            answers.append(client.get("/api/v1/me").status_code)

    before = provider.asked.count("/token")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert answers == [200] * 4
    assert provider.asked.count("/token") == before + 1


def test_a_sign_in_that_the_issuer_has_ended_is_forgotten(plane: Plane, provider: Provider, tmp_path: Path) -> None:
    given = {"XDG_CONFIG_HOME": str(tmp_path)}
    credentials = Credentials(given)
    ended = kept(
        plane.url, issuer=provider.url, token_endpoint=f"{provider.url}/token", refresh_token="ended", bearer="a.b.c"
    )  # fmt: skip
    with credentials.locked():
        credentials.keep(ended)
    with httpx.Client(auth=Signed(plane.url, environment=given), trust_env=False) as client:
        assert client.get(f"{plane.url}/api/v1/me").status_code == 401
    assert credentials.find(plane.url) is None


def test_a_token_is_not_sent_where_others_can_read_it() -> None:
    for plain in (False, True):
        signed = Signed("http://lab.example.org", "secret", plain_http=plain, environment={})
        flow = signed.auth_flow(httpx.Request("GET", "http://lab.example.org/api/v1/me"))
        if plain:
            assert next(flow).headers["authorization"] == "Bearer secret"
        else:
            with pytest.raises(Unsafe, match="could be read on its way: use https://"):
                next(flow)


def test_the_parts_of_a_run_do_not_inherit_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamer.control import launcher
    from streamer.lifeline import Lifeline

    monkeypatch.setenv("CAVECAST_TOKEN", "secret")
    lifeline = Lifeline()
    assert "CAVECAST_TOKEN" not in launcher._environment(lifeline)
    assert os.environ["CAVECAST_TOKEN"] == "secret"
    lifeline.close()


def test_of_a_token_only_its_fingerprint_is_kept(plane: Plane, tmp_path: Path) -> None:
    with Client(plane.url, token_of("rivers-admin")) as admin:
        made = admin.make_token("rivers", "kept", "viewer")
        admin.revoke_token("rivers", made.about.token_id)
        again = admin.make_token("rivers", "kept", "viewer")
        assert again.token != made.token
    books = b"".join(path.read_bytes() for path in plane.registry.folder.path.glob("cavecast.db*"))
    assert fingerprint(again.token).encode() in books
    assert again.token.encode() not in books
    assert again.token[9:40].encode() not in books


def test_the_command_line_asks_for_names_and_groups_in_the_id_token_where_that_can_be() -> None:
    found = json.loads(wished("realm_access.roles"))
    assert found == {"id_token": {"name": None, "email": None, "email_verified": None, "realm_access": None}}
