"""Signing in and out with a browser, followed step by step over real connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from streamer.control.access.places import Public, way_back
from tests.access.issuer import ADA, WEB, Issuer, issuing
from tests.access.parts import Plane, access_of, serving, token_text

ADDRESSES = count(1)


@pytest.fixture(scope="module")
def issuing_one() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def issuer(issuing_one: Issuer) -> Iterator[Issuer]:
    """The issuer, which is as it should be again afterwards."""
    yield issuing_one
    issuing_one.person, issuing_one.bend, issuing_one.refuse_login = dict(ADA), lambda claims: claims, ""
    issuing_one.down = False


@pytest.fixture(scope="module")
def running(issuing_one: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("browser")
    rules = access_of(folder, issuing_one.url, "[sessions]\nidle_h = 1\nlongest_h = 5\nmost = 3\n")
    with serving(rules, folder / "runs", trusted="127.0.0.1") as plane:
        yield plane


@pytest.fixture
def plane(running: Plane) -> Iterator[Plane]:
    running.address = f"10.1.0.{next(ADDRESSES)}"
    yield running
    running.clock.ahead_s = 0.0


@pytest.fixture
def browser(plane: Plane) -> Iterator[httpx.Client]:
    """What a browser is here: it keeps cookies, and goes one step at a time."""
    with plane.client() as browser:
        yield browser


def begin(browser: httpx.Client, next: str = "") -> str:
    """Asks to sign in, at the issuer too; the address to which the issuer sends the browser back."""
    first = browser.get("/auth/login", params={"next": next})
    assert first.status_code == 303, first.text
    answer = httpx.get(first.headers["location"], trust_env=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def sign_in(browser: httpx.Client, next: str = "") -> httpx.Response:
    return browser.get(begin(browser, next))


def cookie_of(answer: httpx.Response, name: str) -> str:
    return next((text for text in answer.headers.get_list("set-cookie") if text.startswith(f"{name}=")), "")


def test_somebody_signs_in_is_known_and_signs_out(browser: httpx.Client, plane: Plane, issuer: Issuer) -> None:
    assert browser.get("/api/v1/me").status_code == 401
    done = sign_in(browser, "view/run-1?x=1")
    assert done.status_code == 303
    assert done.headers["location"] == f"{plane.url}/view/run-1?x=1"
    cookie = cookie_of(done, "cavecast")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie, "this server is reached without TLS, on loopback"
    assert "Max-Age=0" in cookie_of(done, "cavecast-login") or "expires" in cookie_of(done, "cavecast-login").lower()
    me = browser.get("/api/v1/me").json()
    assert (me["account"], me["means"], me["projects"]) == ("lab/ada-1", "session", {"rivers": "operator"})
    stolen = dict(browser.cookies)
    out = browser.post("/auth/logout", headers={"origin": plane.url})
    goodbye = urlsplit(out.json()["next"])
    assert f"{goodbye.scheme}://{goodbye.netloc}" == issuer.url
    assert parse_qs(goodbye.query)["post_logout_redirect_uri"] == [f"{plane.url}/"]
    assert browser.get("/api/v1/me").status_code == 401
    with plane.client(cookies=stolen) as thief:
        assert thief.get("/api/v1/me").status_code == 401, "a session that has ended opens nothing"


def test_the_question_to_the_issuer_is_as_it_should_be(browser: httpx.Client, plane: Plane) -> None:
    asked = parse_qs(urlsplit(browser.get("/auth/login").headers["location"]).query)
    again = parse_qs(urlsplit(browser.get("/auth/login").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["client_id"] == [WEB]
    assert asked["redirect_uri"] == [f"{plane.url}/auth/callback"]
    for random in ("state", "nonce", "code_challenge"):
        assert len(asked[random][0]) >= 43
        assert asked[random] != again[random]


@pytest.mark.parametrize(
    "next",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\evil", "/view/x", "javascript:alert(1)",
     "../../x", "view/../..//evil", "view/\nx", "a@evil.example", "x" * 1025, "vi ew", "é"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(browser: httpx.Client, plane: Plane, next: str) -> None:
    assert way_back(next) == ""
    answer = browser.get("/auth/login", params={"next": next})
    if len(next) > 1024:
        assert answer.status_code == 422
        return
    back = httpx.get(answer.headers["location"], trust_env=False).headers["location"]
    assert browser.get(back).headers["location"] == f"{plane.url}/"


def test_an_answer_that_comes_twice_is_taken_once(browser: httpx.Client, plane: Plane) -> None:
    back = begin(browser)
    cookies = dict(browser.cookies)
    assert browser.get(back).status_code == 303
    with plane.client(cookies=cookies) as again:
        answer = again.get(back)
        assert answer.status_code == 400
        assert "has come before" in answer.text
        assert again.get("/api/v1/me").status_code == 401


def test_a_code_that_another_login_has_used_is_refused(browser: httpx.Client, plane: Plane) -> None:
    back = begin(browser)
    used = parse_qs(urlsplit(back).query)["code"][0]
    assert browser.get(back).status_code == 303
    with plane.client() as other:
        mine = urlsplit(begin(other))
        state = parse_qs(mine.query)
        answer = other.get("/auth/callback", params={"code": used, "state": state["state"][0], "iss": state["iss"][0]})
        assert answer.status_code == 403
        assert "invalid_grant" in answer.text


def test_an_answer_belongs_to_the_browser_that_asked(browser: httpx.Client, plane: Plane) -> None:
    """Nobody signs a victim in with an account of their own."""
    mine = begin(browser)
    with plane.client() as victim:
        assert "has not asked to sign in" in victim.get(mine).text
        begin(victim)
        answer = victim.get(mine)
        assert answer.status_code == 400
        assert "another login" in answer.text
        assert "location" not in answer.headers
        assert not cookie_of(answer, "cavecast")


def test_a_session_begins_with_a_secret_that_nobody_could_have_set(browser: httpx.Client, plane: Plane) -> None:
    browser.cookies.set("cavecast", "f" * 43, domain="127.0.0.1")
    done = sign_in(browser)
    first = cookie_of(done, "cavecast").split("=")[1].split(";")[0]
    assert first != "f" * 43
    browser.cookies.clear()
    browser.cookies.set("cavecast", first, domain="127.0.0.1")
    second = cookie_of(sign_in(browser), "cavecast").split("=")[1].split(";")[0]
    assert second != first
    with plane.client(cookies={"cavecast": first}) as old:
        assert old.get("/api/v1/me").status_code == 401, "the session before it has ended"


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        ({"nonce": "another"}, "another login (nonce)"),
        ({"nonce": None}, "another login (nonce)"),
        ({"aud": "cavecast-cli"}, "somebody else (aud)"),
        ({"aud": [WEB, "other"], "azp": None}, "another client (azp)"),
        ({"azp": "other"}, "another client (azp)"),
        ({"iss": "http://127.0.0.1:1"}, "another issuer"),
        ({"exp": 1}, "has expired"),
        ({"iat": int(time.time()) + 3600}, "in the future"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_id_token_that_is_not_as_it_should_be_signs_nobody_in(
    browser: httpx.Client, issuer: Issuer, bend: dict[str, object], words: str
) -> None:
    issuer.bend = lambda claims: {**claims, **bend}
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert words in answer.text
    assert not cookie_of(answer, "cavecast")
    assert answer.headers["content-type"].startswith("text/html")


def test_an_answer_of_another_issuer_is_noticed(browser: httpx.Client) -> None:
    back = begin(browser)
    parts = parse_qs(urlsplit(back).query)
    answer = browser.get(
        "/auth/callback", params={"code": parts["code"][0], "state": parts["state"][0], "iss": "https://evil.example"}
    )  # fmt: skip
    assert answer.status_code == 403
    assert "another issuer" in answer.text


def test_what_the_issuer_refuses_is_said_and_nothing_of_it_is_html(browser: httpx.Client, issuer: Issuer) -> None:
    issuer.refuse_login = "access_denied"
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "access_denied" in answer.text
    issuer.refuse_login = "<script>alert(1)</script>"
    assert "<script>" not in sign_in(browser).text


def test_somebody_without_a_role_is_told_so(browser: httpx.Client, issuer: Issuer, plane: Plane) -> None:
    issuer.person = {"sub": "eve", "name": "Eve <b>", "email": "eve@example.org", "email_verified": True}
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "You are Eve &lt;b&gt;, and nobody has given you a role here yet" in answer.text
    assert browser.get("/api/v1/me").status_code == 401


def test_an_issuer_that_is_down_is_said_and_sessions_go_on(browser: httpx.Client, issuer: Issuer, plane: Plane) -> None:
    sign_in(browser)
    issuer.down = True
    plane.clock.ahead_s += 1000
    assert browser.get("/api/v1/me").status_code == 200
    with plane.client() as other:
        back = other.get("/auth/login").headers["location"]
        assert httpx.get(back, trust_env=False).status_code == 503
    answer = browser.post("/auth/logout", headers={"origin": plane.url})
    assert answer.status_code == 200


def test_a_session_ends_when_it_is_not_used_and_after_its_longest_time(browser: httpx.Client, plane: Plane) -> None:
    sign_in(browser)
    for _ in range(5):
        plane.clock.ahead_s += 3000
        assert browser.get("/api/v1/me").status_code == 200
    plane.clock.ahead_s += 3000 + 60
    assert browser.get("/api/v1/me").status_code == 401, "five hours are over"
    sign_in(browser)
    plane.clock.ahead_s += 3600
    assert browser.get("/api/v1/me").status_code == 401, "an hour without use"


def test_an_account_has_so_many_sessions_and_can_end_them_all(plane: Plane, issuer: Issuer) -> None:
    browsers = [plane.client() for _ in range(4)]
    try:
        for one in browsers:
            sign_in(one)
            plane.clock.ahead_s += 20
        assert [one.get("/api/v1/me").status_code for one in browsers] == [401, 200, 200, 200]
        browsers[1].post("/auth/logout?everywhere=true", headers={"origin": plane.url})
        assert [one.get("/api/v1/me").status_code for one in browsers] == [401] * 4
        sign_in(browsers[0])
        root = plane.client(issuer.token(sub="root", email="root@example.org", groups=[]))
        assert root.delete("/api/v1/sessions", params={"account": "lab/ada-1"}).json() == {"sessions": 1}
        assert browsers[0].get("/api/v1/me").status_code == 401
        root.close()
    finally:
        for one in browsers:
            one.close()


def test_a_page_elsewhere_changes_nothing_with_somebodys_cookie(browser: httpx.Client, plane: Plane) -> None:
    sign_in(browser)
    for headers in ({}, {"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        answer = browser.post("/api/v1/runs/none/cancel", headers=headers)
        assert answer.status_code == 403, headers
        assert browser.post("/auth/logout", headers=headers).status_code == 403
    for headers in ({"origin": plane.url}, {"sec-fetch-site": "same-origin"}):
        assert browser.post("/api/v1/runs/none/cancel", headers=headers).status_code == 404
    answer = browser.get("/api/v1/runs", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    preflight = browser.options(
        "/api/v1/runs", headers={"origin": plane.url, "access-control-request-method": "DELETE"}
    )  # fmt: skip
    assert not [name for name in preflight.headers if name.startswith("access-control-")]


def test_logins_without_end_are_asked_to_wait(browser: httpx.Client) -> None:
    answers = [browser.get("/auth/login").status_code for _ in range(22)]
    assert answers == [303] * 20 + [429] * 2


def test_a_cookie_that_is_no_login_is_refused(browser: httpx.Client) -> None:
    for value in ("x", "e30", "W10", "A" * 5000, "WyJ4IiwibGFiIiwiIiwwXQ"):
        browser.cookies.clear()
        browser.cookies.set("cavecast-login", value, domain="127.0.0.1")
        assert browser.get("/auth/callback?state=x&code=y").status_code == 400


def test_behind_https_and_a_prefix_cookies_are_for_this_host_alone(issuer: Issuer, tmp_path: Path) -> None:
    public = Public("https", "lab.example.org", "/cavecast")
    rules = access_of(tmp_path, issuer.url, token_text("other", "viewer", "clouds"))
    with serving(rules, tmp_path / "runs", public, "127.0.0.1") as plane, plane.client() as browser:
        host = {"host": "lab.example.org", "x-forwarded-proto": "https"}
        first = browser.get("/auth/login?next=view/x", headers=host)
        asked = parse_qs(urlsplit(first.headers["location"]).query)
        assert asked["redirect_uri"] == ["https://lab.example.org/cavecast/auth/callback"]
        login = cookie_of(first, "__Host-cavecast-login")
        assert "Secure" in login
        back = urlsplit(httpx.get(first.headers["location"], trust_env=False).headers["location"])
        cookie = {"cookie": login.split(";")[0]}
        done = browser.get(f"/auth/callback?{back.query}", headers={**host, **cookie})
        assert done.status_code == 303, done.text
        assert done.headers["location"] == "https://lab.example.org/cavecast/view/x"
        session = cookie_of(done, "__Host-cavecast")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in session.split(";")}
        assert "Domain" not in session
        cookie = {"cookie": session.split(";")[0]}
        assert browser.get("/api/v1/me", headers={**host, **cookie}).status_code == 200
        assert browser.get("/api/v1/me", headers={"host": "evil.example"}).status_code == 403
        for origin, expected in (
            ("https://lab.example.org", 404), ("http://lab.example.org", 403), ("https://evil.example", 403)
        ):  # fmt: skip
            answer = browser.post("/api/v1/runs/none/cancel", headers={**host, **cookie, "origin": origin})
            assert answer.status_code == expected, origin


BARE = {"sub": "ada-1"}


@pytest.mark.parametrize(
    ("token", "userinfo", "status", "words"),
    [
        (BARE, (200, ADA), 303, ""),
        (BARE, (200, {**ADA, "sub": "eve"}), 403, "UserInfo is about somebody else"),
        (BARE, (200, {**ADA, "email_verified": False, "groups": []}), 403, "nobody has given you a role"),
        ({**BARE, "email": ADA["email"]}, (200, BARE | {"email_verified": True}), 403, "nobody has given you a role"),
        (BARE | {"email_verified": True}, (200, BARE | {"email": ADA["email"]}), 403, "nobody has given you a role"),
        (BARE, (403, {"error": "insufficient_scope"}), 403, "ou are ada-1, and nobody has given you a role"),
        (BARE, (503, {}), 503, "try again soon"),
        (ADA, (503, {}), 303, ""),
    ],
)
def test_what_an_id_token_leaves_out_is_asked_of_userinfo(
    tmp_path: Path, token: dict[str, object], userinfo: tuple[int, dict[str, object]], status: int, words: str
) -> None:
    with issuing() as issuer, serving(access_of(tmp_path, issuer.url), tmp_path / "runs") as plane:
        issuer.person, issuer.userinfo = dict(token), userinfo
        with plane.client() as browser:
            done = sign_in(browser)
            assert done.status_code == status, done.text
            assert words in done.text
            assert ("/userinfo" in issuer.asked) == (token is not ADA), "nothing is asked in vain"
            if status == 303:
                me = browser.get("/api/v1/me").json()
                assert (me["name"], me["email"], me["projects"]) == (ADA["name"], ADA["email"], {"rivers": "operator"})


def test_userinfo_that_is_not_reached_safely_is_not_asked(tmp_path: Path) -> None:
    with issuing() as issuer, serving(access_of(tmp_path, issuer.url), tmp_path / "runs") as plane:
        issuer.userinfo, issuer.userinfo_at = (200, ADA), "http://sso.example.org/userinfo"
        with plane.client() as browser:
            assert sign_in(browser).status_code == 303, "the ID token says it all"
        issuer.person = dict(BARE)
        with plane.client() as browser:
            done = sign_in(browser)
            assert done.status_code == 403
            assert "nobody has given you a role" in done.text
