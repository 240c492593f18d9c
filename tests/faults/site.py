"""A whole run of real processes on a small volume, to which something happens; and what it must come to.

A streamer, workers and perhaps an archive are processes of ``cavecast``; three subscribers are the test's own:
one follows from the beginning, one reads one entry at a time, one comes late.  Whatever happened, in the end
``whole`` compares all of them, the volume, the objects and their statistics with an undisturbed run.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xarray
import zmq
from numpy.typing import NDArray

from inference_workers.source import InspectRequest, inspect
from streamer.archive.check import check_store
from streamer.archive.place import place_of
from streamer.figures import RunFigures
from streamer.wire.block import unpack_block, unpack_ids
from streamer.wire.header import decode, encode
from streamer.wire.keys import Role
from streamer.wire.messages import AskFigures, AskStatus, AskTable, Figures, Known, Status, Table
from streamer.wire.status import ObjectPage, RunStatus
from streamer.wire.volume import RunSpec
from tests.control.parts import volume
from tests.faults.followers import Follower, Log, commit_of
from tests.security.parties import Part, Peer, Sockets
from tests.workers.reference import label_whole

DEADLINE_S = 60.0
SHAPE, CHUNK, THRESHOLD = (12, 12, 16), (4, 4, 4), 0.7
PATIENCE_S = 24.0
"""Of the workers, which say a word every twelfth of it and send again after half of it."""


def spec_in(folder: Path, segmenter: str = "faulty") -> RunSpec:
    """The run: a small volume of blobs, periodic along its last axis."""
    path = volume(folder / "v.npy", SHAPE)
    found = inspect(InspectRequest(str(path), chunk=CHUNK, periodic="2"))
    return RunSpec(
        "run-1", found.source, found.volume, found.grid, segmenter, {"threshold": THRESHOLD, "folder": str(folder)}
    )


def stranger(folder: Path) -> str:
    """A package in the folder, which brings the segmenter ``faulty``; the PYTHONPATH that finds it."""
    information = folder / "faulty-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[cavecast.segmenters]\nfaulty = tests.faults.faulty:Faulty\n")
    return os.pathsep.join((str(folder), str(Path(__file__).parents[2])))


@dataclass
class Site:
    """One run in a folder of its own."""

    folder: Path
    spec: RunSpec
    sockets: Sockets
    options: tuple[str, ...] = ("--lease-s", "2")
    keys: Path | None = None
    """The folder with everybody's keys, if there are any."""
    ingest: str = ""
    feed: str = ""
    parts: list[Part] = field(default_factory=list)
    followers: list[Follower] = field(default_factory=list)
    others: list[Callable[[], None]] = field(default_factory=list)
    """What else has its turn while the test waits."""
    streamer: Part | None = None

    def __post_init__(self) -> None:
        self.ingest, self.feed = (f"ipc://{self.folder}/{door}" for door in ("i", "f"))
        (self.folder / "RUN.json").write_bytes(msgspec.json.encode(self.spec))
        for pipe in ("held", "go"):
            os.mkfifo(self.folder / pipe)
        # Open for both ends, so that it is never at its end and nobody waits to open it.
        self._held = os.open(self.folder / "held", os.O_RDWR | os.O_NONBLOCK)
        self._go = -1

    def close(self) -> None:
        self.release()
        os.close(self._go)
        os.close(self._held)
        for part in self.parts:
            part.end()

    # ------------------------------------------------------------ processes

    def begin(self, *options: str, prefix: Sequence[str] = ()) -> Part:
        """Starts the streamer, on the log and the addresses that it had; ``prefix`` is put before its command."""
        doors = ("--ingest", self.ingest, "--feed", self.feed)
        files = ("--run", str(self.folder / "RUN.json"), "--log", str(self.folder / "log"))
        self.streamer = Part(
            "streamer", *files, *doors, *self._locked("streamer"), *self.options, *options, prefix=prefix
        )
        self.parts.append(self.streamer)
        ready = self.streamer.ready()
        self.ingest, self.feed = ready["ingest"], ready["feed"]
        return self.streamer

    def worker(self, name: str, *options: str, at: str = "") -> Part:
        """Starts a worker."""
        manners = ("--name", name, "--patience", f"{PATIENCE_S}")
        self.parts.append(Part("worker", "--ingest", at or self.ingest, *manners, *self._locked("worker"), *options))
        return self.parts[-1]

    def archive(self, *options: str) -> Part:
        """Starts the archive."""
        self.parts.append(Part("archive", "--feed", self.feed, "--out", str(self.store), *options))
        return self.parts[-1]

    @property
    def store(self) -> Path:
        return self.folder / "out.zarr"

    @property
    def pid(self) -> int:
        assert self.streamer is not None
        return self.streamer.process.pid

    def follower(self, name: str, messages: int = 64, *, late: bool = False, at: str = "") -> Follower:
        """One more subscriber."""
        self.followers.append(Follower(name, self.dealer(at or self.feed), messages, late=late))
        return self.followers[-1]

    def dealer(self, address: str) -> zmq.Socket[bytes]:
        return Peer(self.sockets, address, self.keys, "renderer").socket

    def peer(self, address: str) -> Peer:
        """A worker of the test's own."""
        return Peer(self.sockets, address, self.keys, "worker")

    def _locked(self, role: Role) -> tuple[str, ...]:
        return ("--keys", str(self.keys / f"{role}.toml")) if self.keys else ()

    # ------------------------------------------------------------ faults by token

    def token(self, what: str, chunk: int, times: int = 1) -> None:
        """The next workers that come to this chunk raise, or hold (``tests.faults.faulty``)."""
        for number in range(times):
            (self.folder / f"{what}.{chunk}.{number}").touch()

    def held(self) -> tuple[int, int]:
        """Waits until a worker holds: its chunk, and its process."""
        self.until(lambda: bool(select.select([self._held], [], [], 0)[0]))
        chunk, pid = os.read(self._held, 64).split()
        return int(chunk), int(pid)

    def release(self) -> None:
        """Those that hold go on, now and later."""
        if self._go < 0:
            self._go = os.open(self.folder / "go", os.O_RDWR | os.O_NONBLOCK)

    # ------------------------------------------------------------ waiting

    def until(self, done: Callable[[], bool], limit_s: float = DEADLINE_S) -> None:
        """Everybody has a turn until it is so."""
        end = time.monotonic() + limit_s
        poller = zmq.Poller()
        while not done():
            for follower in self.followers:
                follower.turn()
            for other in self.others:
                other()
            assert time.monotonic() < end, {one.name: (one.next, len(one.log), one.missing) for one in self.followers}
            for follower in self.followers:
                poller.register(follower.socket, zmq.POLLIN if follower.reads else 0)
            poller.poll(10)

    def reach(self, chunks: int) -> None:
        """Waits until the first subscriber has so many chunks."""
        self.until(lambda: len(self.followers[0].chunks) >= chunks)

    def ask(self, question: Known, answer: type) -> bytes:
        """A question at the feed, put again when the answer does not come: it may have been dropped."""
        asking = self.dealer(self.feed)
        found: list[bytes] = []
        asked = 0.0

        def heard() -> bool:
            nonlocal asked
            if time.monotonic() - asked > 2:
                asking.send_multipart([encode(question)])
                asked = time.monotonic()
            while asking.poll(0):
                message, payloads = decode(asking.recv_multipart())
                if isinstance(message, answer):
                    found.append(bytes(payloads[0]))
            return bool(found)

        self.until(heard)
        asking.close(0)
        return found[0]

    def status(self) -> RunStatus:
        return msgspec.msgpack.decode(self.ask(AskStatus(1), Status), type=RunStatus)

    def objects(self) -> ObjectPage:
        return msgspec.msgpack.decode(self.ask(AskTable(10_000), Table), type=ObjectPage)

    def figures(self) -> RunFigures:
        return msgspec.msgpack.decode(self.ask(AskFigures(1), Figures), type=RunFigures)


