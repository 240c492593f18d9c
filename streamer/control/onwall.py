"""How a run stands on a wall, from what is known of the wall's nodes, its processes and its conductor.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from streamer.wire.conducting import Spread, WallNews
from streamer.wire.walls import WallFacts

MOST_DARK = 64
"""Names of dark tiles that are told one by one."""
PartState = Literal["starting", "again", "running", "ended"]
"""``again``: it has ended, and is started once more."""


class OnWall(msgspec.Struct, frozen=True, kw_only=True):
    """A wall that a run is shown on, as the API shows it."""

    name: str
    state: Literal["starting", "showing", "partly", "dark"] = "starting"
    """``partly``: some tiles do not show what the wall shows; ``dark``: none does."""
    sentences: tuple[str, ...] = ()
    """What is not as it should be, each with what to do."""
    tiles: int = 0
    dark: tuple[str, ...] = ()
    """The tiles that do not show what the wall shows, the first 64 of them."""
    frames: int = 0
    rate_hz: float = 0.0
    """Frames shown in the last second; a wall on which nothing moves rests."""
    position: int = 0
    """So far the wall is in the run's log."""
    skew_s: float | None = None
    """Between the first and the last tile of a frame; 99 of 100 of the last thousand frames are below it."""
    draw_to_show_s: float | None = None
    """From asking for a frame to showing it; likewise."""
    chunk_to_show_s: float | None = None
    """From a chunk's arrival at a tile to showing it; likewise."""
    sensor_to_show_s: float | None = None
    """From a tracker's measurement to showing it; likewise."""


def not_shown(name: str, why: str) -> OnWall:
    """A wall that cannot be shown on, and why."""
    return OnWall(name=name, state="dark", sentences=(why,))


def standing(
    wall: WallFacts,
    sentences: Sequence[str],
    conductor: PartState,
    seats: Mapping[str, PartState],
    news: WallNews | None,
) -> OnWall:
    """How a wall stands.

    ``sentences``: what is said of its nodes; ``seats``: its processes, by the names of the nodes in its file; those
    that have none are missing.  ``news``: what the conductor has said lately, None if it is silent.
    """
    said, tiles = [*sentences], len(wall.tiles)
    if conductor != "running" or news is None:
        if conductor == "ended":
            said.append(
                f"the conductor of wall {wall.name} was given up, the run's remarks say why: mend that, and show the "
                "run on the wall again"
            )
        state: Literal["starting", "dark"] = "dark" if conductor == "ended" else "starting"
        names = tuple(tile.name for tile in wall.tiles)
        return OnWall(name=wall.name, state=state, sentences=tuple(said), tiles=tiles, dark=names[:MOST_DARK])
    # The conductor hears of a process that has gone a little later.
    lost = {tile for seat in wall.seats if seats.get(seat.name) != "running" for tile in seat.tiles}
    dark = lost | set(news.stale)
    begins = False
    for seat in wall.seats:
        here = [tile for tile in seat.tiles if tile in dark]
        if not here or seat.name not in seats:
            continue
        begins = begins or seats[seat.name] in ("starting", "running")
        what = f"{_few(here)} of wall {wall.name} (node {seat.name})"
        match seats[seat.name]:
            case "ended":
                said.append(
                    f"{what}: dark, since its process was given up; the run's remarks say why: mend that, and show "
                    "the run on the wall again"
                )
            case "starting":
                said.append(f"{what}: dark until its process is there")
            case "again":
                said.append(
                    f"{what}: dark, since its process ended; it is started again, and the run's logs say why it ended"
                )
            case "running":
                said.append(f"{what}: not as far as the wall; it comes back by itself")
    state_now: Literal["starting", "showing", "partly", "dark"]
    if not dark:
        state_now = "showing"
    elif len(dark) < tiles:
        state_now = "partly"
    else:
        state_now = "starting" if begins and not news.frames else "dark"
    return OnWall(
        name=wall.name, state=state_now, sentences=tuple(said), tiles=tiles,
        dark=tuple(sorted(dark))[:MOST_DARK], frames=news.frames, rate_hz=news.rate_hz, position=news.position,
        skew_s=_p99(news.skew), draw_to_show_s=_p99(news.draw_to_show), chunk_to_show_s=_p99(news.chunk_to_show),
        sensor_to_show_s=_p99(news.sensor_to_show),
    )  # fmt: skip


def _p99(times: Spread) -> float | None:
    return times.p99_s if times.count else None


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
