"""Wall files are looked at by children, few at a time; who only looks keeps nobody from keeping one."""

from __future__ import annotations

import asyncio

import pytest

from streamer.control import wall_scrutiny
from streamer.control.schema import Problem
from streamer.control.wall_scrutiny import Drawings
from streamer.lifeline import Lifeline


def test_a_drawing_is_made_once_for_a_file_one_at_a_time_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    go = asyncio.Event()

    async def draws(asked: list[str], text: str, lifeline: Lifeline, out: str) -> bytes:
        del asked, lifeline
        made.append(f"{text} {out}")
        await go.wait()
        return text.encode()

    async def story() -> None:
        drawings = Drawings(lifeline)
        async with asyncio.TaskGroup() as tasks:
            same = [tasks.create_task(drawings.of("a", "svg")) for _ in range(3)]
            other = tasks.create_task(drawings.of("b", "svg"))
            await asyncio.sleep(0)
            with pytest.raises(Problem, match="4 drawings of walls are to be looked at already") as refused:
                await drawings.of("c", "svg")
            assert (refused.value.status, made) == (429, ["a drawn.svg"])
            go.set()
        assert [one.result() for one in (*same, other)] == [b"a", b"a", b"a", b"b"]
        assert await drawings.of("c", "svg") == b"c"  # and the oldest is forgotten
        assert await drawings.of("b", "svg") == b"b"
        assert made == ["a drawn.svg", "b drawn.svg", "c drawn.svg"]
        await drawings.of("a", "svg")
        assert made[-1] == "a drawn.svg"

    lifeline = Lifeline()
    monkeypatch.setattr(wall_scrutiny, "_asked", draws)
    monkeypatch.setattr(wall_scrutiny, "MOST_WAIT", 3)
    monkeypatch.setattr(wall_scrutiny, "MOST_DRAWINGS", 2)
    try:
        asyncio.run(story())
    finally:
        lifeline.close()
