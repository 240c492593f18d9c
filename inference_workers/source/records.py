"""The records of the input: what is asked, what is found, and what a file says about itself.

A ``Header`` is a file as plain facts, without the library that read it: all decisions of this package
are made on headers and arrays of coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.wire.grid import Grid, Triple
from streamer.wire.volume import Joins, Parameter, Source, Volume

AnyArray = NDArray[Any]
Values = Callable[[str], AnyArray]
"""Reads the whole of a small variable (a coordinate, its bounds) by its name."""


class InputError(ValueError):
    """An input that cannot be used: what is wrong, with which thing, what to do, in one sentence."""


class SeveralVariables(InputError):
    """There is more than one volume in it, and none was named."""

    def __init__(self, sentence: str, variables: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.variables = variables
        """Their names, in the order of the file."""


class InspectRequest(msgspec.Struct, frozen=True):
    """What a user says about an input."""

    input: str
    """A path, a glob in quotes, a URL, or ``sample:NAME``."""
    variable: str | None = None
    chunk: Triple | None = None
    """Voxels of a chunk along (z, y, x); None: as ``suggest_chunk`` says."""
    periodic: str = "auto"
    """``auto``: longitude that closes the globe; ``none``; or the name or the index of an axis."""
    spacing: tuple[float, float, float] | None = None
    """Voxel size along (z, y, x), for axes without coordinates."""
    with_range: bool = False
    """Whether a run needs ``field_range``, which takes a few reads of the volume."""


class Inspection(msgspec.Struct, frozen=True):
    """What was found, and what a run of it would be."""

    source: Source
    volume: Volume
    grid: Grid
    notes: tuple[str, ...] = ()
    """Sentences that a user should read: gaps in time, what was left out, what was assumed."""
    suggested: dict[str, Parameter] = {}
    """Parameters for a segmenter that the data themselves suggest; empty if they do not."""
    title: str = ""
    parameters: dict[str, Parameter] = {}
    """What the segmenter that was named would be asked for; empty if none was named."""
    field_range: tuple[float, float] | None = None
    """The ends between which the field would be quantised, if that was asked."""
    joins: Joins = "voxel"
    """When the segmenter that was named wants labels of two chunks to be one."""
    min_voxels: int = 0
    """The least size of an object over all its chunks, if that segmenter has one."""
    variables: tuple[str, ...] = ()
    """What could be segmented of the (first) file, ``volume.variable`` among it, in the file's order."""


class VariableFacts(NamedTuple):
    """A variable of a file."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """As it is read: after scaling and filling."""
    stored: np.dtype[Any]
    """As it lies in the file."""
    attributes: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text attribute, stripped; empty if there is none."""
        value = self.attributes.get(name, "")
        return value.strip() if isinstance(value, str) else ""


class Header(NamedTuple):
    """A file: its variables by name, and its own attributes."""

    where: str
    """How to call the file in a sentence."""
    variables: Mapping[str, VariableFacts]
    attributes: Mapping[str, Any]


class Described(Protocol):
    """A file of which the header and small variables can be read."""

    @property
    def header(self) -> Header:
        """What is in it."""

    def values(self, name: str) -> AnyArray:
        """The whole of a small variable."""

    def close(self) -> None:
        """Let go of it."""


class OpenFile(Described, Protocol):
    """A file held open by an engine, voxels and all."""

    def read(self, name: str, index: tuple[slice | int, ...]) -> AnyArray:
        """A box of a variable in the order of the file's dimensions, decoded; an integer drops its dimension."""
