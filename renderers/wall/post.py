"""What comes to a conductor and goes from it: its door, and a word to those who speak nonsense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import structlog
import zmq

from renderers.door import ViewsDoor
from renderers.wall.framing import MAX_SCENE, encode, short
from renderers.wall.messages import Message, Refuse
from streamer.wire.header import Refused
from streamer.wire.keys import Keys

PIPE = 64
"""Messages that may wait for one peer."""
AT_ONCE = 1000
"""Messages that are taken in one go; the rest is still there at the next."""
AGAIN_S = 1.0


class Post:
    """Poll ``sources``; call ``attend`` in every turn."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], listen: str, keys: Keys | None, gone: Callable[[bytes], None]
    ) -> None:
        """``gone`` is told of peers that are no longer there.  Raises BadAddress; nothing is left open then."""
        self.counts: Counter[str] = Counter()
        self._door = ViewsDoor(context, listen, keys, "wall", MAX_SCENE, PIPE, "conductor")
        self._gone = gone
        self._said_at = -AGAIN_S
        self._log = structlog.get_logger("conductor")

    @property
    def address(self) -> str:
        """Where one can be reached."""
        return self._door.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def sources(self) -> list[zmq.Socket[bytes]]:
        """What becomes readable when there is something to do."""
        return [self._door.socket, *self._door.others]

    def attend(self, now: float) -> None:
        """Judges newcomers."""
        self._door.attend(now)

    def received(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Who has said something, and the frames of it; so many and no more."""
        for _ in range(AT_ONCE):
            try:
                peer, *frames = self._door.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield peer, frames

    def refuse(self, peer: bytes, why: Refused, now: float, *, again: bool) -> None:
        """Answers what was no message, and counts it; a flood of it is no flood of lines."""
        self.counts["garbage"] += 1
        if now >= self._said_at + AGAIN_S:
            self._said_at = now
            self._log.warning("no message", peer=peer.hex(), why=short(str(why)), garbage=self.counts["garbage"])
        self.say(peer, Refuse(short(str(why)), again=again))

    def say(self, peer: bytes, message: Message, payload: bytes = b"") -> bool:
        """Sends a message; see ``send``."""
        return self.send(peer, [encode(message), payload] if payload else [encode(message)])

    def send(self, peer: bytes, frames: list[bytes]) -> bool:
        """Sends, or drops (False): a peer that does not read misses its deadline and is told again."""
        try:
            self._door.socket.send_multipart([peer, *frames], zmq.NOBLOCK)
            return True
        except zmq.Again:
            self.counts["full"] += 1
        except zmq.ZMQError as why:
            if why.errno != zmq.EHOSTUNREACH:
                raise
            self.counts["gone"] += 1
            self._gone(peer)
        return False

    def close(self, linger_ms: int) -> None:
        """Closes the door; what is on its way has so long to leave."""
        self._door.close(linger_ms)
