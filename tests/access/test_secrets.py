"""Where no secret may be: the log, even if it tells everything; process lists; what the processes of runs inherit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.access.issuer import SECRET, issuing
from tests.access.parts import access_text, token_of
from tests.control.parts import CAVECAST, DEADLINE_S, children, consume, environment, start, until, volume
from tests.ending import ending, line_within, tied


def test_no_secret_is_logged_listed_or_inherited(tmp_path: Path) -> None:
    said = tmp_path / "said.log"
    with issuing() as issuer, said.open("w") as log:
        (tmp_path / "access.toml").write_text(access_text(issuer.url))
        server = subprocess.Popen(
            tied(CAVECAST, "serve", "--port", "0", "--access", tmp_path / "access.toml", "--log-level", "debug"),
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment(TEST_SECRET=SECRET),
        )  # fmt: skip
        with ending(server, log=said):
            url = json.loads(line_within(server.stdout))["url"]
            secrets = [SECRET, "not+so+secret", "bm90K3Nv", token_of("rivers-operator"), token_of("clouds-admin")]
            jwt = issuer.token()
            secrets += [jwt, jwt.split(".")[2]]
            with httpx.Client(base_url=url, trust_env=False, timeout=DEADLINE_S) as browser:
                back = httpx.get(browser.get("/auth/login").headers["location"], trust_env=False).headers["location"]
                secrets += [*parse_qs(urlsplit(back).query)["code"], *parse_qs(urlsplit(back).query)["state"]]
                assert browser.get(back).status_code == 303
                secrets += list(browser.cookies.values())
                assert browser.get("/api/v1/me").status_code == 200
                secrets += list(issuer.refresh_tokens)
                browser.get("/api/v1/me", headers={"authorization": f"Bearer {jwt}"})
                browser.get("/api/v1/me", headers={"authorization": "Bearer cavecast_guess-of-mine"})
                browser.get(f"/api/v1/me?token={token_of('clouds-admin')}")
                secrets += ["cavecast_guess-of-mine"]
            address = url.replace("http", "ws") + f"/api/v1/runs/x/view?access_token={token_of('clouds-admin')}"
            headers = {"authorization": f"Bearer {token_of('rivers-operator')}"}
            for where in (address, address.partition("?")[0]):
                with (
                    connect(where, additional_headers=headers, proxy=None) as line,
                    pytest.raises(ConnectionClosed),
                ):
                    consume(line)
            with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=DEADLINE_S) as operator:
                wish = {"input": str(volume(tmp_path / "v.npy")), "threshold": 0.55, "chunk": [4, 8, 8],
                        "pace_s": 60, "view": False, "workers": 1}  # fmt: skip
                run_id = start(operator, **wish)["run_id"]
                until(operator, run_id, 1)
                parts = children(server.pid, "worker") + children(server.pid, "streamer")
                assert len(parts) >= 2
                for process in (*parts, psutil.Process(server.pid)):
                    assert not [word for word in process.cmdline() if any(secret in word for secret in secrets)]
                for process in parts:
                    assert "TEST_SECRET" not in process.environ()
                operator.post(f"/api/v1/runs/{run_id}/cancel")
    text = said.read_text()
    assert "sign in" in text, "it has said something"
    assert len(secrets) > 10
    assert [secret for secret in secrets if secret in text] == []
