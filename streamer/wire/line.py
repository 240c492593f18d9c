"""What becomes of a connection, in words: the events of a socket's monitor in, sentences and decisions out.  Pure.

ZeroMQ is silent about a peer that is not let in.  Its monitor is not: a key that is not known, a side without keys
and a server with another key each leave their own trace.  And ZeroMQ connects again by itself only after some of
them: a line that failed for what was said on it stays dead, so a ``Line`` says when to dial again.
Events are given by the name that libzmq has for them, without ``EVENT_``.
"""

from __future__ import annotations

from math import inf

EVENTS = (
    "HANDSHAKE_SUCCEEDED", "HANDSHAKE_FAILED_AUTH", "HANDSHAKE_FAILED_PROTOCOL", "HANDSHAKE_FAILED_NO_DETAIL",
    "DISCONNECTED", "CONNECT_RETRIED",
)  # fmt: skip
"""The events that are wanted from a client's monitor."""
NOT_HEARD = 75
"""The exit code of a part that was patient and heard nothing: nothing is wrong with it, and it may be started again for
as long as one likes (EX_TEMPFAIL of sysexits.h)."""
MISMATCH = 0x11000002
"""libzmq's number for two sides of which only one uses keys."""
CRYPTOGRAPHIC = 0x11000001
"""libzmq's number for what cannot be decrypted: the peer has another key of ours in mind."""
_MAKE = "make keys with cavecast keys and give both sides files of the same folder"


class Line:
    """A client's connection to a server that may have one of several keys."""

    DIAL_S = 1.0
    """So long after a line was lost that ZeroMQ does not mend, it is dialled again."""
    TELL_S = 10.0
    """The same is said again only after so long."""

    def __init__(self, who: str, server: str, address: str, keys: int) -> None:
        """``who`` is this side's role, ``server`` what the other is called, ``keys`` how many keys it may have."""
        self._who, self._server, self._address, self._keys = who, server, address, keys
        self.said = ""
        """Why there is no connection, in a sentence; empty if there is one or if it is not known."""
        self._told: tuple[str, float] = "", -inf
        self._dial_at = inf
        self._hung_up = 0
        self._certain = False
        """Whether what was said last is known, so that a guess does not take its place."""
        self._up = False
        self.key = 0
        """Which of the server's keys to use for the next connection."""
        self.connections = 0
        """Connections that were made."""
        self.dialled = 0
        """How often it was dialled again: what was said into a line before that is lost."""

    def event(self, name: str, value: int, now: float) -> str:
        """Something happened to the connection; returns a sentence that is worth a warning, or nothing."""
        match name:
            case "HANDSHAKE_SUCCEEDED":
                self.connections += 1
                self._up = True
                self._hung_up, self._certain, self.said, self._dial_at = 0, False, "", inf
            case "HANDSHAKE_FAILED_AUTH":
                self._dial_at, self._certain = now + self.DIAL_S, True
                return self._tell(f"{self._place} does not know this {self._who}'s key: {_MAKE}", now)
            case "HANDSHAKE_FAILED_PROTOCOL" if self._up:
                # What came could not be decrypted.  ZeroMQ reads no further, and does not end the connection either.
                self._up, self._dial_at = False, now
                return f"a message from {self._place} was damaged on its way: connecting anew"
            case "HANDSHAKE_FAILED_PROTOCOL":
                self._dial_at, self._certain = now + self.DIAL_S, True
                return self._tell(self._protocol(value), now)
            case "HANDSHAKE_FAILED_NO_DETAIL":
                # The server does not answer what it cannot decrypt, and where only one side uses keys either may see
                # it first and hang up.  It may have one of its other keys; or it was just being stopped, so that one
                # time is none.
                self._hung_up += 1
                if self._keys > 1:
                    self.key, self._dial_at = (self.key + 1) % self._keys, now
                if self._hung_up > max(1, self._keys) and not self._certain:
                    return self._tell(self._hanging_up, now)
            case "DISCONNECTED":
                self._up = False
                self._dial_at = min(self._dial_at, now + self.DIAL_S)
            case "CONNECT_RETRIED":
                if self._dial_at > now:  # ZeroMQ does it by itself
                    self._dial_at = inf
        return ""

    def redial(self, now: float) -> bool:
        """Whether to end the connection and make it anew, now; to be carried out if so."""
        if now < self._dial_at:
            return False
        self._dial_at = inf
        self.dialled += 1
        return True

    def deadline(self) -> float:
        """When ``redial`` wants to be asked next."""
        return self._dial_at

    @property
    def _place(self) -> str:
        return f"the {self._server} at {self._address}"

    @property
    def _hanging_up(self) -> str:
        if self._keys:
            return (
                f"{self._place} hung up on this {self._who}: its key is another than the one known here, "
                f"or it uses no keys, or it is being stopped; {_MAKE}"
            )
        return (
            f"{self._place} hung up on this {self._who}: it is being stopped, "
            f"or it asks for keys, and this {self._who} has none: give it --keys ({_MAKE})"
        )

    def _protocol(self, value: int) -> str:
        if value == MISMATCH and self._keys:
            return f"{self._place} uses no keys, and this {self._who} does: give it --keys as well, or neither"
        if value == MISMATCH:
            return f"{self._place} asks for keys, and this {self._who} has none: give it --keys ({_MAKE})"
        if value == CRYPTOGRAPHIC:
            return f"{self._place} does not have the key that this {self._who} expects: {_MAKE}"
        return (
            f"what listens at {self._address} does not speak like a {self._server} ({value:#x}): is it the right port?"
        )

    def _tell(self, sentence: str, now: float) -> str:
        self.said = sentence
        before, at = self._told
        if sentence == before and now - at < self.TELL_S:
            return ""
        self._told = sentence, now
        return sentence


