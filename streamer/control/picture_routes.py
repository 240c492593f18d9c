"""What may be taken away of a run over HTTP: a picture, or a film, of what somebody sees.

The renderer makes them beside its stream, one at a time; they come as they are made.  Whoever may see the run may.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from streamer.control.launching import NoView
from streamer.control.openapi import answers, of_bytes
from streamer.control.registry import Registry
from streamer.control.run_routes import API, RunId
from streamer.control.runs import waits
from streamer.control.schema import Problem
from streamer.control.taking import Taken
from streamer.wire.taking import FILM_HEIGHT, FILM_WIDTH, LONGEST_S, MOST_SCALE, SHORTEST_S, SMALLEST, Wish, flaw

PNG, MP4 = "image/png", "video/mp4"
REFUSALS = (404, 409, 411, 413, 422, 429, 503)
LOOK: dict[str, Any] = {"mode": "globe", "time": 12.5, "selected": [4711]}
Coordinate = Annotated[float, Field(gt=-1e6, lt=1e6, allow_inf_nan=False)]


class Eye(BaseModel):
    """An orbiting camera, in units of the scene's radius and radians."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    azimuth: Coordinate
    elevation: Coordinate
    distance: Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]
    target: tuple[Coordinate, Coordinate, Coordinate] = (0.0, 0.0, 0.0)


class PictureWish(BaseModel):
    """A picture that is wanted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True,
        json_schema_extra={"examples": [{
            "width": 1280, "height": 720, "scale": 4, "camera": {"azimuth": -0.5, "elevation": 0.5, "distance": 3.9},
            "look": LOOK,
        }]},
    )  # fmt: skip

    width: Annotated[int, Field(ge=SMALLEST, le=8192)]
    height: Annotated[int, Field(ge=SMALLEST, le=8192)]
    scale: Annotated[int, Field(ge=1, le=MOST_SCALE, description="So many pixels each way for each of these.")] = 1
    camera: Eye
    look: Annotated[dict[str, Any], Field(description="What is to be seen, as a view's `state`.")] = {}


class FilmWish(BaseModel):
    """A film that is wanted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True,
        json_schema_extra={"examples": [{
            "of": "turn", "width": 1280, "height": 720, "seconds": 10,
            "camera": {"azimuth": -0.5, "elevation": 0.5, "distance": 3.9}, "look": LOOK,
        }]},
    )  # fmt: skip

    of: Annotated[Literal["turn", "time"], Field(description="One turn around the scene, or the time axis.")]
    width: Annotated[int, Field(ge=SMALLEST, le=FILM_WIDTH)]
    height: Annotated[int, Field(ge=SMALLEST, le=FILM_HEIGHT)]
    seconds: Annotated[float, Field(ge=SHORTEST_S, le=LONGEST_S, allow_inf_nan=False)] = 10.0
    camera: Eye
    look: Annotated[dict[str, Any], Field(description="What is to be seen, as a view's `state`.")] = {}


def add_pictures(app: FastAPI, registry: Registry) -> None:
    """Adds ``/runs/{run_id}/picture`` and ``film``."""

    @app.post(f"{API}/runs/{{run_id}}/picture", response_class=Response, responses=_file(PNG))
    async def take_picture(run_id: RunId, wish: PictureWish) -> Response:
        """A picture as PNG, with title, time, legend and where it comes from in it."""
        asked = Wish("picture", wish.width, wish.height, _eye(wish.camera), wish.scale, look=wish.look)
        return await _taken(registry, run_id, asked, PNG, "png")

    @app.post(f"{API}/runs/{{run_id}}/film", response_class=Response, responses=_file(MP4))
    async def take_film(run_id: RunId, wish: FilmWish) -> Response:
        """A film as MP4 (H.264, 25 pictures a second), with the same in it. The header `Film-Frames` says how many."""
        asked = Wish(wish.of, wish.width, wish.height, _eye(wish.camera), 1, wish.seconds, wish.look)
        return await _taken(registry, run_id, asked, MP4, "mp4")


def _file(media: str) -> dict[int | str, Any]:
    content = {media: {"schema": of_bytes("The file, which comes as it is made.")}}
    return {200: {"description": "The file.", "content": content}, **answers(None, *REFUSALS)}


def _eye(camera: Eye) -> tuple[float, float, float, float, float, float]:
    return (camera.azimuth, camera.elevation, camera.distance, *camera.target)


async def _taken(registry: Registry, run_id: str, wish: Wish, media: str, ending: str) -> Response:
    if why := flaw(wish):
        raise Problem(422, why)
    if (await registry.find(run_id)).record.view_url is None:
        raise Problem(404, f"run {run_id} was started without a view")
    run = await registry.serve(run_id)
    run.viewer_came()
    taken: Taken | None = None

    def over() -> None:
        if taken is not None:
            taken.close()
        run.viewer_went()

    try:
        views = await asyncio.wait_for(run.views(), registry.settings.ready_s)
        taken = Taken(registry.context, views.address, views.gone, run.keys)
        first = await taken.begin(wish)
    except NoView as why:
        over()
        raise Problem(404, str(why)) from None
    except TimeoutError:
        over()
        late = f"the renderer was not ready after {registry.settings.ready_s:g} s"
        raise Problem(503, waits(run.record) or late) from None
    except BaseException:
        over()
        raise
    name = f"{run_id}-{wish.kind}.{ending}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "film-frames": str(first.step)}
    return _File(taken.pieces(), over, media, headers)


class _File(StreamingResponse):
    """A file that comes as it is made; ``over`` is called however it ends, also if nobody has waited for it."""

    def __init__(
        self, pieces: AsyncIterator[bytes], over: Callable[[], None], media: str, headers: dict[str, str]
    ) -> None:
        super().__init__(pieces, media_type=media, headers=headers)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()
