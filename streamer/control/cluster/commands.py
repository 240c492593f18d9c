"""How each part is called in a pod, and where its peers are met.

The arguments are those of ``streamer.control.parts``; only addresses and folders are a pod's.  A part listens on all
addresses of its pod, which is why all of them have keys, and is met at its Service.
"""

from __future__ import annotations

import re
from pathlib import Path

from streamer.control.cluster.names import name
from streamer.control.cluster.plan import ClusterPlan, NotPossible, WallPlan
from streamer.control.cluster.pods import KEYS
from streamer.control.parts import Addresses, Plan, RelayPlan, arguments
from streamer.control.runs import Role

INGEST, FEED, VIEWS, WALL = 7001, 7002, 7003, 7004
"""The ports of the doors of docs/protocol.md; no door has another."""
PATIENCE_S = 60
"""So long a part waits for a streamer that is gone before it ends by itself."""
FOLDER = "/var/lib/cavecast"
SEATS, WALL_FOLDER, WALL_FILE = "/etc/cavecast/seats", "/etc/cavecast/wall", "wall.toml"
EVERYWHERE = "tcp://0.0.0.0"
_RELAY = re.compile(r"[A-Za-z0-9_-]{1,64}")


def door(plan: ClusterPlan, part: str, port: int) -> str:
    """Where a part is met from within its namespace."""
    return f"tcp://{name(plan.run_id, part)}:{port}"


def relay_part(plan: ClusterPlan, called: str) -> str:
    """The part of a relay, by its name; the streamer if that is empty.  Raises NotPossible."""
    if not called:
        return "streamer"
    for number, relay in enumerate(plan.relays, 1):
        if relay.name == called:
            return f"relay-{number}"
    raise NotPossible(f"there is no relay {called!r} in this run: name one of {[one.name for one in plan.relays]}")


def check_relays(plan: ClusterPlan) -> None:
    """Raises NotPossible unless relays have names of their own, and each is of one before it."""
    known = [""]
    for relay in plan.relays:
        if not _RELAY.fullmatch(relay.name) or relay.name in known:
            raise NotPossible(
                f"a relay cannot be called {relay.name[:64]!r}: take letters, digits, - and _, each name once"
            )
        if relay.of not in known:
            raise NotPossible(f"relay {relay.name} is to be one of {relay.of[:64]!r}, which does not stand before it")
        known.append(relay.name)
    relay_part(plan, plan.behind)


def of_part(plan: ClusterPlan, part: str, role: Role) -> list[str]:
    """The arguments of ``cavecast`` for the streamer, a relay, a worker, a renderer or the archive.

    Raises NotPossible.
    """
    check_relays(plan)
    relays = tuple(RelayPlan(one.name, one.of, one.durability) for one in plan.relays)
    local = Plan(
        folder=Path(FOLDER),
        workers=1,  # on the cores of its pod: cavecast worker --one-of
        view=plan.renderers is not None,
        out=plan.archive.out if plan.archive is not None else None,
        hold=plan.hold,
        pace_s=plan.pace_s,
        relays=relays,
        behind=plan.behind,
        keys=Path(KEYS),
        kept=plan.kept,
    )
    called = {"worker": "$(POD_NAME)", "renderer": "renderer"}.get(role, part)
    if role == "relay":
        called = relays[int(part.removeprefix("relay-")) - 1].part
    listening = {one.part: door(plan, relay_part(plan, one.name), FEED) for one in relays}
    if role == "relay":
        listening[called] = f"{EVERYWHERE}:{FEED}"
    at = Addresses(
        ingest=f"{EVERYWHERE}:{INGEST}" if role == "streamer" else door(plan, "streamer", INGEST),
        feed=f"{EVERYWHERE}:{FEED}" if role == "streamer" else door(plan, "streamer", FEED),
        views=f"{EVERYWHERE}:{VIEWS}",
        relays=listening,
    )
    patient = ["--patience", str(PATIENCE_S)] if role in ("worker", "renderer", "archive") else []
    return [*arguments(called, role, local, at), *patient]


def of_conductor(plan: ClusterPlan, wall: WallPlan) -> list[str]:
    """The arguments of ``cavecast`` for a wall's conductor."""
    feed = ["--feed", door(plan, relay_part(plan, wall.behind), FEED)] if wall.follows else []
    ways = [*feed, "--listen", f"{EVERYWHERE}:{WALL}", "--deadline-ms", f"{wall.deadline_ms:g}"]
    return ["conductor", "--wall", f"{WALL_FOLDER}/{WALL_FILE}", *ways, "--keys", f"{KEYS}/renderer.toml"]


def of_tiles(plan: ClusterPlan, wall: WallPlan, conductor: str) -> list[str]:
    """The arguments of ``cavecast`` for all tiles of the node that a pod finds itself on."""
    return [
        "tile",
        *("--wall", f"{WALL_FOLDER}/{WALL_FILE}"),
        *("--node-from", f"{SEATS}/$(NODE_NAME)"),
        *("--conductor", door(plan, conductor, WALL)),
        *(["--offscreen"] if wall.screen == "none" else []),
        *("--patience", str(PATIENCE_S)),
        *("--keys", f"{KEYS}/renderer.toml"),
    ]
