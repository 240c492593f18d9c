"""A control plane that runs already, perhaps on another machine: ``--server URL`` in place of one's own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from streamer.client import Lost


class Elsewhere(AbstractContextManager["Elsewhere"]):
    """Stands where a control plane of one's own would (``streamer.run.server``); nothing ends with it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever happens here, the runs go on there."""

    def wait(self) -> None:
        """Its viewer stays open without us."""

    def gone(self, why: str) -> Lost:
        """That it is lost."""
        return Lost(why)
