"""Who leads: at most one at any moment, whatever the clocks say, and somebody soon after the last one has gone."""

from __future__ import annotations

import random

import msgspec
import pytest

from streamer.control.cluster.lease import Candidate, Claim, Terms, claim, freed, seen, taken
from streamer.control.cluster.plan import Object

TERMS = Terms(15.0, 10.0, 2.0)


class Server:
    """An API server that has one Lease."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self._version = 0

    def write(self, wanted: Claim) -> Object | None:
        """The Lease as it is then; None where somebody else was quicker."""
        there = self.lease["metadata"]["resourceVersion"] if self.lease else ""
        if wanted.version != there:
            return None
        self._version += 1
        old = self.lease["spec"] if self.lease else {}
        spec = {key: value for key, value in {**old, **wanted.spec}.items() if value is not None}
        self.lease = {"metadata": {"resourceVersion": str(self._version)}, "spec": spec}
        return self.lease


def attempt(server: Server, one: Candidate, now: float, answered: float | None = None) -> Candidate:
    """One round of a candidate, whose requests are answered a little later."""
    one = seen(one, server.lease, now)
    if (wanted := claim(one, server.lease, now, "2026-01-01T00:00:00.000000Z")) is None:
        return one
    written = server.write(wanted)
    del answered
    return one if written is None else taken(one, written, now)


def test_the_first_one_leads_and_the_second_one_waits_until_the_first_has_gone() -> None:
    server, a, b = Server(), Candidate("a", TERMS), Candidate("b", TERMS)
    a, b = attempt(server, a, 0.0), attempt(server, b, 1.0)
    assert a.leads(9.9)
    assert not a.leads(10.0)
    assert not b.leads(1.0)
    assert b.holder == "a"
    a = attempt(server, a, 9.0)
    assert a.leads(18.9)
    for now in (10.0, 20.0, 24.9):
        b = attempt(server, b, now)
        assert not b.leads(now)
    b = attempt(server, b, 25.0)  # it has not changed for 15 s
    assert b.leads(25.0)
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


def test_who_lets_go_is_followed_at_once() -> None:
    server, a, b = Server(), Candidate("a", TERMS), Candidate("b", TERMS)
    a, b = attempt(server, a, 0.0), attempt(server, b, 1.0)
    assert server.write(freed(seen(a, server.lease, 2.0))) is not None
    assert attempt(server, b, 2.1).leads(2.1)


def test_two_that_come_at_the_same_time_do_not_both_lead() -> None:
    server = Server()
    stale = claim(seen(Candidate("b", TERMS), None, 0.0), None, 0.0, "")
    assert attempt(server, Candidate("a", TERMS), 0.0).leads(0.0)
    assert stale is not None
    assert server.write(stale) is None


def test_a_longer_duration_of_the_other_one_is_waited_for() -> None:
    server = Server()
    attempt(server, Candidate("a", Terms(60.0, 40.0, 2.0)), 0.0)
    b = attempt(server, Candidate("b", TERMS), 0.0)
    assert not attempt(server, b, 59.0).leads(59.0)
    assert attempt(server, b, 60.0).leads(60.0)


@pytest.mark.parametrize("seed", range(40))
def test_never_two_lead_whatever_is_lost_late_or_stopped(seed: int) -> None:
    """Candidates with clocks of their own, answers that are lost after the deed, processes that stand still."""
    chance = random.Random(seed)
    server = Server()
    skew = [chance.uniform(-1e6, 1e6) for _ in range(3)]
    ones = [Candidate(name, TERMS) for name in "abc"]
    due, led = [chance.uniform(0, 2) for _ in ones], set[str]()
    now, gone = 0.0, [False] * 3
    while now < 600.0:
        number = min(range(3), key=lambda one: due[one])
        now = max(now, due[number])
        one, mine = ones[number], now + skew[number]
        due[number] = now + TERMS.retry_s
        if gone[number] or (one.renewed is not None and one.holder != one.me):
            # It has lost, so it ends; a new one takes its place.  One that only could not renew asks on.
            ones[number], gone[number] = Candidate(f"{one.me}+", TERMS), False
            continue
        event = chance.random()
        if event < 0.02:
            due[number] = now + chance.uniform(0, 40)  # it stands still
            continue
        read = seen(one, server.lease, mine)
        ones[number] = read
        wanted = claim(read, server.lease, mine, "")
        if wanted is None or event < 0.1:  # or the request does not arrive
            continue
        written = server.write(wanted)
        if written is not None and event >= 0.2:  # else the answer is lost
            ones[number] = taken(read, written, mine)
        leading = [one.me for one, off in zip(ones, skew, strict=True) if one.leads(now + off)]
        assert len(leading) <= 1, (now, leading)
        led.update(leading)
    assert len(led) > 1, "nobody ever took over: the test tries nothing"


def test_a_lease_that_is_deleted_is_made_again_by_who_leads() -> None:
    server, a, b = Server(), Candidate("a", TERMS), Candidate("b", TERMS)
    a, b = attempt(server, a, 0.0), attempt(server, b, 1.0)
    server.lease = None
    b = attempt(server, b, 2.0)  # it comes first, and waits all the same
    assert (b.leads(2.0), b.holder, server.lease) == (False, "a", None)
    a = attempt(server, a, 3.0)
    assert a.leads(12.9)
    b = attempt(server, b, 4.0)
    assert not b.leads(4.0)
    # Where its holder has gone as well, the other one waits until that cannot lead any more.
    server.lease = None
    for now in (5.0, 12.0, 19.9):
        b = attempt(server, b, now)
        assert not b.leads(now)
    b = attempt(server, b, 20.0)
    assert (b.leads(20.0), a.leads(20.0)) == (True, False)
    # One that sees only then that there is another one has lost.
    assert seen(a, server.lease, 20.1).holder == "b"


def test_a_lease_that_is_none_is_taken() -> None:
    server = Server()
    server.lease = {"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": 5, "leaseTransitions": "x"}}
    found = attempt(server, Candidate("a", TERMS), 0.0)
    assert found.leads(0.0)
    assert msgspec.structs.asdict(found)["holder"] == "a"