# ---------------------------------------------------------------- what a run has come to


@dataclass(frozen=True)
class Outcome:
    """What a run to which nothing happened came to."""

    spec: RunSpec
    chunks: Mapping[int, list[bytes]]
    """The payloads of each chunk: its commit, labels, seam, ids, statistics, footprint."""
    labels: NDArray[np.uint64]
    """Run-wide ids of the volume, (z, y, x)."""
    objects: ObjectPage
    store: Path


def volume_of(spec: RunSpec, log: Log) -> NDArray[np.uint64]:
    """The volume as a viewer has it: local labels, looked up in the ids and merges that came.  (z, y, x)"""
    speaks: dict[int, int] = {}
    for kind, payloads in log.values():
        if kind == "merges":
            speaks |= {gone: id for id, gone in np.frombuffer(payloads[0], "<u8").reshape(-1, 2).tolist()}
    labels = np.zeros(spec.grid.shape, np.uint64)
    for kind, payloads in log.values():
        if kind != "chunk":
            continue
        commit = commit_of(payloads)
        core = spec.grid.core(commit.chunk)
        block = unpack_block(spec.grid, commit, payloads[1], payloads[2])
        ids = [0, *unpack_ids(commit, payloads[3]).tolist()]
        for place, id in enumerate(ids):
            while id in speaks:
                id = speaks[id]
            ids[place] = id
        labels[core.slices] = np.array(ids, np.uint64)[block[tuple(slice(0, n) for n in core.shape)]]
    return labels


