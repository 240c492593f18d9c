"""Views that are written down: what is set from outside is seen by all, and what is made of it is kept."""

from __future__ import annotations

from itertools import pairwise
from math import inf

from renderers.audience import Audience
from renderers.keeping import AGAIN_S, EVERY_S
from streamer.wire.camera import Camera
from streamer.wire.keeping import Stored
from streamer.wire.looking import Looking, plain
from streamer.wire.presence import Wish
from streamer.wire.view import FOLLOW, LEAD, Closed, Handed, Input, Opened
from streamer.wire.viewing import View

A, B, C = b"a", b"b", b"c"
KEY = bytes([1]) * 16


def at(azimuth: float) -> Camera:
    return Camera(azimuth, 0.5, 4.0, (0.0, 0.0, 0.0))


def state(sequence: int, azimuth: float) -> Input:
    return Input(sequence, 640, 360, False, at(azimuth))


def kept(revision: int, azimuth: float, *, echo: bool = False, view: View | None = None) -> Stored:
    return Stored(revision, at(azimuth), view or View(), echo)


def house() -> Audience:
    """Two look at a view that is kept with revision 3."""
    audience = Audience()
    for peer, key in ((A, KEY), (B, bytes([2]) * 16)):
        audience.hear(peer, Opened("talk", LEAD if peer == A else FOLLOW, key), 0.0)
        audience.hear(peer, kept(3, 0.7, view=View("map")), 0.0)
        audience.hear(peer, state(1, float(peer[0])), 0.0)
    return audience


def azimuth(audience: Audience, peer: bytes) -> float:
    seen = audience.windows[peer].state
    assert seen is not None
    return seen.camera.azimuth


def taken(audience: Audience, peer: bytes, now: float = 1.0) -> None:
    """A page takes over what was set."""
    place = audience.place(peer)
    assert place is not None
    serial = place["set"]
    assert isinstance(serial, int)
    audience.hear(peer, Wish("taken", serial), now)


def test_who_comes_first_sees_what_is_kept_and_does_not_move_it_by_coming() -> None:
    audience = house()
    assert [azimuth(audience, peer) for peer in (A, B)] == [0.7, 0.7]
    assert audience.look(A) == View("map")
    place = audience.place(A)
    assert place is not None
    assert (place["camera"], place["look"]) == (at(0.7)._asdict(), plain(View("map")))
    audience.hear(A, Looking(2, View()), 0.5)
    assert audience.look(A) == View("map"), "it was meant for what was before"
    assert audience.keep_at() == inf
    taken(audience, A)
    assert "camera" not in (audience.place(A) or {}), "who leads knows it"
    audience.hear(A, state(3, 0.2), 1.0)
    assert [azimuth(audience, peer) for peer in (A, B)] == [0.2, 0.2]


def test_what_is_changed_outside_is_seen_by_all_and_taken_over_by_who_leads() -> None:
    audience = house()
    taken(audience, A)
    audience.hear(A, state(2, 0.1), 1.0)
    audience.hear(B, kept(4, 1.5, view=View("globe")), 2.0)
    audience.hear(A, kept(4, 1.5, view=View("globe")), 2.0)
    assert [azimuth(audience, peer) for peer in (A, B)] == [1.5, 1.5]
    audience.hear(A, Wish("taken", 1), 2.1)
    audience.hear(A, state(3, 0.1), 2.1)
    assert azimuth(audience, B) == 1.5, "that was about what was set before"
    taken(audience, A, 2.2)
    audience.hear(A, state(4, 1.6), 2.3)
    assert azimuth(audience, B) == 1.6
    audience.hear(A, kept(3, 0.0), 2.4)
    assert azimuth(audience, B) == 1.6, "an older word of another relay"


