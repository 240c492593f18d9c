"""Which processes a run consists of, and how each is called.  Pure.

The order is the order of starting: the streamer is ready in a moment, workers take longest to load
their libraries, so all are started together and find each other as they come.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from streamer.control.runs import Role

SPEC_FILE = "RUN.json"


class Plan(NamedTuple):
    """What is to be started for a run."""

    folder: Path
    workers: int
    view: bool
    out: str | None
    hold: bool
    """The streamer keeps the work back until it is told to start."""
    pace_s: float

    @property
    def parts(self) -> dict[str, Role]:
        """The parts' names and roles, in the order of starting."""
        found: dict[str, Role] = {"streamer": "streamer"}
        found.update({f"worker-{n}": "worker" for n in range(1, self.workers + 1)})
        if self.view:
            found["renderer"] = "renderer"
        if self.out is not None:
            found["archive"] = "archive"
        return found


class Addresses(NamedTuple):
    """Where the parts of a run meet."""

    ingest: str
    feed: str
    views: str

    @property
    def known(self) -> bool:
        """Whether parts can connect to them already: a port that is still to be chosen is not known."""
        return not (self.ingest.endswith(":0") or self.feed.endswith(":0"))


def arguments(name: str, role: Role, plan: Plan, at: Addresses) -> list[str]:
    """The arguments of ``cavecast`` for a part."""
    match role:
        case "streamer":
            log = ["--run", str(plan.folder / SPEC_FILE), "--log", str(plan.folder / "log")]
            doors = ["--ingest", at.ingest, "--feed", at.feed]
            pace = ["--pace", f"{plan.pace_s:g}"] if plan.pace_s else []
            return ["streamer", *log, *doors, *pace, *(["--hold"] if plan.hold else [])]
        case "worker":
            return ["worker", "--ingest", at.ingest, "--name", name]
        case "renderer":
            return ["renderer", "--feed", at.feed, "--views", at.views]
        case "archive":
            assert plan.out is not None
            return ["archive", "--feed", at.feed, "--out", plan.out]
