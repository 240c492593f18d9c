"""What a control plane tells the lines of those who look at a view."""

from __future__ import annotations

import asyncio

import msgspec

from streamer.control.view_books import KeptView
from streamer.control.view_lines import MOST_NEWS, ViewLine, ViewLines, stored
from streamer.wire.keeping import Stored
from streamer.wire.view import decode_up
from streamer.wire.viewing import FieldLook, ObjectLook, Placement, Plane, View

KEPT = KeptView(run_id="r", name="talk", view=View("map"), created="now", changed="now", revision=4)


RICH = View(
    "map", time=3.5, window=(0.0, 12.25), selected=(7,), isolate=True,
    planes=(Plane((0.5, 0.0, 0.0), (-1.0, 0.0, 0.0)),), labels=False,
    opacity=0.25, field=FieldLook("slice"), objects=ObjectLook("one", "#56b4e9"),
)  # fmt: skip


def heard(line: ViewLine) -> list[Stored]:
    found = []
    while (raw := line.now()) is not None:
        said = decode_up(raw)
        assert isinstance(said, Stored)
        found.append(said)
    return found


def test_all_lines_to_a_view_hear_of_it_and_no_others() -> None:
    async def story() -> None:
        lines = ViewLines()
        async with lines.open("r", "talk") as one, lines.open("r", "other") as other:
            async with lines.open("r", "talk") as two:
                lines.tell("r", "talk", KEPT)
                lines.tell("r", "talk", None)
                for line in (one, two):
                    first, last = heard(line)
                    assert (first.revision, first.view, first.echo) == (4, View("map"), False)
                    assert last.revision == 0
            lines.tell("r", "talk", KEPT, echo=True)
            assert [said.echo for said in heard(one)] == [True]
            assert heard(two) == heard(other) == []
            for revision in range(100):
                lines.tell("r", "talk", msgspec.structs.replace(KEPT, revision=revision + 5))
            assert [said.revision for said in heard(one)] == list(range(105 - MOST_NEWS, 105)), "the newest"
        assert not lines._lines

    asyncio.run(story())


def test_of_a_view_browsers_are_told_what_they_can_show() -> None:
    for view, shown in (
        (View(selected=(0, 7, -3, 1 << 63)), View(selected=(7,))),
        (RICH, RICH),
        (View("globe", placement=Placement(size=5.0), pattern=True), View("globe")),
    ):
        raw = stored(msgspec.structs.replace(KEPT, view=view))
        assert raw is not None
        said = decode_up(raw)
        assert isinstance(said, Stored)
        assert said.view == shown


def test_a_view_that_is_longer_than_a_look_may_be_is_not_told() -> None:
    plane = Plane((1.234567890123456e-7,) * 3, (0.1234567890123456,) * 3)
    long = View(selected=tuple(range(1 << 62, (1 << 62) + 64)), planes=(plane,) * 60)
    assert stored(msgspec.structs.replace(KEPT, view=long)) is None
