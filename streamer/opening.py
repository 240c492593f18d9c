"""What is found of a log when it is opened, and what is cut off because it is torn or damaged."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from streamer.layout import LogDamaged
from streamer.segment import FULL, LEAN, Segment


class Found(NamedTuple):
    """The segments as far as they are sound and follow each other, oldest first, of which the newest is open."""

    segments: list[Segment]
    damage: str
    """What is wrong with what follows; empty if it is only unfinished, or if nothing follows."""
    beyond: list[Path]
    """The files that follow."""


def find(folder: Path) -> Found:
    """Looks through a log's folder.  Raises LogDamaged or OSError."""
    paths = {path.stem: path for suffix in (FULL, LEAN) for path in sorted(folder.glob(f"*{suffix}"))}
    for full in folder.glob(f"*{FULL}"):
        if paths[full.stem].suffix == LEAN:
            full.unlink()  # a lean segment has its name only once it is whole
    segments: list[Segment] = []
    try:
        return _loaded(paths, segments)
    except BaseException:
        for segment in segments:
            segment.close()
        raise


def _loaded(paths: dict[str, Path], segments: list[Segment]) -> Found:
    names, damage, head = sorted(paths), "", 0
    for place, name in enumerate(names):
        if int(name) != head:
            damage = f"entries {head} to {int(name) - 1} are missing"
            break
        try:
            segment = Segment.load(paths[name], place == len(names) - 1)
        except LogDamaged as why:
            if not place:
                raise
            damage = str(why)
            break
        if not segment.epoch:
            segment.write_header(segments[-1].epoch if segments else secrets.token_hex(16))
        if segments:
            segments[-1].close()
        segments.append(segment)
        head, damage = segment.stop, segment.damage
        torn = segment.end < segment.path.stat().st_size
        if damage or (torn and place < len(names) - 1):
            damage = damage or f"entry {segment.stop} is not whole"
            break
    return Found(segments, damage, [paths[name] for name in names[len(segments) :]])


def cut(folder: Path, found: Found, *, copy: bool) -> str:
    """Removes what follows the last good entry, in such an order that a crash meanwhile hides nothing.

    After damage the log gets a new epoch, unless it is a ``copy``, whose source has the same entries still.
    Returns what it was in a sentence, or nothing; ``found.segments`` are those that are left.  Raises LogDamaged
    or OSError.
    """
    segments, damage, beyond = found
    if not segments:
        if beyond:
            raise LogDamaged(f"the log in {folder} has no beginning: {damage}; take another folder")
        return ""
    head = segments[-1].stop
    lost = segments[-1].path.stat().st_size - segments[-1].end
    lost += sum(path.stat().st_size for path in beyond)
    if not lost and not beyond:
        return ""
    while segments and segments[-1].lean and not segments[-1].offsets:
        # Nothing of it is left, and the next full segment will have its number.
        empty = segments.pop()
        empty.close()
        beyond = [empty.path, *beyond]
    if damage and segments and not copy:
        segments[-1].write_header(secrets.token_hex(16))
    for path in reversed(beyond):
        path.unlink()
    if segments:
        segments[-1].cut()
    return f"the log in {folder} was cut after entry {head - 1}, {lost:,} bytes: " + (
        f"{damage}; the chunks that it held are {'fetched' if copy else 'computed'} again"
        if damage
        else "an unfinished record"
    )
