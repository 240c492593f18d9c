"""What Linux and NVIDIA's driver tell of processes: processor time, memory, bytes, GPUs.

Where there is no ``/proc`` (macOS) or no ``nvidia-smi`` nothing is measured, and that is said: a figure is None then
and never 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from streamer.control.killing import kill
from streamer.control.usage import Reading

PROC = Path("/proc")
SMI_S = 5.0
"""nvidia-smi may take so long."""
SMI_BYTES = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")
_hung: list[asyncio.subprocess.Process] = []
"""The nvidia-smi that was killed and has not gone: while its driver hangs, no other is asked."""


class Gpus(NamedTuple):
    """The GPUs of this machine."""

    held: Mapping[int, frozenset[str]]
    """Which each process holds, by process id."""
    busy: Mapping[str, float]
    """How busy each is, 0 to 1; one that does not say so is left out."""


def measurable() -> bool:
    """Whether processes can be read here."""
    return (PROC / "self" / "stat").exists()


def readings(pid: int, gpus: Gpus | None = None) -> dict[str, Reading]:
    """A process and all below it, by names that are never given twice; without those that end meanwhile."""
    found = {}
    for one in _family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            name, reading = _read(one)
            found[name] = reading._replace(gpus=gpus.held.get(one, frozenset()) if gpus else frozenset())
    return found


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError, ValueError):
        for task in (PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _read(pid: int) -> tuple[str, Reading]:
    folder = PROC / str(pid)
    fields = (folder / "stat").read_text().rpartition(")")[2].split()  # its name may hold anything
    if fields[0] == "Z":
        raise ValueError("it has ended")
    ticks = sum(map(int, fields[11:15]))  # its own, and those of children that it has waited for
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    memory = int(status.get("VmHWM", "0 kB").split()[0]) * 1024
    counts = dict(line.split(": ", 1) for line in (folder / "io").read_text().splitlines())
    return f"{pid}-{fields[19]}", Reading(ticks / _TICKS, memory, int(counts["rchar"]), int(counts["wchar"]))


async def gpus() -> Gpus | None:
    """What nvidia-smi says now; None if it is not there, or says nothing of use."""
    program = shutil.which("nvidia-smi")
    _hung[:] = [process for process in _hung if process.returncode is None]
    if program is None or _hung:
        return None
    apps = await _ask(program, "--query-compute-apps=pid,gpu_uuid")
    cards = None if apps is None else await _ask(program, "--query-gpu=uuid,utilization.gpu")
    return None if apps is None or cards is None else read_gpus(apps, cards)


def read_gpus(apps: str, cards: str) -> Gpus:
    """What two answers of nvidia-smi mean: lines of ``pid, uuid``, and of ``uuid, percent`` (or ``[N/A]``)."""
    held: dict[int, frozenset[str]] = {}
    for line in apps.splitlines():
        pid, _, gpu = (word.strip() for word in line.partition(","))
        if pid.isdecimal() and len(pid) < 11 and gpu:
            held[int(pid)] = held.get(int(pid), frozenset()) | {gpu}
    busy = {}
    for line in cards.splitlines():
        gpu, _, percent = (word.strip() for word in line.partition(","))
        if gpu and percent.isdecimal() and len(percent) <= 3:
            busy[gpu] = min(1.0, int(percent) / 100)
    return Gpus(held, busy)


async def _ask(program: str, question: str) -> str | None:
    process = await asyncio.create_subprocess_exec(
        program, question, "--format=csv,noheader,nounits",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SMI_S):
            said = await process.stdout.read(SMI_BYTES)
            return said.decode("utf-8", "replace") if await process.wait() == 0 else None
    except TimeoutError:  # the driver hangs
        return None
    finally:
        if not await kill(process, "nvidia-smi"):
            _hung.append(process)
