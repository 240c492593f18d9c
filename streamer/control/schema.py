"""What may be asked of the API, and how it says no.

A request is checked field by field before anything is started; all that is wrong with it becomes one
sentence in a problem document (RFC 9457), which the command line prints as it is.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from streamer.wire.block import EXTRA
from streamer.wire.walls import MAX_WALL_NAME, WALL_NAME

SEGMENTERS = "cavecast.segmenters"
Finite = Annotated[float, Field(allow_inf_nan=False)]
Parameter = bool | int | Finite | str
WallName = Annotated[str, Field(pattern=WALL_NAME, max_length=MAX_WALL_NAME)]
Layer = Literal["labels1", "field", "probability"]


class RelayRequest(BaseModel):
    """A relay to be started with a run: a copy of its log that serves others, one for each site or display node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", description="Small letters, digits and hyphens."),
    ]
    listen: Annotated[
        str | None,
        Field(max_length=300, description="Where others connect, `tcp://HOST:PORT` (0: a free one) or `ipc://PATH`."),
    ] = None
    of: Annotated[
        str | None, Field(max_length=32, description="A relay named before it, for a chain; the streamer if not given.")
    ] = None
    durability: Annotated[
        Literal["written", "group", "each"] | None,
        Field(description="When its copy counts as kept; the setting `durability` if not given."),
    ] = None

    @field_validator("listen")
    @classmethod
    def _no_nul(cls, given: str | None) -> str | None:
        if given is not None and not (given.isprintable() and given.startswith(("tcp://", "ipc://"))):
            raise ValueError(f"a relay cannot listen at {given!r}: an address begins with tcp:// or ipc://")
        return given


