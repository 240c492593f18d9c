"""How many cores a process may use, and what they can do.

Of what the machine has, a process gets what its affinity and its cgroup's quota leave; of that, one
worker of several takes the share that it is told at its start (``cavecast worker --threads``,
``--one-of``).  Two workers with all cores each would only stand in each other's way.
"""

from __future__ import annotations

import math
import os
import platform
import re
from pathlib import Path

THREADS = "CAVECAST_THREADS"
_FLAGS = {"bfloat16": {"avx512_bf16", "amx_bf16", "bf16"}}
"""What /proc/cpuinfo calls an ability, on x86 and on ARM."""


def threads() -> int:
    """How many threads this process is to compute with: as many as it was given, else all cores it may use."""
    given = os.environ.get(THREADS, "")
    return int(given) if given.isdecimal() and int(given) > 0 else cores()


def give(threads: int) -> None:
    """Lets this process, and what it starts, compute with so many threads: said once, at the start, by its command."""
    os.environ[THREADS] = str(threads)


def cores() -> int:
    """How many cores this process may use, by its affinity and its cgroups' quotas."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas())]))


def share(cores: int, workers: int) -> int:
    """The threads of each of so many workers on so many cores."""
    return max(1, cores // max(1, workers))


def quota_v2(cpu_max: str) -> float | None:
    """Cores by a cgroup's ``cpu.max`` (``200000 100000``); None where it sets no limit."""
    found = re.fullmatch(r"(\d+) ([1-9]\d*)", cpu_max.strip())
    return int(found[1]) / int(found[2]) if found else None


def groups(proc_cgroup: str) -> list[str]:
    """A process's cgroups of version 2, from its own up to the root, by the text of /proc/self/cgroup."""
    found = re.search(r"^0::(/.*)$", proc_cgroup, re.MULTILINE)
    own = Path(found[1] if found else "/")
    return [str(own), *map(str, own.parents)]


def quotas(root: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """All limits that hold for this process, in cores."""
    found: list[float] = []
    for group in groups(_text(Path("/proc/self/cgroup"))):
        quota = quota_v2(_text(root / group.lstrip("/") / "cpu.max"))
        if quota:
            found.append(quota)
    limit, period = (_text(root / "cpu" / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period"))
    if limit.isdecimal() and period.isdecimal() and int(period):  # cgroups of version 1; no limit is -1
        found.append(int(limit) / int(period))
    return found


def processor() -> str:
    """The processor's name, with what bears on speed, such as ``AMD EPYC avx512_bf16``."""
    name = re.search(r"^(?:model name|CPU part)\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    wide = sorted(_flags() & {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile", "bf16", "sve"})
    return " ".join([name[1].strip() if name else platform.processor() or platform.machine(), *wide])


def processor_has(ability: str) -> bool:
    """Whether the processor computes in ``bfloat16`` itself; slow imitations do not count."""
    return bool(_flags() & _FLAGS[ability])


def _flags() -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return set(found[1].split()) if found else set()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
