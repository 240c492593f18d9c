"""What lies at a place before a store is opened there: nothing, a store of some run, or something else."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from streamer.archive.layout import DIGEST, RUN, STATE, open_group
from streamer.archive.place import NEW, ArchiveError, Folder, Place, place_of
from streamer.wire.status import COMMITTED
from streamer.wire.volume import RunSpec


class There(NamedTuple):
    """A store that is there already."""

    state: str
    run_id: str
    digest: str

    def refuse_other(self, label: str, spec: RunSpec, digest: str) -> None:
        """Raises ArchiveError unless it is the store of this run."""
        if (self.run_id, self.digest) != (spec.run_id, digest):
            raise ArchiveError(
                f"{label} holds the {self.state} store of run {self.run_id}, this is {spec.run_id}: "
                "remove it or choose another --out",
                2,
            )


def examine(place: Place) -> There | None:
    """What lies at a place; None if nothing does.  Raises ArchiveError on anything that is no store of a run."""
    if isinstance(place, Folder):
        path = place.path
        if not path.exists():
            if not os.access(next(parent for parent in path.absolute().parents if parent.exists()), os.W_OK):
                raise ArchiveError(f"{path} cannot be made: its folder is not writable; choose another --out", 2)
            return None
        if path.is_file():
            raise _foreign(place)
    names = place.names("")
    if all(name.endswith(NEW) for name in names):
        return None
    try:
        attributes = json.loads(place.get("zarr.json") or b"")["attributes"]
        return There(attributes[STATE], attributes[RUN], attributes[DIGEST])
    except (ValueError, KeyError, TypeError):
        raise _foreign(place) from None


def try_place(out: str) -> None:
    """Raises ArchiveError unless a new store can be written there; leaves nothing behind."""
    place = place_of(out)
    try:
        there = examine(place)
        if there is not None:
            raise ArchiveError(
                f"{place.label} holds the store of run {there.run_id}: remove it or choose another one", 2
            )
        place.set(f".try{NEW}", b"cavecast")
        place.delete(f".try{NEW}")
        if isinstance(place, Folder) and not place.names(""):
            place.path.rmdir()
    finally:
        place.close()


def _foreign(place: Place) -> ArchiveError:
    return ArchiveError(
        f"{place.label} exists and is no unfinished store of this run: remove it or choose another --out", 2
    )


def counts(place: Place) -> tuple[int, int]:
    """Objects and committed chunks of a store that is whole."""
    group: Any = open_group(place.zarr)
    return int(group["object_id"].shape[0]), int((group["chunk_state"][...] == COMMITTED).sum())