class RunRequest(BaseModel):
    """A run to be started."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"input": "/data/flood2021.nc", "variable": "ivt", "threshold": 500, "out": "/data/flood.zarr"}
            ]
        },
    )

    input: Annotated[str, Field(min_length=1, max_length=4096, description="A path, a glob or a URL; paths absolute.")]
    project: Annotated[
        str | None, Field(max_length=63, description="Whose the run is; needed if you have a role in several projects.")
    ] = None
    variable: Annotated[
        str | None, Field(max_length=256, description="Needed if there is more than one to choose.")
    ] = None
    segmenter: Annotated[str, Field(max_length=64, description="By its name in the registry.")] = "connect"
    threshold: Annotated[
        Finite | None, Field(description="Voxels at or above it are labelled; suggested by some inputs.")
    ] = None
    connectivity: Annotated[
        int | None, Field(description="Neighbours that connect: 6 (faces), 18 (edges) or 26 (corners).")
    ] = None
    parameters: Annotated[
        dict[str, Parameter],
        Field(max_length=64, description="What the segmenter takes besides, by its own names."),
    ] = {}
    min_duration_h: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="Objects that live shorter are dropped; 0 keeps all. Hours."),
    ] = 0.0
    core_threshold: Annotated[
        Finite | None, Field(description="Objects whose maximum does not reach it are dropped.")
    ] = None
    chunk: Annotated[
        tuple[int, int, int] | None, Field(description="Voxels of a chunk along (z, y, x); chosen if not given.")
    ] = None
    workers: Annotated[int | None, Field(ge=1, description="Worker processes; the setting `workers` if not given.")] = (
        None
    )
    gpus: Annotated[
        int | None, Field(ge=0, le=64, description="GPUs of each worker, in a cluster; the site's if not given.")
    ] = None
    gpu_product: Annotated[
        str | None,
        Field(
            max_length=63,
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
            description="Which GPUs, as the nodes' label says it, such as `NVIDIA-A100-SXM4-80GB`.",
        ),
    ] = None
    periodic: Annotated[
        str, Field(max_length=256, description="`auto`, `none`, or the name of the axis that closes on itself.")
    ] = "auto"
    spacing: Annotated[
        tuple[Finite, Finite, Finite] | None, Field(description="Voxel size along (z, y, x), for .npy files.")
    ] = None
    layers: Annotated[
        frozenset[Layer],
        Field(description="What chunks carry besides labels: `labels1` (half the resolution), `field`, `probability`."),
    ] = frozenset({"labels1"})
    field_range: Annotated[
        tuple[Finite, Finite] | None,
        Field(description="The ends between which `field` is kept, in 254 steps; found by looking if not given."),
    ] = None
    out: Annotated[
        str | None, Field(max_length=4096, description="A Zarr store to write, absolute; must not exist yet.")
    ] = None
    durability: Annotated[
        Literal["written", "group", "each"] | None,
        Field(description="When a chunk is acknowledged: `written`, or flushed in a `group` or by itself (`each`); "
              "the setting `durability` if not given."),
    ] = None  # fmt: skip
    retain_gb: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False, description="When the log is larger, labels that are in `out` leave it; "
              "it keeps all if not given."),
    ] = None  # fmt: skip
    shard: Annotated[
        tuple[int, int, int] | None,
        Field(description="Chunks of a shard of `out` along (z, y, x), which is one file; chosen if not given."),
    ] = None
    view: Annotated[bool, Field(description="Whether a renderer draws the run for browsers.")] = True
    relays: Annotated[
        tuple[RelayRequest, ...],
        Field(max_length=16, description="Relays to start with it."),
    ] = ()
    behind: Annotated[
        str | None, Field(max_length=32, description="The relay whose feed the renderer and the walls follow.")
    ] = None
    walls: Annotated[
        tuple[WallName, ...],
        Field(max_length=16, description="Walls that show it, by their names. A wall shows one run at a time."),
    ] = ()
    take: Annotated[
        bool, Field(description="Take those walls from the runs that they show; without it that is refused.")
    ] = False
    pace_s: Annotated[
        float,
        Field(ge=0, le=86400, allow_inf_nan=False, description="Spread the work over so many seconds; 0: do not."),
    ] = 0.0
    start: Annotated[
        Literal["at_once", "first_viewer"], Field(description="When the work begins; `first_viewer` needs a view.")
    ] = "at_once"

    @field_validator("segmenter")
    @classmethod
    def _known(cls, name: str) -> str:
        known = sorted(entry.name for entry in entry_points(group=SEGMENTERS))
        if name not in known:
            raise ValueError(f"there is no segmenter {name!r}; installed are {', '.join(known) or 'none'}")
        return name

    @property
    def in_order(self) -> tuple[str, ...]:
        """The layers as a run's specification names them."""
        return tuple(name for name in EXTRA if name in self.layers)

    @property
    def asked_of_segmenter(self) -> dict[str, bool | int | float | str]:
        """The segmenter's parameters as far as they are given; the segmenter itself says what it takes."""
        named = {"threshold": self.threshold, "connectivity": self.connectivity}
        return {**self.parameters, **{name: value for name, value in named.items() if value is not None}}

    @field_validator("input", "variable", "periodic", "out", "parameters")
    @classmethod
    def _no_nul(cls, given: str | dict[str, Parameter] | None) -> str | dict[str, Parameter] | None:
        """A NUL cannot be handed to a process."""
        texts = (*given, *given.values()) if isinstance(given, dict) else (given,)
        for text in texts:
            if isinstance(text, str) and "\0" in text:
                raise ValueError(f"{text!r} holds a NUL character, which no name or path can")
        return given

    @field_validator("relays")
    @classmethod
    def _in_a_chain(cls, relays: tuple[RelayRequest, ...]) -> tuple[RelayRequest, ...]:
        before: set[str] = set()
        for relay in relays:
            if relay.name in before:
                raise ValueError(f"two relays are called {relay.name!r}; give each a name of its own")
            if relay.of is not None and relay.of not in before:
                raise ValueError(f"relay {relay.name!r} is to be one of {relay.of!r}, which no relay before it is")
            before.add(relay.name)
        return relays

    @model_validator(mode="after")
    def _kept_somewhere(self) -> Self:
        for name, given in (("shard", self.shard), ("retain_gb", self.retain_gb)):
            if given is not None and self.out is None:
                raise ValueError(f"{name} is of no use without a store: give out as well")
        return self

    @model_validator(mode="after")
    def _behind_one_of_its_own(self) -> Self:
        if self.behind is not None and self.behind not in {relay.name for relay in self.relays}:
            raise ValueError(f"the renderer is to be behind {self.behind!r}, which is no relay of this run")
        if self.behind is not None and not (self.view or self.walls):
            raise ValueError(
                f"behind is {self.behind!r}, but the run has no view and no walls: nothing would be behind it"
            )
        return self

    @field_validator("chunk")
    @classmethod
    def _some(cls, chunk: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        if chunk is not None and min(chunk) < 1:
            raise ValueError(f"a chunk of {','.join(map(str, chunk))} voxels is empty; each number must be 1 or more")
        return chunk

    @field_validator("shard")
    @classmethod
    def _some_chunks(cls, shard: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        if shard is not None and min(shard) < 1:
            raise ValueError(f"a shard of {','.join(map(str, shard))} chunks is empty; each number must be 1 or more")
        return shard

    @field_validator("field_range")
    @classmethod
    def _rising(cls, ends: tuple[float, float] | None) -> tuple[float, float] | None:
        if ends is not None and not 0 < ends[1] - ends[0] < float("inf"):
            raise ValueError(f"a range from {ends[0]:g} to {ends[1]:g}; the second number must be the higher one")
        return ends

    @field_validator("spacing")
    @classmethod
    def _positive(cls, spacing: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if spacing is not None and min(spacing) <= 0:
            raise ValueError(f"a spacing of {','.join(map(str, spacing))}; each number must be above 0")
        return spacing


class ProblemBody(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "there is no file /x.nc",
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    """One sentence for people."""
    variables: list[str] | None = None
    """Only where one of the input's variables has to be named: which there are."""


class Problem(Exception):
    """An answer that is a refusal: its HTTP status, one sentence, and the variables of which one has to be named.

    ``again_s``: after how many seconds it is worth asking again, for ``Retry-After``.
    """

    def __init__(
        self, status: int, detail: str, variables: tuple[str, ...] = (), *, again_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.variables, self.again_s = status, detail, variables, again_s


def sentence(errors: list[dict[str, Any]]) -> str:
    """What pydantic found wrong with a request, first thing first, in one sentence."""
    first = errors[0]
    where = ".".join(str(step) for step in first["loc"] if step not in ("body", "query", "path"))
    said = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        return said
    if first["type"] == "json_invalid":
        return f"the body is no JSON: {first.get('ctx', {}).get('error', said)} (at character {where})"
    if first["type"] == "extra_forbidden":
        return f"{where} is no field of this request"
    if first["type"] == "missing":
        return f"{where or 'the body'} is missing"
    shown = repr(first.get("input"))[:80]
    return f"{where or 'the request'} is {shown}: {said[:1].lower()}{said[1:]}"
