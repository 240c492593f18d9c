"""The engine by itself: who it is, and what it does with servers that are none."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.control.cluster.engine import Access, Engine, Limits
from streamer.control.cluster.troubles import Refused, Trouble, Unanswered
from tests.k8s.server.cluster import Cluster
from tests.k8s.server.serve import Served, served

QUICK = Limits(connect_s=2.0, read_s=2.0, whole_s=1.0, largest_bytes=100_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(Cluster()) as found:
        found.cluster.namespace("lab")
        yield found


@contextmanager
def _answering(body: bytes, slowly: bool = False, content_type: str = "application/json") -> Iterator[str]:
    """A kubeconfig for a server that answers everything so."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                if not slowly:
                    self.wfile.write(body)
                for byte in body if slowly else b"":
                    self.wfile.write(bytes([byte]))
                    if ended.wait(0.05):
                        return
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    ended = threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_address[1]}"
        finally:
            ended.set()
            found.shutdown()
            thread.join()


@contextmanager
def _engine(address: str, folder: Path, limits: Limits = QUICK) -> Iterator[Engine]:
    path = folder / "kubeconfig"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "k", "cluster": {"server": address}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }))  # fmt: skip
    engine = Engine.connect(Access(str(path)), limits)
    try:
        yield engine
    finally:
        engine.close()


def test_a_kubeconfig_says_server_namespace_and_who(server: Served) -> None:
    engine = Engine.connect(Access(str(server.kubeconfig(namespace="lab"))))
    assert (engine.server, engine.namespace) == (server.url, "lab")
    assert engine.get("ConfigMap", "kube-root-ca.crt") is not None
    engine.close()


def test_a_context_can_be_named(server: Served, tmp_path: Path) -> None:
    found = yaml.safe_load(server.kubeconfig(namespace="lab").read_text())
    found["contexts"].append(
        {"name": "other", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}
    )
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(found))
    for context, namespace in (("", "lab"), ("tests", "lab"), ("other", "default")):
        engine = Engine.connect(Access(str(path), context))
        assert engine.namespace == namespace
        engine.close()
    with pytest.raises(Refused, match="cannot be used"):
        Engine.connect(Access(str(path), "none"))


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", "apiVersion: v1\nkind: Config\ncurrent-context: gone\n"])
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refused, match=f"the kubeconfig {path} cannot be used: "):
        Engine.connect(Access(str(path)))


def test_a_pod_is_its_service_account(server: Served, tmp_path: Path) -> None:
    """As in a cluster: the address from the environment, token, authority and namespace from files."""
    (tmp_path / "token").write_text(server.cluster.account_token("lab", "default"))
    (tmp_path / "ca.crt").write_bytes(server.certificate.read_bytes())
    (tmp_path / "namespace").write_text("lab\n")
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
    engine = Engine.connect(Access(environment=environment, service_account=tmp_path))
    assert engine.namespace == "lab"
    with pytest.raises(Trouble, match="system:serviceaccount:lab:default may not get configmaps in namespace lab"):
        engine.get("ConfigMap", "kube-root-ca.crt")
    engine.close()


def test_a_pod_without_its_service_account_is_told_what_to_do(tmp_path: Path) -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    with pytest.raises(Refused, match="automountServiceAccountToken"):
        Engine.connect(Access(environment=environment, service_account=tmp_path))


@pytest.mark.parametrize("body", [
    b"", b"<html>hello</html>", b"[]", b"{}", b'{"items": 3, "metadata": {"resourceVersion": "1"}}',
    b'{"items": [{"metadata": {"name": "x"}}], "metadata": {"resourceVersion": "1"}}', b'{"items": []}',
    b"[" * 50_000,
])  # fmt: skip
def test_what_is_no_list_of_an_api_server_means_nothing(tmp_path: Path, body: bytes) -> None:
    """A captive portal, a proxy's greeting: an empty list would mean that everything has gone."""
    with (
        _answering(body) as address,
        _engine(address, tmp_path) as engine,
        pytest.raises(Unanswered, match="an API server"),
    ):
        engine.list_all("Pod")


def test_a_list_without_items_is_empty(tmp_path: Path) -> None:
    """Go writes null for an empty list."""
    body = b'{"kind":"PodList","apiVersion":"v1","items": null, "metadata": {"resourceVersion": "7"}}'
    with _answering(body) as address, _engine(address, tmp_path) as engine:
        assert engine.list_all("Pod") == ([], "7")


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[]", b'{"type": "ADDED"}', b'{"type":"ADDED","object":{"metadata":{}}}', b'{"object":{}}']
)
def test_a_watch_that_brings_nonsense_is_no_watch(tmp_path: Path, line: bytes) -> None:
    with (
        _answering(line + b"\n") as address,
        _engine(address, tmp_path) as engine,
        pytest.raises(Unanswered, match="an API server"),
    ):
        list(engine.watch("Pod", "1", 10, 10))


def test_an_answer_that_is_too_large_is_not_taken_in(tmp_path: Path) -> None:
    with _answering(b"x" * 1_000_000) as address, _engine(address, tmp_path) as engine:
        with pytest.raises(Unanswered, match="larger than 100000 bytes"):
            engine.list_all("Pod")
        with pytest.raises(Unanswered, match="larger than 100000 bytes"):
            list(engine.watch("Pod", "1", 10, 10))


def test_an_answer_that_drips_is_not_waited_for_to_its_end(tmp_path: Path) -> None:
    with _answering(b" " * 1000, slowly=True) as address, _engine(address, tmp_path) as engine:
        began = time.monotonic()
        with pytest.raises(Unanswered, match="took longer than 1 s"):
            engine.list_all("Pod")
        assert time.monotonic() - began < 5


def test_a_server_that_is_not_there_or_speaks_no_tls_is_said_so(tmp_path: Path, server: Served) -> None:
    with (
        _engine("https://127.0.0.1:1", tmp_path) as engine,
        pytest.raises(Unanswered, match=r"https://127\.0\.0\.1:1 does not answer .*refused"),
    ):
        engine.get("Pod", "x")
    with _engine(server.url, tmp_path) as engine, pytest.raises(Unanswered, match="certificate"):
        engine.get("Pod", "x")
    with _answering(b"{}") as plain, _engine(plain.replace("http:", "https:"), tmp_path) as engine:
        for _ in range(2):
            with pytest.raises(Unanswered, match="does not answer"):
                engine.get("Pod", "x")


def test_a_kind_that_is_not_worked_with_is_refused(tmp_path: Path) -> None:
    with _engine("http://127.0.0.1:1", tmp_path) as engine, pytest.raises(Refused, match="Gadget is no kind"):
        engine.get("Gadget", "x")
