"""Chunks whose labels have left the log are read again from the archive's store, in a thread of its own.

What waits for it is bounded, what comes is compared with its commit, and a store that cannot be read is tried again,
ever more slowly.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from renderers.entries import Arrived, Emptied, Told, restored, wanted_layers
from renderers.stored import EXCUSED, Store, Unreadable
from streamer.wire.grid import Grid

ABOUT = "store"
MOST, MOST_BYTES = 64, 16 << 20
"""Chunks that wait here or in front of the drawing thread, and what they may take; one may come alone."""
FIRST_S, LONGEST_S = 1.0, 30.0
"""How long an unreadable store is left alone; twice as long with every failure in a row."""
GRACE_S = 3.0
"""How long the end waits for a read that is under way."""


class Shelf:
    """Reads what ``put`` names in a thread of its own; what comes of it goes to ``give``, from that thread."""

    def __init__(self, give: Callable[[Arrived | Told], None]) -> None:
        self._give = give
        self._lock = threading.Condition()
        self._where = ""
        self._grid: Grid | None = None
        self._waiting: deque[Emptied] = deque()
        self._held = self._held_bytes = 0
        self._generation = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def open(self, grid: Grid) -> None:
        """A run's log has been opened; what waited belongs to another one."""
        with self._lock:
            self._generation += 1
            self._grid, self._where = grid, ""
            self._waiting.clear()
            self._held = self._held_bytes = 0
            self._lock.notify()

    def at(self, where: str) -> None:
        """That is where the store lies."""
        with self._lock:
            self._where = where
            self._lock.notify()

    @property
    def room(self) -> bool:
        """Whether another chunk may be put."""
        with self._lock:
            return not self._held or (self._held < MOST and self._held_bytes < MOST_BYTES)

    def put(self, emptied: Emptied) -> None:
        """A chunk to be read."""
        with self._lock:
            self._held += 1
            self._held_bytes += emptied.nbytes
            self._waiting.append(emptied)
            if self._thread.ident is None:
                self._thread.start()
            self._lock.notify()

    def used(self, arrived: Arrived) -> None:
        """A chunk that was given has been used up."""
        with self._lock:
            self._held = max(0, self._held - 1)
            self._held_bytes = max(0, self._held_bytes - arrived.nbytes)

    def stop(self) -> None:
        """Ends the thread; returns when it has ended."""
        with self._lock:
            self._stop = True
            self._lock.notify()
        if self._thread.ident is not None:
            # A bucket that does not answer is given up later; nobody waits for it.
            self._thread.join(GRACE_S)

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        store: tuple[int, str, Store] | None = None
        failures = 0
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stop or (self._waiting and self._where))
                if self._stop:
                    return
                emptied, grid, where, generation = self._waiting[0], self._grid, self._where, self._generation
            assert grid is not None, "entries come after the run's specification"
            try:
                if store is None or store[:2] != (generation, where):
                    store = generation, where, Store(where, grid)
                arrived = _again(grid, emptied, store[2])
            except (Unreadable, *EXCUSED) as why:
                store = None
                wait_s = patience_s(failures)
                failures += 1
                self._give(Told(complaint(emptied.number, where, str(why), wait_s), ABOUT))
                with self._lock:
                    # Another chunk may be there already, or this one be whole the next time.
                    if generation == self._generation:
                        self._waiting.rotate(-1)
                    self._rest(generation, wait_s)
                continue
            with self._lock:
                if generation != self._generation:
                    continue
                with suppress(ValueError):
                    self._waiting.remove(emptied)
            if failures:
                failures = 0
                self._give(Told("", ABOUT))
            self._give(arrived)

    def _rest(self, generation: int, wait_s: float) -> None:
        """Waits, unless it is to end or another log has been opened meanwhile."""
        self._lock.wait_for(lambda: self._stop or self._generation != generation, wait_s)


def _again(grid: Grid, emptied: Emptied, store: Store) -> Arrived:
    """The chunk with its labels and layers from the store.  Raises Unreadable, or Refused if they are others."""
    commit = emptied.commit
    sizes = {info.name: info.size for info in commit.parts}
    layers = [store.payload(commit.chunk, name) if sizes[name] else b"" for name in wanted_layers(commit)]
    return restored(grid, emptied, store.payload(commit.chunk), *layers)


def patience_s(failures: int) -> float:
    """How long to leave an unreadable store alone after so many failures before this one."""
    return min(FIRST_S * float(2 ** min(failures, 10)), LONGEST_S)


def complaint(number: int, where: str, why: str, wait_s: float) -> str:
    """What viewers are told when the labels of an entry cannot be had."""
    return (
        f"The labels of entry {number} and others have left the streamer's log, and the store {where} cannot be read "
        f"({why.rstrip('.')}): their places stay empty; it is tried again every {wait_s:g} s. "
        "Make the store reachable from the renderer under that name."
    )
