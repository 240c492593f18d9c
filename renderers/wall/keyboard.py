"""Keys at a wall's windows and what they do to the view.  Pure.

Keys of the wand (``track.wand.KEYS``) are held and move things; these are pressed once.  They have X's names.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from renderers.wall.reel import Reel, live, stepped
from streamer.wire.viewing import Mode, View

MODES: dict[str, Mode] = {"1": "cube", "2": "globe", "3": "map"}
FASTER = 1.5


class Done(NamedTuple):
    """What a key has done."""

    view: View
    head: Literal["", "freeze", "reset"] = ""
    """What it asks of the head."""


def typed(key: str, view: View, reel: Reel, now: float, last: float) -> Done:
    """The view after a key was pressed; keys that mean nothing here change nothing."""
    match key:
        case "space":
            if reel.playing:
                reel.pause()
                return Done(view)
            return Done(reel.play(view, now, last))
        case "Left" | "Right":
            reel.pause()
            return Done(stepped(view, 1 if key == "Right" else -1, last))
        case "Home":
            reel.pause()
            return Done(msgspec.structs.replace(view, time=0.0))
        case "End":
            reel.pause()
            return Done(live(view))
        case "plus" | "KP_Add" | "equal":
            reel.pace(reel.steps_per_s * FASTER, view, now)
        case "minus" | "KP_Subtract":
            reel.pace(reel.steps_per_s / FASTER, view, now)
        case "1" | "2" | "3":
            return Done(msgspec.structs.replace(view, mode=MODES[key]))
        case "p":
            return Done(msgspec.structs.replace(view, pattern=not view.pattern))
        case "f":
            return Done(view, "freeze")
        case "r":
            return Done(view, "reset")
        case _:
            pass
    return Done(view)
