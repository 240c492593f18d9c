"""A client of the control plane, for programs and notebooks:

    from streamer.client import Client

    with Client("http://127.0.0.1:8750") as cavecast:
        run = cavecast.start(input="/data/ivt.nc", threshold=500)
        for run in cavecast.follow(run.run_id):
            print(run.state, run.status.committed, "of", run.status.chunks)

Answers are the records that the control plane itself uses.  What it refuses is raised as ``Refused`` with its own
sentence; ``Lost`` says that it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from streamer.client_walls import WallCalls
from streamer.control.access.people import Role
from streamer.control.access.shown import AuditEntry, Me, NewToken, ProjectShown, SignIn, TokenShown
from streamer.control.booking import Dataset
from streamer.control.openapi import Entry, System
from streamer.control.report import Report
from streamer.control.runs import Run, State
from streamer.control.said import Line
from streamer.signed import Signed
from streamer.wire.status import Course, ObjectPage

API = "/api/v1"
STARTING_S = 2 * 3600.0
"""Starting a run may take as long as its input takes to be looked at: the server sees to an end of that."""
AUDIT_PAGE = 1000
Record = TypeVar("Record")


class Refused(RuntimeError):
    """The control plane said no: its own sentence, and the HTTP status; ``exit_code`` 2 if the request was wrong."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status, self.exit_code = status, 2 if status == 422 else 1


class Lost(RuntimeError):
    """The control plane does not answer: where, and why."""

    exit_code = 1


