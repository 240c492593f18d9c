"""The part of the client (``streamer.client``) that concerns walls, and the views of runs."""

from __future__ import annotations

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx
import msgspec

from streamer.control.openapi import Identified, RunView, ViewEntry, ViewToken, Wall, WallEntry
from streamer.control.runs import Run
from streamer.control.view_roles import Role

TOML = "application/toml"
LOOK_S = 120.0
"""So long the server may look at a wall file, or start a wall's tiles."""


class WallCalls(ABC):
    """What may be asked of walls and views.  Methods raise Refused and Lost."""

    @abstractmethod
    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Sends a request; what comes back is no refusal."""

    # ------------------------------------------------------------ walls

    def walls(self) -> list[WallEntry]:
        """The walls that are kept, by name."""
        return msgspec.json.decode(self._ask("GET", "/walls").content, type=list[WallEntry])

    def wall(self, name: str) -> Wall:
        """A wall, which of its nodes are there, and what it shows."""
        return msgspec.json.decode(self._ask("GET", f"/walls/{_word(name)}").content, type=Wall)

    def wall_file(self, name: str) -> str:
        """The wall's file, TOML."""
        return self._ask("GET", f"/walls/{_word(name)}/file").text

    def wall_picture(self, name: str, format: Literal["svg", "png"] = "svg") -> bytes:
        """The wall to scale."""
        return self._ask("GET", f"/walls/{_word(name)}/picture", params={"format": format}, timeout=LOOK_S).content

    def put_wall(self, text: str, generation: int | None = None) -> Wall:
        """Keeps a wall file (TOML), in place of the one of the same name if there is one."""
        headers = {"content-type": TOML, **_if_match(generation)}
        name = _name_in(text)
        # What has no name is for the server to complain about.
        method, path = ("PUT", f"/walls/{_word(name)}") if name else ("POST", "/walls")
        answer = self._ask(method, path, content=text.encode(), headers=headers, timeout=LOOK_S)
        return msgspec.json.decode(answer.content, type=Wall)

    def remove_wall(self, name: str, generation: int | None = None) -> None:
        """Forgets a wall."""
        self._ask("DELETE", f"/walls/{_word(name)}", headers=_if_match(generation))

    def identify_wall(self, name: str, seconds: float = 10.0) -> Identified:
        """Shows the test pattern on the wall's tiles; returns when it is there."""
        how = {"json": {"seconds": seconds}, "timeout": LOOK_S}
        return msgspec.json.decode(self._ask("POST", f"/walls/{_word(name)}/identify", **how).content, type=Identified)

    def show_on(self, run_id: str, walls: Sequence[str], *, take: bool = False, generation: int | None = None) -> Run:
        """Shows a run on walls; with ``take`` also on those that show another one."""
        body = {"walls": list(walls), "take": take}
        answer = self._ask(
            "POST", f"/runs/{_word(run_id)}/walls", json=body, headers=_if_match(generation), timeout=LOOK_S
        )
        return msgspec.json.decode(answer.content, type=Run)

    def take_off(self, run_id: str, wall: str, generation: int | None = None) -> Run:
        """Takes a run off a wall."""
        path = f"/runs/{_word(run_id)}/walls/{_word(wall)}"
        return msgspec.json.decode(self._ask("DELETE", path, headers=_if_match(generation)).content, type=Run)

    # ------------------------------------------------------------ views

    def views(self, run_id: str) -> list[ViewEntry]:
        """The run's shared views, and those of the walls that it is shown on."""
        return msgspec.json.decode(self._ask("GET", _views(run_id)).content, type=list[ViewEntry])

    def view(self, run_id: str, name: str, token: str | None = None) -> RunView:
        """A view with its state; ``wall.NAME`` is what that wall shows now."""
        return _view(self._ask("GET", _views(run_id, name), headers=_token(token)))

    def add_view(
        self,
        run_id: str,
        name: str,
        state: Mapping[str, object] | None = None,
        camera: Mapping[str, object] | None = None,
        *,
        shared: bool = True,
    ) -> RunView:
        """A new view; a private one comes with a token to lead it."""
        body = {"name": name, "state": state or {}, "camera": camera or {}, "shared": shared}
        return _view(self._ask("POST", _views(run_id), json=body))

    def change_view(
        self,
        run_id: str,
        name: str,
        state: Mapping[str, object] | None = None,
        camera: Mapping[str, object] | None = None,
        *,
        revision: str | None = None,
        token: str | None = None,
    ) -> RunView:
        """Changes some of a view; with ``revision`` only if it is still that one."""
        headers = {**_token(token), **({} if revision is None else {"If-Match": f'"{revision}"'})}
        body = {"state": state or {}, "camera": camera or {}}
        return _view(self._ask("PATCH", _views(run_id, name), json=body, headers=headers))

    def remove_view(self, run_id: str, name: str, token: str | None = None) -> None:
        """Removes a view with its tokens."""
        self._ask("DELETE", _views(run_id, name), headers=_token(token))

    def add_view_token(
        self, run_id: str, name: str, role: Role = "follow", expires_in_s: float = 86400.0, token: str | None = None
    ) -> ViewToken:
        """A token of a view for somebody else; its secret is shown this once."""
        body = {"role": role, "expires_in_s": expires_in_s}
        answer = self._ask("POST", f"{_views(run_id, name)}/tokens", json=body, headers=_token(token))
        return msgspec.json.decode(answer.content, type=ViewToken)

    def view_tokens(self, run_id: str, name: str, token: str | None = None) -> list[ViewToken]:
        """The tokens of a view that are good."""
        answer = self._ask("GET", f"{_views(run_id, name)}/tokens", headers=_token(token))
        return msgspec.json.decode(answer.content, type=list[ViewToken])

    def revoke_view_token(self, run_id: str, name: str, token_id: str, token: str | None = None) -> None:
        """Revokes a token of a view."""
        self._ask("DELETE", f"{_views(run_id, name)}/tokens/{_word(token_id)}", headers=_token(token))


def _name_in(text: str) -> str:
    """What a wall file calls its wall; empty if that cannot be read."""
    try:
        found = tomllib.loads(text).get("name", "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _views(run_id: str, name: str = "") -> str:
    return f"/runs/{_word(run_id)}/views" + (f"/{_word(name)}" if name else "")


def _view(answer: httpx.Response) -> RunView:
    return msgspec.json.decode(answer.content, type=RunView)


def _if_match(generation: int | None) -> dict[str, str]:
    return {} if generation is None else {"If-Match": f'"{generation}"'}


def _token(token: str | None) -> dict[str, str]:
    return {} if token is None else {"View-Token": token}


def _word(name: str) -> str:
    return quote(name, safe="")
