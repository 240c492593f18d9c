"""One's own control plane, spoken to over HTTP as any other client would."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import msgspec

from streamer.control.runs import Run


class Refused(RuntimeError):
    """The control plane said no: its own sentence.  ``exit_code`` is 2 if the request was wrong, else 1."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class Lost(RuntimeError):
    """The control plane does not answer any more."""


class Client:
    """Starts and follows runs at ``url``.  Close it when done."""

    def __init__(self, url: str) -> None:
        # Starting a run may take as long as its input takes to be looked at: the server sees to an end of that.
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=httpx.Timeout(2 * 3600.0, connect=10.0))

    def start(self, request: dict[str, object]) -> Run:
        """A new run.  Raises Refused with the server's sentence, Lost."""
        try:
            answer = self._http.post("/api/v1/runs", json=request)
        except httpx.HTTPError as why:
            raise Lost(str(why)) from None
        if answer.status_code != 201:
            raise Refused(answer.json()["detail"], 2 if answer.status_code == 422 else 1)
        return msgspec.json.decode(answer.content, type=Run)

    def follow(self, run_id: str) -> Iterator[Run]:
        """The run whenever it has changed, until it has ended.  Raises Lost."""
        silence = httpx.Timeout(10.0, read=60.0)  # a heartbeat comes every 15 s
        name = ""
        try:
            with self._http.stream("GET", f"/api/v1/runs/{run_id}/events", timeout=silence) as events:
                for line in events.iter_lines():
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: ") and name == "run":
                        yield msgspec.json.decode(line[6:], type=Run)
        except httpx.HTTPError as why:
            raise Lost(str(why)) from None

    def close(self) -> None:
        """Hang up."""
        self._http.close()
