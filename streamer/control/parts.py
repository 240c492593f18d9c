"""Which processes a run consists of, where each listens, and how each is called.  Pure.

The order is the order of starting: the streamer is ready in a moment, workers take longest to load
their libraries, so all are started together and find each other as they come.  Who follows a feed whose port
is still to be chosen waits for it: relays for what they are relays of, a renderer for the relay that it is behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streamer.control.runs import Role

SPEC_FILE = "RUN.json"
_ANYWHERE = {"tcp://0.0.0.0:": "tcp://127.0.0.1:", "tcp://*:": "tcp://127.0.0.1:", "tcp://[::]:": "tcp://[::1]:"}


class RelayPlan(NamedTuple):
    """A relay that is to be started for a run."""

    name: str
    """As the streamer is told; its part is called ``relay-NAME``."""
    of: str = ""
    """The relay whose feed it copies; the streamer's if that is empty."""
    durability: str | None = None

    @property
    def part(self) -> str:
        """What its part is called."""
        return f"relay-{self.name}"


class WallParts(NamedTuple):
    """A wall that the run is shown on: a conductor, and a tile process for each node of it that is this machine."""

    name: str
    file: Path
    seats: tuple[str, ...]
    """The nodes, by their names in the wall's file."""
    offscreen: bool = False
    """Pictures stay in memory."""
    deadline_ms: float = 250.0

    @property
    def conductor(self) -> str:
        """What its conductor is called."""
        return f"conductor:{self.name}"

    def tile(self, seat: str) -> str:
        """What the process of a node is called."""
        return f"tile:{self.name}:{seat}"

    @property
    def parts(self) -> dict[str, Role]:
        """The names and roles of all of them, in the order of starting."""
        found: dict[str, Role] = {self.conductor: "conductor"}
        found.update({self.tile(seat): "tile" for seat in self.seats})
        return found

    def of_conductor(self, feed: str, listen: str) -> list[str]:
        """The conductor's arguments; without a ``feed`` the wall follows no run."""
        ways = [*(["--feed", feed] if feed else []), "--listen", listen]
        return ["conductor", "--wall", str(self.file), *ways, "--deadline-ms", f"{self.deadline_ms:g}"]

    def of_tile(self, seat: str, conductor: str) -> list[str]:
        """A tile process's arguments."""
        screens = ["--offscreen"] if self.offscreen else []
        # In one word: a node may be called as an option is.
        return ["tile", "--wall", str(self.file), f"--node={seat}", "--conductor", conductor, *screens]


class Kept(NamedTuple):
    """How the run is kept: its log, and its store.  None is what the parts do by themselves."""

    durability: str | None = None
    retain_gb: float | None = None
    shard: tuple[int, int, int] | None = None

    @property
    def of_streamer(self) -> list[str]:
        """The streamer's options."""
        found = ["--durability", self.durability] if self.durability else []
        if self.retain_gb is not None:
            # Labels leave the log with whole files, of which the newest stays: so there are to be some.
            segment_mb = min(256.0, max(0.001, 1000 * self.retain_gb / 4))
            found += ["--retain-gb", f"{self.retain_gb!r}", "--segment-mb", f"{segment_mb!r}"]
        return found

    @property
    def of_archive(self) -> list[str]:
        """The archive's options."""
        return [] if self.shard is None else ["--shard", ",".join(map(str, self.shard))]


class Plan(NamedTuple):
    """What is to be started for a run."""

    folder: Path
    workers: int
    view: bool
    out: str | None
    hold: bool
    """The streamer keeps the work back until it is told to start."""
    pace_s: float
    relays: tuple[RelayPlan, ...] = ()
    """Each after the one that it is a relay of."""
    behind: str = ""
    """The relay whose feed the renderer and the walls follow; the streamer's if that is empty."""
    keys: Path | None = None
    """The folder with a file of keys for each role, if the parts use keys."""
    kept: Kept = Kept()
    walls: tuple[WallParts, ...] = ()
    """The walls that it is shown on now: they come and go."""

    def to_look_at(self) -> Plan:
        """What serves a run that is over: its log, and a renderer if it had one."""
        return self._replace(workers=0, out=None, hold=False, pace_s=0.0, relays=(), behind="", kept=Kept(), walls=())

    @property
    def parts(self) -> dict[str, Role]:
        """The parts' names and roles, in the order of starting."""
        found: dict[str, Role] = {"streamer": "streamer"}
        found.update({relay.part: "relay" for relay in self.relays})
        found.update({f"worker-{n}": "worker" for n in range(1, self.workers + 1)})
        if self.view:
            found["renderer"] = "renderer"
        if self.out is not None:
            found["archive"] = "archive"
        for wall in self.walls:
            found.update(wall.parts)
        return found

    def wall_of(self, part: str) -> WallParts | None:
        """The wall that a part belongs to."""
        return next((wall for wall in self.walls if part in wall.parts), None)

    def source(self, part: str) -> str:
        """The part whose feed or ingest a part connects to; empty for the streamer, which connects to nobody."""
        if part == "streamer":
            return ""
        wall = self.wall_of(part)
        if wall is not None and part != wall.conductor:
            return wall.conductor
        follows = part == "renderer" or wall is not None
        of = self.behind if follows else next((one.of for one in self.relays if one.part == part), "")
        return f"relay-{of}" if of else "streamer"

    def behind_of(self, part: str) -> frozenset[str]:
        """The parts that hear of the run through a part, directly or not."""
        found: set[str] = {part}
        for one in self.parts:
            if self.source(one) in found:
                found.add(one)
        return frozenset(found - {part})


