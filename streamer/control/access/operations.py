"""What is needed for what: one table of all that can be asked of the API, and the decision.  Pure.

What somebody may not see is not there for them (404, in the words for what is really not there); what they may see
and not do is forbidden (403); who has not said who they are is asked to (401).  A path that is not in the table is for
administrators of the server alone, and a test fails for it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from streamer.control.access.people import Person, Role

Where = Literal["anywhere", "run", "project", "some_project", "server", "metrics", "known"]
"""What a need is about: nothing (``anywhere``: everybody, without login), the run or project that the path names, any
project of one's own, the server, the metrics, or only to be ``known``."""


class Need(NamedTuple):
    """What somebody must be for an operation."""

    operation: str
    """Its name, as the audit log has it."""
    where: Where
    role: Role = "viewer"
    """For ``run``, ``project`` and ``some_project``."""


API = "/api/v1"
RUN = f"{API}/runs/{{run_id}}"
VIEW = f"{RUN}/views/{{name}}"
WALL = f"{API}/walls/{{name}}"
PROJECT = f"{API}/projects/{{project}}"


def _look(what: str) -> Need:
    return Need(f"look at {what}", "run")


def _open(what: str) -> Need:
    return Need(what, "anywhere")


NEEDS: dict[tuple[str, str], Need] = {
    # The pages have nothing of anybody's in them: what they show, they ask the API for.
    ("GET", "/"): _open("open the page"),
    ("GET", "/view/{run_id}"): _open("open the page"),
    ("GET", "/static"): _open("open the page"),
    ("GET", "/docs"): _open("read the description"),
    ("GET", "/docs.css"): _open("read the description"),
    ("GET", "/openapi.json"): _open("read the description"),
    ("GET", "/healthz"): _open("ask whether it is well"),
    ("GET", "/auth/issuers"): _open("ask how to sign in"),
    ("GET", "/auth/login"): _open("sign in"),
    ("GET", "/auth/callback"): _open("sign in"),
    ("POST", "/auth/logout"): _open("sign out"),
    ("GET", "/metrics"): Need("read the metrics", "metrics"),
    ("GET", f"{API}/me"): Need("ask who one is", "known"),
    ("GET", f"{API}/projects"): Need("list one's projects", "known"),
    ("GET", f"{API}/system"): Need("look at the server", "known"),
    ("GET", f"{API}/segmenters"): Need("list segmenters", "some_project"),
    ("GET", f"{API}/runs"): Need("list runs", "known"),
    ("GET", f"{API}/audit"): Need("read the audit log", "some_project", "admin"),
    ("DELETE", f"{API}/sessions"): Need("end sessions", "server"),
    # Whoever may have a file looked at can try what the server can read.
    ("POST", f"{API}/datasets/inspect"): Need("inspect a dataset", "some_project", "operator"),
    ("POST", f"{API}/runs"): Need("start a run", "some_project", "operator"),
    ("POST", f"{API}/runs/manifests"): Need("look at what a run would be", "some_project", "operator"),
    ("GET", RUN): _look("a run"),
    ("GET", f"{RUN}/events"): _look("a run"),
    ("GET", f"{RUN}/logs"): _look("a run's logs"),
    ("GET", f"{RUN}/report"): _look("a run's report"),
    ("GET", f"{RUN}/manifests"): _look("a run's objects in the cluster"),
    ("GET", f"{RUN}/objects"): _look("a run's objects"),
    ("GET", f"{RUN}/objects/{{object_id}}"): _look("a run's objects"),
    ("GET", f"{RUN}/courses"): _look("a run's objects"),
    ("GET", f"{RUN}/chunks"): _look("a run's chunks"),
    ("WS", f"{RUN}/view"): _look("a run's pictures"),
    ("POST", f"{RUN}/picture"): _look("a run's pictures"),
    ("POST", f"{RUN}/film"): _look("a run's pictures"),
    ("POST", f"{RUN}/cancel"): Need("cancel a run", "run", "operator"),
    ("POST", f"{RUN}/pause"): Need("pause a run", "run", "operator"),
    ("POST", f"{RUN}/resume"): Need("resume a run", "run", "operator"),
    ("POST", f"{RUN}/scale"): Need("scale a run", "run", "operator"),
    ("POST", f"{RUN}/clone"): Need("clone a run", "run", "operator"),
    ("DELETE", RUN): Need("remove a run", "run", "admin"),
    ("POST", f"{RUN}/walls"): Need("show a run on walls", "run", "operator"),
    ("DELETE", f"{RUN}/walls/{{name}}"): Need("take a run off a wall", "run", "operator"),
    # What somebody may do with a view that is there follows from its owner and its tokens too: the view says that.
    ("GET", f"{RUN}/views"): _look("a run's views"),
    ("POST", f"{RUN}/views"): Need("make a view", "run", "operator"),
    ("GET", VIEW): _look("a view"),
    ("PATCH", VIEW): Need("change a view", "run"),
    ("PUT", VIEW): Need("change a view", "run"),
    ("DELETE", VIEW): Need("remove a view", "run"),
    ("GET", f"{VIEW}/tokens"): Need("list a view's tokens", "run"),
    ("POST", f"{VIEW}/tokens"): Need("make a token of a view", "run"),
    ("DELETE", f"{VIEW}/tokens/{{token_id}}"): Need("revoke a token of a view", "run"),
    # Walls are the server's, and all projects share them. Their files name machines, displays and devices.
    ("GET", f"{API}/walls"): Need("list walls", "some_project"),
    ("GET", WALL): Need("look at a wall", "some_project"),
    ("GET", f"{WALL}/picture"): Need("look at a wall", "some_project"),
    ("POST", f"{WALL}/identify"): Need("try a wall", "some_project", "operator"),
    ("GET", f"{WALL}/file"): Need("read a wall file", "server"),
    ("POST", f"{API}/walls"): Need("keep a wall", "server"),
    ("PUT", WALL): Need("keep a wall", "server"),
    ("DELETE", WALL): Need("forget a wall", "server"),
    ("GET", f"{PROJECT}/tokens"): Need("list tokens", "project", "admin"),
    ("POST", f"{PROJECT}/tokens"): Need("make a token", "project", "admin"),
    ("DELETE", f"{PROJECT}/tokens/{{token_id}}"): Need("revoke a token", "project", "admin"),
}

