"""Whatever happens in whatever order: joins, losses, damage, duplicates, lapses, a full disk, restarts.

The machine keeps its own account of who holds what and of what each subscriber asked for and got, and
compares after every step.  At the end it lets the run finish and looks at the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import msgspec
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamer.assembly import Assembly
from streamer.hub import Send
from streamer.index import Region
from streamer.record import LogFull
from streamer.wire.batch import Sent, entries_of, unpack_present
from streamer.wire.block import PARTS
from streamer.wire.codec import Buffer
from streamer.wire.header import decode
from streamer.wire.messages import (
    FETCHED,
    Ack,
    Ask,
    AskIndex,
    Beat,
    Commit,
    Credit,
    Drain,
    Entry,
    Fail,
    Fetch,
    Focus,
    Goodbye,
    Hello,
    Index,
    Lease,
    Refuse,
    Welcome,
)
from streamer.wire.status import COMMITTED, FAILED
from tests.streamer.runs import SETTINGS, MemoryLog, hub_of, made, spec_of, subscriber_hello, under, worker_hello

SPEC = spec_of()
MADE = made(SPEC)
CHUNKS = SPEC.grid.size
WORKERS = st.sampled_from([b"w1", b"w2", b"w3"])
READERS = st.sampled_from([b"r1", b"r2", b"r3"])


class NarrowLog(MemoryLog):
    """A log whose disk may become full between a chunk and what follows from it."""

    room = 1 << 30
    """Entries for which there is room."""

    def append(self, kind: str, payloads: Sequence[Buffer], crcs: Sequence[int] = ()) -> int:
        if not self.room:
            raise LogFull("no room for another entry")
        number = super().append(kind, payloads, crcs)
        self.room -= 1
        return number


class Reader:
    """A subscriber's own account.  ``chunks_wanted`` are those of its region."""

    def __init__(self, region: tuple[int, ...] = (), batch: int = 0) -> None:
        self.region, self.batch = region, batch
        inside = Region(SPEC.grid, region).holds(np.arange(CHUNKS)) if region else np.ones(CHUNKS, bool)
        self.chunks_wanted = set(np.flatnonzero(inside).tolist())
        self.epoch, self.got = "", list[Entry]()
        self.next, self.prev = 0, -1
        self.asked: list[int] = []
        self.fetched: set[int] = set()
        self.merges: list[tuple[int, int]] = []
        self.chunks: list[int] = []
        self.bytes = self.messages = self.may_bytes = self.may_messages = 0
        self.welcome = False

    def hello(self) -> Hello:
        self.bytes = self.messages = self.may_bytes = self.may_messages = 0
        self.welcome = False
        self.asked.clear()
        self.prev = self.next - 1
        return msgspec.structs.replace(
            subscriber_hello(self.epoch, self.next, ("seam", "ids")), region=self.region, batch=self.batch
        )

    def fetch(self, numbers: list[int]) -> tuple[Fetch, list[bytes]]:
        self.asked = numbers
        return Fetch(len(numbers)), [np.array(numbers, "<u8").tobytes()]

    def credit(self, more_bytes: int, messages: int) -> Credit:
        self.may_bytes, self.may_messages = self.may_bytes + more_bytes, self.may_messages + messages
        return Credit(self.may_bytes, self.may_messages, self.next)

    def receive(self, send: Send) -> None:
        assert self.welcome, "nothing comes before Welcome"
        batch = entries_of(send.message, send.payloads)
        assert batch
        assert len(batch) == 1 or sum(sent.nbytes for sent in batch) <= self.batch, "a larger batch than asked for"
        for sent in batch:
            self.take(sent)

    def take(self, sent: Sent) -> None:
        entry, payloads, nbytes = sent
        self.bytes += nbytes
        self.messages += 1
        assert self.bytes <= self.may_bytes, "more bytes than asked for"
        assert self.messages <= self.may_messages, "more messages than asked for"
        if entry.prev == FETCHED:
            assert entry.number == self.asked.pop(0), "in the order asked for, and nothing else"
            self.fetched.add(entry.number)
        else:
            assert entry.prev == self.prev, "nothing is missing between the two"
            assert entry.number >= self.next, "in order, exactly once"
            self.got.append(entry)
            self.prev, self.next = entry.number, entry.number + 1
        if entry.kind == "chunk":
            commit, _ = decode([bytes(payloads[0])])
            assert isinstance(commit, Commit)
            assert [bytes(raw) for raw in payloads[1:]] == MADE[commit.chunk][1][1:3]
            if entry.prev != FETCHED:
                assert commit.chunk in self.chunks_wanted, "not in its region"
                self.chunks.append(commit.chunk)
        if entry.kind == "merges" and entry.prev != FETCHED:
            self.merges += [(a, b) for a, b in np.frombuffer(payloads[0], "<u8").reshape(-1, 2).tolist()]


