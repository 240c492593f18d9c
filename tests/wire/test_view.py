"""What a viewer says of the pictures that he has shown, by itself and with his next state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.header import Refused
from streamer.wire.view import (
    Acknowledged,
    Camera,
    Input,
    decode_up,
    encode_ack,
    encode_beat,
    encode_closed,
    encode_input,
    is_acknowledged,
    of_relay,
    shown_with,
)

STATE = Input(7, 640, 360, True, Camera(0.5, 0.25, 4.0, (0.0, 0.0, 0.0)), pointer=(0.0, 1.0))
NUMBERS = st.integers(0, 2**32 - 1)


@given(frame=NUMBERS, tenths=st.integers(0, 65535), halves=st.integers(0, 2000))
def test_a_state_takes_along_what_has_been_shown(frame: int, tenths: int, halves: int) -> None:
    shown = Acknowledged(frame, halves / 2, tenths / 10)
    assert decode_up(encode_ack(shown)) == shown
    raw = encode_input(STATE, shown)
    assert (decode_up(raw), shown_with(raw)) == (STATE, shown)
    assert not of_relay(raw)
    assert [is_acknowledged([said]) for said in (raw, encode_ack(shown), encode_beat())] == [False, True, False]
    assert not is_acknowledged([encode_ack(shown)] * 2)


def test_what_stands_alone_shows_nothing_besides() -> None:
    for raw in (encode_input(STATE), encode_ack(Acknowledged(1, 0.0)), encode_beat()):
        assert shown_with(raw) is None


def test_for_how_long_it_was_held_back_is_said_as_far_as_it_can_be() -> None:
    assert decode_up(encode_ack(Acknowledged(1, 0.0, 1e9))) == Acknowledged(1, 0.0, 6553.5)


@pytest.mark.parametrize(
    "behind", [encode_closed(), bytes(12), b"\x02\x01" + bytes(10), encode_ack(Acknowledged(1, 0)) * 2]
)
def test_a_state_takes_nothing_else_along(behind: bytes) -> None:
    with pytest.raises(Refused):
        decode_up(encode_input(STATE) + behind)


@given(st.binary(min_size=2, max_size=80))
def test_any_bytes_are_a_message_or_refused(raw: bytes) -> None:
    try:
        said = decode_up(b"\x01\x02" + raw)
    except Refused:
        return
    assert isinstance(said, Input)
