"""Who moves a shared view, and that everybody sees what he does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from renderers.audience import COMPANY_S, KEPT_S, Audience
from renderers.present import people
from renderers.shared import FREE_S, INVITE_S
from streamer.wire.looking import Looking, plain
from streamer.wire.presence import WHAT, Named, Wish
from streamer.wire.view import FOLLOW, LEAD, LOOK, NO_KEY, Beat, Camera, Closed, Handed, Input, Opened
from streamer.wire.viewing import View

A, B, C = b"a", b"b", b"c"


def state(sequence: int, azimuth: float = 0.0, width: int = 640, *, moving: bool = False) -> Input:
    return Input(sequence, width, 360, moving, Camera(azimuth, 0.5, 4.0, (0.0, 0.0, 0.0)))


def shared(*roles: tuple[bytes, int]) -> Audience:
    audience = Audience()
    for peer, role in roles:
        audience.hear(peer, Opened("all", role), 0.0)
        audience.hear(peer, state(1), 0.0)
    return audience


def azimuth(audience: Audience, peer: bytes) -> float:
    seen = audience.windows[peer].state
    assert seen is not None
    return seen.camera.azimuth


def lead(audience: Audience, peer: bytes) -> object:
    place = audience.place(peer)
    assert place is not None
    return place["lead"]


def test_in_views_of_their_own_people_do_not_disturb_each_other() -> None:
    audience = Audience()
    for peer in (A, B):
        audience.hear(peer, Opened(), 0.0)
    audience.hear(A, state(1, 0.3), 0.0)
    audience.hear(B, state(1, 0.7), 0.0)
    assert (azimuth(audience, A), azimuth(audience, B)) == (0.3, 0.7)
    assert audience.place(A) is None
    assert audience.together(A) == (A,)


def test_what_the_leader_does_all_see_each_in_his_size_and_with_his_numbers() -> None:
    audience = shared((A, LEAD), (B, LEAD), (C, LOOK))
    audience.hear(B, state(5, 0.9, width=800), 1.0)
    audience.hear(A, state(2, 0.4, moving=True), 2.0)
    assert [azimuth(audience, peer) for peer in (A, B, C)] == [0.4, 0.4, 0.4]
    seen = audience.windows[B].state
    assert seen is not None
    assert (seen.sequence, seen.width, seen.moving) == (5, 800, True)
    assert audience.together(B) == (B, A, C)


def test_all_pictures_of_a_view_say_which_input_of_the_leader_they_answer() -> None:
    audience = shared((A, LEAD), (B, LEAD), (C, LOOK))
    audience.hear(A, state(2, 0.4, moving=True)._replace(pointer=(0.25, 0.5)), 1.0)
    audience.hear(B, state(2)._replace(pointer=(0.9, 0.9)), 1.1)
    assert [seen_of(audience, peer).pointer for peer in (A, B, C)] == [(0.25, 0.5)] * 3
    audience.hear(B, Handed(0), 2.0)
    assert {seen_of(audience, peer).pointer for peer in (A, B, C)} == {None}, "he has not moved it yet"


def test_who_follows_is_not_left_with_a_moving_picture_when_the_leader_vanishes() -> None:
    audience = shared((A, LEAD), (B, FOLLOW), (C, LOOK))
    audience.hear(A, state(2, 0.4, moving=True), 1.0)
    assert seen_of(audience, C).moving
    audience.hear(A, Closed(), 2.0)
    assert [(seen_of(audience, peer).moving, azimuth(audience, peer)) for peer in (B, C)] == [(False, 0.4)] * 2
    for peer in (A, B):  # and who follows by invitation
        audience.hear(peer, Opened(), 3.0)
        audience.hear(peer, state(1), 3.0)
    wish(audience, A, "invite", now=3.0)
    wish(audience, B, "accept", audience.viewers[A].number, now=3.0)
    audience.hear(A, state(2, 0.7, moving=True), 3.0)
    assert seen_of(audience, B).moving
    wish(audience, A, "end", now=4.0)
    assert (audience.place(B), seen_of(audience, B).moving) == (None, False)


def test_the_lead_is_taken_by_those_who_may_and_handed_to_those_who_follow() -> None:
    audience = shared((A, LEAD), (B, FOLLOW), (C, LOOK))
    audience.hear(B, Handed(0), 1.0)
    assert lead(audience, A) == 1, "who follows waits until it is given"
    audience.hear(A, Handed(3), 1.0)
    assert lead(audience, A) == 1, "who only looks never leads"
    audience.hear(A, Handed(2), 1.0)
    audience.hear(B, state(2, 0.6), 1.0)
    audience.hear(A, state(9, 0.1), 1.0)
    assert [azimuth(audience, peer) for peer in (A, B, C)] == [0.6, 0.6, 0.6]
    audience.hear(A, Handed(0), 2.0)
    assert lead(audience, B) == 1


def test_when_the_leader_goes_the_view_stays_and_the_next_who_may_leads() -> None:
    audience = shared((A, LEAD), (B, FOLLOW), (C, LEAD))
    audience.hear(A, state(2, 0.4, moving=True), 1.0)
    audience.hear(A, Closed(), 2.0)
    assert lead(audience, B) == 3
    audience.hear(B, state(2, 0.8), 2.0)
    assert azimuth(audience, B) == 0.4


def test_a_newcomer_is_told_where_the_camera_is() -> None:
    audience = shared((A, LEAD))
    audience.hear(A, state(2, 0.4), 1.0)
    audience.hear(B, Opened("all", LEAD), 2.0)
    audience.hear(B, state(1, 0.0), 2.0)
    place = audience.place(B)
    assert place is not None
    assert place["camera"] == state(2, 0.4).camera._asdict()
    assert azimuth(audience, B) == 0.4


PEERS = st.sampled_from((A, B, C, b"d"))
KEYS = st.sampled_from((NO_KEY, bytes([1]) * 16, bytes([2]) * 16))
SAID = st.one_of(
    st.builds(Opened, st.just(""), st.just(LEAD), KEYS),
    st.builds(Opened, st.sampled_from(("all", "other")), st.sampled_from((LOOK, FOLLOW, LEAD)), KEYS),
    st.just(Closed()),
    st.builds(Wish, st.sampled_from(WHAT), st.integers(0, 6)),
    st.builds(Handed, st.integers(0, 6)),
    st.builds(state, st.integers(1, 50), st.floats(0, 3), st.sampled_from((640, 800)), moving=st.booleans()),
)


@given(st.lists(st.tuples(PEERS, SAID, st.sampled_from((0.0, 1.0, 12.0, 40.0))), max_size=60))
def test_whatever_happens_one_at_most_leads_a_view_and_all_in_it_see_one_camera(
    course: list[tuple[bytes, Opened | Closed | Handed | Input | Wish, float]],
) -> None:
    audience, roles, now = Audience(), {}, 0.0
    for peer, said, later in course:
        now += later
        audience.hear(peer, said, now)
        audience.tick(now)
        if isinstance(said, Opened):
            roles[peer] = said.role
        assert audience.windows.keys() == audience.viewers.keys()
        numbers = [viewer.number for viewer in audience.viewers.values()]
        assert len(numbers) == len(set(numbers))
        for one in audience.windows:
            people(audience, one)
            place = audience.place(one)
            if place is None:
                continue
            there = [p for p in audience.together(one) if audience.windows[p].state is not None]
            found = audience.seating.at(one)
            assert found is not None
            moved = [audience.windows[p].state.moving for p in there]  # type: ignore[union-attr]
            assert found[1].moving or not any(moved), "nobody moves it, and somebody waits for the end of that"
            leaders = [p for p in audience.together(one) if (at := audience.place(p)) and at["you"] == at["lead"]]
            assert len(leaders) <= 1
            assert all(roles[p] != LOOK for p in leaders)
            leading = [p for p in leaders if audience.windows[p].state is not None]
            if leading and all(p in there for p in leading) and isinstance(said, Input) and peer in leading:
                assert len({audience.windows[p].state.camera for p in there}) == 1  # type: ignore[union-attr]


def again(audience: Audience, peer: bytes, key: bytes, now: float, role: int = LEAD) -> None:
    audience.hear(peer, Opened("all", role, key), now)
    audience.hear(peer, state(1), now)


KEY_A, KEY_B, KEY_C = (bytes([n]) * 16 for n in (1, 2, 3))


def three() -> Audience:
    audience = Audience()
    for peer, key in ((A, KEY_A), (B, KEY_B), (C, KEY_C)):
        again(audience, peer, key, 0.0)
    return audience


def test_who_comes_again_after_a_loss_has_his_number_and_the_lead_that_he_had() -> None:
    audience = three()
    audience.hear(A, state(2, 0.4), 1.0)
    audience.hear(A, Closed(), 2.0)
    assert lead(audience, B) == 2
    again(audience, b"a again", KEY_A, 5.0)
    assert lead(audience, B) == 1
    place = audience.place(b"a again")
    assert place is not None
    assert place["you"] == 1
    assert azimuth(audience, b"a again") == 0.0, "it moves the camera again, from where its page has it"


def test_a_line_that_nobody_has_noticed_to_be_dead_is_cut_when_its_viewer_comes_again() -> None:
    audience = three()
    again(audience, b"a again", KEY_A, 5.0)
    assert A not in audience.windows
    assert lead(audience, B) == 1


def test_a_view_whose_only_viewer_comes_again_on_a_new_line_is_as_he_left_it() -> None:
    audience = Audience()
    again(audience, A, KEY_A, 0.0)
    audience.hear(A, state(2, 0.4), 1.0)
    audience.hear(b"a again", Opened("all", LOOK, KEY_A), 5.0)
    audience.hear(b"a again", state(1), 5.0)
    assert A not in audience.windows
    assert azimuth(audience, b"a again") == 0.4
    audience.hear(b"a again", Closed(), 6.0)
    assert audience.seating.views == {}


def test_a_lead_that_somebody_has_taken_meanwhile_is_his() -> None:
    audience = three()
    audience.hear(A, Closed(), 2.0)
    audience.hear(C, Handed(0), 3.0)
    again(audience, b"a again", KEY_A, 5.0)
    assert lead(audience, B) == 3


def test_a_place_is_not_kept_for_ever_nor_for_another_view_nor_for_somebody_else() -> None:
    audience = three()
    audience.hear(A, Closed(), 2.0)
    again(audience, b"a again", KEY_A, 2.0 + KEPT_S)
    assert lead(audience, B) == 2
    audience.hear(B, Closed(), 200.0)
    audience.hear(b"b elsewhere", Opened("other", LEAD, KEY_B), 201.0)
    again(audience, b"d", bytes([9]) * 16, 202.0)
    assert lead(audience, C) == 3
    places = [audience.place(peer) for peer in (C, b"a again", b"d")]
    assert [place["you"] for place in places if place] == [3, 4, 5]


def test_a_viewer_that_asks_whether_anybody_is_there_is_told_what_it_knows_already() -> None:
    audience = three()
    window = audience.windows[A]
    window.noted("all is well", 1.0)
    assert not window.wants("all is well", 9.0)
    audience.hear(A, Beat(), 9.0)
    assert window.wants("all is well", 9.0)


def test_a_look_is_ones_own_or_that_of_whoever_leads_and_stays_with_the_view() -> None:
    lonely = Audience()
    for peer in (A, B):
        lonely.hear(peer, Opened(), 0.0)
    lonely.hear(A, Looking(1, View("map")), 0.0)
    lonely.hear(A, state(2), 0.0)
    lonely.hear(B, state(1), 0.0)
    assert [seen_of(lonely, peer).look for peer in (A, B)] == [View("map"), View()]
    lonely.hear(A, Looking(1, View("globe")), 1.0)
    assert seen_of(lonely, A).look == View("map"), "an older look than the last is ignored"

    audience = shared((A, LEAD), (B, LEAD), (C, LOOK))
    audience.hear(B, Looking(7, View("globe")), 1.0)
    assert seen_of(audience, B).look == View(), "who does not lead changes nothing"
    assert seen_of(audience, B).sequence == 7, "and is told that it was heard"
    audience.hear(A, Looking(8, View(selected=(4,))), 2.0)
    audience.hear(B, state(9, 0.3), 2.0)
    assert [seen_of(audience, peer).look.selected for peer in (A, B, C)] == [(4,), (4,), (4,)]
    place = audience.place(B)
    assert place is not None
    assert place["look"] == plain(View(selected=(4,)))
    assert "look" not in (audience.place(A) or {}), "who leads knows it"
    audience.hear(A, Closed(), 3.0)
    assert audience.look(B).selected == (4,)


def seen_of(audience: Audience, peer: bytes) -> Input:
    seen = audience.windows[peer].state
    assert seen is not None
    return seen


def told_of(audience: Audience, peer: bytes, other: bytes) -> dict[str, object]:
    """What a viewer is told of another one; empty if nothing."""
    every = people(audience, peer)["all"]
    assert isinstance(every, list)
    return next((one for one in every if one["n"] == audience.viewers[other].number), {})


def wish(audience: Audience, peer: bytes, what: str, whom: int = 0, now: float = 1.0) -> None:
    assert what in WHAT
    audience.hear(peer, Wish(what, whom), now)


def test_a_follower_asks_for_the_lead_and_the_leader_gives_or_refuses_it() -> None:
    audience = shared((A, LEAD), (B, FOLLOW), (C, LOOK))
    wish(audience, C, "ask")
    assert "asks" not in told_of(audience, A, C), "who only looks never leads"
    wish(audience, B, "ask")
    assert lead(audience, A) == 1
    assert told_of(audience, A, B)["asks"] is True
    wish(audience, C, "refuse", 2)
    assert told_of(audience, A, B)["asks"] is True, "only the leader answers"
    wish(audience, A, "refuse", 2)
    assert "asks" not in told_of(audience, A, B)
    wish(audience, B, "ask")
    audience.hear(A, Handed(2), 2.0)
    assert lead(audience, A) == 2
    assert "asks" not in told_of(audience, A, B)


def test_a_lead_that_went_away_is_kept_for_a_while_and_then_the_first_ones_who_asks() -> None:
    audience = Audience()
    for peer, role, key in ((A, LEAD, KEY_A), (B, FOLLOW, KEY_B), (C, FOLLOW, KEY_C)):
        again(audience, peer, key, 0.0, role)
    audience.hear(A, Closed(), 10.0)
    audience.hear(B, Handed(0), 11.0)
    assert lead(audience, B) == 0, "most lines come back"
    wish(audience, C, "ask", now=11.0)
    wish(audience, B, "ask", now=12.0)
    audience.tick(10.0 + FREE_S - 0.1)
    assert lead(audience, B) == 0
    audience.tick(10.0 + FREE_S)
    assert lead(audience, B) == 3
    again(audience, b"a again", KEY_A, 10.0 + FREE_S + 1)
    assert lead(audience, B) == 3, "somebody has taken it"


def test_people_with_views_of_their_own_follow_who_asks_them_and_leave_again() -> None:
    audience = Audience()
    for peer, key in ((A, KEY_A), (B, KEY_B), (C, KEY_C)):
        audience.hear(peer, Opened("", LEAD, key), 0.0)
        audience.hear(peer, state(1, float(peer[0])), 0.0)
    wish(audience, A, "invite")
    assert told_of(audience, B, A)["invites"] == "now"
    wish(audience, C, "decline", 1)
    assert told_of(audience, C, A)["invites"] == "again"
    wish(audience, B, "accept", 1)
    assert azimuth(audience, B) == azimuth(audience, A)
    audience.hear(A, state(2, 0.4), 1.0)
    audience.hear(A, Looking(3, View("map")), 1.0)
    assert (azimuth(audience, B), seen_of(audience, B).look) == (0.4, View("map"))
    assert azimuth(audience, C) == float(C[0])
    assert told_of(audience, B, A)["role"] == "lead"
    assert (audience.place(B) or {})["guest"] is True
    audience.hear(B, state(2, 0.9), 1.0)
    assert azimuth(audience, A) == 0.4, "who follows moves nothing"
    wish(audience, B, "leave")
    assert audience.place(B) is None
    assert seen_of(audience, B).look == View("map"), "what he saw, he sees"
    assert told_of(audience, B, A)["invites"] == "again", "he may come back, and is not asked"
    wish(audience, A, "invite", now=5.0)
    assert told_of(audience, B, A)["invites"] == "again", "not at once"
    wish(audience, A, "invite", now=1.0 + INVITE_S)
    assert told_of(audience, B, A)["invites"] == "now"
    audience.hear(B, state(3, 0.9), 1.0)
    assert (azimuth(audience, A), azimuth(audience, B)) == (0.4, 0.9)
    wish(audience, C, "accept", 1)
    wish(audience, A, "end")
    assert audience.place(A) is None
    assert audience.place(C) is None
    wish(audience, B, "accept", 1)
    assert audience.place(B) is None, "nobody asks any more"


def test_a_company_waits_for_a_guide_whose_line_was_lost_and_ends_without_him() -> None:
    audience = Audience()
    for peer, key in ((A, KEY_A), (B, KEY_B)):
        audience.hear(peer, Opened("", LEAD, key), 0.0)
        audience.hear(peer, state(1), 0.0)
    wish(audience, A, "invite")
    wish(audience, B, "accept", 1)
    audience.hear(A, Closed(), 5.0)
    audience.hear(b"a again", Opened("", LEAD, KEY_A), 8.0)
    audience.hear(b"a again", state(1, 0.7), 8.0)
    assert azimuth(audience, B) == 0.7
    audience.hear(B, Closed(), 9.0)
    audience.hear(b"b again", Opened("", LEAD, KEY_B), 9.5)
    audience.hear(b"b again", state(1), 9.5)
    assert azimuth(audience, b"b again") == 0.7, "a follower comes back too"
    audience.hear(b"a again", Closed(), 20.0)
    audience.tick(20.0 + COMPANY_S)
    assert audience.place(b"b again") is None


def test_guests_of_a_named_view_see_it_and_lead_nothing_there() -> None:
    audience = shared((A, LEAD))
    audience.hear(A, state(2, 0.4), 0.0)
    audience.hear(B, Opened(), 0.0)
    audience.hear(B, state(1, 0.9), 0.0)
    assert told_of(audience, B, A) == {}, "a view of a name may be private"
    assert told_of(audience, A, B)["role"] == "own"
    wish(audience, A, "invite")
    wish(audience, B, "accept", 1)
    assert azimuth(audience, B) == 0.4
    audience.hear(A, Handed(2), 1.0)
    audience.hear(B, Handed(0), 1.0)
    wish(audience, B, "ask")
    assert lead(audience, B) == 1
    audience.hear(A, Closed(), 2.0)
    audience.tick(2.0 + COMPANY_S)
    assert audience.place(B) is None


def test_a_name_is_ones_own_to_choose_unless_the_account_says_it() -> None:
    audience = Audience()
    audience.hear(A, Opened(), 0.0)
    audience.hear(B, Opened(name="Grace Hopper"), 0.0)
    audience.hear(A, Named("Ada"), 0.0)
    audience.hear(B, Named("Ada"), 0.0)
    assert told_of(audience, A, A)["name"] == "Ada"
    assert told_of(audience, A, B) == {"n": 2, "name": "Grace Hopper", "account": True, "role": "own"}
