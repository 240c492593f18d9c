"""Sets of indexes as a Job's status writes them: ``0-2,5``."""

from __future__ import annotations

from collections.abc import Iterable


def indexes(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def intervals(found: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for one in sorted(found):
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return ",".join(str(a) if a == b else f"{a},{b}" if b == a + 1 else f"{a}-{b}" for a, b in runs)
