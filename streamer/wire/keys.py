"""Who may speak with whom: one key pair for each role of a run, the files that carry them, and the check at a door.

Keys are those of CURVE: 32 bytes, written as 40 characters of Z85 (ZeroMQ RFC 32).  A role's file holds its own pair
and the public keys of those that it meets, nobody else's secret.  A server asks for each newcomer whether its
key may come in at this door (``judge``); what ZeroMQ then says about a peer is that key's role and not what the peer
says of itself.  Nothing here opens a socket.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from streamer.wire.messages import Command, Hello, Message

Role = Literal["streamer", "worker", "renderer", "archive", "control", "relay"]
ROLES: tuple[Role, ...] = get_args(Role)
MEETS: Mapping[Role, tuple[Role, ...]] = {
    "streamer": ("worker", "renderer", "archive", "control", "relay"),
    "worker": ("streamer",),
    "renderer": ("streamer", "relay", "control"),
    "archive": ("streamer", "relay"),
    "control": ("streamer", "relay", "renderer"),
    "relay": ("streamer", "renderer", "archive", "control"),
}
"""Whose public keys stand in a role's file."""
DOORS: Mapping[str, tuple[Role, ...]] = {
    "ingest": ("worker",),
    "feed": ("renderer", "archive", "control", "relay"),
    "views": ("control",),
    "wall": ("renderer", "control"),
}
"""Which roles' keys open which door; the doors' names are the domains of ZAP (ZeroMQ RFC 27)."""
ZAP_ADDRESS = "inproc://zeromq.zap.01"
MAX_FILE = 1 << 16
KEY_BYTES, KEY_TEXT = 32, 40
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_PLACE = {digit: place for place, digit in enumerate(_Z85)}
_LOOPBACK = ("localhost", "::1", "[::1]")


class BadKeys(ValueError):
    """A file of keys that cannot be used: which, and why.  Never says what a key is."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """What one role needs: its pair, and the public keys of those that it meets.  Does not print its secret."""

    role: Role
    public: bytes
    """40 characters of Z85."""
    secret: bytes = field(repr=False)
    peers: Mapping[Role, bytes]

    @property
    def servers(self) -> tuple[bytes, ...]:
        """The public keys of those that may serve a feed: the streamer's, and a relay's."""
        if self.role == "relay":
            return self.peers["streamer"], self.public
        return tuple(self.peers[role] for role in ("streamer", "relay") if role in self.peers)

    def admitted(self, door: str) -> dict[bytes, Role]:
        """The keys (32 bytes each) that open a door, and whose they are."""
        known: dict[Role, bytes] = {**self.peers, self.role: self.public}
        return {unpack(known[role]): role for role in DOORS[door] if role in known}


def unpack(text: bytes) -> bytes:
    """The bytes that a text of Z85 stands for.  Raises BadKeys if it is no key."""
    if len(text) != KEY_TEXT:
        raise BadKeys(f"a key has {KEY_TEXT} characters, not {len(text)}")
    found = bytearray()
    for start in range(0, KEY_TEXT, 5):
        number = 0
        for digit in text[start : start + 5]:
            if digit not in _PLACE:
                raise BadKeys("a key has a character that is none of Z85")
            number = 85 * number + _PLACE[digit]
        if number >= 1 << 32:
            raise BadKeys("five characters of a key stand for more than four bytes")
        found += number.to_bytes(4, "big")
    return bytes(found)


# ------------------------------------------------------------ files


def write(keys: Keys, run: str) -> str:
    """A role's file, as TOML."""
    lines = [f"# CaveCast: the keys of one {keys.role}, of run or folder {run!r}.  Whoever can read this file is one."]
    lines += [f'role = "{keys.role}"', f'public = "{keys.public.decode()}"', f'secret = "{keys.secret.decode()}"']
    lines += ["", "[peers]", *(f'{role} = "{key.decode()}"' for role, key in keys.peers.items())]
    return "\n".join(lines) + "\n"


