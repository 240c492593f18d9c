"""A seat at a run's view: whose it is, written on a token that only this server can write.

Who comes with the token of before, after a loss, takes the same seat again: the number and the lead that he had in a
shared view.  It says of which run and view it is and to whom it was given, and is good for a day.  Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NamedTuple

import msgspec

GOOD_S = 24 * 3600.0
LONGEST = 1024
"""Characters of a token."""
AGAIN = "open the view anew"


class NoSeat(ValueError):
    """A token that is not taken, and why."""


class Seat(NamedTuple):
    """What a token says."""

    run: str
    view: str
    """The shared view; empty: one of one's own."""
    who: str
    """The account that it was given to; empty where there are none."""
    viewer: bytes
    """16 bytes that tell this viewer from all others."""
    until: float
    """Seconds since 1970."""


class Seats:
    """Writes and reads tokens with a server's secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, seat: Seat) -> str:
        """The token of a seat: letters, digits, and ``-_.``"""
        said = msgspec.json.encode((seat.run, seat.view, seat.who, seat.viewer.hex(), seat.until))
        return self._text_of(said)

    def read(self, token: str, run: str, view: str, who: str, now: float) -> Seat:
        """The seat of a token, for somebody who comes to a run's view.  Raises NoSeat."""
        said = token.partition(".")[0]
        try:
            raw = base64.b64decode(said + "=" * (-len(said) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        # Letters are compared, not what they stand for: several texts may be the same bytes.
        if len(token) > LONGEST or not hmac.compare_digest(self._text_of(raw).encode(), token.encode(errors="replace")):
            raise NoSeat(f"the token of the seat is none of this server's: {AGAIN}")
        found = msgspec.json.decode(raw, type=tuple[str, str, str, str, float])
        seat = Seat(*found[:3], bytes.fromhex(found[3]), found[4])
        if seat.run != run:
            raise NoSeat(f"the token of the seat is of run {seat.run}: {AGAIN}")
        if seat.view != view:
            raise NoSeat(f"the token of the seat is of another view of this run: {AGAIN}")
        if seat.who != who:
            raise NoSeat(f"the token of the seat was given to somebody else: {AGAIN}")
        if now >= seat.until:
            raise NoSeat(f"the token of the seat has expired: {AGAIN}")
        return seat

    def _text_of(self, said: bytes) -> str:
        return f"{_text(said)}.{_text(hmac.digest(self._secret, said, hashlib.sha256))}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
