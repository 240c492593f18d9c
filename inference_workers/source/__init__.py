"""The volume: where a run's voxels come from, what they are called, where they lie, and how they are read.

``inspect`` looks at an input once and says what a run needs to know: source, volume, grid, remarks.
``open_source`` opens it again, on any machine, and reads one box at a time: wrapping on periodic axes,
NaN beyond the ends.  Decisions (which axis is what, how wide a cell is, how files follow each other)
are pure modules over plain records; only ``engine_*`` know a file format's library.

Importing this package is cheap: the libraries are loaded at the first call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from inference_workers.source.records import InputError, Inspection, InspectRequest, SeveralVariables
from streamer.wire.volume import Source, Volume

if TYPE_CHECKING:
    from inference_workers.source.opened import OpenVolume

__all__ = ["InputError", "InspectRequest", "Inspection", "SeveralVariables", "inspect", "open_source"]


def inspect(request: InspectRequest, progress: Callable[[int, int], None] | None = None) -> Inspection:
    """What is in an input, and how a run would cut it.  Reads coordinates, not the volume.

    ``progress(done, all)`` is called while the headers of many files are read.  Raises InputError, one sentence.
    """
    from inference_workers.source.inspection import inspect as look

    return look(request, progress)


def open_source(source: Source, volume: Volume) -> OpenVolume:
    """The voxels of an inspected volume, to be read box by box by one thread at a time.

    Close it, or use it as a context manager.  Raises InputError if it is not there any more or has changed.
    """
    from inference_workers.source.opened import open_source as reopen

    return reopen(source, volume)
