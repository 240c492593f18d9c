"""What is known of objects follows from what the server said, and from its silence nothing follows."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamer.control.cluster.hearing import (
    Change,
    Event,
    Gone,
    Hearing,
    ListAll,
    Object,
    Rules,
    Seen,
    Unknown,
    WaitUntil,
    WatchFrom,
)

RULES = Rules(watch_s=50, silence_s=65, resync_s=600, first_wait_s=1, longest_wait_s=30, kept_gone=3)


def thing(name: str, version: int, uid: str = "") -> Object:
    return {
        "metadata": {"namespace": "lab", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    }


def heard(*names: str, now: float = 0.0) -> Hearing:
    found = Hearing(RULES)
    found.listed([thing(name, 1) for name in names], "10", now)
    return found


def test_it_begins_with_a_list_and_goes_on_with_a_watch_from_there() -> None:
    hearing = Hearing(RULES)
    assert hearing.next(0) == ListAll()
    assert hearing.state("lab", "one", 0) == Unknown(None, None)
    assert "nothing is known of the cluster so far" in hearing.words(0)
    changes = hearing.listed([thing("one", 5)], "10", 1)
    assert changes == [Change("appeared", thing("one", 5))]
    assert hearing.next(1) == WatchFrom("10", 50)
    assert hearing.state("lab", "one", 2) == Seen(thing("one", 5), 1)
    assert hearing.state("lab", "two", 2) == Gone(None, 1)
    assert hearing.words(2) == ""


def test_each_event_moves_the_version_bookmarks_too() -> None:
    hearing = heard()
    assert hearing.heard(Event("ADDED", thing("one", 11)), 1) == [Change("appeared", thing("one", 11))]
    assert hearing.heard(Event("MODIFIED", thing("one", 12)), 2) == [Change("changed", thing("one", 12))]
    assert hearing.heard(Event("MODIFIED", thing("one", 12)), 2) == []
    assert hearing.heard(Event("BOOKMARK", {"metadata": {"resourceVersion": "20"}}), 3) == []
    assert hearing.next(3) == WatchFrom("20", 50)
    assert hearing.heard(Event("DELETED", thing("one", 21)), 4) == [Change("gone", thing("one", 21))]
    assert hearing.state("lab", "one", 5) == Gone(thing("one", 21), 4)


def test_what_a_complete_list_does_not_have_has_gone() -> None:
    hearing = heard("one", "two")
    hearing.failed("broken", 5)
    changes = hearing.listed([thing("two", 1)], "30", 9)
    assert changes == [Change("gone", thing("one", 1))]
    assert hearing.state("lab", "one", 9) == Gone(thing("one", 1), 9)


def test_after_any_failure_all_is_unknown_since_it_was_heard_last() -> None:
    hearing = heard("one", now=3)
    hearing.failed("the API server does not answer", 7)
    assert hearing.state("lab", "one", 8) == Unknown(thing("one", 1), 3)
    assert hearing.state("lab", "two", 8) == Unknown(None, 3)
    assert hearing.words(63) == "the API server does not answer; the cluster is shown as it was 60 s ago"
    assert [one["metadata"]["name"] for one in hearing.objects()] == ["one"]


def test_what_was_known_to_be_gone_is_unknown_too_while_nothing_is_heard() -> None:
    hearing = heard("one")
    hearing.heard(Event("DELETED", thing("one", 11)), 1)
    hearing.failed("broken", 2)
    assert hearing.state("lab", "one", 3) == Unknown(thing("one", 11), 1)


def test_silence_alone_makes_it_unknown() -> None:
    """Even if nobody noticed that the watch is dead."""
    hearing = heard("one")
    assert isinstance(hearing.state("lab", "one", 65), Seen)
    assert hearing.state("lab", "one", 65.1) == Unknown(thing("one", 1), 0)
    hearing.ended(66)
    assert isinstance(hearing.state("lab", "one", 100), Seen)


def test_another_object_of_that_name_is_another_one() -> None:
    hearing = heard("one")
    new = thing("one", 12, "uid-2")
    assert hearing.heard(Event("ADDED", new), 1) == [Change("gone", thing("one", 1)), Change("appeared", new)]
    assert hearing.heard(Event("DELETED", thing("one", 11)), 2) == []
    assert hearing.state("lab", "one", 2) == Seen(new, 2)


def test_an_expired_version_is_no_fault_unless_it_repeats() -> None:
    hearing = heard("one")
    hearing.failed("too old", 1, expired=True)
    assert hearing.next(1) == ListAll()
    assert isinstance(hearing.state("lab", "one", 1), Seen)
    hearing.listed([thing("one", 1)], "20", 1)
    hearing.failed("too old", 1, expired=True)
    assert hearing.next(1) == WaitUntil(3)


def test_a_watch_that_ends_at_once_without_a_word_is_no_watch() -> None:
    """kubernetes#104171: so a version of Events is said to be too old.  Watching from it again would never end."""
    hearing = heard("one")
    assert hearing.next(0) == WatchFrom("10", 50)
    hearing.ended(0.1)
    assert hearing.next(0.1) == WaitUntil(1.1)
    assert hearing.next(1.1) == ListAll()
    assert isinstance(hearing.state("lab", "one", 1.1), Unknown)
    hearing.listed([thing("one", 1)], "20", 1.1)
    assert hearing.next(1.1) == WatchFrom("20", 50)
    hearing.heard(Event("BOOKMARK", {"metadata": {"resourceVersion": "21"}}), 1.2)
    hearing.ended(1.2)
    assert hearing.next(1.2) == WatchFrom("21", 50)
    hearing.ended(1.2 + 25)  # a long one may have nothing to tell
    assert isinstance(hearing.state("lab", "one", 27), Seen)


