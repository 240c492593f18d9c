"""What is decided without a server: quotas, limits, roles, places, tables of an access configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.control.access import config
from streamer.control.access.claims import Identity, person
from streamer.control.access.config import WrongAccess
from streamer.control.access.limits import Limit, Rate, neighbourhood
from streamer.control.access.people import ROLES, Person, at_least, highest
from streamer.control.access.places import Whence, WrongPlace, networks, public, same_netloc, way_back, whence
from streamer.control.access.quotas import NO_LIMIT, Quota, Usage, beyond
from streamer.control.access.rules import Access
from streamer.control.access.sessions import Login, login_of
from streamer.control.access.tokens import expired, fingerprint, known, spelled
from streamer.control.security import BeyondLoopback, check_listening, refusal
from streamer.settings import Settings
from tests.access.parts import access_of, access_text, token_of

# ---------------------------------------------------------------- quotas


def test_a_quota_says_what_was_asked_what_is_used_and_what_may_be() -> None:
    quota = Quota(runs=2, workers=8, gpus=1)
    assert beyond("rivers", quota, Usage(1, 4), Usage(1, 4)) is None
    refused = beyond("rivers", quota, Usage(1, 6), Usage(1, 4))
    assert refused is not None
    assert refused.ever
    assert refused.why.startswith("project rivers asks for 4 workers, has 6 at work and may have 8: wait")
    refused = beyond("rivers", quota, Usage(0, 0), Usage(1, 9))
    assert refused is not None
    assert not refused.ever, "waiting does not help"
    refused = beyond("rivers", quota, Usage(2, 2), Usage(1, 1))
    assert refused is not None
    assert "asks for 1 run, has 2 at work" in refused.why
    refused = beyond("rivers", quota, Usage(0, 0, 1), Usage(1, 1, 1))
    assert refused is not None
    assert "1 GPU" in refused.why
    assert beyond("rivers", quota, Usage(9, 99), Usage(0, -4)) is None, "to take less is always allowed"
    assert beyond("rivers", NO_LIMIT, Usage(999, 999, 999), Usage(1, 999, 999)) is None


numbers = st.integers(0, 20)
usages = st.builds(Usage, numbers, numbers, numbers)


@given(st.builds(Quota, *[st.none() | numbers] * 3), usages, usages)
def test_what_a_quota_lets_through_never_exceeds_it(quota: Quota, used: Usage, asked: Usage) -> None:
    refused = beyond("p", quota, used, asked)
    after = used.and_(asked)
    over = [a > limit for a, limit, more in zip(after, quota, asked, strict=True) if limit is not None and more > 0]
    assert (refused is not None) == any(over)
    if refused is not None and not refused.ever:
        assert beyond("p", quota, Usage(), asked) is not None


# ---------------------------------------------------------------- limits


def test_a_bucket_empties_and_fills_again() -> None:
    limit = Limit(Rate(3, 10))
    for _ in range(3):
        assert limit.wait("a", 0) == 0
        limit.count("a", 0)
    assert limit.wait("a", 0) == 10
    assert limit.wait("b", 0) == 0
    assert limit.wait("a", 10) == 0
    limit.count("a", 10)
    assert limit.wait("a", 10) == 10
    for _ in range(100):
        limit.count("a", 10)
    assert limit.wait("a", 10) == 10, "trying on makes it no worse"
    assert limit.wait("a", -1000) == 0, "a clock that is put back locks nobody out"


def test_a_flood_of_addresses_takes_no_memory_and_forgives_nobody_who_tried_often() -> None:
    limit = Limit(Rate(5, 60), most=100)
    for _ in range(5):
        limit.count("guilty", 0)
    for number in range(10_000):
        limit.count(str(number), 1)
        assert len(limit) <= 100
    assert limit.wait("guilty", 1) > 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=60))
def test_no_more_is_allowed_than_the_rate(tries: list[tuple[str, float]]) -> None:
    limit, now, allowed = Limit(Rate(2, 3.0)), 0.0, {"a": 0, "b": 0, "c": 0}
    for key, after in tries:
        now += after
        if limit.wait(key, now) == 0:
            limit.count(key, now)
            allowed[key] += 1
    assert all(times <= 2 + now / 3.0 + 1e-6 for times in allowed.values())


def test_one_customer_of_ipv6_is_one_neighbourhood() -> None:
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1") != neighbourhood("2001:db8:0:1::1")
    assert neighbourhood("::ffff:10.0.0.1") == neighbourhood("10.0.0.1") != neighbourhood("10.0.0.2")
    assert neighbourhood("nonsense") == "nonsense"


# ---------------------------------------------------------------- people


def test_a_role_includes_those_below_it() -> None:
    assert [at_least(held, "operator") for held in (None, *ROLES)] == [False, False, True, True]
    assert highest(["viewer", "admin", "operator"]) == "admin"
    somebody = Person("a", "a", "token", {"rivers": "operator"})
    assert somebody.has("viewer", "rivers")
    assert not somebody.has("admin", "rivers")
    assert not somebody.has("viewer", "clouds")
    assert somebody.projects == frozenset(("rivers",))
    root = somebody._replace(administrator=True)
    assert root.has("admin", "whatever")
    assert root.projects is None


def rules(folder: Path, text: str) -> Access:
    path = folder / "access.toml"
    path.write_text(text)
    return config.read(path, {})


TWO = """
[[issuers]]
name = "lab"
url = "https://lab.example.org"
client_id = "a"
[[issuers]]
name = "other"
url = "https://other.example.org"
client_id = "a"
"""


def test_one_issuers_word_is_not_anothers(tmp_path: Path) -> None:
    access = rules(
        tmp_path, f'administrators = ["lab:email:root@example.org"]\n{TWO}[projects.p]\nadmins = ["other:group:g"]'
    )
    root = Identity("lab", "1", email="ROOT@example.org", groups=("g",))
    assert person(root, access, "session").administrator, "addresses are the same in capitals"
    assert person(root, access, "session").roles == {}
    impostor = Identity("other", "1", email="root@example.org", groups=("g",))
    assert not person(impostor, access, "session").administrator
    assert person(impostor, access, "session").roles == {"p": "admin"}


# ---------------------------------------------------------------- the configuration


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither issuers nor tokens"),
        ("x = 1", "x means nothing here"),
        ("[[issuers]]\nname = 'a'", "url is missing in issuers"),
        ("[[issuers]]\nname = 'A b'\nurl = 'https://x.org'\nclient_id = 'a'", "an issuer is called 'A b'"),
        ("[[issuers]]\nname = 'group'\nurl = 'https://x.org'\nclient_id = 'a'", "an issuer is called 'group'"),
        ("[[issuers]]\nname = 'a'\nurl = 'http://x.org'\nclient_id = 'a'", "reached by https://"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org?x=1'\nclient_id = 'a'", "the issuer's address alone"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org'\nclient_id = 'a'\nsecret = 'x'", "secret in issuers"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org'\nclient_id = 'a'\nscopes = ['email']", "must have openid"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org'\nclient_id = 'a'\nskew_s = 3600", "0 to 600 seconds"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org'\nclient_id = 'a'\nclient_secret_env = 'NO'", "has no NO"),
        ("[[issuers]]\nname = 'a'\nurl = 'https://x.org'\nclient_id = 'a'\nclient_secret_file = 'no'", "No such file"),
        (TWO + "[projects.p]\nviewers = ['group:g']", "does not say of which issuer: write lab:group:g"),
        (TWO + "[projects.p]\nviewers = ['lab:everybody']", "'lab:everybody' is nobody"),
        (TWO + "[projects.'P x']", "a project is called 'P x'"),
        (TWO + "[projects.p]\nquota = { runs = -1 }", "quota.runs is -1"),
        (TWO + "[projects.p]\nquota = { cpus = 1 }", "cpus in projects.quota means nothing"),
        (TWO + "[[tokens]]\nname = 't'\nsha256 = 'x'\nrole = 'viewer'\nproject = 'default'", "must be 64 digits"),
        (TWO + f"[[tokens]]\nname = 't'\nsha256 = '{'a' * 64}'\nrole = 'viewer'\nproject = 'q'", "no project 'q'"),
        (TWO + f"[[tokens]]\nname = 't'\nsha256 = '{'a' * 64}'\nrole = 'metrics'\nproject = 'q'", "leave project out"),
        (TWO + f"[[tokens]]\nname = 't'\nsha256 = '{'a' * 64}'\nrole = 'root'", "tokens[0].role: invalid enum value"),
        (TWO + f"[[tokens]]\nname = 't'\nsha256 = '{'a' * 64}'\nrole = 'metrics'\nexpires = '2027'", "without quotes"),
        (TWO + "[sessions]\nidle_h = 0", "idle_h must be above 0"),
        (TWO + "[audit]\nrows = 1", "rows must be 100"),
        ("[[tokens", "cannot be read as TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_configuration_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(WrongAccess) as why:
        rules(tmp_path, text)
    assert words in str(why.value)
    assert str(why.value).startswith(f"the access configuration {tmp_path / 'access.toml'}")
    assert "\n" not in str(why.value)


def test_a_secret_is_taken_out_of_the_environment_or_read_from_a_file_of_ones_own(tmp_path: Path) -> None:
    environment = {"TEST_SECRET": "s3cret", "OTHER": "x"}
    path = tmp_path / "access.toml"
    path.write_text(access_text("https://lab.example.org"))
    assert config.read(path, environment).issuers[0].secret == "s3cret"
    assert environment == {"OTHER": "x"}, "no process that is started later finds it"
    path.write_text(access_text("https://lab.example.org").replace('secret_env = "TEST_SECRET"', 'secret_file = "s"'))
    (tmp_path / "s").write_text("from a file\n")
    (tmp_path / "s").chmod(0o644)
    with pytest.raises(WrongAccess, match="everybody on this machine can read its secret"):
        config.read(path, {})
    (tmp_path / "s").chmod(0o440)
    assert config.read(path, {}).issuers[0].secret == "from a file"
    with pytest.raises(WrongAccess, match="No such file"):
        config.read(tmp_path / "nothing.toml", {})


def test_a_token_of_the_configuration_is_known_by_its_fingerprint_until_it_expires(tmp_path: Path) -> None:
    found = access_of(
        tmp_path, extra=f"[[tokens]]\nname='old'\nsha256='{fingerprint('x')}'\nrole='metrics'\nexpires=2026-01-31"
    )
    assert known(fingerprint(token_of("rivers-admin")), found.tokens) == found.tokens[2]
    assert known(fingerprint("guess"), found.tokens) is None
    old = found.tokens[-1]
    assert old.expires == 1769817600.0
    assert not expired(old.expires, 1769817599.9)
    assert expired(old.expires, 1769817600.0)
    assert not expired(None, 1e12)
    assert spelled(bytes(32)) == "cavecast_" + "A" * 43


# ---------------------------------------------------------------- places

TRUSTED = networks("10.0.0.0/8, 2001:db8::/32,127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proto", "expected"),
    [
        ("192.0.2.1", ["203.0.113.9"], "https", Whence("192.0.2.1", False)),
        ("10.0.0.1", [], None, Whence("10.0.0.1", False)),
        ("10.0.0.1", ["203.0.113.9"], "https", Whence("203.0.113.9", True)),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9, 10.1.1.1"], "http, https", Whence("203.0.113.9", True)),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9"], "https, http", Whence("203.0.113.9", False)),
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], None, Whence("10.3.3.3", False)),
        ("10.0.0.1", ["6.6.6.6, unknown"], None, Whence("10.0.0.1", False)),
        ("::ffff:10.0.0.1", ["203.0.113.9"], None, Whence("203.0.113.9", False)),
        ("2001:db8::1", ["203.0.113.9"], None, Whence("203.0.113.9", False)),
    ],
)
def test_a_proxy_is_believed_only_if_it_is_trusted(
    peer: str, forwarded: list[str], proto: str | None, expected: Whence
) -> None:
    assert whence(peer, "http", forwarded, proto, TRUSTED) == expected


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(WrongPlace, match=r"'10\.0\.0\.1/8', which is no address or network"):
        networks("10.0.0.1/8")


def test_a_public_address_is_taken_apart() -> None:
    assert public("https://Lab.example.org:443/x/").url == "https://lab.example.org/x"
    assert public("http://[::1]:80").url == "http://[::1]"
    assert same_netloc("LAB.example.org:443", public("https://lab.example.org"))
    assert not same_netloc("lab.example.org:80", public("https://lab.example.org"))
    for wrong in ("lab.example.org", "ftp://lab", "https://a@b", "https://a?x", "https://a:x", "https://"):
        with pytest.raises(WrongPlace, match="public_url is"):
            public(wrong)


def test_a_host_by_the_public_name_is_answered_and_its_pages_alone() -> None:
    lab = public("https://lab.example.org")
    assert refusal("lab.example.org", None, lab) is None
    assert refusal("lab.example.org", "https://lab.example.org", lab) is None
    assert refusal("lab.example.org", "http://lab.example.org", lab) is not None
    assert refusal("127.0.0.1:8750", "http://127.0.0.1:8750", lab) is None
    assert refusal("127.0.0.1:8750", "https://lab.example.org", lab) is not None
    assert "is not this server: open https://lab.example.org" in str(refusal("evil.example", None, lab))


@given(st.text())
def test_the_way_back_leads_nowhere_else(next: str) -> None:
    from urllib.parse import urljoin, urlsplit

    whole = urljoin("https://lab.example.org/x/", way_back(next))
    assert urlsplit(whole).netloc == "lab.example.org"
    assert urlsplit(f"https://lab.example.org/x/{way_back(next)}").path.startswith("/x/")


def test_a_login_on_its_way_is_what_its_cookie_says_for_ten_minutes() -> None:
    login = Login("s" * 43, "lab", "view/x", 1000.0)
    assert login_of(login.spelled(), 1599.0) == login
    assert login_of(login.spelled(), 1600.0) is None
    assert login_of(login.spelled(), 999.0) is None
    assert len({login.state, login.nonce, login.verifier, login.challenge, login.secret}) == 5
    assert len(login.verifier) == 43


# ---------------------------------------------------------------- listening


def settings(**more: object) -> Settings:
    return Settings(**more)  # type: ignore[arg-type]


OPEN = {"host": "0.0.0.0", "access": "/etc/access.toml", "public_url": "https://lab.example.org"}


def test_beyond_loopback_takes_accounts_a_name_and_encryption() -> None:
    assert check_listening(settings()) == ""
    for more, words in (
        ({"host": "0.0.0.0"}, "give --access FILE, or use 127.0.0.1 and reach it from elsewhere with ssh -L"),
        ({"host": "0.0.0.0", "access": "/a"}, "give --public-url"),
        ({**OPEN}, "without encryption"),
        ({**OPEN, "tls_cert": "/c"}, "TLS takes both"),
        ({**OPEN, "trusted_proxies": "10.0.0.0/8", "public_url": "http://lab.example.org"}, "without encryption"),
        ({"public_url": "https://lab.example.org"}, "there is no access configuration"),
        (
            {"public_url": "https://lab.example.org", "host": "0.0.0.0", "proxy_login": True},
            "nothing keeps strangers out",
        ),
        ({"public_url": "http://lab.example.org", "proxy_login": True}, "without encryption"),
        ({"access": "/a", "public_url": "http://lab.example.org"}, "without encryption"),
    ):
        with pytest.raises(BeyondLoopback, match=words):
            check_listening(settings(**more))
    assert check_listening(settings(**OPEN, tls_cert="/c", tls_key="/k")) == ""
    assert check_listening(settings(**OPEN, trusted_proxies="10.0.0.0/8")) == ""
    assert check_listening(settings(access="/a", public_url="https://lab.example.org")) == "", "a proxy on this machine"
    assert check_listening(settings(proxy_login=True, public_url="https://hub.example.org/user/x/proxy/8750/")) == ""
    assert "whoever is on the way" in check_listening(settings(**OPEN, plain_http=True))


@pytest.mark.parametrize("name", ["keycloak", "dex", "cilogon"])
def test_the_examples_are_configurations(tmp_path: Path, name: str) -> None:
    text = (Path(__file__).parents[2] / "examples" / "access" / f"{name}.toml").read_text()
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    (tmp_path / "access.toml").write_text(text.replace("/etc/cavecast/oidc/secret", str(secret)))
    found = config.read(tmp_path / "access.toml", {"CAVECAST_OIDC_SECRET": "x"})
    assert found.issuers[0].cli_client_id
    assert found.projects
    assert found.administrators