def by_itself(spec: RunSpec) -> NDArray[np.uint64]:
    """The volume labelled at once, by other code."""
    return label_whole(np.load(spec.source.address), THRESHOLD, 26, spec.grid.periodic)


def alike(these: ObjectPage, those: ObjectPage) -> None:
    """Two tables are the same but for the rounding of sums."""
    assert these.total == those.total
    for one, other in zip(*(sorted(page.objects, key=lambda row: row.id) for page in (these, those)), strict=True):
        close(msgspec.to_builtins(one), msgspec.to_builtins(other))


def close(one: Any, other: Any) -> None:
    """Equal, and numbers that are no integers to 1e-9."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            close(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            close(a, b)
    elif isinstance(one, float):
        assert abs(one - other) <= 1e-9 * max(abs(one), abs(other)), (one, other)
    else:
        assert one == other


def whole(site: Site, right: Outcome, failed: Sequence[int] = ()) -> None:
    """Everybody has every committed chunk exactly once, and the run came to what it should have."""
    site.until(lambda: all(one.complete for one in site.followers))
    first, *rest = site.followers
    chunks = {chunk: right.chunks[chunk][1:] for chunk in right.chunks if chunk not in failed}
    assert list(first.log) == list(range(len(first.log))), "each entry once, in the order of the log"
    assert first.log[first.next - 1] == ("end", [b"complete"])
    for one in rest:
        if not one.late:
            assert one.log == first.log
            assert list(one.log) == list(first.log)
    for one in site.followers:
        assert {chunk: payloads[1:] for chunk, payloads in one.chunks.items()} == chunks, "all but how long it took"
        if not failed:
            assert np.array_equal(volume_of(site.spec, one.log), right.labels)
    status = site.status()
    assert (status.state, status.committed, status.note) == ("complete", len(chunks), "")
    assert sorted(status.failures) == sorted(failed)
    assert status.log_position == first.next
    if not failed:
        alike(site.objects(), right.objects)


def archived(site: Site, archive: Part, right: Outcome) -> None:
    """The store has been finished, is sound, and holds what the undisturbed run's does."""
    site.until(lambda: archive.process.poll() is not None)
    assert archive.wait() == 0, archive.said
    check_store(place_of(str(site.store)))
    with xarray.open_zarr(site.store) as made, xarray.open_zarr(right.store) as wanted:
        assert np.array_equal(made.labels.values, right.labels)
        for name in wanted.variables:
            if wanted[name].dtype.kind == "f":
                np.testing.assert_allclose(made[name].values, wanted[name].values, rtol=1e-9)
            else:
                assert np.array_equal(made[name].values, wanted[name].values), name


@contextmanager
def opened(folder: Path, spec: RunSpec, options: Sequence[str] = ()) -> Iterator[Site]:
    """A run whose streamer listens; the three subscribers come by themselves (``followed``)."""
    sockets = Sockets()
    site = Site(folder, spec, sockets)
    if options:
        site.options = tuple(options)
    try:
        yield site
    finally:
        site.close()
        sockets.close()
