"""What a project may take of the server at a time: the decision, for whoever starts or scales runs.  Pure.

    refused = beyond("rivers", Quota(runs=4, workers=64), used=Usage(3, 60), asked=Usage(1, 8))
    # "project rivers asks for 8 workers, has 60 at work and may have 64: …"

What could never fit is told apart from what does not fit now, so that a queue can wait for the latter.
"""

from __future__ import annotations

from typing import NamedTuple


class Quota(NamedTuple):
    """The most of each; None is no limit."""

    runs: int | None = None
    workers: int | None = None
    gpus: int | None = None


class Usage(NamedTuple):
    """So much of each is at work, or asked for."""

    runs: int = 0
    workers: int = 0
    gpus: int = 0

    def and_(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(self.runs + other.runs, self.workers + other.workers, self.gpus + other.gpus)


NO_LIMIT = Quota()
WORDS = {"runs": ("run", "runs"), "workers": ("worker", "workers"), "gpus": ("GPU", "GPUs")}


class Beyond(NamedTuple):
    """That something does not fit: a sentence, and whether it ever could."""

    why: str
    ever: bool
    """Whether it fits when others have ended."""


def beyond(project: str, quota: Quota, used: Usage, asked: Usage) -> Beyond | None:
    """Why a project may not have what it asks for, beside what it uses; None if it may."""
    for name, limit in quota._asdict().items():
        wanted, has = getattr(asked, name), getattr(used, name)
        if limit is None or wanted <= 0 or has + wanted <= limit:
            continue
        one, many = WORDS[name]
        words = f"project {project} asks for {wanted} {one if wanted == 1 else many}, has {has} at work "
        words += f"and may have {limit}"
        if wanted > limit:
            return Beyond(f"{words}: ask for no more than that", ever=False)
        return Beyond(f"{words}: wait, or cancel a run of the project first", ever=True)
    return None
