"""Whose pictures follow from which: nobody gets one that follows from another that he has not had."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from renderers.chains import MOST_CHAINS, Chains, Follower, Way

WIDE, SMALL = Way(1280, 720, False, 4000), Way(640, 360, False, 4000)
ONE, TWO, THREE = b"one", b"two", b"three"


def test_who_looks_in_step_shares_a_chain() -> None:
    chains = Chains()
    first = chains.next([Follower(ONE, WIDE, True), Follower(TWO, WIDE, True)])
    assert first[ONE] == first[TWO]
    assert first[ONE].key
    second = chains.next([Follower(ONE, WIDE, False), Follower(TWO, WIDE, False)])
    assert second[ONE] == second[TWO] == first[ONE]._replace(key=False)
    assert len(chains) == 1


def test_who_has_missed_a_picture_begins_a_chain_of_his_own_and_the_other_goes_on() -> None:
    chains = Chains()
    both = chains.next([Follower(ONE, WIDE, True), Follower(TWO, WIDE, True)])
    alone = chains.next([Follower(ONE, WIDE, False)])
    assert (alone[ONE].chain, alone[ONE].key) == (both[ONE].chain, False)
    again = chains.next([Follower(ONE, WIDE, False), Follower(TWO, WIDE, False)])
    assert not again[ONE].key
    assert again[TWO].key
    assert again[TWO].chain != again[ONE].chain
    chains.next([Follower(TWO, WIDE, False)])
    later = chains.next([Follower(ONE, WIDE, False), Follower(TWO, WIDE, False)])
    assert not any(leg.key for leg in later.values()), "they have come apart once and for all"


def test_another_size_or_rate_or_a_loss_begins_anew() -> None:
    chains = Chains()
    first = chains.next([Follower(ONE, WIDE, True)])[ONE].chain
    for way, anew in ((SMALL, False), (SMALL._replace(kbit=2000), False), (SMALL._replace(kbit=2000), True)):
        leg = chains.next([Follower(ONE, way, anew)])[ONE]
        assert leg.key
        assert leg.chain != first
        assert len(chains) == 1, "the chain of before is followed by nobody"
        first = leg.chain


def test_chains_end_with_their_last_follower() -> None:
    chains = Chains()
    chains.next([Follower(ONE, WIDE, True), Follower(TWO, WIDE, True), Follower(THREE, SMALL, True)])
    assert len(chains.keep([ONE, TWO, THREE])) == 2
    assert len(chains.keep([ONE])) == 1
    assert chains.keep([]) == frozenset()
    assert chains.next([Follower(ONE, WIDE, False)])[ONE].key


def test_there_are_no_more_encoders_than_that() -> None:
    chains = Chains()
    peers = [bytes([n]) for n in range(MOST_CHAINS + 3)]
    legs = [chains.next([Follower(peer, WIDE._replace(width=64 + 2 * n), True)]) for n, peer in enumerate(peers)]
    assert [bool(leg) for leg in legs] == [True] * MOST_CHAINS + [False] * 3
    chains.keep(peers[1:])
    assert chains.next([Follower(peers[-1], WIDE, True)])


@given(
    st.lists(
        st.dictionaries(st.sampled_from([b"a", b"b", b"c", b"d"]), st.tuples(st.integers(0, 1), st.booleans())),
        max_size=40,
    )
)
def test_whatever_happens_nobody_gets_what_follows_from_a_picture_that_he_has_not_had(
    pictures: list[dict[bytes, tuple[int, bool]]],
) -> None:
    chains = Chains()
    of: dict[int, list[int]] = {}  # the pictures of each chain so far
    had: dict[bytes, tuple[int, list[int]]] = {}
    for number, wanted in enumerate(pictures):
        rows = [Follower(peer, (WIDE, SMALL)[size], anew) for peer, (size, anew) in wanted.items()]
        legs = chains.next(rows)
        assert len(chains) <= MOST_CHAINS
        for chain, key in {(leg.chain, leg.key) for leg in legs.values()}:
            assert key == (chain not in of), "a chain begins once"
        made = {leg.chain for leg in legs.values()}
        for peer, way, anew in rows:
            leg = legs[peer]
            assert leg.way == way
            assert leg.key or (not anew and had[peer] == (leg.chain, of[leg.chain]))
        for chain in made:
            of.setdefault(chain, []).append(number)
        for peer, leg in legs.items():
            had[peer] = (leg.chain, list(of[leg.chain]))
