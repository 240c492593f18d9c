"""Behind a real reverse proxy (nginx) with TLS and a prefix, as JupyterHub puts one before what runs at a port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.access.certificate import certificate
from tests.e2e.whole import started, until_heard
from tests.ending import ending, line_within

pytestmark = [pytest.mark.browser, pytest.mark.long]

PREFIX = "/user/x/proxy/8000"
CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location {prefix}/ {{
      proxy_pass http://127.0.0.1:{behind}/;
      proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """The address of a control plane behind nginx, and what trusts its certificate."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program, "this test needs nginx: install the package nginx-light"
    cert, key = certificate(tmp_path)
    port, behind = free(), free()
    address = f"https://127.0.0.1:{port}{PREFIX}"
    told = ("--public-url", f"{address}/", "--trusted-proxies", "127.0.0.1/32")
    with started("serve", "--port", str(behind), "--dir", str(tmp_path / "runs"), *told) as plane:
        assert json.loads(line_within(plane.stdout))
        settings = tmp_path / "nginx.conf"
        settings.write_text(
            CONFIGURATION.format(folder=tmp_path, port=port, behind=behind, cert=cert, key=key, prefix=PREFIX)
        )
        nginx = subprocess.Popen([program, "-c", str(settings), "-p", str(tmp_path)])
        with ending(nginx, within_s=20):
            until_open(nginx, port)
            yield address, ssl.create_default_context(cafile=str(cert))


def until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, f"nginx ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def test_page_api_events_and_picture_work_behind_a_proxy_with_tls_and_a_prefix(
    chromium: Browser, proxied: tuple[str, ssl.SSLContext]
) -> None:
    address, trust = proxied
    with httpx.Client(verify=trust, timeout=60) as client:
        made = client.post(f"{address}/api/v1/runs", json={"input": "sample:flood2021"}).raise_for_status().json()
        until_heard(f"{address}/api/v1/runs/{made['run_id']}", '"complete"', client)
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1000, "height": 700})
    page = context.new_page()
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    sockets: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(address) else None)
    page.on("websocket", lambda one: sockets.append(one.url))
    page.goto(f"{address}/")
    page.locator("#runs-list a").click()
    expect(page.locator("#badge")).to_have_text("Complete")
    expect(page.locator("#picture")).to_have_attribute("data-still", "true")
    assert page.url == f"{address}/view/{made['run_id']}"
    assert sockets, "no WebSocket was opened"
    assert all(one.startswith(address.replace("https:", "wss:")) for one in sockets)
    before = int(page.locator("#picture").get_attribute("data-frame") or 0)
    page.locator("#picture").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"() => Number(document.getElementById('picture').dataset.frame) > {before}")
    page.locator("#objects-table tbody tr").first.click()
    expect(page.locator("#life")).to_be_visible()
    assert complaints == []
    context.close()
