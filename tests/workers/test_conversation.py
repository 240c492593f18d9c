"""A worker's session and the streamer's hub, word for word, without a socket between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from inference_workers.session import Manners, Out, Session
from streamer.hub import Hub
from streamer.wire.status import FAILED
from tests.assembly.pieces import Piece
from tests.streamer.runs import MemoryLog, hub_of, made, spec_of, under

SPEC = spec_of()
MADE = made(SPEC)


def talk(hub: Hub, make: Callable[[int, int], Piece], workers: int, until: float) -> list[Session]:
    """Workers that make chunks and send them, until the run is over or it is late; every message is delivered."""
    now = 0.0
    sessions = {b"w%d" % i: Session(f"w{i}", "here", Manners(), now) for i in range(workers)}
    said: deque[tuple[bytes, Out]] = deque((peer, out) for peer, s in sessions.items() for out in s.hello(now))
    while now < until and any(session.end is None for session in sessions.values()):
        sends = hub.tick(now) if now >= hub.deadline() else []
        while said:
            peer, out = said.popleft()
            sends += hub.ingest(peer, out.message, list(out.payloads), now)
        for send in sends:
            answers = sessions[send.peer].hear(send.message, send.payloads, now)
            said.extend((send.peer, out) for out in answers)
        for peer, session in sessions.items():
            lease = session.next_work(now) if session.end is None else None
            if lease is not None:
                said.extend((peer, out) for out in session.finished(*make(lease.chunk, lease.lease), now))
            said.extend((peer, out) for out in session.tick(now))
        if not said:
            now = max(now + 0.001, min(hub.deadline(), *(session.deadline() for session in sessions.values())))
    return list(sessions.values())


def test_a_chunk_that_is_refused_whoever_makes_it_fails_and_the_run_completes() -> None:
    def make(chunk: int, lease: int) -> Piece:
        commit, payloads = under(MADE[chunk], lease)
        more = 1 if chunk in (0, 3) else 0
        return msgspec.structs.replace(commit, stat_rows=commit.stat_rows + more), payloads

    hub = hub_of(SPEC, MemoryLog())
    sessions = talk(hub, make, 2, 1000)
    assert hub.state == "complete"
    assert [hub._leases.state(chunk) == FAILED for chunk in range(SPEC.grid.size)] == [
        chunk in (0, 3) for chunk in range(SPEC.grid.size)
    ]
    assert "refused 2 times: chunk 0" in hub.status(0).failures[0]
    assert [session.end and session.end.code for session in sessions] == [0, 0]


def test_a_disk_that_is_full_again_and_again_fails_no_chunk() -> None:
    class Flapping(MemoryLog):
        """Takes one entry, and then none until it has been asked five times."""

        asked = 0

        def append(self, kind: str, payloads: object, crcs: object = ()) -> int:
            self.asked += 1
            self.full = self.asked % 6 != 0
            return super().append(kind, payloads, crcs)  # type: ignore[arg-type]

    log = Flapping()
    hub = hub_of(SPEC, log, lease_s=30.0, disk_retry_s=0.5)
    sessions = talk(hub, lambda chunk, lease: under(MADE[chunk], lease), 3, 10_000)
    assert hub.state == "complete"
    assert hub.status(0).failed == 0
    assert log.kinds().count("chunk") == SPEC.grid.size
    assert [session.end and session.end.code for session in sessions] == [0, 0, 0]