class Addresses(NamedTuple):
    """Where the parts of a run listen: a port that is still to be chosen is 0."""

    ingest: str
    feed: str
    views: str
    relays: Mapping[str, str] = {}
    """The feeds of relays, by the names of their parts."""
    walls: Mapping[str, str] = {}
    """Where conductors are, by the names of their parts."""

    def listens(self, part: str) -> dict[str, str]:
        """The doors of a part that are known."""
        doors = {
            "streamer": {"ingest": self.ingest, "feed": self.feed},
            "renderer": {"views": self.views},
        }.get(part) or self._others(part)
        return {door: at for door, at in doors.items() if not at.endswith((":0", ":*"))}

    def _others(self, part: str) -> dict[str, str]:
        doors = ("feed", self.relays), ("wall", self.walls)
        return {door: known[part] for door, known in doors if part in known}

    def known(self, part: str) -> bool:
        """Whether others can connect to a part already."""
        return len(self.listens(part)) == {"streamer": 2}.get(part, 1)

    def after(self, part: str, ready: Mapping[str, object]) -> Addresses:
        """With what a part has announced."""
        match part:
            case "streamer":
                return self._replace(ingest=str(ready["ingest"]), feed=str(ready["feed"]))
            case "renderer":
                return self._replace(views=str(ready["views"]))
            case _ if part in self.relays:
                return self._replace(relays={**self.relays, part: str(ready["feed"])})
            case _ if part in self.walls:
                return self._replace(walls={**self.walls, part: str(ready["address"])})
        return self

    def feed_of(self, part: str) -> str:
        """Where to connect to follow the streamer or a relay."""
        return dialled(self.feed if part == "streamer" else self.relays[part])


def dialled(address: str) -> str:
    """Where on this machine to connect to a part that listens at an address, which may be all of the machine's."""
    for every, own in _ANYWHERE.items():
        if address.startswith(every):
            return own + address.removeprefix(every)
    return address


def arguments(name: str, role: Role, plan: Plan, at: Addresses) -> list[str]:
    """The arguments of ``cavecast`` for a part.  Of keys they name the file only."""
    # The door of a wall has the key of its renderers: they are one role.
    keys = "renderer" if role in ("conductor", "tile") else role
    locked = ["--keys", str(plan.keys / f"{keys}.toml")] if plan.keys is not None else []
    match role:
        case "streamer":
            log = ["--run", str(plan.folder / SPEC_FILE), "--log", str(plan.folder / "log")]
            doors = ["--ingest", at.ingest, "--feed", at.feed]
            pace = ["--pace", f"{plan.pace_s:g}"] if plan.pace_s else []
            return [
                "streamer",
                *log,
                *doors,
                *pace,
                *(["--hold"] if plan.hold else []),
                *plan.kept.of_streamer,
                *locked,
            ]
        case "relay":
            relay = next(one for one in plan.relays if one.part == name)
            kept = ["--durability", relay.durability] if relay.durability else []
            log = ["--log", str(plan.folder / f"log-{relay.name}"), "--name", relay.name]
            way = ["--relay-of", at.feed_of(plan.source(name)), "--feed", at.relays[name]]
            return ["streamer", *way, *log, *kept, *locked]
        case "worker":
            way = ["--ingest", dialled(at.ingest), "--name", name]
            return ["worker", *way, "--one-of", str(plan.workers), *locked]
        case "renderer":
            return ["renderer", "--feed", at.feed_of(plan.source(name)), "--views", at.views, *locked]
        case "archive":
            assert plan.out is not None
            return ["archive", "--feed", at.feed_of("streamer"), "--out", plan.out, *plan.kept.of_archive, *locked]
        case "conductor" | "tile":
            wall = plan.wall_of(name)
            assert wall is not None
            if role == "conductor":
                return [*wall.of_conductor(at.feed_of(plan.source(name)), at.walls[name]), *locked]
            seat = next(seat for seat in wall.seats if wall.tile(seat) == name)
            return [*wall.of_tile(seat, at.walls[wall.conductor]), *locked]
