"""The run's truth: what is in the log, and what follows from it.

A commit goes through the assembly (seams, merges, objects) first, because what cannot be read must not
get into the log; then the chunk and what follows from it are appended, and only then is it acknowledged.
Entries for which the disk has no room wait here, in order, and nothing else is taken meanwhile.
On a restart the log is replayed: merges and verdicts are derived again, and what a crash kept out of the
log is appended.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streamer.assembly import Assembly, Outcome
from streamer.index import Index
from streamer.seams import RULES
from streamer.wire.block import PARTS, check, check_header
from streamer.wire.codec import Buffer, crc32c
from streamer.wire.header import Refused, decode, encode
from streamer.wire.messages import Commit
from streamer.wire.volume import RunSpec

Pairs = NDArray[np.uint64]
NOT_THERE, WAITS = -1, -2


class LogFull(RuntimeError):
    """There is no room for an entry; the log is as it was before.  The sentence says which log, and what happens."""


class LogBroken(RuntimeError):
    """The disk does not take or give what is the log's, and not for want of room.  The run ends here, in a sentence."""

    exit_code = 1


class BadLog(RuntimeError):
    """The log is not that of this run, or cannot be read."""


class LogLike(Protocol):
    """What is needed of a log (``streamer.log.Log``)."""

    @property
    def epoch(self) -> str: ...
    @property
    def head(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def store(self) -> str: ...
    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int: ...
    def read(self, number: int) -> tuple[str, list[memoryview]]: ...
    def largest(self) -> int: ...


class Logged(NamedTuple):
    """A chunk whose entry is in the log."""

    chunk: int
    number: int


class _Owed(NamedTuple):
    kind: str
    payloads: Sequence[Buffer]
    chunk: int = -1
    crcs: Sequence[int] = ()
    """The payloads' CRC-32C, if they are known."""


class Record:
    """The log of a run and its assembly.  Raises BadLog if the log is not one of this run."""

    def __init__(self, log: LogLike, spec: RunSpec) -> None:
        self.log, self.grid, self._layers = log, spec.grid, spec.layers
        self.assembly = Assembly(spec.volume, spec.grid, spec.keep, RULES[spec.joins])
        self.index = Index(spec.grid, PARTS + spec.layers)
        self.end = ""
        """``complete`` or ``cancelled`` once the run has ended."""
        self.full = ""
        """Why nothing can be appended, in a sentence; empty while the log takes entries."""
        self.failed: dict[int, str] = {}
        """Chunks that were given up, and why."""
        self.voxels_done = self.labelled = 0
        self._numbers = array("q", [NOT_THERE]) * spec.grid.size
        self._owed: deque[_Owed] = deque()
        self._replay()

    def number(self, chunk: int) -> int:
        """The entry of a chunk, NOT_THERE, or WAITS while the disk has no room for it."""
        return self._numbers[chunk]

    @property
    def committed(self) -> list[int]:
        """The chunks that are in the log."""
        return [chunk for chunk, number in enumerate(self._numbers) if number >= 0]

    @property
    def waiting(self) -> int:
        """Entries that wait for room."""
        return len(self._owed)

    # ------------------------------------------------------------ forward

    def commit(self, commit: Commit, payloads: Sequence[Buffer]) -> list[Logged]:
        """Takes a chunk that is not in the record yet; returns what is in the log by now.

        Raises Refused, and nothing has changed, if the payloads are not what the commit announces.
        """
        check(self.grid, commit, payloads, self._layers)
        voxels = self._check(commit)
        outcome = self.assembly.commit(commit, payloads)
        self._numbers[commit.chunk] = WAITS
        self._count(commit, voxels)
        header = encode(commit)
        crcs = [crc32c(header), *(part.crc for part in commit.parts)]
        self._owed.append(_Owed("chunk", [header, *payloads], commit.chunk, crcs))
        self._owe(outcome)
        return self.settle()

    def fail(self, chunk: int, why: str) -> list[Logged]:
        """The chunk is given up."""
        self.failed[chunk] = why
        self._owed.append(_Owed("failed", [np.array([chunk], "<u4").tobytes(), why.encode("utf-8", "replace")]))
        self._owe(self.assembly.fail(chunk))
        return self.settle()

    def finish(self, end: str) -> list[Logged]:
        """The run has ended."""
        self.end = end
        self._owed.append(_Owed("end", [end.encode()]))
        return self.settle()

    def settle(self) -> list[Logged]:
        """Appends what waits, as far as there is room, and returns the chunks that got into the log."""
        logged = []
        self.full = ""
        while self._owed:
            entry = self._owed[0]
            try:
                number = self.log.append(entry.kind, entry.payloads, entry.crcs)
            except LogFull as why:
                self.full = str(why)
                break
            self._owed.popleft()
            self.index.note(number, entry.kind, entry.payloads, entry.chunk)
            if entry.chunk >= 0:
                self._numbers[entry.chunk] = number
                logged.append(Logged(entry.chunk, number))
        return logged

    def same(self, commit: Commit) -> bool:
        """Whether a second commit of a chunk in the log has the payloads of the first."""
        return self._commit_of(self.log.read(self._numbers[commit.chunk])[1]).parts == commit.parts

    def _check(self, commit: Commit) -> int:
        """The core's voxels.  Raises Refused unless what the payloads unpack to is bounded by them."""
        z, y, x = self.grid.core(commit.chunk).shape
        voxels = z * y * x
        rows, cells, labelled = commit.stat_rows, commit.footprint_cells, commit.labelled
        if not 0 <= max(rows, cells) <= labelled <= voxels or min(rows, cells) < 0:
            raise Refused(
                f"chunk {commit.chunk}: {rows} rows of statistics and {cells} cells "
                f"of {labelled} labelled voxels in {voxels}"
            )
        if not -1 <= commit.constant <= commit.own or (commit.constant >= 0) != (not commit.parts[0].size):
            raise Refused(
                f"chunk {commit.chunk}: labels of {commit.parts[0].size} bytes for a constant of {commit.constant}"
            )
        return voxels

    def _count(self, commit: Commit, voxels: int) -> None:
        self.voxels_done += voxels
        self.labelled += commit.labelled

    def _owe(self, outcome: Outcome) -> None:
        for kind, pairs in (("merges", outcome.merges), ("verdicts", outcome.verdicts)):
            if len(pairs):
                self._owed.append(_Owed(kind, [np.ascontiguousarray(pairs, "<u8").tobytes()]))

    # ------------------------------------------------------------ again

    def _replay(self) -> None:
        derived: dict[str, list[Pairs]] = {"merges": [], "verdicts": []}
        logged: dict[str, list[Pairs]] = {"merges": [], "verdicts": []}

        def follows(outcome: Outcome) -> None:
            derived["merges"].append(outcome.merges)
            derived["verdicts"].append(outcome.verdicts)

        for number in range(self.log.head):
            kind, payloads = self.log.read(number)
            try:
                self.index.note(number, kind, payloads)
                if kind in ("chunk", "evicted"):
                    commit = self._commit_of(payloads)
                    check_header(self.grid, commit, len(payloads) - 1, self._layers)
                    voxels = self._check(commit)
                    follows(self.assembly.commit(commit, payloads[1:]))
                    self._numbers[commit.chunk] = number
                    self._count(commit, voxels)
                elif kind == "failed":
                    why_not = b"".join(payloads[1:2]).decode("utf-8", "replace")
                    for chunk in np.frombuffer(payloads[0], "<u4").tolist():
                        follows(self.assembly.fail(chunk))
                        self.failed[chunk] = why_not
                elif kind == "end":
                    self.end = bytes(payloads[0]).decode()
                elif kind in logged:
                    logged[kind].append(np.frombuffer(payloads[0], "<u8").reshape(-1, 2))
            except (Refused, IndexError, ValueError) as why:
                raise BadLog(f"entry {number} ({kind}) of the log does not belong to this run: {why}") from why
        if self.end:
            return
        missing = {kind: _without(derived[kind], logged[kind]) for kind in derived}
        self._owe(Outcome(missing["merges"], missing["verdicts"]))
        self.settle()

    @staticmethod
    def _commit_of(payloads: Sequence[Buffer]) -> Commit:
        message, _ = decode([payloads[0] if isinstance(payloads[0], memoryview) else memoryview(payloads[0])])
        if not isinstance(message, Commit):
            raise Refused("a chunk's entry without a commit")
        return message


def _without(these: Sequence[Pairs], those: Sequence[Pairs]) -> Pairs:
    """The pairs of ``these`` that ``those`` lack, in their order."""
    have = {tuple(pair) for pairs in those for pair in pairs.tolist()}
    left = [pair for pairs in these for pair in pairs.tolist() if tuple(pair) not in have]
    return np.array(left, np.uint64).reshape(-1, 2)