class AnyOrder(RuleBasedStateMachine):
    """One run, and all that may befall it."""

    @initialize(pace=st.sampled_from([0.0, 40.0]), retries=st.sampled_from([0, 1, 2]))
    def begin(self, pace: float, retries: int) -> None:
        self.now, self.log, self.pace, self.retries = 0.0, NarrowLog(), pace, retries
        self.readers = {
            b"r1": Reader(),
            b"r2": Reader(batch=3000),
            b"r3": Reader((0, 0, 4, 8, 3, 1), 1 << 18),
        }
        self.acknowledged: dict[int, int] = {}
        self.start()

    def start(self) -> None:
        self.held: dict[int, tuple[bytes, int, float]] = {}
        self.drained: set[bytes] = set()
        self.failed_on: dict[int, list[bytes]] = {}
        self.eager: set[bytes] = set()
        """Workers that want leases, that have let none lapse since they were heard last, and that behave."""
        self.put_aside: set[bytes] = set()
        self.wants: dict[bytes, int] = {}
        for reader in self.readers.values():
            reader.welcome = False
        self.hub = hub_of(SPEC, self.log, self.now, pace_s=self.pace, retries=self.retries)

    def take(self, sends: list[Send]) -> None:
        """Delivers messages to the peers' own accounts."""
        for send in sends:
            match send.message:
                case Lease(chunk, lease, expires_s):
                    assert not self.paused, "no lease while the disk is known to be full"
                    assert chunk not in self.held, f"chunk {chunk} is held by two"
                    assert self.state(chunk) not in (COMMITTED, FAILED)
                    assert self.holds(send.peer) < SETTINGS.leases_per_worker
                    failed_on = self.failed_on.get(chunk, [])
                    if send.peer in failed_on:
                        assert self.eager <= set(failed_on), "another one could have had it"
                    self.held[chunk] = send.peer, lease, self.now + expires_s
                case Ack(chunk, number):
                    kind, payloads = self.log.read(number)
                    commit, _ = decode([bytes(payloads[0])])
                    assert kind == "chunk"
                    assert isinstance(commit, Commit)
                    assert commit.chunk == chunk
                    assert self.acknowledged.setdefault(chunk, number) == number
                case Welcome() if send.door == "feed":
                    reader = self.readers[send.peer]
                    assert (reader.epoch or self.log.epoch) == self.log.epoch
                    reader.epoch, reader.welcome = self.log.epoch, True
                case Drain():
                    self.drained.add(send.peer)

    def state(self, chunk: int) -> int:
        return self.hub._leases.state(chunk)

    @property
    def paused(self) -> bool:
        return bool(self.hub.status(self.now).note)

    @property
    def given_up(self) -> set[int]:
        """The chunks of which the log says that they failed."""
        return {c for kind, p in self.log.entries if kind == "failed" for c in np.frombuffer(p[0], "<u4").tolist()}

    def holds(self, worker: bytes) -> int:
        return sum(who == worker for who, _, _ in self.held.values())

    def lose(self, worker: bytes) -> None:
        self.eager.discard(worker)
        self.held = {chunk: held for chunk, held in self.held.items() if held[0] != worker}

    def closed(self) -> None:
        self.held = {c: held for c, held in self.held.items() if self.state(c) not in (COMMITTED, FAILED)}

    # ------------------------------------------------------------ workers

    @rule(worker=WORKERS, wants=st.integers(0, 4))
    def ask(self, worker: bytes, wants: int) -> None:
        self.take(self.hub.ingest(worker, worker_hello(), [], self.now))
        self.wants[worker] = wants
        self.was_heard(worker)
        self.take(self.hub.ingest(worker, Ask(wants), [], self.now))

    def was_heard(self, worker: bytes) -> None:
        if self.wants.get(worker, 0) and worker not in self.put_aside:
            self.eager.add(worker)
        else:
            self.eager.discard(worker)

    @rule(worker=WORKERS, all_of_them=st.booleans())
    def beat(self, worker: bytes, all_of_them: bool) -> None:
        self.was_heard(worker)
        for chunk, (who, lease, _) in self.held.items():
            if who == worker:
                self.held[chunk] = who, lease, self.now + SETTINGS.lease_s
        # Some name the leases of others, which does not help them.
        leases = tuple(lease for who, lease, _ in self.held.values() if who == worker or all_of_them)
        self.take(self.hub.ingest(worker, Beat(leases), [], self.now))

    @rule(worker=WORKERS, chunk=st.integers(0, CHUNKS - 1), held=st.booleans(), damage=st.integers(0, 9))
    def commit(self, worker: bytes, chunk: int, held: bool, damage: int) -> None:
        mine = [c for c, (who, _, _) in self.held.items() if who == worker]
        if held and mine:
            chunk = mine[0]
        commit, payloads = under(MADE[chunk], self.held.get(chunk, (b"", 0, 0.0))[1])
        before = self.log.head
        self.was_heard(worker)
        if damage == 0:
            payloads[1] += b"!"
        if self.paused and chunk in self.held and self.held[chunk][0] == worker:
            self.held[chunk] = *self.held[chunk][:2], self.now + SETTINGS.lease_s
        open_before = self.state(chunk) not in (COMMITTED, FAILED)
        sends = self.hub.ingest(worker, commit, payloads, self.now)
        if any(isinstance(send.message, Refuse) and "third bad" in send.message.reason for send in sends):
            self.put_aside.add(worker)
            self.lose(worker)
        if damage == 0 and open_before:
            assert self.log.head == before, "a damaged chunk is not appended"
        if not open_before:
            assert self.log.head == before, "a chunk that is done is not appended again"
        self.closed()
        self.take(sends)

    @rule(worker=WORKERS)
    def fail(self, worker: bytes) -> None:
        for chunk, (who, lease, _) in list(self.held.items()):
            if who == worker:
                self.was_heard(worker)
                self.failed_on.setdefault(chunk, []).append(worker)
                sends = self.hub.ingest(worker, Fail(chunk, lease, "cannot"), [], self.now)
                del self.held[chunk]
                given_up = len(self.failed_on[chunk]) > self.retries
                assert (self.state(chunk) == FAILED) == given_up, "after so many tries, and not before"
                self.take(sends)
                return

    @rule(worker=WORKERS, says=st.booleans())
    def leave(self, worker: bytes, says: bool) -> None:
        self.lose(worker)
        self.wants.pop(worker, None)
        if says:
            self.take(self.hub.ingest(worker, Goodbye(), [], self.now))
        else:
            self.hub.forget("ingest", worker)
            self.take(self.hub.tick(self.now))

    # ------------------------------------------------------------ time, disk, process

    @rule(seconds=st.sampled_from([0.1, 6.0, 6.0, 6.0, 11.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.eager -= {who for who, _, until in self.held.values() if until <= self.now}
        self.held = {chunk: held for chunk, held in self.held.items() if held[2] > self.now}
        self.take(self.hub.tick(self.now))
        for send in self.hub.drain_feed(self.now):
            self.hub.stuck(send, self.now)  # nobody reads, just now
        assert self.hub.deadline() > self.now, "the shell would spin"

    @rule(worker=WORKERS, wants=st.integers(1, 4), all_of_them=st.booleans())
    def work_for_longer_than_a_lease(self, worker: bytes, wants: int, all_of_them: bool) -> None:
        self.ask(worker, wants)
        self.wait(6.0)
        self.beat(worker, all_of_them)
        self.wait(6.0)
        self.the_accounts_agree()

    @precondition(lambda self: not self.log.full)
    @rule(worker=WORKERS, chunk=st.integers(0, CHUNKS - 1), room=st.integers(0, 2))
    def commit_while_there_is_little_room(self, worker: bytes, chunk: int, room: int) -> None:
        self.log.room = room
        self.commit(worker, chunk, held=False, damage=1)
        self.log.room = NarrowLog.room
        self.wait(6.0)
        for each in range(CHUNKS):
            assert (self.state(each) == COMMITTED) == (self.hub._record.number(each) >= 0), "all that waited is there"

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.log.full = full

    @precondition(lambda self: not self.log.full)
    @rule()
    def restart(self) -> None:
        done = {chunk for chunk in range(CHUNKS) if chunk in self.acknowledged}
        self.start()
        assert all(self.state(chunk) == COMMITTED for chunk in done), "what was acknowledged is there"
        assert all(self.state(chunk) == FAILED for chunk in self.given_up), "and what was given up is given up"

    # ------------------------------------------------------------ subscribers

    @rule(peer=READERS)
    def hello(self, peer: bytes) -> None:
        self.take(self.hub.feed(peer, self.readers[peer].hello(), [], self.now))

    @rule(peer=READERS, more=st.sampled_from([0, 100, 200, 400, 3000]), messages=st.integers(0, 4))
    def credit(self, peer: bytes, more: int, messages: int) -> None:
        if self.readers[peer].welcome:
            self.take(self.hub.feed(peer, self.readers[peer].credit(more, messages), [], self.now))

    @rule(peer=READERS, lacks=st.integers(0, 1))
    def credit_to_the_byte(self, peer: bytes, lacks: int) -> None:
        reader = self.readers[peer]
        if reader.welcome and reader.next < self.log.head:
            more = max(0, reader.bytes + self.size(reader.next) - lacks - reader.may_bytes)
            self.take(self.hub.feed(peer, reader.credit(more, 1), [], self.now))

    @rule(peer=READERS, messages=st.integers(0, 3), stuck=st.integers(0, 3), data=st.data())
    def fetch(self, peer: bytes, messages: int, stuck: int, data: st.DataObject) -> None:
        if not self.log.head:
            return
        if not self.readers[peer].welcome:
            self.hello(peer)
        numbers = data.draw(st.lists(st.integers(0, self.log.head - 1), min_size=1, max_size=5))
        assert self.hub.feed(peer, *self.readers[peer].fetch(numbers), self.now) == []
        self.credit(peer, 300, messages)
        for place, send in enumerate(self.hub.drain_feed(self.now)):
            if place == stuck:
                self.hub.stuck(send, self.now)
            else:
                self.readers[send.peer].receive(send)
        self.now += 0.1
        self.drain(set(), 99)

    @rule(peer=st.sampled_from([b"r1", b"r2", b"stranger"]), place=st.tuples(*[st.floats(-9, 20)] * 3),
          weight=st.sampled_from([0.0, 1.0, 3.0]))  # fmt: skip
    def look(self, peer: bytes, place: tuple[float, float, float], weight: float) -> None:
        z, y, x = place
        if peer in self.readers and not self.readers[peer].welcome:
            self.hello(peer)
        assert self.hub.feed(peer, Focus(z, y, x, weight), [], self.now) == []

    @rule(peer=READERS)
    def there(self, peer: bytes) -> None:
        region = self.readers[peer].region
        (answer,) = self.hub.feed(peer, AskIndex(1, region), [], self.now)
        assert isinstance(answer.message, Index)
        now = unpack_present(answer.message, answer.payloads)
        assert now.head == self.log.head
        done = {chunk for chunk in self.readers[peer].chunks_wanted if self.hub._record.number(chunk) >= 0}
        assert set(now.chunks.tolist()) == done
        for chunk, number in zip(now.chunks.tolist(), now.numbers.tolist(), strict=True):
            assert self.hub._record.number(chunk) == number

    @rule(peer=READERS)
    def lost(self, peer: bytes) -> None:
        self.readers[peer].welcome = False
        self.hub.forget("feed", peer)

    @rule(stuck=st.sets(READERS), most=st.integers(0, 9))
    def drain(self, stuck: set[bytes], most: int) -> None:
        for number, send in enumerate(self.hub.drain_feed(self.now)):
            if send.peer in stuck:
                self.hub.stuck(send, self.now)
            else:
                self.readers[send.peer].receive(send)
            if number >= most:
                break

    @rule()
    def everybody_reads(self) -> None:
        """Whoever asked for what is there has it by now."""
        self.now += 0.1
        self.drain(set(), 9999)
        for peer, reader in self.readers.items():
            if reader.welcome and reader.messages < reader.may_messages:
                wanted = next((n for n in range(reader.next, self.log.head) if self.is_for(reader, n)), None)
                room = reader.may_bytes - reader.bytes
                if reader.asked and self.size(reader.asked[0]) > room:
                    continue  # what it fetches has its turn, and waits for credit
                assert wanted is None or self.size(wanted) > room, f"{peer!r} lacks {wanted}, and has room for {room}"

    def size(self, number: int) -> int:
        """Bytes of an entry as the readers want it."""
        kind, payloads = self.log.read(number)
        return sum(len(payloads[place]) for place in ((0, 2, 3) if kind == "chunk" else range(len(payloads))))

    def is_for(self, reader: Reader, number: int) -> bool:
        kind, payloads = self.log.read(number)
        if kind != "chunk":
            return True
        commit, _ = decode([bytes(payloads[0])])
        assert isinstance(commit, Commit)
        return commit.chunk in reader.chunks_wanted

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_accounts_agree(self) -> None:
        if not hasattr(self, "hub"):
            return
        status = self.hub.status(self.now)
        assert status.leased == len(self.held)
        assert status.committed >= len(self.acknowledged)
        assert len(status.parts) <= 6
        chunks = [entry for kind, payloads in self.log.entries if kind == "chunk" for entry in payloads[:1]]
        assert len(chunks) == len(set(chunks)), "a chunk is in the log once"

    def teardown(self) -> None:
        if not hasattr(self, "hub"):
            return
        self.log.full = False
        self.now += 100
        self.held.clear()
        self.take(self.hub.tick(self.now))
        worker = b"last"
        for chunk in range(CHUNKS):
            commit, payloads = under(MADE[chunk], 0)
            self.hub.ingest(worker, commit, payloads, self.now)
        assert self.hub.state == "complete"
        assert self.log.kinds().count("end") == 1
        for peer, reader in self.readers.items():
            self.take(self.hub.feed(peer, reader.hello(), [], self.now))
            self.hub.feed(peer, reader.credit(1 << 20, 1000), [], self.now)
        for send in self.hub.drain_feed(self.now):
            self.readers[send.peer].receive(send)
        self.each_follows_from_what_is_before_it()
        whole = Assembly(SPEC.volume, SPEC.grid, SPEC.keep)
        merges: set[tuple[int, int]] = set()
        failed = self.given_up
        for chunk in range(CHUNKS):
            outcome = whole.fail(chunk) if chunk in failed else whole.commit(*MADE[chunk])
            merges |= {(a, b) for a, b in outcome.merges.tolist()}
        for reader in self.readers.values():
            control = [kind for kind in self.log.kinds() if kind != "chunk"]
            assert [entry.kind for entry in reader.got if entry.kind != "chunk"] == control
            assert sorted(reader.chunks) == sorted(reader.chunks_wanted - failed), "each chunk of its region, once"
            assert {gone for _, gone in reader.merges} == {gone for _, gone in merges}, "whatever the order"
            assert len(reader.merges) == len(set(reader.merges)), "no merge is told twice"
        assert self.hub.status(self.now).objects == whole.objects

    def each_follows_from_what_is_before_it(self) -> None:
        assembly = Assembly(SPEC.volume, SPEC.grid, SPEC.keep)
        follows: dict[str, set[tuple[int, ...]]] = {"merges": set(), "verdicts": set()}
        for kind, payloads in self.log.entries:
            if kind in follows:
                said = {tuple(pair) for pair in np.frombuffer(payloads[0], "<u8").reshape(-1, 2).tolist()}
                assert said <= follows[kind], f"{kind} before the chunk from which they follow"
            if kind not in ("chunk", "failed"):
                continue
            if kind == "failed":
                outcomes = [assembly.fail(chunk) for chunk in np.frombuffer(payloads[0], "<u4").tolist()]
            else:
                commit, _ = decode([bytes(payloads[0])])
                assert isinstance(commit, Commit)
                outcomes = [assembly.commit(commit, payloads[1:])]
            for outcome in outcomes:
                follows["merges"] |= {tuple(pair) for pair in outcome.merges.tolist()}
                follows["verdicts"] |= {tuple(pair) for pair in outcome.verdicts.tolist()}


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_the_machine_asks_for_parts_that_exist() -> None:
    assert {"seam", "ids"} <= set(PARTS)