class Client(WallCalls):
    """Speaks to the control plane at ``url``; close it when done, or use it in a ``with``.

    Methods raise Refused and Lost.  ``generation``, where it is taken, is that of the run as it was looked at: the
    change is refused (412) if somebody else has changed the run since.

    Who you are is said by ``token``, else by ``CAVECAST_TOKEN``, else by what ``cavecast login`` keeps; a token is not
    sent without encryption beyond this machine, but for ``plain_http``.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8750", token: str | None = None, *, plain_http: bool = False
    ) -> None:
        self.url = url.rstrip("/")
        try:
            signed = Signed(self.url, token, plain_http=plain_http)
            self._http = httpx.Client(
                base_url=self.url, trust_env=False, timeout=httpx.Timeout(60.0, connect=10.0), auth=signed
            )
            httpx.URL(self.url).host.encode("idna")
        except (httpx.InvalidURL, ValueError) as why:
            raise Lost(f"{url} is no address of a control plane: {why}") from None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    # ------------------------------------------------------------ runs

    def start(self, request: Mapping[str, object] | None = None, *, key: str | None = None, **fields: object) -> Run:
        """A new run, by the fields of ``POST /runs``.  With a ``key`` it may be asked for again: it starts one run."""
        return self._posted("/runs", {**(request or {}), **fields}, Run, timeout=STARTING_S, headers=_key(key))

    def clone(self, run_id: str, *, key: str | None = None, **changes: object) -> Run:
        """A new run as another one was started, with some fields changed."""
        return self._posted(f"/runs/{_word(run_id)}/clone", changes, Run, timeout=STARTING_S, headers=_key(key))

    def runs(self, states: Sequence[State] = (), words: str = "", limit: int | None = None) -> Iterator[Run]:
        """Runs, newest first, page by page as they are wanted."""
        asked: list[tuple[str, str]] = [("state", state) for state in states] + [("q", words)] * bool(words)
        left, before = limit, ""
        while left is None or left > 0:
            size = 100 if left is None else min(100, left)
            query = [*asked, ("limit", str(size)), *([("before", before)] if before else [])]
            answer = self._ask("GET", "/runs", params=query)
            page = msgspec.json.decode(answer.content, type=list[Run])
            yield from page
            if "next" not in answer.links or not page:
                return
            before, left = page[-1].run_id, None if left is None else left - len(page)

    def run(self, run_id: str) -> Run:
        """One run, as it stands."""
        return self._got(f"/runs/{_word(run_id)}", Run)

    def follow(self, run_id: str) -> Iterator[Run]:
        """The run whenever it has changed, until it has ended."""
        silence = httpx.Timeout(10.0, read=60.0)  # a heartbeat comes every 15 s
        name = ""
        try:
            with self._http.stream("GET", f"{API}/runs/{_word(run_id)}/events", timeout=silence) as events:
                if events.status_code != 200:
                    events.read()
                    raise _refusal(events)
                for line in events.iter_lines():
                    if line.startswith("event: "):
                        name = line[7:]
                    elif line.startswith("data: ") and name == "run":
                        yield msgspec.json.decode(line[6:], type=Run)
        except httpx.HTTPError as why:
            raise self._lost(why) from None

    def cancel(self, run_id: str, generation: int | None = None) -> Run:
        """Stops a run and ends its processes; what is committed stays."""
        return self._wish(run_id, "cancel", None, generation)

    def pause(self, run_id: str, generation: int | None = None) -> Run:
        """Lets a run begin no more chunks."""
        return self._wish(run_id, "pause", None, generation)

    def resume(self, run_id: str, generation: int | None = None) -> Run:
        """Lets it go on."""
        return self._wish(run_id, "resume", None, generation)

    def scale(self, run_id: str, workers: int, generation: int | None = None) -> Run:
        """Lets it work with so many workers."""
        return self._wish(run_id, "scale", {"workers": workers}, generation)

    def remove(self, run_id: str) -> None:
        """Forgets a run that is over, with its log."""
        self._ask("DELETE", f"/runs/{_word(run_id)}")

    def logs(self, run_id: str, lines: int = 200, part: str = "") -> list[Line]:
        """What its parts have said, oldest line first."""
        asked = {"lines": str(lines), **({"part": part} if part else {})}
        return self._got(f"/runs/{_word(run_id)}/logs", list[Line], asked)

    def report(self, run_id: str) -> Report:
        """What the steps of a run have taken so far."""
        return self._got(f"/runs/{_word(run_id)}/report", Report)

    # ------------------------------------------------------------ objects, and what can be chosen

    def manifests(self, run_id: str) -> str:
        """The objects that a run in a cluster is made of, as YAML without secrets.  Raises Refused, Lost."""
        return self._ask("GET", f"/runs/{_word(run_id)}/manifests").text

    def objects(self, run_id: str, limit: int = 1000) -> ObjectPage:
        """The largest objects."""
        return self._got(f"/runs/{_word(run_id)}/objects", ObjectPage, {"limit": str(limit)})

    def track(self, run_id: str, object_id: int) -> ObjectPage:
        """One object and its life, step by step."""
        return self._got(f"/runs/{_word(run_id)}/objects/{object_id}", ObjectPage)

    def courses(self, run_id: str, ids: Sequence[int]) -> list[Course]:
        """The lives of several objects, 64 at most, in 32 points at most each."""
        return self._got(f"/runs/{_word(run_id)}/courses", list[Course], {"id": [str(one) for one in ids]})

    def table(self, run_id: str, format: str = "csv", limit: int = 10_000, object_id: int | None = None) -> bytes:
        """The objects, or one object's life, as ``csv``, ``parquet`` or ``geojson``."""
        path = f"/runs/{_word(run_id)}/objects" + (f"/{object_id}" if object_id is not None else "")
        asked = {"format": format, **({"limit": str(limit)} if object_id is None else {})}
        return self._ask("GET", path, params=asked).content

    def inspect(self, input: str, **more: object) -> Dataset:
        """What an input holds."""
        return self._posted("/datasets/inspect", {"input": input, **more}, Dataset, timeout=STARTING_S)

    def segmenters(self) -> list[Entry]:
        """The segmenters that the server has, with the schemas of what they take."""
        return self._got("/segmenters", list[Entry])

    def system(self) -> System:
        """What the server is, and how much of it is taken."""
        return self._got("/system", System)

    # ------------------------------------------------------------ who may

    def me(self) -> Me:
        """Who you are to the server."""
        return self._got("/me", Me)

    def projects(self) -> list[ProjectShown]:
        """Your projects, and how much of their quotas is taken."""
        return self._got("/projects", list[ProjectShown])

    def issuers(self) -> list[SignIn]:
        """Where one can sign in; empty where there are no accounts."""
        return msgspec.json.decode(self._sent("GET", "/auth/issuers").content, type=list[SignIn])

    def make_token(self, project: str, name: str, role: Role, expires: str | None = None) -> NewToken:
        """A token for a machine, shown this once; ``expires`` is ISO 8601."""
        body = {"name": name, "role": role, **({} if expires is None else {"expires": expires})}
        return self._posted(f"/projects/{_word(project)}/tokens", body, NewToken, timeout=60.0)

    def tokens(self, project: str) -> list[TokenShown]:
        """A project's tokens."""
        return self._got(f"/projects/{_word(project)}/tokens", list[TokenShown])

    def revoke_token(self, project: str, token_id: str) -> None:
        """Lets a token open nothing any more."""
        self._ask("DELETE", f"/projects/{_word(project)}/tokens/{_word(token_id)}")

    def audit(self, limit: int | None = None, before: int | None = None) -> Iterator[AuditEntry]:
        """What was changed or refused in projects that you administer, newest first, page by page as it is wanted.

        ``before``: only what is older than the entry of that number.
        """
        left = limit
        while left is None or left > 0:
            asked = {"limit": str(AUDIT_PAGE if left is None else min(AUDIT_PAGE, left))}
            if before is not None:
                asked["before"] = str(before)
            answer = self._ask("GET", "/audit", params=asked)
            page = msgspec.json.decode(answer.content, type=list[AuditEntry])
            yield from page
            if "next" not in answer.links or not page:
                return
            before, left = page[-1].number, None if left is None else left - len(page)

    # ------------------------------------------------------------ the line

    def _wish(self, run_id: str, what: str, body: object, generation: int | None) -> Run:
        headers = {} if generation is None else {"If-Match": f'"{generation}"'}
        return self._posted(f"/runs/{_word(run_id)}/{what}", body, Run, timeout=120.0, headers=headers)

    def _got(self, path: str, kind: type[Record], asked: Mapping[str, str | Sequence[str]] | None = None) -> Record:
        return msgspec.json.decode(self._ask("GET", path, params=asked or {}).content, type=kind)

    def _posted(
        self, path: str, body: object, kind: type[Record], *, timeout: float, headers: Mapping[str, str] | None = None
    ) -> Record:
        more: dict[str, Any] = {} if body is None else {"json": body}
        answer = self._ask("POST", path, headers=headers, timeout=httpx.Timeout(timeout, connect=10.0), **more)
        return msgspec.json.decode(answer.content, type=kind)

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self._sent(method, f"{API}{path}", **how)

    def _sent(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as why:
            raise self._lost(why) from None
        if not answer.is_success:
            raise _refusal(answer)
        return answer

    def _lost(self, why: Exception) -> Lost:
        return Lost(f"the control plane at {self.url} does not answer: {str(why) or type(why).__name__}")


def _refusal(answer: httpx.Response) -> Refused:
    try:
        sentence = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        sentence = f"{answer.url} answered {answer.status_code}: is it a control plane of CaveCast?"
    if answer.status_code == 401:
        sentence += "; cavecast login, or the variable CAVECAST_TOKEN, says who you are"
    return Refused(sentence, answer.status_code)


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}


def _word(run_id: str) -> str:
    return quote(run_id, safe="")