def parse(raw: bytes, place: str) -> Keys:
    """The keys in a file's bytes; ``place`` names it in sentences.  Raises BadKeys."""
    if len(raw) > MAX_FILE:
        raise BadKeys(f"{place} has {len(raw):,} bytes: it is no file of keys")
    try:
        found = tomllib.loads(raw.decode())
    except (ValueError, RecursionError):  # not why: it may quote the line, which may be the secret
        raise BadKeys(f"{place} is no TOML, so no file that cavecast keys has made") from None
    role, peers = found.get("role"), found.get("peers", {})
    if role not in ROLES or not isinstance(peers, dict):
        raise BadKeys(f"{place} does not say for which role its keys are ({', '.join(ROLES)}): see cavecast keys")
    missing = [name for name in MEETS[role] if name not in peers]
    if missing:
        raise BadKeys(f"{place} lacks the public key of the {missing[0]}, which a {role} needs: see cavecast keys")
    known: dict[Role, bytes] = {name: _key(peers[name], f"{place}: peers.{name}") for name in MEETS[role]}
    public, secret = (_key(found.get(name), f"{place}: {name}") for name in ("public", "secret"))
    return Keys(role, public, secret, known)


def _key(text: object, place: str) -> bytes:
    if not isinstance(text, str):
        raise BadKeys(f"{place} is no key")
    try:
        raw = text.encode("utf-8", "replace")
        unpack(raw)
    except BadKeys as why:
        raise BadKeys(f"{place}: {why}") from None
    return raw


def read(path: Path, *roles: Role) -> Keys:
    """The keys in a file, which must be those of one of ``roles``.  Raises BadKeys."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as why:
        raise BadKeys(f"the keys in {path} cannot be read: {why.strerror}") from None
    if mode & stat.S_IROTH:
        raise BadKeys(f"everybody on this machine can read the secret key in {path}: chmod 600 it, or make new ones")
    keys = parse(raw, str(path))
    if keys.role not in roles:
        raise BadKeys(f"{path} has the keys of a {keys.role}; this part needs {' or '.join(roles)}.toml beside it")
    return keys


# ------------------------------------------------------------ the check at a door


class Judgement(NamedTuple):
    """What is answered to ZeroMQ about a newcomer; ``why`` is a sentence if it is not let in."""

    reply: list[bytes]
    why: str


def judge(request: Sequence[bytes], doors: Mapping[str, Mapping[bytes, Role]]) -> Judgement:
    """Whether a newcomer may come in.

    ``request``: the frames of ZAP after the delimiter: version, request id, domain, address, routing id, mechanism,
    credentials.  ``doors``: for each domain the keys that open it.  The reply names the key's role as the user.
    """
    number = request[1] if len(request) > 1 else b""
    if len(request) != 7 or request[0] != b"1.0":
        return Judgement([b"1.0", number, b"500", b"no request that is understood", b"", b""], "")
    domain, address = (raw.decode("utf-8", "replace") for raw in request[2:4])
    mechanism, key = request[5], request[6]
    role = doors.get(domain, {}).get(key) if mechanism == b"CURVE" else None
    if role is not None:
        return Judgement([b"1.0", number, b"200", b"", role.encode(), b""], "")
    others = {known: name for door in doors.values() for known, name in door.items()}
    whose = f"has the {others[key]}'s key" if key in others else "has a key that this run does not know"
    why = (
        f"a peer at {address or 'a local socket'} was not let in: it {whose}, and the door {domain} is for "
        f"{', '.join(DOORS.get(domain, ()))}; make keys with cavecast keys and give both sides the same folder"
    )
    return Judgement([b"1.0", number, b"400", b"this key does not open this door", b"", b""], why)


def out_of_role(role: str, message: Message) -> str:
    """Why the owner of a role's key may not say this, in a sentence; empty if he may."""
    if isinstance(message, Command) and role != "control":
        return f"commands are taken from the control plane's key only; this is the {role}'s"
    if isinstance(message, Hello) and message.role != role and role != "relay":
        return f"a peer with the {role}'s key calls itself {message.role[:64]!r}"
    return ""


def beyond_loopback(address: str) -> bool:
    """Whether a ``tcp://`` address can be reached from other machines."""
    if not address.startswith("tcp://"):
        return False
    host = address.removeprefix("tcp://").rpartition(":")[0]
    numbers = host.split(".")
    loopback = len(numbers) == 4 and numbers[0] == "127" and all(n.isdecimal() for n in numbers)
    return host not in _LOOPBACK and not loopback