UNKNOWN = Need("an operation without a name", "server")


def need(method: str, path: str) -> Need:
    """What an operation needs; ``path`` as the route has it, ``WS`` is the method of a WebSocket."""
    return NEEDS.get(("GET" if method == "HEAD" else method, path), UNKNOWN)


def changes(method: str) -> bool:
    """Whether a method may change something."""
    return method not in ("GET", "HEAD", "OPTIONS", "WS")


class Verdict(NamedTuple):
    """Why somebody may not: the HTTP status, and a sentence."""

    status: int
    why: str


def verdict(need: Need, person: Person | None, project: str | None, named: str) -> Verdict | None:
    """Whether somebody may (None), or why not.

    ``person`` is None for a stranger.  ``project`` is the one that the need is about, None if there is no such run or
    project.  ``named`` is what to call it: ``run x``.
    """
    if need.where == "anywhere":
        return None
    if person is None:
        return Verdict(401, "this server asks who you are: sign in, or send a token (Authorization: Bearer …)")
    if need.where == "metrics":
        return None if person.metrics or person.administrator else _short("a token with the role metrics", need)
    if need.where == "server":
        return None if person.administrator else _short("an administrator of the server", need)
    if need.where == "known":
        return None
    if need.where == "some_project":
        return None if person.somewhere(need.role) else _short(f"the role {need.role} in a project", need)
    if project is None:
        # Said here as well as by the route: which may look at the request's body first, and so tell what is there.
        return Verdict(404, f"there is no {named}")
    held = person.role_in(project)
    if held is None:
        return Verdict(404, f"there is no {named}")
    if not person.has(need.role, project):
        return Verdict(403, f"to {need.operation} takes the role {need.role} in project {project}; you are {held}")
    return None


def _short(takes: str, need: Need) -> Verdict:
    return Verdict(403, f"to {need.operation} takes {takes}, which you do not have")
