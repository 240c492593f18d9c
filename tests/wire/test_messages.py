"""Messages: what is encoded comes back, what is not a message is refused with a reason before memory is taken."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire import header
from streamer.wire import messages as m
from streamer.wire.block import EXTRA, PARTS

SAMPLES: list[m.Message] = [
    m.Hello(header.VERSION, "renderer", "wall-3", "e1", 42, ("labels", "ids")),
    m.Welcome(header.VERSION, "e1", 7, 1 << 20),
    m.Ask(2),
    m.Lease(9, 11, 30.0),
    m.Commit(3, 4, tuple(m.PartInfo(name, 1 << 30, 2**32 - 1) for name in (*PARTS, *EXTRA)), *[2**31] * 5),
    m.Entry(2**60, 2**60 - 1, "verdicts"),
    m.Credit(2**60, 2**40, 7),
    m.Command("start"),
]  # fmt: skip


@pytest.mark.parametrize("message", SAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was_with_its_payloads(message: m.Message) -> None:
    decoded, payloads = header.decode([header.encode(message), b"a", b""])
    assert decoded == message
    assert list(payloads) == [b"a", b""]


def test_a_header_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="512 at most"):
        header.encode(m.Refuse("x" * 600))


def test_what_is_not_known_is_skipped() -> None:
    assert header.decode([msgspec.msgpack.encode(["Sing", 1])]) == (None, [])
    longer = [*msgspec.msgpack.decode(header.encode(m.Ask(2))), "a field of tomorrow"]
    assert header.decode([msgspec.msgpack.encode(longer)])[0] == m.Ask(2)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "without a header"),
        ([b"\xc1"], "not MessagePack"),
        ([b"\x91\xa4\x00\x00\x00\x80"], "not MessagePack"),  # a text that is not UTF-8
        ([msgspec.msgpack.encode(["Ask", "two"])], "no message"),
        ([b"x" * 513], "512 are allowed"),
        ([b"x"] * 11, "10 are allowed"),
        ([msgspec.msgpack.encode(["Hello", 2, "worker", "w"])], "speaks protocol 2, this side 1"),
        ([msgspec.msgpack.encode(["Hello", 2, {"role": "worker"}])], "speaks protocol 2, this side 1"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(frames: list[bytes], reason: str) -> None:
    with pytest.raises(header.Refused, match=reason):
        header.decode(frames)


@given(st.lists(st.binary(max_size=600), max_size=12))
def test_no_bytes_do_more_than_be_refused(frames: list[bytes]) -> None:
    with contextlib.suppress(header.Refused):
        message, payloads = header.decode(frames)
        assert message is None or isinstance(message, m.Message)
        assert list(payloads) == frames[1:]


def test_the_language_loads_no_library_but_numpys() -> None:
    """`import streamer.wire` and all its modules, in a process of their own."""
    code = (
        "import sys, pkgutil, importlib, streamer.wire as w\n"
        "[importlib.import_module('streamer.wire.' + i.name) for i in pkgutil.iter_modules(w.__path__)]\n"
        "heavy = {'zmq', 'vtk', 'vtkmodules', 'tensorflow', 'xarray', 'fastapi', 'structlog', 'scipy'}\n"
        "print(*heavy & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == ""
