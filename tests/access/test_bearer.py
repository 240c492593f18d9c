"""Tokens of an issuer, and those that only look like it, sent to a real server."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from streamer.control.access.door import Credential
from streamer.control.access.people import Person
from tests.access.issuer import CLI, WEB, Issuer, issuing
from tests.access.parts import Plane, access_of, serving, token_of

NOW, ADDRESSES = int(time.time()), (f"10.0.{number // 250}.{number % 250}" for number in count(1))


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def running(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("bearer")
    with serving(access_of(folder, issuer.url), folder / "runs", trusted="127.0.0.1") as plane:
        yield plane


@pytest.fixture
def plane(running: Plane) -> Plane:
    """The server, to which each test comes from another address, so that none has tried too often before."""
    running.address = next(ADDRESSES)
    return running


def me(plane: Plane, token: str) -> httpx.Response:
    with plane.client(token) as client:
        return client.get("/api/v1/me")


def refused(plane: Plane, token: str, words: str) -> None:
    plane.address = next(ADDRESSES)
    answer = me(plane, token)
    assert answer.status_code == 401, answer.text
    assert words in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert token[-20:] not in answer.text


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_the_issuer_says_who_one_is(plane: Plane, issuer: Issuer, algorithm: str) -> None:
    found = me(plane, issuer.sign(issuer.claims(), algorithm)).json()
    assert found["account"] == "lab/ada-1"
    assert found["projects"] == {"rivers": "operator"}, "the highest of her roles: viewer by e-mail, operator by group"
    assert not found["administrator"]


def test_edwards_curves_and_pss_are_understood_too(plane: Plane, issuer: Issuer) -> None:
    before = issuer.keys
    issuer.keys = [
        *before,
        OKPKey.generate_key("Ed25519", {"alg": "EdDSA", "kid": "ed", "use": "sig"}),
        RSAKey.generate_key(2048, {"alg": "PS256", "kid": "pss", "use": "sig"}),
    ]
    plane.clock.ahead_s += 1000
    try:
        for number, algorithm in enumerate(("EdDSA", "PS256")):
            with pytest.warns(match="EdDSA is deprecated") if algorithm == "EdDSA" else nullcontext():
                token = issuer.sign(issuer.claims(exp=int(time.time()) + 5000 + number), algorithm)
            assert me(plane, token).status_code == 200
    finally:
        issuer.keys = before
        plane.clock.ahead_s -= 1000


@pytest.mark.parametrize(
    ("bent", "words"),
    [
        ({"aud": "somebody-else"}, "somebody else (aud)"),
        ({"aud": []}, "somebody else (aud)"),
        ({"aud": ["other", {"x": 1}, None]}, "somebody else (aud)"),
        ({"azp": "another-client"}, "client that this server does not know (azp)"),
        ({"exp": NOW - 61}, "has expired"),
        ({"exp": None}, "no time that could be exp"),
        ({"exp": "tomorrow"}, "no time that could be exp"),
        ({"exp": 1e300}, "no time that could be exp"),
        ({"nbf": NOW + 600}, "not valid yet (nbf)"),
        ({"iat": NOW + 600}, "made in the future (iat)"),
        ({"sub": ""}, "who it is about (sub)"),
        ({"sub": None}, "who it is about (sub)"),
        ({"sub": "a\nb"}, "who it is about (sub)"),
        ({"typ": "Refresh"}, "none to sign in with"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "none to sign in with"),
        ({"iss": "http://127.0.0.1:1"}, "issuer that this server does not know"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_token_that_is_not_for_here_or_not_for_now_is_refused(
    plane: Plane, issuer: Issuer, bent: dict[str, Any], words: str
) -> None:
    refused(plane, issuer.token(**bent), words)


def test_clocks_may_be_a_little_apart_and_audiences_several(plane: Plane, issuer: Issuer) -> None:
    now = int(time.time())
    assert me(plane, issuer.token(exp=now - 50)).status_code == 200
    assert me(plane, issuer.token(nbf=now + 50, iat=now + 50)).status_code == 200
    assert me(plane, issuer.token(aud=["other", CLI])).status_code == 200
    assert me(plane, issuer.token(audience=WEB)).status_code == 200


def part(found: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")


def test_what_a_token_says_of_its_algorithm_talks_nobody_into_anything(plane: Plane, issuer: Issuer) -> None:
    claims, kid = issuer.claims(), issuer.key("RS256").as_dict(private=False)["kid"]
    for none in ("none", "None", "nOnE", ""):
        refused(plane, f"{part({'alg': none})}.{part(claims)}.", "not signed as it has to be")
    public = issuer.key("RS256").as_pem(private=False)
    signed = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
    shared = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).decode().rstrip("=")
    refused(plane, f"{signed}.{shared}", "not signed as it has to be")
    strange = RSAKey.generate_key(2048)
    refused(plane, jwt.encode({"alg": "RS256", "kid": kid}, claims, strange), "signature is not its issuer's")
    embedded = {"alg": "RS256", "jwk": strange.as_dict(private=False), "jku": "http://127.0.0.1:1/keys"}
    refused(plane, jwt.encode(embedded, claims, strange), "signature is not its issuer's")
    refused(plane, _critical(claims, issuer), "extensions (crit)")
    header, body, signature = issuer.sign(claims).split(".")
    changed = part({**claims, "email": "root@example.org"})
    refused(plane, f"{header}.{changed}.{signature}", "signature is not its issuer's")
    refused(plane, f"{header}.{body}.{'A' * len(signature)}", "signature is not its issuer's")
    wrong_kind = part({"alg": "ES256", "kid": kid})
    refused(plane, f"{wrong_kind}.{body}.{signature}", "a key that its issuer does not have")


def _critical(claims: dict[str, Any], issuer: Issuer) -> str:
    _, body, signature = issuer.sign(claims).split(".")
    return f"{part({'alg': 'RS256', 'crit': ['b64'], 'b64': False})}.{body}.{signature}"


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "..", "é.é.é", "e30.e30.e30", "[" * 9000, "cavecast_guess"])
def test_what_is_no_token_is_refused(plane: Plane, token: str) -> None:
    with plane.client() as client:
        answer = client.get("/api/v1/me", headers={b"authorization": b"Bearer " + token.encode()})
    assert answer.status_code == 401


def test_another_scheme_than_bearer_is_told_so(plane: Plane) -> None:
    with plane.client() as client:
        answer = client.get("/api/v1/me", auth=("ada", "secret"))
        assert answer.status_code == 401
        assert "Authorization: Bearer" in answer.json()["detail"]


def test_a_token_in_an_address_is_refused_even_if_it_is_right(plane: Plane) -> None:
    for name in ("token", "access_token", "Access_Token"):
        with plane.client() as client:
            answer = client.get(f"/api/v1/runs?{name}={token_of('rivers-admin')}")
        assert answer.status_code == 400
        assert "ends in logs" in answer.json()["detail"]
        assert token_of("rivers-admin") not in answer.text


def test_an_address_counts_only_if_it_is_verified(plane: Plane, issuer: Issuer) -> None:
    root: dict[str, Any] = {"sub": "mallory", "email": "root@example.org", "groups": []}
    for unsure in (False, None, "yes", 1):
        found = me(plane, issuer.token(**root, email_verified=unsure)).json()
        if unsure != 1:  # JSON's 1 is not true
            assert not found["administrator"], unsure
    assert me(plane, issuer.token(**root, email_verified=True)).json()["administrator"]
    assert me(plane, issuer.token(sub="boss", email="", groups=[])).json()["projects"] == {"rivers": "admin"}


def test_new_keys_are_found_and_old_ones_are_gone(plane: Plane, issuer: Issuer) -> None:
    old = issuer.token(jti="old")
    assert me(plane, old).status_code == 200
    issuer.rotate()
    plane.clock.ahead_s += 100  # what was asked of the issuer before is forgiven
    before = issuer.asked.count("/keys")
    assert me(plane, issuer.token(jti="new")).status_code == 200
    assert issuer.asked.count("/keys") == before + 1
    refused(plane, old, "a key that its issuer does not have")
    plane.clock.ahead_s -= 100


def test_a_token_that_was_seen_a_moment_ago_does_not_outlive_new_keys(plane: Plane, issuer: Issuer) -> None:
    plane.clock.ahead_s += 100
    old = issuer.token(jti="seen")
    asked = issuer.asked.count("/keys")
    assert [me(plane, old).status_code for _ in range(2)] == [200, 200]
    assert issuer.asked.count("/keys") <= asked + 1, "it is known by heart"
    issuer.rotate()
    assert me(plane, old).status_code == 200, "nobody has heard of the new keys"
    assert me(plane, issuer.token(jti="newer")).status_code == 200
    refused(plane, old, "a key that its issuer does not have")
    plane.clock.ahead_s -= 100


def test_who_is_proved_while_something_is_revoked_is_proved_once_more(
    plane: Plane, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved, seen = plane.door._proved, list[str]()

    async def proves(credential: Credential, print_: str) -> tuple[Person, float]:
        found = await proved(credential, print_)
        seen.append(print_)
        if len(seen) == 1:
            plane.door.forget()  # somebody revokes it after it was looked up
        return found

    monkeypatch.setattr(plane.door, "_proved", proves)
    token = issuer.token(jti="between")
    for _ in range(3):
        assert me(plane, token).status_code == 200
    assert len(seen) == 2, "the first answer was not kept, the second was"


def test_invented_keys_do_not_make_the_server_ask_without_end(plane: Plane, issuer: Issuer) -> None:
    before = issuer.asked.count("/keys")
    stranger = RSAKey.generate_key(2048)
    for number in range(9):
        token = jwt.encode({"alg": "RS256", "kid": f"invented-{number}"}, issuer.claims(), stranger)
        refused(plane, token, "a key that its issuer does not have")
    assert issuer.asked.count("/keys") - before <= 3


def test_while_the_issuer_is_down_known_keys_go_on(plane: Plane, issuer: Issuer) -> None:
    assert me(plane, issuer.token(jti="up")).status_code == 200
    issuer.down = True
    plane.clock.ahead_s += 1000  # what is known is old now
    try:
        token = issuer.token(jti="down", exp=int(time.time()) + 5000)
        assert me(plane, token).status_code == 200
    finally:
        issuer.down = False
        plane.clock.ahead_s -= 1000


def test_an_issuer_that_is_away_at_the_start_stops_nobody_else(issuer: Issuer, tmp_path: Path) -> None:
    issuer.down = True
    try:
        with serving(access_of(tmp_path, issuer.url), tmp_path / "runs") as plane:
            answer = me(plane, issuer.token(jti="early"))
            assert answer.status_code == 503
            assert "the issuer lab answers 503" in answer.json()["detail"]
            assert answer.headers["retry-after"]
            assert me(plane, token_of("rivers-viewer")).status_code == 200
            issuer.down = False
            plane.clock.ahead_s += 60
            assert me(plane, issuer.token(jti="late")).status_code == 200
    finally:
        issuer.down = False


def test_who_guesses_is_asked_to_wait_and_who_knows_is_not(plane: Plane) -> None:
    with plane.client("cavecast_wrong") as stranger, plane.of("rivers-viewer") as viewer:
        assert viewer.get("/api/v1/me").status_code == 200
        answers = [stranger.get("/api/v1/me") for _ in range(12)]
        assert [one.status_code for one in answers] == [401] * 10 + [429] * 2
        assert 0 < int(answers[-1].headers["retry-after"]) <= 6
        assert viewer.get("/api/v1/me").status_code == 200, "known by heart for a while"
        plane.clock.ahead_s += 6
        assert stranger.get("/api/v1/me").status_code == 401, "one more try"
        assert stranger.get("/api/v1/me").status_code == 429
        plane.clock.ahead_s -= 6
