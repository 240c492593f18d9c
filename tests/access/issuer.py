"""A small OpenID provider of the tests' own: real HTTP, real keys, and everything that may be wrong with a token.

It keeps to the standards (discovery, JWKS, authorization code with PKCE, device flow of RFC 8628, rotating refresh
tokens) and refuses what they refuse; a test bends one thing at a time with ``bend``.  Whoever comes to its login page
is ``person`` at once, as if the password had been right.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, KeySet, OKPKey, RSAKey

Key = RSAKey | ECKey | OKPKey
ADA: dict[str, Any] = {
    "sub": "ada-1", "name": "Ada Lovelace", "email": "ada@example.org", "email_verified": True, "groups": ["rivers"],
}  # fmt: skip
WEB, CLI, SECRET = "cavecast-web", "cavecast-cli", "not so secret: 100% & more"


class Issuer:
    """The provider.  Its tables may be looked at and changed by a test at any time."""

    def __init__(self) -> None:
        self.url = ""
        self.person = dict(ADA)
        self.keys: list[Key] = [_key("RS256"), _key("ES256")]
        self.algorithm = "RS256"
        self.bend: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        """Changes the claims of what is signed next."""
        self.lifetime_s = 300
        self.down = False
        self.refuse_login = ""
        self.asked: list[str] = []
        """Every path that was asked for, in order."""
        self.offers_logout = True
        self.names_itself = True
        self.userinfo: tuple[int, dict[str, Any]] | None = None
        """What UserInfo answers; None: it has none."""
        self.userinfo_at = ""
        """Where it says that UserInfo is, if not where it is."""
        self.interval_s = 1
        self.device_expires_s = 60
        self.approved = threading.Event()
        self.slow_downs = 0
        """So many polls of the device flow are told to slow down first."""
        self._codes: dict[str, dict[str, str]] = {}
        self._devices: dict[str, float] = {}
        self.refresh_tokens: set[str] = set()
        self._lock = threading.Lock()

    def rotate(self) -> None:
        """From now on it signs with new keys, and the old ones are gone."""
        self.keys = [_key("RS256"), _key("ES256")]

    def key(self, algorithm: str = "") -> Key:
        """The key with which it signs."""
        wanted = algorithm or self.algorithm
        return next(key for key in self.keys if key.as_dict(private=False)["alg"] == wanted)

    def claims(self, audience: str = CLI, **more: Any) -> dict[str, Any]:
        """Claims as they should be, about whoever it has signed in."""
        now = int(time.time())
        return {
            **self.person,
            "iss": self.url,
            "aud": audience,
            "azp": audience,
            "iat": now,
            "exp": now + self.lifetime_s,
            **more,
        }

    def sign(self, claims: dict[str, Any], algorithm: str = "", **header: Any) -> str:
        """A token of its own."""
        key = self.key(algorithm)
        public = key.as_dict(private=False)
        algorithm = str(public["alg"])
        return jwt.encode({"alg": algorithm, "kid": public["kid"], **header}, claims, key, [algorithm])

    def token(self, audience: str = CLI, **more: Any) -> str:
        """A token that is right, but for what is given."""
        return self.sign(self.claims(audience, **more))

    # ------------------------------------------------------------ what it answers

    def answer(self, method: str, path: str, asked: dict[str, str], headers: Any) -> tuple[int, dict[str, str], Any]:
        """The status, headers and body for a request."""
        self.asked.append(path)
        if self.down:
            return 503, {}, {"error": "down"}
        with self._lock:
            if path == "/.well-known/openid-configuration":
                return 200, {}, self._discovery()
            if path == "/keys":
                return 200, {}, KeySet(list(self.keys)).as_dict(private=False)
            if path == "/authorize":
                return self._authorize(asked)
            if path == "/token" and method == "POST":
                return self._token(asked, headers)
            if path == "/userinfo" and self.userinfo is not None:
                known = headers.get("authorization") == "Bearer opaque"
                return (self.userinfo[0], {}, self.userinfo[1]) if known else (401, {}, {"error": "invalid_token"})
            if path == "/device" and method == "POST":
                return self._device(asked)
            if path == "/revoke" and method == "POST":
                self.refresh_tokens.discard(asked.get("token", ""))
                return 200, {}, {}
        return 404, {}, {"error": "not_found"}

    def _discovery(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
            "device_authorization_endpoint": f"{self.url}/device",
            "revocation_endpoint": f"{self.url}/revoke",
            "authorization_response_iss_parameter_supported": self.names_itself,
        }  # fmt: skip
        if self.userinfo is not None:
            found["userinfo_endpoint"] = self.userinfo_at or f"{self.url}/userinfo"
        return found | ({"end_session_endpoint": f"{self.url}/logout"} if self.offers_logout else {})

    def _authorize(self, asked: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        wrong = (
            asked.get("response_type") != "code" or asked.get("client_id") != WEB
            or asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43
            or not asked.get("state") or "openid" not in asked.get("scope", "").split()
            or not asked.get("redirect_uri", "").endswith("/auth/callback")
        )  # fmt: skip
        if wrong:
            return 400, {}, {"error": "invalid_request"}
        answer = {"state": asked["state"], **({"iss": self.url} if self.names_itself else {})}
        if self.refuse_login:
            answer["error"] = self.refuse_login
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self._codes[answer["code"]] = asked
        return 302, {"location": f"{asked['redirect_uri']}?{urlencode(answer)}"}, {}

    def _token(self, asked: dict[str, str], headers: Any) -> tuple[int, dict[str, str], Any]:
        grant = asked.get("grant_type", "")
        if grant == "authorization_code":
            basic = base64.b64encode(f"{WEB}:not+so+secret%3A+100%25+%26+more".encode()).decode()
            if headers.get("authorization") != f"Basic {basic}":
                return 401, {}, {"error": "invalid_client"}
            begun = self._codes.pop(asked.get("code", ""), None)
            proof = base64.urlsafe_b64encode(hashlib.sha256(asked.get("code_verifier", "").encode()).digest())
            if (
                begun is None
                or begun["code_challenge"] != proof.decode().rstrip("=")
                or begun["redirect_uri"] != asked.get("redirect_uri")
            ):
                return 400, {}, {"error": "invalid_grant"}
            return 200, {}, self._given(WEB, nonce=begun.get("nonce", ""))
        if asked.get("client_id") != CLI:
            return 401, {}, {"error": "invalid_client"}
        if grant == "refresh_token":
            if asked.get("refresh_token") not in self.refresh_tokens:
                return 400, {}, {"error": "invalid_grant"}
            self.refresh_tokens.discard(asked["refresh_token"])
            return 200, {}, self._given(CLI)
        if grant == "urn:ietf:params:oauth:grant-type:device_code":
            until = self._devices.get(asked.get("device_code", ""))
            if until is None or time.time() > until:
                return 400, {}, {"error": "expired_token"}
            if self.refuse_login:
                return 400, {}, {"error": self.refuse_login}
            if self.slow_downs:
                self.slow_downs -= 1
                return 400, {}, {"error": "slow_down"}
            if not self.approved.is_set():
                return 400, {}, {"error": "authorization_pending"}
            del self._devices[asked["device_code"]]
            return 200, {}, self._given(CLI)
        return 400, {}, {"error": "unsupported_grant_type"}

    def _device(self, asked: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        if asked.get("client_id") != CLI or "offline_access" not in asked.get("scope", "").split():
            return 400, {}, {"error": "invalid_client"}
        code = secrets.token_urlsafe(16)
        self._devices[code] = time.time() + self.device_expires_s
        return 200, {}, {
            "device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.url}/activate",
            "verification_uri_complete": f"{self.url}/activate?user_code=WDJB-MJHT",
            "expires_in": self.device_expires_s, "interval": self.interval_s,
        }  # fmt: skip

    def _given(self, client: str, **more: Any) -> dict[str, Any]:
        refresh = secrets.token_urlsafe(24)
        self.refresh_tokens.add(refresh)
        token = self.sign(self.bend(self.claims(client, **more)))
        return {"id_token": token, "access_token": "opaque", "token_type": "Bearer", "refresh_token": refresh,
                "expires_in": 300}  # fmt: skip


def _key(algorithm: str) -> Key:
    more: KeyParameters = {"alg": algorithm, "kid": secrets.token_hex(4), "use": "sig"}
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, more)
    return ECKey.generate_key("P-256", more)


@contextmanager
def issuing() -> Iterator[Issuer]:
    """A provider that answers on a loopback port until left."""
    issuer = Issuer()

    class Answers(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("content-length", 0))
            parts = urlsplit(self.path)
            query = parse_qs(parts.query) | parse_qs(self.rfile.read(length).decode())
            asked = {name: values[0] for name, values in query.items()}
            status, headers, body = issuer.answer(self.command, parts.path, asked, self.headers)
            raw = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", "content-length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="issuer")
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
