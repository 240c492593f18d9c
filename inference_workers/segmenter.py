"""What a segmenter is, and how one is found by name.

A segmenter is a class with a record of parameters (a msgspec Struct, whose types and ``msgspec.Meta``
say what is allowed) that labels one block at a time.  Packages register theirs under the entry point
group ``cavecast.segmenters``:

    [project.entry-points."cavecast.segmenters"]
    connect = "inference_workers.connect:Connect"

Nothing else needs to be changed: the name then works in ``cavecast run --segmenter NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, NamedTuple, Protocol, cast, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Box, Grid, Triple
from streamer.wire.volume import Joins, Parameter, Volume

GROUP = "cavecast.segmenters"


class SegmenterError(ValueError):
    """A segmenter that is not there or cannot be had so: which, and what is possible, in a sentence."""


class Block(NamedTuple):
    """What a segmenter is given: a chunk with all that lies around it.  Axes are (z, y, x)."""

    grid: Grid
    chunk: int
    volume: Volume
    field: NDArray[np.floating[Any]]
    """Core, pad and halo; NaN where there is nothing; periodic axes wrap."""
    inner: Box
    """Where core and pad lie in ``field``."""
    cell_area_km2: NDArray[np.float64] | None
    """Areas of the cells of ``inner``, (y, x), or None where cells have none."""
    beat: Callable[[], None]
    """To be called often in long work: a worker that does not beat loses its lease."""

    @property
    def inner_field(self) -> NDArray[np.floating[Any]]:
        """The field on core and pad, of ``grid.block_shape(chunk)``."""
        return self.field[self.inner.slices]


class Labelling(NamedTuple):
    """What a segmenter returns."""

    labels: NDArray[np.unsignedinteger[Any]]
    """Labels of ``inner`` (z, y, x), 0 for background, any positive numbering, each label connected by the segmenter's
    own rule (also through the halo)."""
    probability: NDArray[np.uint8] | None = None
    """How certain each voxel of ``inner`` is, if the segmenter knows: 0 unknown, else 1…255 from 0 to 1."""
    field_labels: NDArray[np.unsignedinteger[Any]] | None = None
    """The same labels on all of ``Block.field``: needed where chunks are ``compared`` beyond the pad."""


class Segmenter(Protocol):
    """Labels blocks.  Made from its ``Parameters``; may raise anything: the chunk is then tried elsewhere.

    It may have more: ``joins = "overlap"``, if two blocks may draw the outline of one object differently (labels are
    one then where they overlap enough, and not wherever they share a voxel); ``compared``, layers (z, y, x) beyond a
    face on which they are, no more than ``halo`` and the pad; ``min_voxels``, the least size of an object over all its
    chunks; ``together`` and ``segment_together(blocks)``, if several blocks at a time are quicker.
    """

    Parameters: ClassVar[type[msgspec.Struct]]
    """The class of the one argument that the segmenter is made from."""

    @property
    def halo(self) -> Triple:
        """Voxels wanted beyond core and pad, on both sides of each axis."""

    def segment(self, block: Block) -> Labelling:
        """Labels the block's core and pad."""


class Wishes(NamedTuple):
    """What a segmenter wants of the streamer that puts its chunks together."""

    joins: Joins = "voxel"
    """When labels of two chunks are one."""
    min_voxels: int = 0
    """The least size of an object over all its chunks."""
    compared: Triple = (1, 1, 1)
    """See ``Grid.compared``."""


def segmenters() -> dict[str, EntryPoint]:
    """The segmenters that are installed, by name.  Loads none of them."""
    return {
        entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    }


def load_segmenter(name: str, parameters: Mapping[str, Parameter]) -> Segmenter:
    """The segmenter of that name with these parameters; those that are None keep their defaults.

    Raises SegmenterError if there is none, if it cannot be loaded, or if it cannot take the parameters.
    """
    kind = _load(name)
    record = take_parameters(name, kind.Parameters, parameters)
    try:
        made: Segmenter = kind(record)
    except ValueError as why:
        raise SegmenterError(f"segmenter {name}: {why}") from why
    return made


