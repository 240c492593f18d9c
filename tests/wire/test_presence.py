"""What viewers say of themselves: every message comes back, and what is none is refused before it is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.wire.header import Refused
from streamer.wire.presence import (
    MOST_BYTES,
    MOST_LETTERS,
    WHAT,
    At,
    Drawn,
    Named,
    Said,
    Wish,
    cleaned,
    encode_at,
    encode_drawn,
    encode_named,
    encode_wish,
)
from streamer.wire.view import VERSION, Opened, decode_up, encode_opened


@pytest.mark.parametrize(
    ("said", "raw"),
    [
        (Named("Ada Łovelace"), encode_named(Named("Ada Łovelace"), VERSION)),
        (At((0.5, -1.25)), encode_at(At((0.5, -1.25)), VERSION)),
        (At((-4.0, 4.0)), encode_at(At((-9.0, 9.0)), VERSION)),
        (At(None), encode_at(At(None), VERSION)),
        *((Wish(what, 7), encode_wish(Wish(what, 7), VERSION)) for what in WHAT),
        (Drawn(), encode_drawn(VERSION)),
    ],
)
def test_what_is_said_is_heard(said: Said, raw: bytes) -> None:
    assert decode_up(raw) == said


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"\x20\x02\x05\x00abc", "said to have 5 bytes and has 3"),
        (b"\x20\x02\xff\x00" + 255 * b"a", "128 are allowed"),
        (b"\x20\x02\x01\x00\xff", "no UTF-8"),
        (b"\x21\x02\x00\x00\xff\x7f\x00\x00", "far beside"),
        (b"\x22\x02\xff\x00\x00\x00\x00\x00", "a wish of kind 255"),
        (b"\x23\x02\x00", "kind 35 with 3 bytes is unknown"),
    ],
)
def test_what_is_none_of_it_is_refused(raw: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        decode_up(raw)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada \t\n Lovelace ", "Ada Lovelace"),
        ("\x1b[31mred\x00", "[31mred"),
        ("ab\u202ecd\u200b\u2066", "abcd"),
        ("x" * 100, "x" * MOST_LETTERS),
        ("e\u0301", "é"),
        ("\u2028 \u00a0", ""),
    ],
)
def test_a_name_is_one_line_of_letters_that_are_seen(given: str, shown: str) -> None:
    assert cleaned(given) == shown


@given(st.text())
def test_a_clean_name_is_bounded_clean_and_travels(name: str) -> None:
    short = cleaned(name)
    assert len(short) <= MOST_LETTERS
    assert len(short.encode()) <= MOST_BYTES
    assert cleaned(short) == short
    assert decode_up(encode_named(Named(short), VERSION)) == Named(short)
    opened = Opened("Küste", 1, bytes(range(16)), short)
    assert decode_up(encode_opened(opened)) == opened
