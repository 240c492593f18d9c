"""Commands that are asked for an answer: heard to their end, and ended when they fall silent."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from streamer.control import killing, launcher
from streamer.control.launcher import Part, Silent, ask
from streamer.lifeline import Lifeline


@pytest.fixture
def lifeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lifeline]:
    monkeypatch.setattr(launcher, "command", lambda *words: [sys.executable, "-c", *words])
    made = Lifeline()
    yield made
    made.close()


TALKS = """
import sys, time
for n in range(8):
    time.sleep(0.5)
    print(n, file=sys.stderr, flush=True)
print("done")
"""


def test_who_gives_signs_of_life_is_waited_for(lifeline: Lifeline) -> None:
    code, out, err = asyncio.run(ask([TALKS], lifeline, silence_s=3, longest_s=60))
    assert (code, out, err.split()) == (0, b"done\n", [str(n) for n in range(8)])


def test_who_falls_silent_is_ended_and_quoted(lifeline: Lifeline) -> None:
    code = "import sys, threading; print('at the gate', file=sys.stderr, flush=True); threading.Event().wait()"
    with pytest.raises(Silent, match=r"said nothing for 1 s, after 'at the gate'"):
        asyncio.run(ask([code], lifeline, silence_s=1, longest_s=60))
    assert not [child for child in psutil.Process().children() if "at the gate" in " ".join(child.cmdline())]


def test_who_never_comes_to_an_end_is_ended_too(lifeline: Lifeline) -> None:
    code = "import sys, time\nwhile True: time.sleep(0.01); print('still', file=sys.stderr, flush=True)"
    with pytest.raises(Silent, match="longer than 1 s"):
        asyncio.run(ask([code], lifeline, silence_s=30, longest_s=1))


def test_what_a_part_says_can_be_written_whatever_it_says(lifeline: Lifeline) -> None:
    said = (
        json.dumps({"event": "no file a\udcff.nc", "level": "error", "seen\0": "\0"}), '{"a":' * 1500, "plain \0 \x7f",
    )  # fmt: skip
    heard: list[str] = []

    async def runs() -> int:
        code = f"import sys; sys.stderr.write({chr(10).join(said)!r})"
        part = Part("p", [code], lifeline, {}, lambda *what: heard.append(what[-1]))
        assert await part.run() == 0
        return len(part.words.encode())

    assert asyncio.run(runs()) > 0
    assert heard == ["no file a\\udcff.nc seen\\x00=\\x00", said[1], "plain \\x00 \x7f"]
    for line in heard:
        assert "\0" not in line.encode().decode()


LEAVES = """
import subprocess, sys, threading
left = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
print(left.pid, file=sys.stderr, flush=True)
threading.Event().wait()
"""


def test_who_was_killed_and_left_somebody_at_its_pipes_is_not_waited_for(
    lifeline: Lifeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(killing, "GONE_S", 0.2)

    async def asks() -> None:
        await asyncio.wait_for(ask([LEAVES], lifeline, silence_s=2, longest_s=60), 30)

    with pytest.raises(Silent, match="said nothing for 2 s, after") as said:
        asyncio.run(asks())
    left = psutil.Process(int(str(said.value).split("'")[1]))
    assert left.is_running(), "it has the pipes still"
    left.kill()


def test_who_is_only_being_started_is_ended_as_well(lifeline: Lifeline, monkeypatch: pytest.MonkeyPatch) -> None:
    real, go = asyncio.create_subprocess_exec, asyncio.Event()

    async def starts(*words: str, **more: Any) -> asyncio.subprocess.Process:
        await go.wait()
        return await real(*words, **more)

    async def story() -> int:
        part = Part("p", ["import threading; threading.Event().wait()"], lifeline, {})
        running = asyncio.create_task(part.run())
        await asyncio.sleep(0)
        part.signal(signal.SIGTERM)
        go.set()
        return await asyncio.wait_for(running, 30)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    assert asyncio.run(story()) == -signal.SIGTERM
