"""Starts the parts of a run as child processes, listens to what they say, and ends them.

A part is the console script beside this Python, so that a process list says ``cavecast worker …``.
Its stdout brings one line of JSON when it is ready, before a deadline; its stderr becomes lines of
this process's log, and the last few are kept, so that a part's end can be explained in its own
words.  Nothing outlives its run: SIGTERM first, SIGKILL after a grace, and the lifeline for the
case that this process is killed itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

import structlog

from streamer.control.killing import kill
from streamer.control.said import writable
from streamer.control.script import command
from streamer.lifeline import Lifeline

KEPT_LINES = 40
LONGEST_LINE = 8192
log = structlog.get_logger()


class NotReady(RuntimeError):
    """A part that did not say that it is ready in time: which, and what it said last."""


class Silent(RuntimeError):
    """A command that did not come to its end in time."""


class Part:
    """One child process.  ``start`` it; ``ended`` is set to its exit code when it has gone."""

    def __init__(
        self, name: str, arguments: Sequence[str], lifeline: Lifeline, facts: Mapping[str, str],
        hear: Callable[[str, str, str], None] | None = None,
    ) -> None:  # fmt: skip
        """``hear`` is told all that it says besides: its name, the line's level, and the line."""
        self.name, self._hear = name, hear or _deaf
        self.gone = asyncio.Event()
        """Set once it has ended."""
        self.ready: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        self._arguments = list(arguments)
        self._lifeline = lifeline
        self._facts = dict(facts)
        self._words: deque[str] = deque(maxlen=KEPT_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._signals: list[signal.Signals] = []
        """Those that it is to get as soon as there is a process."""

    @property
    def words(self) -> str:
        """The last sentence that it said to people, else its last complaint."""
        spoken = [line for line in self._words if line.startswith("cavecast: ")]
        return (spoken or list(self._words) or [""])[-1]

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid if self._process else None

    async def run(self) -> int:
        """Starts the process and stays with it until it has ended; returns its exit code (negative: the signal).

        One that cannot be started now (no process, memory or descriptor is left) has ended with exit code 1.
        Cancelling ends the process at once.
        """
        try:
            try:
                self._process = await self._started()
            except OSError as why:
                self._words.append(f"cavecast: it could not be started: {why.strerror or why}")
                return 1
            for number in self._signals:
                self.signal(number)
            assert self._process.stdout is not None
            assert self._process.stderr is not None
            await asyncio.gather(self._listen(self._process.stdout), self._relay(self._process.stderr))
            return await self._process.wait()
        finally:
            self.signal(signal.SIGKILL)
            self.gone.set()
            if not self.ready.done():
                self.ready.cancel()

    async def _started(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command(*self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**_environment(self._lifeline), **_talkative()},
            pass_fds=(self._lifeline.fd,),
            start_new_session=True,  # Ctrl-C on the terminal is for the command in front, which ends us in order
        )

    async def wait_ready(self, deadline_s: float) -> dict[str, object]:
        """What it announced.  Raises NotReady, in its own words, if it ended or stayed silent instead."""
        done, _ = await asyncio.wait([self.ready], timeout=deadline_s)
        if not done:
            raise NotReady(f"{self.name} was not ready after {deadline_s:g} s" + (f": {self.words}" * bool(self.words)))
        if self.ready.cancelled():
            raise NotReady(f"{self.name} ended before it was ready" + (f": {self.words}" * bool(self.words)))
        return self.ready.result()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs; one that is only being started gets it first of all."""
        if self._process is None:
            self._signals.append(number)
        elif self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        async for line in lines(stdout):
            announced = _record(line)
            if announced is not None and "ready" in announced and not self.ready.done():
                self.ready.set_result(announced)
            else:
                self._hear(self.name, "info", line)
                log.info(line, part=self.name, **self._facts)

    async def _relay(self, stderr: asyncio.StreamReader) -> None:
        async for line in lines(stderr):
            record = _record(line)
            if record is None:
                self._words.append(line)
                self._hear(self.name, "info", line)
                log.info(line, part=self.name, **self._facts)
                continue
            event = str(record.pop("event", ""))
            level = str(record.pop("level", "info"))
            record.pop("timestamp", None)
            self._hear(self.name, level, " ".join([event, *(f"{name}={value}" for name, value in record.items())]))
            if level not in ("debug", "info"):
                self._words.append(event)
            say = {"debug": log.debug, "warning": log.warning, "error": log.error, "critical": log.error}
            say.get(level, log.info)(event, **{**self._facts, "part": self.name, **record})


def _talkative() -> dict[str, str]:
    """Parts say what they do, also where this process's own log shows less: it is kept beside the run's log."""
    name = "CAVECAST_LOG_LEVEL"
    return {name: "debug" if os.environ.get(name) == "debug" else "info"}


def _deaf(part: str, level: str, text: str) -> None:
    del part, level, text


def _environment(lifeline: Lifeline) -> dict[str, str]:
    """Ours, without what is meant for a part that somebody starts alone: the parts of a local run have no keys."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CAVECAST_KEYS", "CAVECAST_TOKEN")}
    return lifeline.environment(kept)


def _record(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {writable(name): writable(value) if isinstance(value, str) else value for name, value in found.items()}


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream; a longer one than LONGEST_LINE is cut, so that no part can fill our memory."""
    rest = b""
    cut = False
    while block := await stream.read(65536):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            if not cut and line.strip():
                yield _text(line[:LONGEST_LINE]).rstrip()
            cut = False
        if len(rest) > LONGEST_LINE:
            if not cut:
                yield _text(rest[:LONGEST_LINE])
            rest, cut = b"", True
    if rest.strip() and not cut:
        yield _text(rest).rstrip()


def _text(raw: bytes) -> str:
    return writable(raw.decode("utf-8", "replace"))


async def ask(
    arguments: Sequence[str],
    lifeline: Lifeline,
    silence_s: float,
    longest_s: float,
    watch: Callable[[int], Coroutine[None, None, None]] | None = None,
) -> tuple[int, bytes, str]:
    """Runs a command to its end: (exit code, stdout, the last lines of stderr).

    ``watch`` is called with its process id, and cancelled with its end.
    Raises Silent if it says nothing for ``silence_s``, or is not done after ``longest_s``; it is ended then.
    """
    process = await asyncio.create_subprocess_exec(
        *command(*arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(lifeline),
        pass_fds=(lifeline.fd,),
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    words: deque[str] = deque(maxlen=KEPT_LINES)
    now = asyncio.get_running_loop().time

    async def listen(stderr: asyncio.StreamReader, silence: asyncio.Timeout) -> None:
        async for line in lines(stderr):
            silence.reschedule(now() + silence_s)
            words.append(line)

    silence = asyncio.timeout(silence_s)
    watching = asyncio.create_task(watch(process.pid)) if watch is not None else None
    try:
        async with asyncio.timeout(longest_s), silence:
            out, _ = await asyncio.gather(process.stdout.read(), listen(process.stderr, silence))
            await process.wait()
    except TimeoutError:
        if not silence.expired():
            raise Silent(f"it took longer than {longest_s:g} s") from None
        last = f", after {words[-1]!r}" if words else ""
        raise Silent(f"it said nothing for {silence_s:g} s{last}") from None
    finally:
        if watching is not None:
            watching.cancel()
        await kill(process, f"cavecast {arguments[0]}" if arguments else "cavecast")
    assert process.returncode is not None
    return process.returncode, out, "\n".join(words)