class Gate:
    """One door of a server: counts who was not let in, and says so, each reason at most every ten seconds.

    A monitor that is asked for HANDSHAKE_FAILED_PROTOCOL makes libzmq 4.3.5 forget to end a connection on which a
    message cannot be decrypted (sending the event overwrites errno): it stays open and is read no more.  So that
    event is not asked for at a server; a connection that ends before its handshake was done tells the same.
    """

    TELL_S = 10.0
    LEFT_S = 5.0
    """A peer that hangs up before it is let in is worth a word if another one did so shortly before."""
    MOST = 64
    """Sentences, and connections without a handshake, that are remembered."""
    EVENTS = ("ACCEPTED", "HANDSHAKE_SUCCEEDED", "HANDSHAKE_FAILED_AUTH", "HANDSHAKE_FAILED_NO_DETAIL", "DISCONNECTED")
    """The events that are wanted from a server's monitor."""

    def __init__(self, door: str, locked: bool) -> None:
        self._door, self._locked = door, locked
        self.refused = 0
        """Connections that were not let in."""
        self._young: dict[int, None] = {}
        """Connections (by descriptor) that may still be in their handshake."""
        self._done = 0
        """How many of them are through: the event does not say which."""
        self._explained = False
        self._left_at = -inf
        self._told: dict[str, tuple[float, int]] = {}

    def event(self, name: str, value: int, now: float) -> str:
        """Something happened at the door; returns a sentence that is worth a warning, or nothing."""
        match name:
            case "ACCEPTED":
                self._young[value] = None
                if len(self._young) > self.MOST:
                    del self._young[next(iter(self._young))]
            case "HANDSHAKE_SUCCEEDED":
                self._done += 1
                self._settle()
            case "HANDSHAKE_FAILED_AUTH":  # whoever judged the key has said why
                self.refused += 1
                self._explained = True
            case "HANDSHAKE_FAILED_NO_DETAIL":
                # Somebody only looked whether the port is open, or was ended; or, as often as the scheduler has it, a
                # side with other keys saw so first and hung up.  Who does the latter comes again after a second.
                self._explained = now - self._left_at > self.LEFT_S
                self._left_at = now
            case "DISCONNECTED":
                explained, self._explained = self._explained, False
                if value in self._young:
                    del self._young[value]
                    self._settle()
                    if not explained:
                        self.refused += 1
                        return self.tell(self._why, now)
        return ""

    def _settle(self) -> None:
        if self._done >= len(self._young):
            self._young.clear()
            self._done = 0

    @property
    def _why(self) -> str:
        if self._locked:
            why = f"it has no keys, or took this side for somebody with another key; {_MAKE}"
        else:
            why = "it uses keys and this side does not, or it does not speak ZeroMQ: give both --keys, or neither"
        return f"a peer was not let in at the door {self._door}: {why}"

    def tell(self, sentence: str, now: float) -> str:
        """The sentence, with how often it was true meanwhile; nothing if it has been said just now."""
        if not sentence:
            return ""
        at, times = self._told.pop(sentence, (-inf, 0))
        if now - at < self.TELL_S:
            self._told[sentence] = at, times + 1
            return ""
        self._told[sentence] = now, 0
        if len(self._told) > self.MOST:
            del self._told[next(iter(self._told))]
        return sentence + (f" ({times} more times since)" if times else "")
