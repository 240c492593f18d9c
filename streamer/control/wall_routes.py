"""What may be asked of walls over HTTP: to keep a wall file, to look at one with its nodes, and to try its tiles; and
on which walls a run is shown.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from streamer.control import wall_scrutiny
from streamer.control.access.guard import Visit, Who
from streamer.control.access.people import Person
from streamer.control.answers import as_json
from streamer.control.openapi import TEXT, Identified, Wall, WallEntry, answers, of_bytes
from streamer.control.registry import Registry
from streamer.control.run_routes import API, IfMatch, RunId, generation_of, shown
from streamer.control.runs import Run
from streamer.control.schema import Problem, WallName
from streamer.control.wall_books import WallFile
from streamer.wire.walls import MAX_WALL_NAME, WALL_NAME

TOML = "application/toml"
EXAMPLE = """name = "lab"
[[grids]]
name = "panel"
rows = 2
columns = 2
size = [1018, 573]
pixels = [1920, 1080]
nodes = "row"
"""
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A wall file, at most 64 KiB of TOML (docs/wall.md).",
        "content": {TOML: {"schema": {"type": "string"}, "example": EXAMPLE}},
    }
}
PICTURES = {"svg": "image/svg+xml", "png": "image/png"}
DRAWINGS: dict[str, Any] = {
    PICTURES["svg"]: {"schema": TEXT},
    PICTURES["png"]: {"schema": of_bytes("The same drawing.")},
}
Called = Annotated[
    str, Path(pattern=WALL_NAME, max_length=MAX_WALL_NAME, description="The wall's name.", examples=["lab"])
]
IfWall = Annotated[
    str | None, Header(alias="If-Match", max_length=64, description="The wall's ETag: refused with 412 if it is older.")
]


class OnWalls(BaseModel):
    """Walls that are to show a run."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"walls": ["lab"], "take": True}]}
    )

    walls: Annotated[tuple[WallName, ...], Field(min_length=1, max_length=16, description="By their names.")]
    take: Annotated[bool, Field(description="Take them from the runs that they show.")] = False


