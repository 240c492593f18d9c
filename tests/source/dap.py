"""A small OPeNDAP server (DAP 2.0): arrays of floats from memory, with hyperslabs, over real HTTP."""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import numpy as np
import xarray as xr

_TYPES = {"f4": "Float32", "f8": "Float64"}
_SLAB = re.compile(r"\[(\d+)(?::(\d+))?(?::(\d+))?\]")


def _declare(name: str, dims: tuple[str, ...], values: np.ndarray[Any, Any]) -> str:
    sizes = "".join(f"[{d} = {n}]" for d, n in zip(dims, values.shape, strict=True))
    return f"    {_TYPES[values.dtype.str[1:]]} {name}{sizes};\n"


def _cut(values: np.ndarray[Any, Any], slabs: str) -> np.ndarray[Any, Any]:
    index = []
    for first, second, third in _SLAB.findall(slabs):
        last = third or second or first
        step = second if third else "1"
        index.append(slice(int(first), int(last) + 1, int(step)))
    return values[tuple(index)]


class _Answer(BaseHTTPRequestHandler):
    server: DapServer

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.asked.append(unquote(self.path))
        name, _, kind = path.rpartition(".")
        if self.server.silent:
            self.server.stop.wait(30)
        if name != "/it" or kind not in ("dds", "das", "dods"):
            self.send_error(404)
            return
        wanted = [part for part in unquote(query).split(",") if part] or list(map(str, self.server.data.variables))
        parts: dict[str, tuple[tuple[str, ...], np.ndarray[Any, Any]]] = {}
        for part in wanted:
            variable, bracket, slabs = part.rpartition(".")[2].partition("[")
            there = self.server.data.variables[variable]
            parts[variable] = (tuple(map(str, there.dims)), _cut(there.values, bracket + slabs))
        body = self.server.page or getattr(self, f"_{kind}")(parts)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _dds(self, parts: Mapping[str, Any]) -> bytes:
        return ("Dataset {\n" + "".join(_declare(n, *p) for n, p in parts.items()) + "} it;\n").encode()

    def _das(self, _parts: Mapping[str, Any]) -> bytes:
        lines = []
        for name, variable in self.server.data.variables.items():
            attributes = "".join(f'        String {k} "{v}";\n' for k, v in variable.attrs.items())
            lines.append(f"    {name} {{\n{attributes}    }}\n")
        return ("Attributes {\n" + "".join(lines) + "}\n").encode()

    def _dods(self, parts: Mapping[str, Any]) -> bytes:
        data = b"".join(
            struct.pack(">II", values.size, values.size) + values.astype(values.dtype.newbyteorder(">")).tobytes()
            for _, values in parts.values()
        )
        return self._dds(parts) + b"\nData:\n" + data

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class DapServer(ThreadingHTTPServer):
    """Serves one data set as ``/it``."""

    daemon_threads = True

    def __init__(self, data: xr.Dataset, silent: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.data, self.silent = data, silent
        self.page = b""
        """What to send instead, if anything."""
        self.asked: list[str] = []
        self.stop = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has given up is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/it"


@contextmanager
def serving(data: xr.Dataset, silent: bool = False) -> Iterator[DapServer]:
    """A server for as long as the block lasts; a silent one takes connections and answers only when it is stopped."""
    server = DapServer(data, silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()
