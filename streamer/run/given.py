"""What was written on the command line, as the API takes it.  Pure, but for the folder that a path is relative to."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec


class WrongUse(ValueError):
    """An option that cannot be understood."""

    exit_code = 2


def parameter(text: str) -> tuple[str, bool | int | float | str]:
    """``NAME=VALUE``: a number, true or false where it reads as one, else text.  Raises WrongUse."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise WrongUse(f"--set {text} is no parameter: give NAME=VALUE, such as --set threshold=500")
    try:
        return name, msgspec.json.decode(value, type=bool | int | float)
    except msgspec.MsgspecError:
        return name, value


def finite(options: dict[str, float | None]) -> None:
    """Raises WrongUse unless each option that was given is a finite number."""
    for option, value in options.items():
        if value is not None and not math.isfinite(value):
            raise WrongUse(f"{option} {value:g} is no number to go by: give a finite one")


def three(option: str, text: str, *, whole: bool = False) -> list[float]:
    """Three numbers with commas.  Raises WrongUse."""
    kind = "three whole numbers above 0" if whole else "three numbers above 0"
    try:
        numbers = [int(part) if whole else float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(0 < n < float("inf") for n in numbers):
        raise WrongUse(f"{option} {text} is not {kind}: give them along (time, y, x) with commas, such as 24,32,32")
    return [float(n) for n in numbers]


def two(option: str, text: str) -> list[float]:
    """Two numbers with a comma.  Raises WrongUse."""
    try:
        low, high = (float(part) for part in text.split(","))
        if not low < high or high - low == float("inf"):
            raise ValueError
    except ValueError:
        raise WrongUse(
            f"{option} {text} is not a lower and a higher number: give them as LOW,HIGH, such as 0,1500"
        ) from None
    return [low, high]


def absolute(source: str) -> str:
    """A path made absolute, since the server may stand elsewhere; URLs and ``sample:NAME`` stay.  Raises WrongUse."""
    if not source.strip():
        raise WrongUse("INPUT is empty: give a file, a glob in quotes, a URL, or sample:NAME")
    if "://" in source or source.startswith("sample:"):
        return source
    return str(Path(source).expanduser().absolute())


def relay_of(text: str) -> dict[str, str | None]:
    """``NAME[@OF][=ADDRESS]`` as a request has it."""
    name, _, address = text.partition("=")
    name, _, of = name.partition("@")
    return {"name": name, "of": of or None, "listen": address or None}


LARGEST_WALL = 64 << 10
"""Bytes of a wall file that a control plane takes."""


def is_wall_file(text: str) -> bool:
    """Whether ``--wall`` means a file, and not a wall's name."""
    return text.endswith(".toml") or "/" in text or Path(text).is_file()


def wall_text(path: Path) -> str:
    """A wall file's text.  Raises WrongUse."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_WALL + 1)
        if len(raw) > LARGEST_WALL:
            raise WrongUse(f"{path} has more than {LARGEST_WALL:,} bytes, which is too large for a wall file")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WrongUse(f"{path} is no text in UTF-8, so no wall file") from None
    except OSError as why:
        raise WrongUse(f"the wall file {path} cannot be read: {why.strerror}") from None
