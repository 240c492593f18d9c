"""What an INPUT is: a sample, a file, a store, a glob of files, or an address on the net.

Looks at names and at the first bytes of files only.  Each thing that cannot be an input gets its sentence.
"""

from __future__ import annotations

import re
from glob import glob, has_magic
from pathlib import Path
from typing import Literal, NamedTuple

from inference_workers.samples import Sample, find
from inference_workers.source.joined import natural
from inference_workers.source.records import InputError

Format = Literal["netcdf", "hdf5", "zarr", "npy", "dap", "other"]

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"CDF", "netcdf"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
)


class Address(NamedTuple):
    """An input, found."""

    text: str
    """As a Source keeps it: absolute, a URL, a pattern, or ``sample:NAME``."""
    files: tuple[str, ...]
    """Paths in the natural order of their names, or one URL."""
    sample: Sample | None = None
    joined: bool = False
    """Whether it is a glob, whose files are joined along time."""

    @property
    def label(self) -> str:
        """A short name for titles."""
        if self.sample is not None:
            return self.sample.name
        return self.text.rstrip("/").rpartition("/")[2] or self.text


def resolve(text: str) -> Address:
    """Where an INPUT's files are.  Raises InputError if there are none."""
    text = text.strip()
    if not text:
        raise InputError("No input was named: give a file, a glob in quotes, a URL, or sample:NAME.")
    if text.startswith("sample:"):
        sample = find(text.removeprefix("sample:"))
        return Address(f"sample:{sample.name}", (str(sample.path),), sample)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if _URL.match(text):
        return Address(text, (text,))
    path = Path(text).expanduser().absolute()
    try:
        there = path.exists()
    except OSError as why:  # A name that is too long, a folder that may not be entered.
        raise InputError(f"{path} cannot be read: {why.strerror}.") from None
    if not there and has_magic(text):
        listed = tuple(sorted(glob(str(path), recursive=True), key=natural))  # noqa: PTH207  (an absolute pattern)
        if not listed:
            raise InputError(f"No file matches {text}: check the folder and the pattern (and quote it in a shell).")
        return Address(str(path), listed, joined=True)
    return Address(str(path), (str(path),))


def format_of(path: str) -> Format:
    """What a file or an address is, by its first bytes.  Raises InputError if it is nothing that can be read."""
    if _URL.match(path):
        plain = path.partition("?")[0].partition("#")[0].rstrip("/")
        if path.startswith(("http://", "https://")) and not plain.endswith(".zarr"):
            return "dap"
        return "zarr"
    here = Path(path)
    try:
        if here.is_dir():
            return _directory(here)
        with here.open("rb") as file:
            start = file.read(1 << 12)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}: check the path, or see `cavecast samples` for data to try."
        ) from None
    except OSError as why:
        raise InputError(f"{path} cannot be read: {why.strerror}.") from None
    if not start:
        raise InputError(f"{path} is an empty file.")
    for magic, kind in _MAGIC:
        # A user block may stand before the data of an HDF5 file.
        if start.startswith(magic) or (kind == "hdf5" and any(start.startswith(magic, n) for n in (512, 1024, 2048))):
            return kind
    return "other"


def _directory(here: Path) -> Format:
    if any((here / mark).exists() for mark in _ZARR_MARKS):
        return "zarr"
    found = sorted(p.suffix for p in here.iterdir() if p.suffix in (".nc", ".nc4", ".h5", ".hdf5", ".npy"))
    hint = f"to join its files give a glob such as '{here}/*{found[0]}'" if found else "give a file in it"
    raise InputError(f"{here} is a directory but no Zarr store (it has no zarr.json or .zgroup): {hint}.")