def test_failures_are_met_with_growing_patience_until_a_watch_brings_something() -> None:
    hearing, now, waits = Hearing(RULES), 0.0, []
    for _ in range(8):
        hearing.failed("broken", now)
        step = hearing.next(now)
        assert isinstance(step, WaitUntil)
        waits.append(step.time - now)
        now = step.time
        assert hearing.next(now) == ListAll()
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    hearing.listed([], "10", now)
    hearing.failed("the watch is refused", now)  # the list came, the watch did not: no reason to hurry
    assert hearing.next(now) == WaitUntil(now + 30)
    hearing.listed([], "11", now + 30)
    assert hearing.next(now + 30) == WatchFrom("11", 50)
    hearing.ended(now + 80)
    hearing.failed("broken", now + 80)
    assert hearing.next(now + 80) == WaitUntil(now + 81)


def test_the_server_says_when_to_come_again_within_reason() -> None:
    for said, waited in ((0.0, 1.0), (7.0, 7.0), (9999.0, 30.0)):
        hearing = Hearing(RULES)
        hearing.failed("overloaded", 0, retry_after_s=said)
        assert hearing.next(0) == WaitUntil(waited)


def test_everything_is_listed_from_time_to_time() -> None:
    hearing = heard("one")
    assert hearing.next(540) == WatchFrom("10", 50)
    hearing.ended(590)
    assert hearing.next(590) == WatchFrom("10", 50)
    hearing.ended(640)
    assert hearing.next(640) == ListAll()


def test_only_so_many_that_have_gone_are_remembered() -> None:
    hearing = heard()
    for number in range(50):
        hearing.heard(Event("ADDED", thing(f"t{number}", number * 2 + 20)), 1)
        hearing.heard(Event("DELETED", thing(f"t{number}", number * 2 + 21)), 1)
    assert [isinstance(hearing.state("lab", f"t{n}", 1), Gone) for n in (0, 49)] == [True, True]
    assert hearing.state("lab", "t0", 1) == Gone(None, 1)
    assert hearing.state("lab", "t49", 1) == Gone(thing("t49", 119), 1)


NAMES = st.sampled_from(["a", "b", "c"])


class AnyOrder(RuleBasedStateMachine):
    """A server whose objects come and go, and a line that breaks, is silent and comes back, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.hearing, self.now, self.version = Hearing(RULES), 0.0, 10
        self.truth: dict[str, Object] = {}
        self.untold: list[Event] = []
        self.watching = False
        self.ever_listed = False

    @rule(name=NAMES)
    def comes_or_changes(self, name: str) -> None:
        self.version += 1
        uid = self.truth[name]["metadata"]["uid"] if name in self.truth else f"uid-{self.version}"
        kind = "MODIFIED" if name in self.truth else "ADDED"
        self.truth[name] = thing(name, self.version, uid)
        self.untold.append(Event(kind, self.truth[name]))

    @rule(name=NAMES)
    def goes(self, name: str) -> None:
        if name in self.truth:
            self.version += 1
            last = thing(name, self.version, self.truth.pop(name)["metadata"]["uid"])
            self.untold.append(Event("DELETED", last))

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def does_what_is_next(self) -> None:
        step = self.hearing.next(self.now)
        if isinstance(step, WaitUntil):
            assert step.time > self.now
            self.now = step.time
        elif isinstance(step, ListAll):
            self.hearing.listed(list(self.truth.values()), str(self.version), self.now)
            self.untold.clear()
            self.watching, self.ever_listed = True, True
        else:
            assert self.ever_listed
            self.watching = True

    @precondition(lambda self: self.watching)
    @rule(count=st.integers(1, 5))
    def hears(self, count: int) -> None:
        told, self.untold = self.untold[:count], self.untold[count:]
        for event in told:
            self.hearing.heard(event, self.now)

    @precondition(lambda self: self.watching)
    @rule()
    def watch_ends(self) -> None:
        if not self.untold:
            self.hearing.ended(self.now)

    @rule(expired=st.booleans())
    def fails(self, expired: bool) -> None:
        self.hearing.failed("broken", self.now, expired=expired)
        self.watching = False

    @invariant()
    def what_is_said_to_be_gone_was_gone_when_the_server_was_heard(self) -> None:
        touch = self.hearing.in_touch(self.now)
        for name in "abc":
            state = self.hearing.state("lab", name, self.now)
            assert isinstance(state, Unknown) is not touch
            pending = [event for event in self.untold if event.object["metadata"]["name"] == name]
            if not pending and touch:
                assert isinstance(state, Seen if name in self.truth else Gone)
                if isinstance(state, Seen):
                    assert state.object == self.truth[name]

    @invariant()
    def a_watch_goes_on_from_a_version_that_was_told(self) -> None:
        step = self.hearing.next(self.now)
        if isinstance(step, WatchFrom):
            assert int(step.version) <= self.version
            assert all(int(event.object["metadata"]["resourceVersion"]) > int(step.version) for event in self.untold)


TestAnyOrder = AnyOrder.TestCase
