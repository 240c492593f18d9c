"""Walls by name: a file, or one of the presets that ship with CaveCast."""

from __future__ import annotations

import codecs
import json
from importlib import resources
from pathlib import Path

from renderers.wall.complaint import NoSuchWall, WallError, meant
from renderers.wall.file import read_wall
from renderers.wall.records import Wall
from renderers.wall.schema import json_schema

PRESETS = ("desk", "2x2", "curved5", "cave4", "suncave")
LARGEST_BYTES = 16_000_000


def preset_text(name: str) -> str:
    """The wall file of a preset."""
    return resources.files("renderers.wall.presets").joinpath(f"{name}.toml").read_text("utf-8")


def load_wall(wall: str | Path) -> Wall:
    """The wall of a preset's name or a file's path; a path has a ``/`` or an ending, a name has neither.

    Raises NoSuchWall if there is neither, and WallError if the file cannot be read as a wall.
    """
    if str(wall) in PRESETS:
        return read_wall(preset_text(str(wall)), f"preset {wall}")
    path = Path(wall)
    if path.is_dir():
        raise NoSuchWall(f"{wall} is a folder; name the wall file in it")
    if not path.is_file():
        if path.suffix or len(path.parts) != 1:
            raise NoSuchWall(f"{wall}: no such file; presets are {_presets()}")
        raise NoSuchWall(f"{wall} is no preset and no file{meant(str(wall), list(PRESETS))}; presets are {_presets()}")
    if path.suffix.lower() in (".xml", ".pvx"):
        raise WallError(f"{wall} is no wall file yet: first cavecast wall import {wall} -o {path.stem}.toml")
    return read_wall(read_text(path), str(wall))


def read_text(path: Path) -> str:
    """A file's text, in UTF-8 or, failing that, Latin-1; in UTF-16 where it says so itself.

    Raises WallError where that is not sensible.
    """
    if path.is_dir():
        raise NoSuchWall(f"{path} is a folder; name the file in it")
    if not path.is_file():
        raise NoSuchWall(f"{path}: no such file")
    if path.stat().st_size > LARGEST_BYTES:
        raise WallError(f"{path} is larger than {LARGEST_BYTES // 1_000_000} MB, so it is no description of a wall")
    raw = path.read_bytes()
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def schema_text() -> str:
    """The JSON Schema of wall files, as it ships beside the presets."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _presets() -> str:
    return ", ".join(PRESETS)