class Try(BaseModel):
    """How long the test pattern is to be shown."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"seconds": 15}]})

    seconds: Annotated[float, Field(ge=1, le=600, allow_inf_nan=False)] = 10.0


def add_walls(app: FastAPI, registry: Registry) -> None:
    """Adds the routes under ``/walls``, and ``/runs/{run_id}/walls``."""
    _files(app, registry)

    @app.get(f"{API}/walls/{{name}}", responses=answers(Wall, 404, 422, 503))
    async def get_wall(name: Called, who: Who) -> Response:
        """A wall: what its file says, which of its nodes are there, and what it shows."""
        return await _standing(registry, await registry.targets.wall(name), who)

    @app.post(
        f"{API}/walls/{{name}}/identify",
        status_code=202,
        responses=answers(Identified, 404, 409, 411, 413, 422, 503, status=202),
    )
    async def identify_wall(name: Called, wish: Try, who: Who) -> Response:
        """Show the test pattern on the wall's tiles for some seconds, also where no run is shown.

        The answer comes when the pattern is there; processes that are started for it alone are ended after it.
        """
        who.about = name
        run, sentences = await registry.targets.identify(name, wish.seconds, who.person)
        run_id = None if run is None else run.record.run_id
        return as_json(Identified(wall=name, seconds=wish.seconds, run_id=run_id, sentences=sentences), 202)

    @app.post(f"{API}/runs/{{run_id}}/walls", responses=answers(Run, 404, 409, 411, 412, 413, 422, 503))
    async def show_on_walls(run_id: RunId, wish: OnWalls, who: Who, if_match: IfMatch = None) -> Response:
        """Show a run on walls, beside those that show it already; also one that is over, as long as its log is there.

        What was given up there is started again.
        """
        generation = generation_of(if_match)
        run = await registry.targets.show(run_id, wish.walls, take=wish.take, generation=generation, person=who.person)
        return shown(run)

    @app.delete(
        f"{API}/runs/{{run_id}}/walls/{{name}}",
        responses={**answers(Run, 404, 409, 412, 422, 503), **answers(Run, status=202)},
    )
    async def take_off_wall(run_id: RunId, name: Called, if_match: IfMatch = None) -> Response:
        """Take a run off a wall. With 200 its windows are closed; with 202 something of it is left there for a while.

        That is so where a node of the wall does not answer: the wall is in the run's `leaving` then, and can be used.
        """
        run, gone = await registry.targets.take_off(run_id, name, generation_of(if_match))
        return shown(run, 200 if gone else 202)


def _files(app: FastAPI, registry: Registry) -> None:
    @app.get(f"{API}/walls", responses=answers(WallEntry, 503, many=True))
    async def list_walls(who: Who) -> Response:
        """The walls that are kept, by name."""
        found = []
        for wall in await registry.targets.every():
            busy, run_id = _on(registry, wall.name, who.person)
            found.append(WallEntry(**wall._asdict(), busy=busy, run_id=run_id))
        return as_json(found)

    @app.post(
        f"{API}/walls",
        status_code=201,
        openapi_extra=BODY,
        responses=answers(Wall, 409, 411, 413, 422, 429, 503, 504, status=201),
    )
    async def add_wall(request: Request, who: Who) -> Response:
        """Keep a wall file, under the name that it gives its wall. It is checked first."""
        text = await _text(request)
        facts = await wall_scrutiny.described(text, registry.lifeline, registry.targets.looking)
        who.about = facts.name
        return await _standing(registry, await registry.targets.put(text, facts, fresh=True), who, 201)

    @app.put(
        f"{API}/walls/{{name}}",
        openapi_extra=BODY,
        responses={**answers(Wall, 409, 411, 412, 413, 422, 429, 503, 504), **answers(Wall, status=201)},
    )
    async def put_wall(name: Called, request: Request, who: Who, if_match: IfWall = None) -> Response:
        """Keep a wall file in place of the one that there is, or as a new one. Not while a run is shown there."""
        text = await _text(request)
        facts = await wall_scrutiny.described(text, registry.lifeline, registry.targets.looking)
        if facts.name != name:
            raise Problem(422, f"the file calls its wall {facts.name!r}, not {name!r}: make both the same")
        kept = await registry.targets.put(text, facts, generation_of(if_match))
        who.about = name
        return await _standing(registry, kept, who, 201 if kept.generation == 1 else 200)

    @app.delete(
        f"{API}/walls/{{name}}",
        status_code=204,
        responses={204: {"description": "It is forgotten."}, **answers(None, 404, 409, 412, 422, 503)},
    )
    async def remove_wall(name: Called, who: Who, if_match: IfWall = None) -> Response:
        """Forget a wall. Not while a run is shown there."""
        who.about = name
        await registry.targets.remove(name, generation_of(if_match))
        return Response(status_code=204)

    @app.get(
        f"{API}/walls/{{name}}/file",
        response_class=Response,
        responses={
            200: {"description": "The file, TOML.", "content": {TOML: {"schema": TEXT, "example": EXAMPLE}}},
            **answers(None, 404, 422, 503),
        },
    )
    async def get_wall_file(name: Called) -> Response:
        """The wall's file, as it was put there."""
        wall = await registry.targets.wall(name)
        return Response(wall.text, headers={"etag": _etag(wall)}, media_type=TOML)

    @app.get(
        f"{API}/walls/{{name}}/picture",
        response_class=Response,
        responses={
            200: {"description": "The drawing.", "content": DRAWINGS},
            **answers(None, 404, 422, 429, 501, 503, 504),
        },
    )
    async def draw_wall(
        name: Called,
        format: Annotated[Literal["svg", "png"], Query(description="`png` needs the extra `[png]`.")] = "svg",
    ) -> Response:
        """The wall to scale: from above, from the front, and unrolled if it is not flat."""
        wall = await registry.targets.wall(name)
        drawn = await registry.targets.drawings.of(wall.text, format)
        return Response(drawn, headers={"etag": _etag(wall)}, media_type=PICTURES[format])


async def _text(request: Request) -> str:
    """The wall file in a body.  Raises Problem."""
    raw = await request.body()
    if len(raw) > wall_scrutiny.MAX_TEXT:  # what is longer has been refused by its length already
        raise Problem(413, f"a wall file of {len(raw)} bytes; {wall_scrutiny.MAX_TEXT} are allowed")
    if not raw.strip():
        raise Problem(422, "the body is empty: send a wall file, TOML (docs/wall.md)")
    try:
        return await asyncio.to_thread(raw.decode, "utf-8-sig")
    except UnicodeDecodeError as why:
        raise Problem(422, f"the wall file is no UTF-8 text: {why.reason} at byte {why.start}") from None


def _on(registry: Registry, wall: str, person: Person) -> tuple[bool, str | None]:
    """Whether a wall shows a run, and which, for somebody who may know of it."""
    run = registry.targets.run_on(wall)
    if run is None:
        return False, None
    record = run.record
    return True, record.run_id if person.role_in(record.project) is not None else None


async def _standing(registry: Registry, wall: WallFile, who: Visit, status: int = 200) -> Response:
    targets, facts = registry.targets, wall.facts
    found = await targets.nodes.nodes(facts.labels)
    seatings = targets.nodes.seats(facts, found)
    busy, run_id = _on(registry, wall.name, who.person)
    record = Wall(
        name=wall.name, title=facts.title, generation=wall.generation, created=wall.created, changed=wall.changed,
        busy=busy, run_id=run_id, facts=facts, seats=seatings.seats, nodes=found.nodes,
        sentences=seatings.sentences,
    )  # fmt: skip
    headers = {"etag": _etag(wall), **({"location": f"{API}/walls/{wall.name}"} if status == 201 else {})}
    return as_json(record, status, headers)


def _etag(wall: WallFile) -> str:
    return f'"{wall.generation}"'