def test_what_is_done_is_kept_once_a_second_one_at_a_time_and_the_last_of_it_always() -> None:
    audience = house()
    taken(audience, A)
    sent: list[tuple[float, float]] = []
    for n in range(100):
        now = 10 + n / 10
        if n < 50:
            audience.hear(A, state(2 + n, n / 100), now)
        for peer, view in audience.keeps(now):
            assert peer == A
            assert view.camera is not None
            sent.append((now, view.camera.azimuth))
            # The echo comes late, when more has been done.
            if n < 50:
                audience.hear(A, state(2 + n, n / 100 + 0.001), now)
            audience.hear(A, kept(view.keeping.revision + 1, sent[-1][1], echo=True, view=view.look), now)
    assert all(b - a >= EVERY_S - 1e-9 for (a, _), (b, _) in pairwise(sent))
    assert 5 <= len(sent) <= 8
    last = audience.windows[A].state
    assert last is not None
    assert sent[-1][1] == last.camera.azimuth
    assert audience.keep_at() == inf


def test_what_has_no_echo_is_sent_again_and_an_echo_sets_nothing() -> None:
    audience = house()
    taken(audience, A)
    audience.hear(A, state(2, 0.1), 10.0)
    assert len(audience.keeps(10.0)) == 1
    audience.hear(A, state(3, 0.2), 12.0)
    assert audience.keeps(12.0) == []
    assert audience.keep_at() == 10.0 + AGAIN_S
    assert len(audience.keeps(10.0 + AGAIN_S)) == 1
    audience.hear(A, kept(4, 0.1, echo=True), 16.0)
    assert azimuth(audience, B) == 0.2
    assert "camera" not in (audience.place(A) or {})


def test_a_view_that_nobody_keeps_is_not_written_down() -> None:
    audience = house()
    taken(audience, A)
    audience.hear(A, Stored(0, at(0.0), View()), 1.0)
    audience.hear(A, state(2, 0.1), 1.0)
    assert audience.keep_at() == inf
    assert azimuth(audience, B) == 0.1
    audience.hear(A, kept(1, 2.0), 2.0)
    assert azimuth(audience, B) == 2.0, "made anew under the same name"


def test_who_leads_and_comes_again_takes_over_what_there_is() -> None:
    audience = house()
    taken(audience, A)
    audience.hear(A, state(2, 0.1), 1.0)
    audience.hear(A, Closed(), 2.0)
    audience.hear(b"a again", Opened("talk", LEAD, KEY), 3.0)
    audience.hear(b"a again", state(1, 9.0), 3.0)
    assert azimuth(audience, B) == 0.1
    taken(audience, b"a again", 3.1)
    audience.hear(b"a again", Handed(2), 4.0)
    audience.hear(B, state(9, 0.4), 4.0)
    assert azimuth(audience, b"a again") == 0.4
    assert audience.keeps(5.0)[0][0] == B


def test_people_with_views_of_their_own_and_guests_are_not_told_what_is_kept() -> None:
    audience = house()
    audience.hear(C, Opened(), 0.0)
    audience.hear(C, state(1, 3.0), 0.0)
    audience.hear(C, kept(9, 0.0), 0.0)
    assert azimuth(audience, C) == 3.0
    audience.hear(A, Wish("invite"), 1.0)
    audience.hear(C, Wish("accept", 1), 1.0)
    audience.hear(C, kept(9, 2.0), 1.0)
    assert azimuth(audience, B) == 0.7
    taken(audience, A, 1.0)
    audience.hear(A, state(2, 0.1), 1.0)
    for peer in (A, B):
        audience.hear(peer, Closed(), 1.0)
    assert audience.keep_at() == inf, "there is no relay left that could keep it"


def test_what_the_last_viewer_did_is_kept_when_he_goes() -> None:
    audience = house()
    taken(audience, A)
    audience.hear(A, state(2, 0.1), 10.0)
    assert len(audience.keeps(10.0)) == 1
    audience.hear(A, kept(4, 0.1, echo=True, view=View("map")), 10.1)
    audience.hear(A, state(3, 0.2), 10.2)
    audience.hear(B, Closed(), 10.3)
    assert audience.farewells == [], "somebody is still there"
    audience.hear(A, Closed(), 10.4)
    [(peer, view)] = audience.farewells
    assert (peer, view.camera, view.keeping.revision) == (A, at(0.2), 4)
    other = house()
    taken(other, A)
    for one in (B, A):
        other.hear(one, Closed(), 1.0)
    assert other.farewells == [], "there is nothing new"
