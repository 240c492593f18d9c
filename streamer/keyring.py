"""Makes the keys of a run, a file for each role; never overwrites one."""

from __future__ import annotations

import os
from pathlib import Path

import zmq

from streamer.wire.keys import MEETS, ROLES, Keys, Role, write


class NotMade(RuntimeError):
    """Why there are no new keys, in a sentence."""

    exit_code = 2


def fresh(whose: str) -> dict[Role, str]:
    """The text of a file with new keys for each role; ``whose`` names the run for people."""
    pairs: dict[Role, tuple[bytes, bytes]] = {role: zmq.curve_keypair() for role in ROLES}
    return {
        role: write(Keys(role, *pairs[role], {other: pairs[other][0] for other in MEETS[role]}), whose)
        for role in ROLES
    }


def make(folder: Path) -> list[Path]:
    """A file with new keys for each role; returns them.  Raises NotMade if there is one already, or OSError."""
    there = [role for role in ROLES if (folder / f"{role}.toml").exists()]
    if there:
        raise NotMade(f"{folder / there[0]}.toml is there already: remove the old keys, or give another folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for role, text in fresh(folder.parent.name if folder.name == "keys" else folder.name).items():
        path = folder / f"{role}.toml"
        # Made for its owner alone from the first moment on, and only if nobody else has made it meanwhile.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(text)
        made.append(path)
    return made
