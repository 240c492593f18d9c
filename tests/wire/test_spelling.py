"""A view by the names of its fields: what comes back, what is merged, and what is refused in words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.conducting import MAX_ANSWER, Answer, Ask, Change, Refuse, encode, heard
from streamer.wire.header import Refused
from streamer.wire.spelling import NoView, head_of, merged, spelled
from streamer.wire.viewing import FieldLook, Head, Placement, Plane, View

VIEW = View(
    "globe", Placement((1.0, 2.0, 3.0), size=500.0), 4.5, (1.0, 9.0), (7, 8), True,
    (Plane((0.0, 0.0, 0.0), (0.0, 1.0, 0.0)),), field=FieldLook("slice", low=1.0, opacity_points=((0.0, 1.0),)),
)  # fmt: skip


def test_a_view_survives_json() -> None:
    assert merged(View(), json.loads(json.dumps(spelled(VIEW)))) == VIEW
    assert merged(VIEW, spelled(View())) == View()
    head = Head((1.0, 2.0, 3.0))
    assert head_of(json.loads(json.dumps(spelled(head)))) == head
    assert set(spelled(VIEW)) == set(View.__struct_fields__)


CHANGES = st.fixed_dictionaries({}, optional={
    "mode": st.sampled_from(["cube", "globe", "map"]),
    "time": st.none() | st.floats(0, 1000),
    "selected": st.lists(st.integers(1, 2**40), max_size=5),
    "isolate": st.booleans(),
    "opacity": st.floats(0, 1),
    "placement": st.fixed_dictionaries({}, optional={"size": st.floats(1, 1e6)}),
    "objects": st.fixed_dictionaries({}, optional={
        "colour_by": st.sampled_from(["id", "one"]), "colour": st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True),
    }),
    "field": st.fixed_dictionaries({}, optional={"opacity": st.floats(0, 1), "low": st.none() | st.floats(-9, 9)}),
})  # fmt: skip


@given(CHANGES)
def test_what_is_changed_is_changed_and_all_else_stays(changes: dict[str, Any]) -> None:
    before, after = spelled(VIEW), spelled(merged(VIEW, changes))
    for name, value in after.items():
        expected = changes.get(name, before[name])
        if isinstance(before[name], dict):
            expected = {**before[name], **changes.get(name, {})}
        assert value == pytest.approx(expected) if name == "time" and value is not None else value == expected


def test_null_is_the_default_also_within() -> None:
    assert merged(VIEW, {"placement": None, "time": None, "field": {"low": None}}) == msgspec.structs.replace(
        VIEW, placement=Placement(), time=None, field=msgspec.structs.replace(VIEW.field, low=None)
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([], r"state is \[\]: give an object with some of mode, "),
        ({"mod": "cube"}, "state has no 'mod'; there are mode, "),
        ({"mode": "ball"}, "mode: invalid enum value 'ball'"),
        ({"placement": {"middle": 1}}, "state.placement has no 'middle'"),
        ({"placement": {"size": 0}}, "cannot be drawn: a scene that stands nowhere"),
        ({"placement": 4}, "state.placement is 4: give an object"),
        ({"time": "noon"}, "time: expected"),
        ({"opacity": 2}, "an opacity that is not from 0 to 1"),
        ({"selected": list(range(65))}, "more than 64 selected objects"),
        ({"planes": [{"point": [0, 0, 0]}]}, "state.planes.0 is .*: a plane has point and normal"),
        ({"planes": [{"point": [0, 0, 0], "normal": [0, 0, 0]}]}, "a plane that is none"),
        ({"field": {"low": float("nan")}}, "a time, window or range that is no number"),
        ({"objects": {"colour": "blue"}}, "the objects' colour is 'blue', and is written #rrggbb"),
        ({"objects": {"colour_by": "mean"}}, "objects.colour_by: invalid enum value 'mean'"),
        ({"objects": {"colours": "ice"}}, "state.objects has no 'colours'; there are colour_by, colour"),
        ({"window": [1]}, "window: expected"),
    ],
)
def test_what_is_no_view_is_refused_by_the_name_of_what_is_wrong(changes: object, sentence: str) -> None:
    with pytest.raises(NoView, match=sentence):
        merged(VIEW, changes)


def test_what_a_conductor_answers_is_read_and_nothing_else() -> None:
    assert heard([encode(Answer(7)), b"x"]) == (Answer(7), b"x")
    assert heard([encode(Refuse("no"))]) == (Refuse("no"), b"")
    for frames in ([], [b"\xc1"], [encode(Ask(1, "view"))], [encode(Answer(1)), bytes(MAX_ANSWER + 1)], [bytes(600)]):
        with pytest.raises(Refused):
            heard(frames)
    with pytest.raises(ValueError, match="a header has 512 at most"):
        encode(Change(1, "x" * 600))


@given(st.lists(st.binary(max_size=600), max_size=3))
def test_no_bytes_make_the_reader_fail_otherwise(frames: list[bytes]) -> None:
    try:
        message, _ = heard(frames)
    except Refused:
        return
    assert isinstance(message, Answer | Refuse)