def choose_parameters(
    name: str, given: Mapping[str, Parameter], suggested: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """What a segmenter is asked for: what was given, else what the data suggest for parameters that it has, else its
    defaults; all of them named, so that the result says how it was made.

    Raises SegmenterError if it cannot be had so.
    """
    record = _load(name).Parameters
    known = {field.encode_name for field in msgspec.structs.fields(record)}
    chosen = {key: value for key, value in suggested.items() if key in known}
    chosen |= {key: value for key, value in given.items() if value is not None}
    load_segmenter(name, chosen)
    complete: dict[str, Parameter] = msgspec.to_builtins(take_parameters(name, record, chosen))
    return complete


def wishes_of(name: str, parameters: Mapping[str, Parameter]) -> Wishes:
    """What a segmenter with these parameters wants of the streamer.  Raises SegmenterError."""
    made = load_segmenter(name, parameters)
    joins, least = getattr(made, "joins", Wishes().joins), getattr(made, "min_voxels", 0)
    compared: Triple = getattr(made, "compared", Wishes().compared)
    if joins not in get_args(Joins):
        raise SegmenterError(f"segmenter {name} wants to join by {joins!r}; known are: {', '.join(get_args(Joins))}")
    if any(not 1 <= layers <= halo + 1 for layers, halo in zip(compared, made.halo, strict=True)):
        raise SegmenterError(f"segmenter {name} wants to compare {compared} layers, and its halo is {made.halo}")
    return Wishes(cast(Joins, joins), int(least), compared)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a segmenter's parameters.  Raises SegmenterError."""
    return _schema(_load(name).Parameters)


class Entry(msgspec.Struct, frozen=True):
    """A segmenter as a list of them shows it."""

    name: str
    package: str
    """The distribution that brings it, and its version."""
    description: str = ""
    parameters: dict[str, Any] = {}
    """The JSON Schema of what it takes."""
    error: str = ""
    """Why it cannot be had, in a sentence; empty if it can."""


def catalogue() -> list[Entry]:
    """All that are installed, by name; one that cannot be loaded is among them, with the reason."""
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
        try:
            kind, told = _load(entry.name), schema(entry.name)
        except SegmenterError as why:
            found.append(Entry(entry.name, package, error=str(why)))
            continue
        words = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
        found.append(Entry(entry.name, package, words, told))
    return found


def _load(name: str) -> Any:
    """A segmenter's class; what a stranger's package holds is only known here to be one."""
    there = segmenters()
    if name not in there:
        raise SegmenterError(f"there is no segmenter {name!r}; installed are: {', '.join(there) or 'none'}")
    try:
        kind = there[name].load()
    except Exception as why:
        raise SegmenterError(f"segmenter {name} ({there[name].value}) cannot be loaded: {_one_line(why)}") from why
    record = getattr(kind, "Parameters", None)
    if not (isinstance(record, type) and issubclass(record, msgspec.Struct) and hasattr(kind, "segment")):
        raise SegmenterError(
            f"segmenter {name} ({there[name].value}) is none: it needs a msgspec.Struct called Parameters"
            " and a method segment(block)"
        )
    return kind


def take_parameters(name: str, record: type[msgspec.Struct], parameters: Mapping[str, Parameter]) -> msgspec.Struct:
    """The record of a segmenter's parameters.  Raises SegmenterError, naming the parameter and what it takes."""
    given = {key: value for key, value in parameters.items() if value is not None}
    fields = {field.encode_name: field for field in msgspec.structs.fields(record)}
    for key in given:
        if key not in fields:
            raise SegmenterError(f"segmenter {name} has no parameter {key!r}; it takes: {', '.join(fields) or 'none'}")
    allowed = _schema(record).get("properties", {})
    for key, field in fields.items():
        if field.required and key not in given:
            raise SegmenterError(f"segmenter {name} needs {key}: {_says(allowed[key])}; give {_option(key)}")
        if key in given:
            try:
                msgspec.convert(given[key], field.type)
            except msgspec.ValidationError:
                raise SegmenterError(
                    f"segmenter {name} cannot take {key}={given[key]!r}: {_says(allowed[key])}"
                ) from None
    try:
        return msgspec.convert(given, record)
    except msgspec.ValidationError as why:
        raise SegmenterError(f"segmenter {name}: {re.sub(' - at `.*`$', '', str(why))}") from None


def _schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    (whole,), named = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    return dict(named[whole["$ref"].rpartition("/")[2]]) if "$ref" in whole else dict(whole)


def _option(key: str) -> str:
    """How a parameter is given on the command line."""
    return f"--{key}" if key in ("threshold", "connectivity") else f"--set {key}=VALUE"


def _says(allowed: Mapping[str, Any]) -> str:
    """What a parameter takes, in words: ``neighbours of a voxel; one of 6, 18, 26``."""
    bounds = {
        "minimum": "≥ {}", "maximum": "≤ {}", "exclusiveMinimum": "> {}", "exclusiveMaximum": "< {}",
        "minLength": "of {} characters or more", "maxLength": "of {} characters at most", "pattern": "like {}",
        "multipleOf": "a multiple of {}",
    }  # fmt: skip
    limits = [words.format(allowed[key]) for key, words in bounds.items() if key in allowed]
    kind = " ".join(["a", str(allowed["type"]), " and ".join(limits)]).strip() if "type" in allowed else ""
    if "enum" in allowed:
        kind = f"one of {', '.join(map(str, allowed['enum']))}"
    return "; ".join(words for words in (str(allowed.get("description", "")), kind) if words)


def _one_line(why: BaseException) -> str:
    return " ".join(f"{type(why).__name__}: {why}".split())
